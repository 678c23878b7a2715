"""The phrases that speak against a repair, as data: classes and patterns. How they are searched is ``phrases``' matter.

Patterns meet lower-cased lines of bounded length and repeat nothing without a bound, so that no line, however hostile,
takes long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

DEPENDENCY_DOWN = "dependency_down"
"""The one class that facts can answer: what it names may be known to be well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseClass:
    """One reason why a restart would not help.

    ``meaning`` completes "its own words point to ...". A line that matches one of ``unless`` does not count.
    ``about_peers``: the phrase only counts if it is about somebody else, not about the container's own port.
    Several entries may share a ``kind``. ``needles``: of each pattern, what a line must hold for it to match.
    """

    kind: str
    meaning: str
    patterns: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...] = ()
    about_peers: bool = False
    needles: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "needles", tuple(needle(pattern) for pattern in self.patterns))


def needle(pattern: re.Pattern[str]) -> str:
    """The longest run of letters without which a pattern cannot match; ``""`` where none is sure.

    Most lines hold none of them, and looking for a run is a hundred times faster than searching a pattern.
    """
    if pattern.flags & re.VERBOSE:
        return ""
    runs, run, depth = [], "", 0
    source = iter(pattern.pattern)
    for letter in source:
        literal = ""
        if letter == "\\":
            escaped = next(source, "")
            literal = escaped if not escaped.isalnum() and depth == 0 else ""
        elif letter == "[":
            if next(source, "") == "^":
                next(source, "")  # a bracket that comes first is one of the letters
            for inside in source:
                if inside == "\\":
                    next(source, "")
                elif inside == "]":
                    break
        elif letter in "()":
            depth += 1 if letter == "(" else -1
        elif letter == "|" and depth == 0:
            return ""
        elif letter in "?*{":
            run = run[:-1]  # what may be absent, or counted, belongs to no run
            if letter == "{":
                next((inside for inside in source if inside == "}"), "")
        elif letter not in ".^$+" and depth == 0:
            literal = letter
        if literal:
            run += literal
        else:
            runs.append(run)
            run = ""
    return max((*runs, run), key=len).lower()


def _patterns(*sources: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(source) for source in sources)


