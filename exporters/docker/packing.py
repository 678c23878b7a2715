"""Replies in gzip's format, of which what stays the same from one to the next is compressed once.

Level 1: the higher ones cost more than everything else in a scrape, for little.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable
from typing import Any

LEVEL = 1
GZIP_WINDOW = 31
"""zlib's way to say: 32 KiB of window, and gzip's head and tail. Source: zlib manual, deflateInit2."""


class Lasting:
    """The beginning of several replies: made once in each form in which somebody asks for it, then kept in that form."""

    def __init__(self, pieces: Callable[[], Iterable[bytes]]) -> None:
        self._pieces = pieces
        self._lock = threading.Lock()
        self._plain: bytes | None = None
        self._packed: tuple[bytes, Any] | None = None

    def plain(self) -> bytes:
        with self._lock:
            if self._plain is None:
                self._plain = b"".join(self._pieces())
            return self._plain

    def packed(self) -> tuple[bytes, Any]:
        """Its compressed form, and a compressor that goes on behind it, the caller's own."""
        with self._lock:
            if self._packed is None:
                compressor = _compressor()
                packed = b"".join([compressor.compress(piece) for piece in self._pieces()])
                self._packed = packed + compressor.flush(zlib.Z_SYNC_FLUSH), compressor
            packed, compressor = self._packed
            return packed, compressor.copy()


def packed(lasting: Lasting | None, pieces: Iterable[bytes]) -> list[bytes]:
    """`lasting` and then `pieces`, as one gzip stream."""
    beginning, compressor = lasting.packed() if lasting else (b"", _compressor())
    return [beginning, *(compressor.compress(piece) for piece in pieces), compressor.flush()]


def _compressor() -> Any:
    return zlib.compressobj(level=LEVEL, wbits=GZIP_WINDOW)
