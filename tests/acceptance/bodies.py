"""Requests as no Alertmanager sends them, and among them some that it does: made from a seed, each with what may be answered.

Written as bytes for the wire, since much of what is tried here no HTTP client would send.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.acceptance.stack import TOKENS

PATHS = ("/api/v1/alerts", "/alerts", "/webhook", "/")
START = datetime(2026, 11, 20, tzinfo=UTC)

GOOD = frozenset({202})
BAD = frozenset({400})
EITHER = frozenset({202, 400})
"""What was changed may be a word in an annotation, and then it is a webhook all the same."""

CUT = 0
"""Instead of a status: the connection ended without an answer."""

ODD_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**30,
        "",
        " ",
        "x",
        [],
        {},
        [[]],
        [{}],
        {"": ""},
        {"a": [1, {"b": None}]},
    ),
    *(
        "\x00",
        "\u202e",
        "🐳" * 50,
        "<script>",
        "{{ .Labels }}",
        "../../etc/passwd",
        "$(reboot)",
        "' OR 1=1 --",
    ),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-13-01T00:00:00Z", "resolved", "firing", "1e999"),
)


@dataclass(frozen=True, slots=True)
class Sent:
    """One request. `gone`: the sender ends its side after the last byte. `alone`: what follows on the same connection
    could be taken for a part of it."""

    kind: str
    wire: bytes
    body: bytes
    may_answer: frozenset[int]
    gone: bool = False
    alone: bool = False


def requests(seed: int, count: int, *, good_share: float = 0.2) -> Iterator[Sent]:
    """So many, in an order and of a content that only the seed decides."""
    rng = random.Random(seed)
    for number in range(count):
        kind = "good" if rng.random() < good_share else rng.choice(list(KINDS))
        yield KINDS[kind](rng, number) if kind != "good" else good(rng, number)


def alert(rng: random.Random, number: int, place: int = 0) -> dict[str, Any]:
    """An alert with a fingerprint of its own that names no container."""
    firing = rng.random() < 0.8
    starts = START + timedelta(seconds=rng.randrange(86_400))
    labels = {
        "alertname": rng.choice(("Slow", "Full", "Sick")),
        "number": f"{number}-{place}",
        "severity": "warning",
    }
    return {
        "status": "firing" if firing else "resolved",
        "labels": labels,
        "annotations": {
            "summary": rng.choice(("it is sick", "ÄÖÜ ✓ 🐳", "line\nline", 'a "quoted" \\ word'))
        },
        "startsAt": starts.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z" if firing else (starts + timedelta(seconds=60)).isoformat(),
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
        "fingerprint": f"{number:012x}{place:04x}",
    }


def webhook(rng: random.Random, number: int) -> dict[str, Any]:
    """As Alertmanager sends it. Source: Alertmanager webhook, version 4."""
    alerts = [alert(rng, number, place) for place in range(rng.choice((1, 1, 1, 2, 5)))]
    return {
        **{"version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": alerts[0]["status"]},
        **{"receiver": "hemostat", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}},
        **{"externalURL": "http://alertmanager.example", "alerts": alerts},
    }


def text(rng: random.Random, number: int) -> bytes:
    return json.dumps(webhook(rng, number), ensure_ascii=rng.random() < 0.5).encode()


def wired(
    body: bytes,
    *,
    path: str = PATHS[0],
    kind: str = "application/json",
    length: int | None = None,
    more: str = "",
) -> bytes:
    """A POST of this body, kept alive. `length` is what it says, if not the truth; `more` are further header lines."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: bridge\r\nAuthorization: Bearer {TOKENS['receiver']}\r\n"
        + (f"Content-Type: {kind}\r\n" if kind else "")
        + more
        + f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
    )
    return head.encode("utf-8", "surrogateescape") + body


def good(rng: random.Random, number: int) -> Sent:
    body = text(rng, number)
    if rng.random() < 0.1:  # unknown keys are ignored: both senders add some between releases
        body = body[:-1] + b', "orgId": 1, "title": {"nested": [1, 2.5, null]}}'
    return Sent("good", wired(body, path=rng.choice(PATHS)), body, GOOD)


def truncated(rng: random.Random, number: int) -> Sent:
    body = text(rng, number)
    return _sent("truncated", body[: rng.randrange(len(body))], BAD)


def nested(rng: random.Random, number: int) -> Sent:
    depth = rng.choice((10, 1_000, 5_000, 50_000))
    left, right = rng.choice(
        ((b"[", b"]"), (b'{"a":', b"}"), (b'{"alerts":[', b"]}"), (b'[{"alerts":', b"}]"))
    )
    whole = left * depth + b"1" + right * depth
    where = rng.choice((b"%s", b'{"alerts": %s}', b'{"alerts": [{"labels": %s}]}'))
    return _sent("nested", where % (whole if rng.random() < 0.5 else left * depth), BAD)


