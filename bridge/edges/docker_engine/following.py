"""A stream that never ends by itself, read in a thread of its own and handed to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Generic, TypeVar

from bridge import errors

MOST_WAITING = 1000
"""Pieces that nobody has taken yet. More means that the taker stands still: then the stream is given up, and what it
has still to tell is told by the next one."""

Told = TypeVar("Told")


class Follower(Generic[Told]):
    """``read`` reads in the thread: it hands over each piece by ``tell``, and the way to cut its stream by ``opened``."""

    def __init__(self, edge: str) -> None:
        self._edge = edge
        self._pieces: asyncio.Queue[Sequence[Told] | BaseException | None] = asyncio.Queue()
        self._lock = threading.Lock()
        self._cut: Callable[[], None] | None = None
        self._ended = False
        self._put: Callable[[Sequence[Told] | BaseException | None], None] = self._pieces.put_nowait

    async def pieces(self, read: Callable[[Follower[Told]], None]) -> AsyncGenerator[Sequence[Told], None]:
        """What is told, piece by piece, until the stream ends. Raises: what ``read`` raised.

        Close it (``aclosing``) to cut the stream: its thread then ends soon.
        """
        loop = asyncio.get_running_loop()

        def put(piece: Sequence[Told] | BaseException | None) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(self._pieces.put_nowait, piece)

        def carry() -> None:
            try:
                read(self)
            except BaseException as failure:  # crosses to the awaiting task, as from any executor
                put(failure)
            else:
                put(None)

        self._put = put
        threading.Thread(target=carry, name=f"{self._edge}-follow", daemon=True).start()
        try:
            while (piece := await self._pieces.get()) is not None:
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self._end()

    def tell(self, piece: Sequence[Told]) -> None:
        """From the thread: one more piece. Raises: EdgeUnavailable: nobody takes them."""
        if self._pieces.qsize() >= MOST_WAITING:
            raise errors.EdgeUnavailable(
                self._edge, f"{MOST_WAITING} pieces of a stream are waiting to be taken"
            )
        self._put(piece)

    def opened(self, cut: Callable[[], None]) -> None:
        """From the thread: the stream is open, and this ends it."""
        with self._lock:
            self._cut = cut
            if self._ended:
                cut()

    def _end(self) -> None:
        with self._lock:
            self._ended = True
            if self._cut is not None:
                self._cut()
