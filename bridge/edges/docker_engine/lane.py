"""Blocking calls beside the event loop: few at once, each with a deadline, none in the way of a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from bridge import errors

EDGE = "docker"

Found = TypeVar("Found")


class Lane:
    """At most so many blocking calls at once, each in a daemon thread: a hanging host delays neither the others
    nor the end of the process, as the threads of an executor would."""

    def __init__(self, width: int) -> None:
        self._free = asyncio.Semaphore(width)

    async def run(
        self, work: Callable[[float], Found], *, tried: str, seconds: float, queue_seconds: float
    ) -> Found:
        """What ``work`` gives; it is told the monotonic time by which it must be over.

        What could not begin within ``queue_seconds`` never begins.
        """
        try:
            async with asyncio.timeout(queue_seconds):
                await self._free.acquire()
        except TimeoutError:
            message = f"{tried}: not sent, earlier calls to this host hang"
            raise errors.EdgeUnavailable(EDGE, message) from None
        done = self._begin(work, time.monotonic() + seconds)
        try:
            async with asyncio.timeout(seconds):
                return await done
        except TimeoutError:
            raise errors.EdgeUnavailable(EDGE, f"{tried}: no answer within {seconds:g} s") from None

    def _begin(self, work: Callable[[float], Found], until: float) -> asyncio.Future[Found]:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Found] = loop.create_future()

        def settle(deliver: Callable[[], None]) -> None:
            self._free.release()
            if not done.done():
                deliver()

        def carry() -> None:
            try:
                found = work(until)
            except BaseException as failure:  # crosses to the awaiting task, as from any executor
                report(lambda failure=failure: done.set_exception(failure))  # type: ignore[misc]
            else:
                report(lambda: done.set_result(found))

        def report(deliver: Callable[[], None]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
                loop.call_soon_threadsafe(settle, deliver)

        try:
            threading.Thread(target=carry, name="docker-call", daemon=True).start()
        except RuntimeError as failure:
            self._free.release()
            raise errors.EdgeUnavailable(EDGE, f"not sent: {failure}") from failure
        return done