def nested_where_nobody_looks(rng: random.Random, number: int) -> Sent:
    """In a key that is ignored: a webhook all the same, unless it is too deep to be passed over."""
    depth = rng.choice((10, 500, 5_000))
    extra = b'"x": ' + b"[" * depth + b"]" * depth
    return _sent("nested aside", text(rng, number)[:-1] + b", " + extra + b"}", EITHER)


def wrong_types(rng: random.Random, number: int) -> Sent:
    """One value anywhere replaced by one of another type or meaning."""
    whole = webhook(rng, number)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(whole)
    node, key = rng.choice(places)
    node[key] = rng.choice(ODD_VALUES)
    return _sent("wrong types", json.dumps(whole).encode(), EITHER)


def missing_keys(rng: random.Random, number: int) -> Sent:
    whole = webhook(rng, number)
    gone = rng.choice(("alerts", "status", "labels", "startsAt"))
    del (whole if gone == "alerts" else rng.choice(whole["alerts"]))[gone]
    return _sent("missing keys", json.dumps(whole).encode(), BAD)


def bad_utf8(rng: random.Random, number: int) -> Sent:
    body = bytearray(text(rng, number))
    at = body.find(b"summary") + 12
    body[at:at] = rng.choice(
        (b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\xc0\xaf")
    )
    return _sent("bad UTF-8", bytes(body), BAD)


def surrogates(rng: random.Random, number: int) -> Sent:
    escape = rng.choice(("\\ud800", "\\udfff", "\\ud83d x", "\\uZZZZ", "\\x41"))
    return _sent("surrogates", text(rng, number).replace(b"warning", escape.encode(), 1), BAD)


def control_characters(rng: random.Random, number: int) -> Sent:
    raw = rng.choice((b"\x00", b"\x01", b"\x1f", b"\n", b"\t"))
    return _sent("control characters", text(rng, number).replace(b"warning", b"w" + raw, 1), BAD)


def duplicate_keys(rng: random.Random, number: int) -> Sent:
    """The last one counts, for us as for most."""
    body = text(rng, number)
    twice = rng.choice(
        (
            b'"status": "resolved", "status":',
            b'"labels": {"name": 1}, "labels":',
            b'"fingerprint": "00", "fingerprint":',
        )
    )
    key = twice.rpartition(b", ")[2]
    return _sent("duplicate keys", body.replace(key, twice), EITHER)


def numbers(rng: random.Random, number: int) -> Sent:
    odd = rng.choice(
        ("NaN", "Infinity", "-Infinity", "1e999", "1" * 5_000, "01", "+1", ".5", "0x10", "1_000", "-")
    )
    where = rng.choice(('"truncatedAlerts": 0', '"version": "4"'))
    body = text(rng, number).replace(where.encode(), f"{where.partition(':')[0]}: {odd}".encode())
    return _sent("numbers", body, EITHER if "4" in where else BAD)


def long_values(rng: random.Random, number: int) -> Sent:
    """Cut, and accepted all the same: the other alerts must not suffer."""
    size = rng.choice((9_000, 70_000, 300_000))
    return _sent("long values", text(rng, number).replace(b"warning", b"w" * size, 1), GOOD)


def many_alerts(rng: random.Random, number: int) -> Sent:
    """Three hundred, of which the last one is none."""
    whole = webhook(rng, number)
    whole["alerts"] = [alert(rng, number, place) for place in range(300)] + [
        rng.choice((None, 1, "x", {}, []))
    ]
    return _sent("many alerts", json.dumps(whole).encode(), BAD)


def flipped_bits(rng: random.Random, number: int) -> Sent:
    body = bytearray(text(rng, number))
    for _ in range(rng.choice((1, 1, 3, 20))):
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return _sent("flipped bits", bytes(body), EITHER)


def noise(rng: random.Random, number: int) -> Sent:
    made: tuple[Callable[[], bytes], ...] = (
        lambda: rng.randbytes(rng.randrange(1, 2_000)),
        lambda: b" \r\n\t" * rng.randrange(100),
        lambda: b"\xef\xbb\xbf" + rng.randbytes(9),
        lambda: json.dumps(rng.choice(ODD_VALUES)).encode(),
        lambda: text(rng, number).decode().encode("utf-16"),
        lambda: b"payload=" + text(rng, number),
        lambda: text(rng, number) * 2,
        lambda: gzip.compress(text(rng, number)),
    )
    return _sent("noise", rng.choice(made)(), BAD)


def content_types(rng: random.Random, number: int) -> Sent:
    kind = rng.choice(
        (
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/jsonp",
            "*/*",
            "application/json, text/plain",
            "\x7f",
            "é",
        )
    )
    body = text(rng, number)
    return Sent("content types", wired(body, kind=kind), body, frozenset({400, 415}))


def charsets(rng: random.Random, number: int) -> Sent:
    """JSON is UTF-8, whatever a header says of it."""
    kind = f"application/json; charset={rng.choice(('utf-8', 'latin-1', 'utf-16', 'nonsense', ''))}"
    body = text(rng, number)
    return Sent("charsets", wired(body, kind=kind), body, GOOD)


def encodings(rng: random.Random, number: int) -> Sent:
    """Said to be compressed: is, is not, breaks off, or swells a thousandfold."""
    body = text(rng, number)
    name, sent, answers = rng.choice(
        (
            ("gzip", gzip.compress(body), GOOD),
            ("deflate", zlib.compress(body), GOOD),
            ("gzip", body, BAD),
            ("deflate", body, BAD),
            ("gzip", gzip.compress(body)[:-12], BAD),
            ("gzip", gzip.compress(b"[" * 40_000_000, 9), frozenset({400, 413})),
            ("br", body, frozenset({400, 415})),
            ("nonsense", body, EITHER | {415}),
        )
    )
    return Sent(
        f"encoding {name}",
        wired(sent, more=f"Content-Encoding: {name}\r\n"),
        body,
        answers | {CUT},
    )


def chunked(rng: random.Random, number: int) -> Sent:
    """In pieces: as the protocol wants it, or with sizes that are none."""
    body = text(rng, number)
    well = rng.random() < 0.5
    pieces = [body[at : at + 97] for at in range(0, len(body), 97)]
    sizes = [f"{len(piece):x}" for piece in pieces]
    if not well:
        sizes[rng.randrange(len(sizes))] = rng.choice(("zz", "-5", "ffffffffffffffffff", "", "0x10", "5 5"))
    frames = b"".join(
        size.encode() + b"\r\n" + piece + b"\r\n" for size, piece in zip(sizes, pieces, strict=True)
    )
    head = wired(b"", more="Transfer-Encoding: chunked\r\n").replace(b"Content-Length: 0\r\n", b"")
    kind, may_answer = ("chunked", GOOD) if well else ("bad chunks", BAD | {CUT})
    return Sent(kind, head + frames + b"0\r\n\r\n", body, may_answer, alone=not well)


def cut_connections(rng: random.Random, number: int) -> Sent:
    """Gone in the middle of the head or the body."""
    body = text(rng, number)
    whole = wired(body)
    cut = whole[: rng.randrange(1, len(whole))]
    return Sent("cut connection", cut, body, frozenset({CUT, 400}), gone=True)


def heads(rng: random.Random, number: int) -> Sent:
    """What is no HTTP, or says two things at once."""
    body = text(rng, number)
    wire = rng.choice(
        (
            rng.randbytes(200) + b"\r\n\r\n",
            wired(body).replace(b"POST", b"P\x00ST", 1),
            wired(body).replace(b"HTTP/1.1", b"HTTP/9.9", 1),
            wired(body, length=-1),
            wired(body, more="Content-Length: 1\r\n"),
            wired(body, more="Transfer-Encoding: chunked\r\n"),
            wired(body, more=f"X-Long: {'x' * 20_000}\r\n"),
            wired(body, more="X" * 300 + "\r\n"),
            wired(body, path="/" + "x" * 20_000),
            wired(body, path="/api/v1/alerts?" + "\\" * 100),
        )
    )
    return Sent("heads", wire, body, frozenset({CUT, 202, 400, 404, 405, 414, 431, 505}), alone=True)


def over_the_limit(rng: random.Random, number: int) -> Sent:
    """It says that it is larger than 16 MiB; nobody waits for all of it."""
    body = b'{"alerts": ["' + b"x" * 100_000
    wire = wired(body, length=rng.choice((16 * 2**20 + 1, 2**40, 2**63, 10**30)))
    return Sent("over the limit", wire, body, frozenset({400, 413}), alone=True)


def _sent(kind: str, body: bytes, may_answer: frozenset[int]) -> Sent:
    return Sent(kind, wired(body), body, may_answer)


COMMON = (
    truncated,
    wrong_types,
    wrong_types,
    missing_keys,
    bad_utf8,
    surrogates,
    control_characters,
    duplicate_keys,
    numbers,
    flipped_bits,
    flipped_bits,
    noise,
    content_types,
    charsets,
    chunked,
    cut_connections,
    heads,
    nested,
    nested_where_nobody_looks,
)
RARE = (long_values, many_alerts, encodings, over_the_limit)
"""Large ones, of which a few say as much as many."""

KINDS: dict[str, Callable[[random.Random, int], Sent]] = {
    **{f"{make.__name__}-{copy}": make for make in COMMON for copy in range(10)},
    **{make.__name__: make for make in RARE},
}
