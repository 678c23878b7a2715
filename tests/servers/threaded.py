"""A server in a thread with an event loop of its own, so that a test that only starts processes can use it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

Made = TypeVar("Made")
TURN_SECONDS = 10.0
"""How long one thing it is told to do may take."""


class ThreadedServer:
    """`start` and `stop` it, or use `with`. What kind of server it is, it says in `_open` and `_close`."""

    _loop: asyncio.AbstractEventLoop
    _thread: threading.Thread

    def start(self) -> Self:
        """Returns once it listens."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=type(self).__name__, daemon=True)
        self._thread.start()
        self._await(self._open())
        return self

    def stop(self) -> None:
        """Ends everything it holds."""
        self._await(self._wind_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TURN_SECONDS)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _open(self) -> None:
        """On its loop: listen."""
        raise NotImplementedError

    async def _close(self) -> None:
        """On its loop: hang up on everybody."""
        raise NotImplementedError

    async def _wind_up(self) -> None:
        """Also of what is still being answered, before the loop is closed under it."""
        await self._close()
        for _ in range(3):  # one that was just accepted has to begin before it can hang up
            await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _await(self, work: Coroutine[Any, Any, Made]) -> Made:
        """Have it done on its loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TURN_SECONDS)
