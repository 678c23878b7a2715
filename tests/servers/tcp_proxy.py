"""A proxy before any TCP server that passes everything on; what else becomes of it is said by the files beside this one."""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter

from bridge.demo import parts
from tests.servers.threaded import ThreadedServer, tcp

CHUNK = 1 << 20


class TcpProxy(ThreadedServer):
    """Listens on a port of its own; what arrives goes to `behind`, a port of this machine."""

    def __init__(self, behind: int) -> None:
        self.port = parts.free_port()
        self._behind = behind

    async def _open(self) -> None:
        self._listening = tcp(self.port)
        self._server = await asyncio.start_server(self._serve, sock=self._listening)

    async def _close(self) -> None:
        self._server.close()

    async def _serve(self, client_reads: StreamReader, client: StreamWriter) -> None:
        try:
            server_reads, server = await asyncio.open_connection(parts.LOOPBACK, self._behind)
        except (OSError, asyncio.CancelledError):  # nobody there, or the proxy closes
            client.transport.abort()
            return
        asked = bytearray()
        ways = [
            asyncio.ensure_future(self._ask(client_reads, server, asked)),
            asyncio.ensure_future(self._answer(server_reads, client, asked)),
        ]
        try:
            with contextlib.suppress(asyncio.CancelledError):  # the proxy closes
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # First of all, since the proxy may close while this waits for the rest.
            client.transport.abort()
            server.transport.abort()
            for way in ways:
                way.cancel()
            with contextlib.suppress(asyncio.CancelledError):  # else asyncio would print it
                await asyncio.gather(*ways, return_exceptions=True)

    async def _ask(self, client: StreamReader, server: StreamWriter, asked: bytearray) -> None:
        """What the client says, to the server; the last of it is kept in `asked`."""
        while chunk := await client.read(CHUNK):
            asked[:] = chunk
            server.write(chunk)
            await server.drain()

    async def _answer(self, server: StreamReader, client: StreamWriter, asked: bytearray) -> None:
        """What the server says, to the client; where this ends, the connection does."""
        while (chunk := await server.read(CHUNK)) and await self._goes_on(bytes(asked), chunk):
            client.write(chunk)
            await client.drain()

    async def _goes_on(self, asked: bytes, answer: bytes) -> bool:
        """Whether this answer to what was asked last reaches the client; if not, its connection is cut."""
        raise NotImplementedError
