"""What a container's own words may say against a restart: a table of classes, each with its phrases.

Text is untrusted, so a phrase can only ever stop a repair. Nothing here lets one line cancel another: more text
never means fewer sightings. Patterns meet lower-cased lines of bounded length and repeat nothing without a bound,
so that no line, however hostile, takes long.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.model.evidence import TextLine

DEPENDENCY_DOWN = "dependency_down"
"""The one class that facts can answer: what it names may be known to be well."""

LINE_LIMIT = 2000
"""Characters of a line that are looked at: its first and its last thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhraseClass:
    """One reason why a restart would not help.

    ``meaning`` completes "its own words point to ...". A line that matches one of ``unless`` does not count.
    ``about_peers``: the phrase only counts if it is about somebody else, not about the container's own port.
    Several entries may share a ``kind``.
    """

    kind: str
    meaning: str
    patterns: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...] = ()
    about_peers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A phrase of a class was seen in the line with this id."""

    kind: str
    meaning: str
    line_id: str


def _patterns(*sources: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(source) for source in sources)


_ANSI = re.compile(r"\x1b\[[0-9;]{0,16}[a-z]")
_ACCESS_LOG = re.compile(r'http/[123](?:\.[01])?\\?" [1-5][0-9]{2}\b')
"""A request line followed by its status: what a client sent, not what the program says about itself."""

_SELF = re.compile(
    r"\blocalhost\b|\b127(?:\.[0-9]{1,3}){3}\b|\b0\.0\.0\.0\b|(?<![0-9a-f:])::1(?![0-9a-f])"
    r"|\bunix:|\.sock\b|\bunix domain socket"
)
_HOST_AND_PORT = re.compile(
    r"://(?:[^/@\s]{0,100}@)?([a-z0-9._-]{1,100})"
    r"|\b([0-9]{1,3}(?:\.[0-9]{1,3}){3}):[0-9]{2,5}\b"
    r"|(?<![a-z0-9._-])([a-z0-9._-]{1,100}):(?:1433|1521|27017|3306|389|5432|5672|636|6379|9042|9092|9200|11211)\b"
)

CLASSES: tuple[PhraseClass, ...] = (
    PhraseClass(
        kind="disk_full",
        meaning="a full or read-only disk",
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
            r'"(?:db|database|redis|rabbit|mongo|elasticsearch|kafka)": ?\{ ?"status": ?"down"',
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
        ),
        unless=_patterns(
            r"\.\.\. ?ok\b",
            r"no (?:pending )?migrations?\b",
            r"(?:migrations?|recovery|backup|restore) (?:is |are )?(?:complete|finished|done|succe)",
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


def extended(classes: Sequence[PhraseClass], phrases: Mapping[str, Sequence[str]]) -> tuple[PhraseClass, ...]:
    """The table with an operator's own phrases: regular expressions, case ignored; an unknown class becomes a new one.

    They are searched in lines that were cut to a bounded length, and checked by the settings before they come here.
    """
    table = list(classes)
    for kind, sources in phrases.items():
        own = tuple(re.compile(source, re.IGNORECASE) for source in sources)
        known = next(
            (i for i, entry in enumerate(table) if entry.kind == kind and not entry.about_peers), None
        )
        if known is None:
            table.append(PhraseClass(kind=kind, meaning=kind.replace("_", " "), patterns=own))
        else:
            table[known] = replace(table[known], patterns=table[known].patterns + own)
    return tuple(table)


def sightings(
    lines: Iterable[TextLine],
    *,
    classes: Sequence[PhraseClass] = CLASSES,
    own_names: Collection[str] = (),
    of_health_check: bool = False,
) -> tuple[Sighting, ...]:
    """Every class seen in these lines, once per class and line, in the order of the lines.

    ``of_health_check``: the lines are the output of a health check, which normally talks to the container itself;
    there "connection refused" only counts if another host is named. ``own_names`` are names of the container.
    """
    own = frozenset(name.lower() for name in own_names)
    return tuple(
        sighting
        for line in lines
        for sighting in _in_line(line, classes, own, of_health_check=of_health_check)
    )


def says_something(line: TextLine, *, classes: Sequence[PhraseClass] = CLASSES) -> bool:
    """Whether any class is seen in this line."""
    return any(_in_line(line, classes, frozenset(), of_health_check=False))


def hosts_named(text: str) -> frozenset[str]:
    """The hosts that a line names with a port or in a URL, in lower case; itself is not among them."""
    found = (next(filter(None, match.groups())) for match in _HOST_AND_PORT.finditer(readable(text)))
    return frozenset(host for host in found if not _SELF.fullmatch(host))


def _in_line(
    line: TextLine, classes: Sequence[PhraseClass], own: frozenset[str], *, of_health_check: bool
) -> Iterable[Sighting]:
    text = readable(line.text)
    if _ACCESS_LOG.search(text):
        return
    seen: set[str] = set()
    for entry in classes:
        if entry.kind in seen or not any(pattern.search(text) for pattern in entry.patterns):
            continue
        if any(pattern.search(text) for pattern in entry.unless):
            continue
        if entry.about_peers and not _about_peers(text, own, of_health_check=of_health_check):
            continue
        seen.add(entry.kind)
        yield Sighting(kind=entry.kind, meaning=entry.meaning, line_id=line.id)


def readable(text: str) -> str:
    """A line as the patterns meet it: lower case, without colours, its middle left out beyond the limit."""
    if len(text) > LINE_LIMIT:
        half = LINE_LIMIT // 2
        text = f"{text[:half]} {text[-half:]}"
    return _ANSI.sub("", text.lower())


def _about_peers(text: str, own: frozenset[str], *, of_health_check: bool) -> bool:
    hosts = {next(filter(None, match.groups())) for match in _HOST_AND_PORT.finditer(text)}
    if any(host not in own and not _SELF.fullmatch(host) for host in hosts):
        return True
    return not of_health_check and not hosts and not _SELF.search(text)
