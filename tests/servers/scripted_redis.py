"""Something that speaks Redis' protocol and answers what a test tells it to: for Sentinels and nodes with opinions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, Self

from bridge.demo import parts
from tests.servers.closing import stop_accepting

Answer = str | int | None | Exception | Sequence[Any]
"""Text, number, nothing, an error, or a list of them."""


class ScriptedRedis:
    """`answer` is asked with the words of each command; `None` from it means that nothing is ever answered."""

    def __init__(self, answer: Callable[[list[str]], Answer]) -> None:
        self.answer = answer
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, parts.LOOPBACK, 0)
        self.host, self.port = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            await stop_accepting(self._server.sockets)
            self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    @property
    def node(self) -> tuple[str, int]:
        """Host and port."""
        return str(self.host), int(self.port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    words.append((await reader.readexactly(size + 2))[:-2].decode())
                answer = "OK" if words[0] == "CLIENT" else self.answer(words)
                if answer is not None:
                    writer.write(_encoded(answer))
        writer.close()


def _encoded(answer: Answer) -> bytes:
    match answer:
        case None:
            return b"$-1\r\n"
        case Exception():
            return f"-{answer}\r\n".encode()
        case int():
            return f":{answer}\r\n".encode()
        case str():
            return f"${len(answer.encode())}\r\n{answer}\r\n".encode()
        case _:
            return f"*{len(answer)}\r\n".encode() + b"".join(map(_encoded, answer))
