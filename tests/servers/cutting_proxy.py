"""A proxy before Redis that lets a command be carried out, and then drops the answer and the connection.

It runs in a thread with a loop of its own. Source of the fault: what Temporal calls "execute and time out".
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
import threading
from collections import Counter
from importlib import resources
from typing import Self

from bridge.demo import parts
from bridge.edges.store.connection import _source

START_SECONDS = 10.0
NOTHING = (b"*-1\r\n", b"_\r\n", b"-")
"""How an answer begins that says that nothing came, or that nothing was carried out."""


class CuttingProxy:
    """Listens on a port of its own. Lost are `share` of the answers to scripts, a fifth of that of the answers to plain
    commands, and the next one to each script in `next_of`."""

    def __init__(self, redis_port: int, *, share: float = 0.0) -> None:
        self.port = parts.free_port()
        self.url = f"redis://{parts.LOOPBACK}:{self.port}"
        self.share = share
        self.next_of: set[str] = set()
        self.more: dict[str, float] = {}
        """By how much the share of a script's or a command's answers is higher."""
        self.cut: Counter[str] = Counter()
        """What was carried out and not answered: names of our scripts, or of commands."""
        self._redis_port = redis_port
        self._scripts = _scripts()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutting-proxy", daemon=True)
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

    @property
    def cuts(self) -> int:
        """How many answers were lost so far."""
        return sum(self.cut.values())

    @property
    def cuts_of_scripts(self) -> int:
        """How many of them to scripts of ours, which bear small letters."""
        return sum(count for name, count in self.cut.items() if name.islower())

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
        reads, server = await asyncio.open_connection(parts.LOOPBACK, self._redis_port)
        asked = [b""]
        there = asyncio.create_task(self._forward(client_reads, server, asked))
        back = asyncio.create_task(self._answer(reads, client, asked))
        with contextlib.suppress(asyncio.CancelledError):  # the proxy closes
            await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
        there.cancel()
        back.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await asyncio.gather(there, back, return_exceptions=True)
            for writer in (client, server):
                writer.close()
                await writer.wait_closed()

    async def _forward(
        self, reads: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[bytes]
    ) -> None:
        while received := await reads.read(1 << 20):
            asked[0] = received
            writer.write(received)
            await writer.drain()

    async def _answer(
        self, reads: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: list[bytes]
    ) -> None:
        while received := await reads.read(1 << 20):
            name = self._named(asked[0])
            share = self.share * self.more.get(name, 1.0 if name.islower() else 0.2)
            lost = name in self.next_of or random.random() < share
            if lost and not received.startswith(NOTHING):
                self.next_of.discard(name)
                self.cut[name] += 1
                return
            writer.write(received)
            await writer.drain()

    def _named(self, request: bytes) -> str:
        words = _words(request)
        name = words[0].decode(errors="replace").upper() if words else "?"
        if name == "EVALSHA" and len(words) > 1:
            return self._scripts.get(words[1].decode(errors="replace"), "a script")
        if name == "EVAL" and len(words) > 1:
            return self._scripts.get(hashlib.sha1(words[1], usedforsecurity=False).hexdigest(), "a script")
        return name


def _words(request: bytes) -> list[bytes]:
    """The first two words of a request. Source: Redis' protocol: `*count`, then `$length` and the word, each."""
    words, rest = [], request.partition(b"\r\n")[2]
    while len(words) < 2 and rest.startswith(b"$"):
        length, _, rest = rest[1:].partition(b"\r\n")
        words.append(rest[: int(length)])
        rest = rest[int(length) + 2 :]
    return words


def _scripts() -> dict[str, str]:
    """The names of our scripts by the SHA-1 under which the server knows them."""
    folder = resources.files("bridge.edges.store").joinpath("lua")
    names = (file.name.removesuffix(".lua") for file in folder.iterdir() if file.name.endswith(".lua"))
    return {_source(name)[1]: name for name in names if not name.endswith("prelude")}