CLASSES: tuple[PhraseClass, ...] = (
    PhraseClass(
        kind="disk_full",
        meaning="a disk that is full, read-only or failing",
        patterns=_patterns(
            r"no space left on device",
            r"enospc\b",
            r"disk quota exceeded",
            r"disk (?:is )?full\b",
            r"not enough space on (?:the )?dis[ck]",
            r"read-only file system",
            r"could not extend file",
            r"flood[ -]stage (?:disk )?watermark",
            r"misconf redis is configured to save rdb snapshots",
            r"no (?:free |disk )?space (?:left|available|remaining)",
            r"(?:out of|insufficient|not enough) (?:free )?(?:disk|storage) ?space",
            r"(?:file ?system|volume|partition|device|storage) is full\b",
            r"\bedquot\b",
            r"disk usage exceeded",
            r"input/output error",
            r"i/o error, dev ",
            r"(?:ext4|xfs|btrfs)(?:-fs)? (?:error|warning)",
            r"blk_update_request",
            # The C library's words for ENOSPC in some of its languages.
            r"auf dem gerät ist kein speicherplatz mehr verfügbar",
            r"aucun espace disponible sur le périphérique",
            r"no queda espacio en el dispositivo",
            r"não há espaço disponível no dispositivo",
            r"spazio esaurito sul device",
            r"geen ruimte meer over op apparaat",
            r"brak miejsca na urządzeniu",
            r"на устройстве не осталось свободного места",
            r"设备上没有空间",
            r"デバイスに空き領域がありません",
        ),
    ),
    PhraseClass(
        kind="certificate",
        meaning="a certificate that is expired or not trusted",
        patterns=_patterns(
            r"certificate has expired",
            r"certificate (?:is )?expired",
            r"cert_has_expired",
            r"certificate verify failed",
            r"certificate_verify_failed",
            r"x509: certificate",
            r"unable to get local issuer certificate",
            r"unable_to_verify_leaf_signature",
            r"self[- ]signed certificate",
            r"pkix path building failed",
            r"sslhandshakeexception",
            r"certificate (?:is |was )?not (?:yet )?valid",
            r"certificate problem",
            r"failed to verify (?:the )?certificate",
            r"certificate verification failed",
            r"\bcert(?:ificate)?\b.{0,80}\bexpired\b",
            r"alert (?:unknown ca|certificate expired|bad certificate)",
            r"err_cert_",
            r"no alternative certificate subject name",
            r"hostname mismatch, certificate",
        ),
        # A server says this of its visitors, scanners among them.
        unless=_patterns(r"tls handshake error from"),
    ),
    PhraseClass(
        kind="config_error",
        meaning="a wrong configuration or entrypoint",
        patterns=_patterns(
            r"exec format error",
            r"executable file not found in \$path",
            r"oci runtime (?:create|exec) failed",
            r"exec user process caused",
            r"invalid configuration\b",
            r"configuration error\b",
            r"configerror\b",
            r"(?:failed to|unable to|could not|cannot) (?:load|parse|read) (?:the )?config",
            r"error (?:loading|parsing|reading) (?:the )?config",
            r"missing required (?:environment variable|config|setting|option)",
            r"required environment variable",
            r"environment variable .{0,60}(?:not set|required|missing)",
            r"unknown directive ",
            r"unknown (?:command[- ]line )?(?:flag|option)\b",
            r"unrecognized (?:argument|option)",
            r"no module named ",
            r"modulenotfounderror\b",
            r"cannot find module ",
            r"address already in use",
            r"eaddrinuse\b",
            r"password authentication failed for user",
            r"access denied for user",
            r"noauth authentication required",
            r"wrongpass invalid",
            r"login failed for user",
            r"exec: .{0,200}permission denied",
            r"bind: permission denied",
            r"port is already allocated",
            r"(?:config|configuration|settings|\.ya?ml|\.toml|\.conf|\.ini)\b.{0,60}no such file",
            r"no such file.{0,80}(?:config|settings|\.ya?ml|\.toml|\.conf\b|\.ini\b)",
            r"(?:syntax|parse|parsing) error.{0,80}(?:config|\.ya?ml|\.toml|\.conf\b|\.ini\b)",
            r"\bconfig(?:uration)? (?:is |file )?(?:invalid|error|not found|missing)",
            r"(?:invalid|bad|broken|missing) config",
            r"yaml: (?:line|unmarshal)",
            r"yaml\.(?:scanner|parser)",
            r"unknown (?:config|configuration|key|setting|parameter|option)\b",
            r"missing (?:required )?(?:env(?:ironment)?(?: variable| var)?|secret|api key|credentials)\b",
            r"(?:api key|secret|credentials|token) (?:is |are )?(?:missing|not set|not configured)",
            r"could not find or load main class",
            r"classnotfoundexception\b",
            r"noclassdeffounderror\b",
            r"importerror: ",
            r"error while loading shared libraries",
            r"version [`'\"]glibc",
            r"bad interpreter",
            r"permission denied:? '?/",
            r"eacces\b",
            r"(?:open|mkdir|create|stat|write|read|unlink|rename|chown|exec) /[^ ]{1,200}: permission denied",
            r"(?:invalid|incorrect|expired|revoked) api[ _-]?key",
            r"api[ _-]?key\b.{0,40}(?:invalid|expired|revoked|not valid)",
            r"licen[cs]e (?:key )?(?:has |is |was )?(?:expired|invalid|missing|not valid|not found)",
            r"(?:invalid|expired|no valid) licen[cs]e",
            r"account (?:is |has been )?(?:suspended|disabled|deactivated)",
            r"payment required",
            r"no cuda-capable device",
            r"driver/library version mismatch",
            # A health check that asks for what is not there says nothing about the program.
            r"returned error: (?:http/[123](?:\.[01])? )?40[134]\b",
        ),
    ),
    PhraseClass(
        kind=DEPENDENCY_DOWN,
        meaning="a dependency that does not answer",
        about_peers=True,
        patterns=_patterns(
            r"connection refused",
            r"econnrefused\b",
            r"actively refused it",
            r"no route to host",
            r"network is unreachable",
            r"ehostunreach\b",
            r"host is unreachable",
            r"(?:could not|cannot|can't|unable to|failed to) connect to (?:the )?"
            r"(?:server|host|database|redis|broker|mysql|postgres|mongo|upstream|backend|remote|rabbit|kafka|elastic)",
            r"(?:database|db|broker|upstream|backend) (?:server )?(?:is )?(?:down|unavailable|unreachable|not available)\b",
            r"dial tcp [^ ]{1,100}: i/o timeout",
            r"connect(?:ion)? to [^ ]{1,100}:[0-9]{4,5}\b.{0,40}timed out",
            r"(?:connect )?etimedout [^ ]{1,100}:[0-9]{2,5}",
            r"upstream (?:timed out|prematurely closed)",
        ),
    ),
    PhraseClass(
        kind=DEPENDENCY_DOWN,
        meaning="a dependency that does not answer",
        patterns=_patterns(
            r"name or service not known",
            r"temporary failure in name resolution",
            r"could not translate host name",
            r"getaddrinfo (?:enotfound|eai_again)",
            r"enotfound\b",
            r"no such host\b",
            r"could not resolve host",
            r"communications link failure",
            r"no available brokers",
            r"nobrokersavailable\b",
            r"mongoserverselectionerror\b",
            r"serverselectiontimeouterror\b",
            r"unknownhostexception\b",
            r"nodename nor servname provided",
            r"no (?:healthy|live) upstream",
            r"all brokers (?:are )?down",
            r"no nodes? available",
            r"nonodeavailable",
            r"bad address '",
            r"name does not resolve",
            r"\bservfail\b",
            r"\bnxdomain\b",
            r"(?:unable to|failed to|cannot|can't) resolve (?:host|name|address|hostname)",
            r"name resolution (?:failed|failure|error)",
            r"lookup .{0,100}: i/o timeout",
            r"lookup .{0,100}server misbehaving",
            r"too many connections\b",
            r"too many clients already",
            r"remaining connection slots are reserved",
            r"not_?enough_?replicas",
            r"leader_?not_?available",
            r"broker transport failure",
            r"no cluster leader",
            r"cluster health status .{0,60}\bred\b",
            r"cluster_?block_?exception",
            r"can't write against a read only replica",
            r"oom command not allowed when used memory",
            r'"(?:db|database|redis|rabbit|mongo|elasticsearch|kafka|cache|queue|broker)": ?(?:\{ ?"status": ?)?"(?:down|error|fail|failed|failing|unreachable|unavailable|disconnected)"',
        ),
    ),
    PhraseClass(
        kind="rate_limit",
        meaning="a limit set by somebody else",
        patterns=_patterns(
            r"429 too many requests",
            r"too many requests for url",
            r"toomanyrequests\b",
            r"status(?: code|code|)[=:]? ?429\b",
            r"http 429\b",
            r"rate limit (?:was |has been )?exceeded",
            r"rate limit reached",
            r"ratelimiterror\b",
            r"rate_limit_exceeded",
            r"throttlingexception\b",
            r"quota (?:has been |was )?exceeded",
            r"insufficient_quota",
            r"(?:was |been |being |are |is )rate[- ]limited",
            r"quota (?:is )?exhausted",
            r"(?:request|usage|daily|monthly|billing|api)[ _-](?:hard )?limit (?:was |has been |is )?(?:exceeded|reached)",
            r"requestlimitexceeded\b",
            r"slow ?down: please reduce your request rate",
            r"provisionedthroughputexceeded",
        ),
        unless=_patterns(r"disk quota exceeded"),
    ),
    PhraseClass(
        kind="data_recovery",
        meaning="a recovery or migration of data that must not be interrupted",
        patterns=_patterns(
            r"automatic recovery in progress",
            r"database system was not properly shut down",
            r"database system is (?:starting up|in recovery)",
            r"redo starts at",
            r"starting crash recovery",
            r"applying (?:a )?batch of (?:[0-9]{1,12} )?(?:redo )?log records",
            r"innodb: doing recovery",
            r"replaying wal\b",
            r"loading (?:redis is loading )?the dataset in memory",
            r"applying migration",
            r"migrating schema",
            r"migration in progress",
            r"running upgrade ",
            r"rebuilding index",
            r"restoring (?:from )?(?:snapshot|backup)",
            r"pg_restore: (?:creating|processing)",
            r"(?:crash |journal |log |wal |database )?recovery (?:is )?in progress",
            r"recovering (?:from )?(?:journal|crash|the journal|wal|commit ?log)",
            r"replaying (?:the )?(?:journal|log|commit ?log|transaction|binlog|write-ahead|redo)",
            r"\bfsck\b.{0,60}(?:running|checking|pass|%)",
            r"(?:repairing|checking) table",
            r"(?:running|applying) (?:[0-9]{1,6} |pending |database |schema )(?:pending |database |schema )?migrations?\b",
            r"flyway.{0,80}migrating",
            r"waiting for changelog lock",
            r"reindexing\b",
            r"\breindex (?:database|table|index|concurrently|in progress)",
            r"vacuum full",
            r"(?:backup|restore|dump|snapshot|base backup) (?:is )?in progress",
            r"initial sync(?:hronization)? (?:in progress|started|of)",
            r"resync(?:ing|hronizing)\b",
            r"(?:migrating|upgrading|converting|altering) (?:the )?(?:database|schema|tables?|data|index(?:es)?|store)\b",
            r"schema (?:upgrade|migration|change) (?:is )?(?:running|in progress|started)",
            r"== .{0,80}: migrating =",
            r"(?:starting|running|performing|creating) (?:a |the )?(?:full |incremental |nightly |daily )?(?:backup|base backup|database dump)\b",
            r"(?:do not|don't|please do not) (?:interrupt|kill|restart|stop|turn off|shut ?down|power off)\b",
        ),
        unless=_patterns(
            r"\.\.\. ?ok\b",
            r"no (?:pending )?migrations?\b",
            r"(?:migrations?|recovery|backup|restore) (?:is |are )?(?:complete|finished|done|succe)",
        ),
    ),
    PhraseClass(
        kind="data_damage",
        meaning="damaged data, which a restart may make worse",
        patterns=_patterns(
            r"database disk image is malformed",
            r"(?:data|file|index|page|block|segment|wal|table|journal|snapshot) (?:file )?(?:is |appears )?(?:to be )?corrupt(?:ed)?\b",
            r"corrupt(?:ed)? (?:data|file|index|page|block|segment|wal|table|journal|snapshot|record)",
            r"checksum (?:mismatch|verification failed|error)",
            r"page verification failed",
            r"invalid page in block",
            r"could not locate a valid checkpoint record",
            r"marked as crashed and should be repaired",
            r"data ?loss detected",
        ),
    ),
    PhraseClass(
        kind="security_suspect",
        meaning="somebody else's program in it, whose traces a restart would destroy",
        patterns=_patterns(
            r"xmrig\b",
            r"stratum\+(?:tcp|ssl)://",
            r"cryptonight\b",
            r"randomx\b.{0,40}(?:dataset|init|threads)",
            r"minerd\b",
            r"kinsing\b",
            r"kdevtmpfsi\b",
            r"supportxmr\b",
            r"minexmr\b",
            r"nanopool\.org",
            r"/dev/tcp/[0-9]",
            r"coinhive\b",
            r"cpuminer\b",
            r"ethminer\b",
            r"nicehash\b",
            r"crypto ?miner",
            r"hashrate\b",
            r"\bmonero\b",
            r"bash -i >& ",
            r"reverse shell",
            r"(?:curl|wget) .{0,200}\| ?(?:ba)?sh\b",
            r"chmod \+x /tmp/",
            r"your files (?:have been|are) encrypted",
        ),
    ),
)
"""The default table. The order is the order in which classes are named to people."""
