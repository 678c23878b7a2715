"""A proxy before any TCP server whose answers take their time; set while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import Self

from bridge.demo import parts

START_SECONDS = 10.0
CHUNK = 65536


class SlowProxy:
    """Listens on a port of its own, in a thread. Each answer is held for `delay_seconds`."""

    def __init__(self, port: int, *, delay_seconds: float = 0.0) -> None:
        self.port = parts.free_port()
        self.delay_seconds = delay_seconds
        self._behind = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="slow-proxy", daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(START_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(START_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)
        self._loop.close()

    async def _open(self) -> None:
        self._server = await asyncio.start_server(self._serve, parts.LOOPBACK, self.port)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, client_reads: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        try:
            server_reads, server = await asyncio.open_connection(parts.LOOPBACK, self._behind)
        except OSError:
            client.transport.abort()
            return
        ways = [
            asyncio.ensure_future(self._pump(client_reads, server, slow=False)),
            asyncio.ensure_future(self._pump(server_reads, client, slow=True)),
        ]
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the proxy closes
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            client.transport.abort()
            server.transport.abort()

    async def _pump(self, reads: asyncio.StreamReader, writer: asyncio.StreamWriter, *, slow: bool) -> None:
        while chunk := await reads.read(CHUNK):
            if slow and self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            writer.write(chunk)
            await writer.drain()
