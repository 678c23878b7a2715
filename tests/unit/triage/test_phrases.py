"""What a container's words are taken for, and what they are not."""

import re
from re import _constants as c  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import pytest

from bridge.triage import phrases
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


def test_an_operator_adds_phrases_as_regular_expressions() -> None:
    """Case never matters; a new class is one more row of the table."""
    added = {"disk_full": ["quota +hit"], "licence": ["Licen[cs]e .*expired"]}
    table = phrases.extended(phrases.CLASSES, added)
    seen = phrases.sightings(
        lines("the QUOTA  hit us", "license has EXPIRED", "quota reached"), classes=table
    )
    assert [(sighting.line_id, sighting.kind) for sighting in seen] == [
        ("L1", "disk_full"),
        ("L2", "licence"),
    ]
    assert len(table) == len(phrases.CLASSES) + 1


def test_a_phrase_of_a_known_class_is_not_bound_to_its_exceptions_about_peers() -> None:
    """An operator's phrase counts wherever it is seen."""
    table = phrases.extended(phrases.CLASSES, {"dependency_down": ["ledger away"]})
    assert phrases.sightings(lines("localhost: ledger away"), classes=table)


PATTERNS = [
    *(pattern for entry in phrases.CLASSES for pattern in entry.patterns + entry.unless),
    phrases._ACCESS_LOG,
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
