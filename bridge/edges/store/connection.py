"""The store as the rest of the edge speaks to it: scripts by name and plain commands, on whoever is the master now.

No key and no rule of HemoStat's is known here, and no word of Redis' about topology: that is ``discovery``.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Protocol, TypeVar

from bridge import errors
from bridge.edges.store.client import (
    BLOCK_MS,
    EDGE,
    Access,
    Client,
    MasterDown,
    NoAnswer,
    NoScript,
    NotTheMaster,
    TooSlow,
    Word,
)
from bridge.edges.store.leap import LeapWatch

log = logging.getLogger("hemostat.store")

NAMESPACE = "{hemostat}"

WAIT_MS = 1000
"""How long a replica may take to confirm."""

FOLLOW_SECONDS = 1.0
"""How often it is asked who the master is, where that can change without a word to us."""

T = TypeVar("T")

PRELUDES = {
    "shares": ("prelude", "shares_prelude"),
    **{name: ("prelude", "shares_prelude", "budget_prelude") for name in ("acquire", "begin")},
}
"""What stands before a script; before all others ``prelude`` alone."""


class NotReplicated(errors.EdgeUnavailable):
    """Written, but no replica confirmed it in time: treated as not written by whoever must not lose it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the master is known, for an operator. ``advice`` says what to do where not all is well."""

    found: str
    advice: str = ""


class Topology(Protocol):
    """Who the master is."""

    @property
    def moves(self) -> bool:
        """Whether another server may become the master while this one goes on answering."""
        ...

    async def master(self) -> str:
        """The URL of the server to write to now. Raises EdgeUnavailable: nobody knows one; MasterDown."""
        ...

    async def standing(self) -> Standing | None:
        """How the master is known; ``None`` where nobody is asked."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class OneServer:
    """A server at a URL, or a name that leads to the master: a new connection looks the name up again."""

    moves = False

    def __init__(self, url: str) -> None:
        self._url = url

    async def master(self) -> str:
        """The URL."""
        return self._url

    async def standing(self) -> Standing | None:
        """Nobody is asked."""
        return None

    async def close(self) -> None:
        """Nothing is open."""


