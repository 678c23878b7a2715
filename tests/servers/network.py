"""A network of loopback addresses in which links can be cut: in front of each node stands a proxy that holds what
should pass, as a network does that lost its route. Nobody is told; connections stay open and silent until it heals.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterable
from functools import partial
from typing import Self

from bridge.demo import parts
from tests.servers.closing import stop_accepting

CHUNK = 65536


class Network:
    """Nodes and the links between them. A node is reached at `announced(node)` by the other nodes, which are told
    apart by the address they connect from, and at `seen_by(group, node)` by a group of clients."""

    def __init__(self, nodes: Iterable[str], *, groups: Iterable[str]) -> None:
        self.nodes = list(nodes)
        self._groups = list(groups)
        self._hosts = {node: f"127.0.0.{11 + number}" for number, node in enumerate(self.nodes)}
        self._names = {host: node for node, host in self._hosts.items()}
        self._ports = {node: parts.free_port() for node in self.nodes}
        self._front: dict[tuple[str, str], int] = {}
        self._cut: set[frozenset[str]] = set()
        self._changed = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for node in self.nodes:
            for group in ("", *self._groups):
                server = await asyncio.start_server(
                    partial(self._connected, node=node, group=group),
                    parts.LOOPBACK,
                    0,
                )
                self._servers.append(server)
                self._front[group, node] = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_accepting(itertools.chain.from_iterable(server.sockets for server in self._servers))
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def address(self, node: str) -> tuple[str, int]:
        """Where it listens itself, and from where it connects to others."""
        return self._hosts[node], self._ports[node]

    def announced(self, node: str) -> tuple[str, int]:
        """Where the other nodes reach it, and what they tell clients."""
        return parts.LOOPBACK, self._front["", node]

    def seen_by(self, group: str, node: str) -> tuple[str, int]:
        """Where this group of clients reaches it."""
        return parts.LOOPBACK, self._front[group, node]

    def split(self, one_side: Iterable[str], other_side: Iterable[str]) -> None:
        """From now on nothing passes between the two sides; nodes and groups."""
        others = list(other_side)
        self._set({frozenset((one, other)) for one in one_side for other in others})

    def heal(self) -> None:
        """Everything passes again, what was held back first."""
        self._set(set())

    def _set(self, cut: set[frozenset[str]]) -> None:
        self._cut = cut
        self._changed.set()
        self._changed = asyncio.Event()

    async def _open(self, one: str, other: str) -> None:
        while frozenset((one, other)) in self._cut:
            await self._changed.wait()

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node: str, group: str
    ) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        caller = group or self._names.get(writer.get_extra_info("peername")[0], "")
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await self._carry(reader, writer, node, caller)
        await _closed(writer)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node: str, caller: str
    ) -> None:
        await self._open(caller, node)
        there_reader, there_writer = await asyncio.open_connection(*self.address(node))
        try:
            ways = [
                asyncio.ensure_future(self._pump(reader, there_writer, caller, node)),
                asyncio.ensure_future(self._pump(there_reader, writer, node, caller)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            await _closed(there_writer)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, one: str, other: str
    ) -> None:
        while chunk := await reader.read(CHUNK):
            await self._open(one, other)
            writer.write(chunk)
            await writer.drain()
        await self._open(one, other)  # that it was closed is not heard of either


async def _closed(writer: asyncio.StreamWriter) -> None:
    """At once: what is still to be sent would wait for somebody who may be dead."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
