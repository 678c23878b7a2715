"""A server in a thread with an event loop of its own, so that a test that only starts processes can use it."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from aiohttp import web

from bridge.demo import parts
from tests.servers.closing import stop_accepting

Made = TypeVar("Made")
TURN_SECONDS = 10.0
"""How long one thing it is told to do may take."""


class ThreadedServer:
    """`start` and `stop` it, or use `with`. What kind of server it is, it says in `_open` and `_close`."""

    _listening: socket.socket
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
        """On its loop: listen, on `_listening`."""
        raise NotImplementedError

    async def _close(self) -> None:
        """On its loop: hang up on everybody."""
        raise NotImplementedError

    async def _wind_up(self) -> None:
        """Also of what is still being answered, before the loop is closed under it."""
        await stop_accepting([self._listening])
        await self._close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _await(self, work: Coroutine[Any, Any, Made]) -> Made:
        """Have it done on its loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(TURN_SECONDS)


class ThreadedWebServer(ThreadedServer):
    """One that serves a web application: `_open` says which with `_serve`."""

    _runner: web.AppRunner

    async def _serve(self, app: web.Application, listening: socket.socket) -> None:
        """Serve this, there."""
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen(listening)

    async def _listen(self, listening: socket.socket) -> None:
        self._listening = listening
        await web.SockSite(self._runner, listening).start()

    async def _close(self) -> None:
        await self._runner.cleanup()


def tcp(port: int = 0) -> socket.socket:
    """Listens on loopback; 0: on any port."""
    return socket.create_server((parts.LOOPBACK, port))


def unix(path: Path) -> socket.socket:
    """To listen at this path."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    return listening