class Store:
    """A Redis or Valkey with our scripts on it.

    ``replicas`` > 0 makes durable calls wait until that many replicas have the write (``WAIT``). A server is left as
    soon as it shows that it may not be the master any more: it is away, it may not write, or its replicas do not
    confirm. Then the topology is asked anew.
    """

    def __init__(self, where: str | Topology, access: Access | None = None, *, replicas: int = 0) -> None:
        self.topology: Topology = OneServer(where) if isinstance(where, str) else where
        self.replicas = replicas
        self.leaps = LeapWatch()
        self._access = access or Access()
        self._client: Client | None = None
        self._left: Client | None = None
        self._search: asyncio.Task[Client] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def close(self) -> None:
        """Close all connections, for good: calls under way and later ones fail."""
        self._closed = True
        if self._search is not None:
            self._search.cancel()
            await asyncio.gather(self._search, return_exceptions=True)
        await asyncio.gather(*self._closing, return_exceptions=True)
        for client in (self._client, self._left):
            if client is not None:
                await client.close()
        await self.topology.close()

    async def follow(self) -> None:
        """Leave the present master as soon as another one is believed in; ends at once where none can be.

        Whoever only reads would otherwise stay with a master that was cut off for as long as it answers.
        """
        while self.topology.moves:
            await asyncio.sleep(FOLLOW_SECONDS)
            client = self._client
            if client is None:
                continue
            try:
                moved = await self.topology.master() != client.url
            except MasterDown:
                moved = True
            except errors.EdgeError:
                moved = False  # nobody is there who would know better than the master itself
            if moved:
                self._leave(client)
                self._drop(client.close())

    async def _on_master(self, use: Callable[[Client], Awaitable[T]]) -> T:
        client = await self._master()
        try:
            return await use(client)
        except (TooSlow, NotReplicated):
            self._leave(client)
            raise
        except (NotTheMaster, NoAnswer):
            self._leave(client)
        # Once more with whoever is the master now: a connection that broke may be all that happened, and every script
        # is safe to run twice.
        client = await self._master()
        try:
            return await use(client)
        except (NotTheMaster, NoAnswer, NotReplicated):
            self._leave(client)
            raise

    async def _master(self) -> Client:
        if self._closed:
            # A call that was under way would be made once more, on connections that nobody closes.
            raise errors.EdgeUnavailable(EDGE, "the store was closed")
        if self._client is not None:
            return self._client
        if self._search is None:
            self._search = asyncio.create_task(self._find(), name="store-find-master")
            self._search.add_done_callback(self._found)
        # One search for all who wait: after a failed one, a hundred of them would fail one after the other.
        return await asyncio.shield(self._search)

    async def _find(self) -> Client:
        url = await self.topology.master()
        left, self._left = self._left, None
        if left is not None and left.url != url:
            log.warning("store_master_changed", extra={"master": url, "was": left.url})
            self._drop(left.close())
        self._client = Client(url, self._access)
        return self._client

    def _found(self, search: asyncio.Task[Client]) -> None:
        self._search = None
        if not search.cancelled():
            search.exception()  # whoever waited has it; nobody may have

    def _leave(self, client: Client) -> None:
        if self._client is client:
            self._client, self._left = None, client
            self._drop(client.retire())

    def _drop(self, closing: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(closing, name="store-close-connections")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def script(self, name: str, *args: Word, durable: bool = False) -> Any:
        """Run the script ``lua/<name>.lua``. ``durable`` waits for the replicas if the store was told to.

        Raises ``EdgeUnavailable``; ``NotReplicated`` if it ran but too few replicas confirmed.
        """
        text, digest = _source(name)

        async def run(client: Client) -> Any:
            try:
                return await self._run(client, name, ("EVALSHA", digest, 1, NAMESPACE, *args), durable)
            except NoScript:  # a new server, or a new master after a failover; EVAL makes it known there
                return await self._run(client, name, ("EVAL", text, 1, NAMESPACE, *args), durable)

        return await self._on_master(run)

    async def _run(self, client: Client, name: str, call: Sequence[Word], durable: bool) -> Any:
        if not (durable and self.replicas):
            return await client.execute(*call, what=name)
        # WAIT concerns the writes of its own connection, so both travel in one pipeline.
        answer, confirmed = await client.pipelined([call, ("WAIT", self.replicas, WAIT_MS)], what=name)
        if confirmed < self.replicas:
            message = f"{name}: {confirmed} of {self.replicas} replicas confirmed within {WAIT_MS} ms"
            raise NotReplicated(EDGE, message)
        return answer

    async def command(self, *args: Word, durable: bool = False) -> Any:
        """One plain command; ``durable`` as for scripts."""
        return await self._on_master(lambda client: self._run(client, str(args[0]), args, durable))

    async def commands(self, *calls: Sequence[Word]) -> list[Any]:
        """Several plain commands in one round trip, without a transaction."""
        return await self._on_master(lambda client: client.pipelined(calls))

    async def read_group(
        self, stream: str, group: str, consumer: str, count: int
    ) -> list[tuple[str, dict[str, str]]]:
        """New entries of a stream for this consumer, waiting up to a second for the first."""
        reading = ("GROUP", group, consumer, "COUNT", count, "BLOCK", BLOCK_MS, "STREAMS", key(stream), ">")
        got = await self.command("XREADGROUP", *reading)
        return [(str(entry), dict(fields)) for _, entries in got or [] for entry, fields in entries]

    async def info(self, section: str) -> dict[str, str]:
        """A section of ``INFO``, values as text."""
        return await self._on_master(lambda client: client.info(section))

    async def config_value(self, name: str) -> str:
        """A configuration value; ``""`` where the server does not tell (managed servers hide CONFIG)."""
        try:
            answer = await self.command("CONFIG", "GET", name)
        except errors.EdgeUnavailable as error:
            if "unknown command" in str(error).lower() or "noperm" in str(error).lower():
                return ""
            raise
        values = list(answer.values()) if isinstance(answer, dict) else list(answer)[1:]
        return str(values[0]) if values else ""

    async def create_group(self, stream: str, group: str) -> None:
        """Make the consumer group, from the first entry on; nothing happens if it exists."""
        try:
            await self.command("XGROUP", "CREATE", key(stream), group, "0", "MKSTREAM")
        except errors.EdgeUnavailable as error:
            if "BUSYGROUP" not in str(error):
                raise


def key(name: str) -> str:
    """A key of ours. All share one hash tag, so that one script can touch any of them in a Cluster."""
    return f"{NAMESPACE}:{name}"


@functools.cache
def _source(name: str) -> tuple[str, str]:
    """The script with its prelude, as sent to the server, and its SHA-1, by which the server knows it."""
    folder = resources.files(__package__).joinpath("lua")
    files = (*PRELUDES.get(name, ("prelude",)), name)
    text = "".join(folder.joinpath(f"{file}.lua").read_text() for file in files)
    return text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def milliseconds(at: datetime) -> int:
    """Unix time in milliseconds, the unit of every time in the store."""
    return round(at.timestamp() * 1000)


def instant(ms: int | float | str) -> datetime:
    """The aware UTC time of milliseconds."""
    return datetime.fromtimestamp(float(ms) / 1000, UTC)
