"""The store's content as lines of text that any Redis or Valkey can be filled from, and a digest of that content.

RDB and DUMP do not go back a version, and their bytes are not stable; this is neither. Pure: no file, no server.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

PIECE = 500
"""Elements of a key in one line at most, so that neither a line nor a script that loads it grows without bound."""

NO_EXPIRY = -1

REBORN = frozenset({"pause", "fence", "clock", "tick", "born", "born_empty"})
"""What a restore sets by itself: paused, tokens far ahead, the time, young. In the file, but not in the digest."""


class Piece(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key, or a part of a large one, as a line of a backup holds it.

    ``name`` is without the namespace, ``kind`` Redis' name of the type, ``ttl_ms`` what was left to live, ``before``
    how many elements of the key came in earlier pieces. ``values``: of a string one, of a hash field and value in
    turns, of a sorted set member and score in turns, of a stream ``[id, [field, value, …]]``. ``groups`` of a stream:
    name, and the entry after which it goes on.
    """

    name: str
    kind: str
    values: list[Any]
    ttl_ms: int = NO_EXPIRY
    before: int = 0
    groups: list[tuple[str, str]] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A key as the server gave it: a hash and a sorted set flat, a stream as entries."""

    name: str
    kind: str
    ttl_ms: int
    values: Sequence[Any]
    groups: Sequence[Sequence[str]] = ()


_encoder = msgspec.json.Encoder()


def pieces_of(whole: Whole) -> Iterator[Piece]:
    """The key in its canonical order, cut: the same content gives the same pieces on any server."""
    elements = _elements(whole)
    groups = [(str(group[0]), _goes_on_after(*map(str, group[1:3]))) for group in whole.groups]
    for before in range(0, max(1, len(elements)), PIECE):
        part = elements[before : before + PIECE]
        values = [value for pair in part for value in pair] if whole.kind in ("hash", "zset") else part
        yield Piece(
            name=whole.name,
            kind=whole.kind,
            values=values,
            ttl_ms=whole.ttl_ms,
            before=before,
            groups=groups if before == 0 else [],
        )


def _elements(whole: Whole) -> list[Any]:
    values = list(whole.values)
    if whole.kind == "hash":
        return sorted(zip(values[::2], values[1::2], strict=True))
    if whole.kind == "set":
        return sorted(values)
    if whole.kind == "zset":  # servers write the same number in more than one way
        return [(member, repr(float(score))) for member, score in zip(values[::2], values[1::2], strict=True)]
    if whole.kind == "stream":
        return [[entry, list(fields)] for entry, fields in values]
    return values


def _goes_on_after(last_delivered: str, oldest_pending: str) -> str:
    """Where a group goes on so that all that was not acknowledged is delivered again, and history is not.

    Of a stream whose entries are deleted once they are done, such as ``work``, that is all that is in it.
    """
    if not oldest_pending:
        return last_delivered
    ms, _, sequence = oldest_pending.partition("-")
    if int(sequence) > 0:
        return f"{ms}-{int(sequence) - 1}"
    return f"{int(ms) - 1}-{2**64 - 1}" if int(ms) > 0 else "0-0"


def arguments_of(piece: Piece, *, least_ttl_ms: int) -> list[str | int]:
    """What the script ``load`` takes for it; what expires does so in ``least_ttl_ms`` or later."""
    flat: list[str | int] = []
    for value in piece.values:
        if piece.kind == "stream":
            entry, fields = value
            flat += (entry, len(fields), *fields)
        else:
            flat.append(value)
    ttl_ms = NO_EXPIRY if piece.ttl_ms < 0 else max(piece.ttl_ms, least_ttl_ms)
    return [piece.name, piece.kind, ttl_ms, piece.before, len(flat), *flat]


def line_of(value: object) -> bytes:
    """As one line of JSON."""
    return _encoder.encode(value) + b"\n"


class Digest:
    """Of content, whatever order it comes in: the sum of the hashes of its pieces, as a set of them is unordered.

    What is left to live and where groups stand move by themselves and do not count; nor does what a restore sets.
    """

    def __init__(self) -> None:
        self._sum = 0

    def add(self, pieces: Iterable[Piece]) -> None:
        """Take these in."""
        for piece in pieces:
            if piece.name in REBORN:
                continue
            content = _encoder.encode((piece.name, piece.kind, piece.before, piece.values))
            self._sum = (self._sum + int.from_bytes(hashlib.sha256(content).digest(), "big")) % 2**256

    def text(self) -> str:
        """Of all so far."""
        return f"{self._sum:064x}"
