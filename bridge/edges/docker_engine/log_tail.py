"""The last lines of a container's log, out of the bytes that Docker sends."""

from __future__ import annotations

from collections import deque
from datetime import datetime

from bridge.edges.docker_engine.answers import time_of
from bridge.model.evidence import TextLine
from bridge.redaction import without_half_a_token

LOG_BYTES = 96 * 1024
LINE_BYTES = 8 * 1024
"""Of one line, as far as it is read at all; how much of it is shown is decided where it is redacted."""


class LogTail:
    """The last lines of a log asked for with ``timestamps=1``, fed in pieces, in bounded memory.

    Framed: each piece of stdout or stderr has a header of 8 bytes, type and length. Source: Docker Engine API,
    ContainerAttach, "Stream format". A container with a TTY sends the bare text.
    """

    HEADER_BYTES = 8
    STREAMS = (0, 1, 2, 3)

    def __init__(self, lines: int, *, framed: bool) -> None:
        self._framed = framed
        self._lines: deque[tuple[datetime | None, str]] = deque(maxlen=lines)
        self._partial = {stream: bytearray() for stream in self.STREAMS}
        self._buffer = bytearray()
        self._stream, self._expected = 0, 0

    def feed(self, chunk: bytes) -> None:
        """Raises: ValueError: not the documented frames."""
        if not self._framed:
            self._take(0, chunk)
            return
        self._buffer += chunk
        while self._buffer:
            if not self._expected and not self._next_frame():
                return
            piece = bytes(self._buffer[: self._expected])
            del self._buffer[: len(piece)]
            self._expected -= len(piece)
            self._take(self._stream, piece)

    def lines(self) -> tuple[TextLine, ...]:
        """Oldest first; of more than LOG_BYTES the newest."""
        for partial in self._partial.values():
            self._end_line(partial)
        kept: list[tuple[datetime | None, str]] = []
        size = 0
        for at, line in reversed(self._lines):
            size += len(line.encode())
            if size > LOG_BYTES:
                break
            kept.append((at, line))
        return tuple(
            TextLine(id=f"L{number}", text=line, at=at)
            for number, (at, line) in enumerate(reversed(kept), start=1)
        )

    def _next_frame(self) -> bool:
        if len(self._buffer) < self.HEADER_BYTES:
            return False
        header = bytes(self._buffer[: self.HEADER_BYTES])
        if header[0] not in self.STREAMS or any(header[1:4]):
            raise ValueError("the log is not framed as documented")
        del self._buffer[: self.HEADER_BYTES]
        self._stream, self._expected = header[0], int.from_bytes(header[4:], "big")
        return True

    def _take(self, stream: int, piece: bytes) -> None:
        partial = self._partial[stream]
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._extend(partial, part)
            self._end_line(partial)
        self._extend(partial, rest)

    def _extend(self, partial: bytearray, part: bytes) -> None:
        partial += part[: max(LINE_BYTES - len(partial), 0)]

    def _end_line(self, partial: bytearray) -> None:
        line = partial.decode(errors="replace").rstrip("\r")
        if len(partial) >= LINE_BYTES:
            line = without_half_a_token(line)
        partial.clear()
        at, text = _dated(line)
        if text.strip():
            self._lines.append((at, text))


def _dated(line: str) -> tuple[datetime | None, str]:
    """Docker's time before a line, and the line. A line that came without a time keeps all of its text."""
    stamp, _, text = line.partition(" ")
    try:
        return time_of(stamp), text
    except ValueError:
        return None, line
