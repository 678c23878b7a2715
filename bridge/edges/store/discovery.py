"""Who the master is, where others know it: Redis Sentinels, or the nodes of a Redis Cluster.

One rule for both: ask everybody, and believe the highest configuration epoch. Each failover is agreed on under a new
one, so the highest is the latest, whoever says it. The first answer is not good enough: a Sentinel or a node that was
cut off together with the old master goes on naming it until the network heals.
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bridge import errors
from bridge.edges.store.client import EDGE, Access, Client, MasterDown
from bridge.edges.store.connection import Standing
from bridge.edges.store.records import pairs

ASK_SECONDS = 1.0
"""Who has not answered by then is not waited for."""

SLOTS = 16384


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What one of those asked says: under this epoch that is the master. ``down``: it is agreed that it is away."""

    epoch: int
    url: str
    down: bool = False


def believed(claims: Iterable[Claim]) -> Claim | None:
    """The claim of the highest epoch; of equal ones one that says "down", because one alone cannot say it."""
    return max(claims, key=lambda claim: (claim.epoch, claim.down), default=None)


class Sentinels:
    """The master that Redis Sentinels name. ``nodes`` are all of them, ``access`` is how they are spoken to;
    ``servers`` how the servers are.

    Source: https://redis.io/docs/latest/develop/reference/sentinel-clients/
    """

    moves = True

    def __init__(
        self, master: str, nodes: Sequence[tuple[str, int]], *, access: Access, servers: Access
    ) -> None:
        self._name = master
        self._servers = servers
        self._sentinels = [Client(access.url(host, port), access) for host, port in nodes]

    async def master(self) -> str:
        """The URL of the master. Raises EdgeUnavailable: no Sentinel answers or knows it; MasterDown."""
        claims = await self._claims()
        best = believed(claim for claim in claims if isinstance(claim, Claim))
        if best is None:
            said = {str(claim) for claim in claims if isinstance(claim, errors.EdgeError)}
            raise errors.EdgeUnavailable(
                EDGE, f"no Sentinel names {self._name!r} ({'; '.join(sorted(said))})"
            )
        if best.down:
            raise MasterDown(EDGE, f"the Sentinels agree that {self._name!r} ({best.url}) is down")
        return best.url

    async def _claims(self) -> list[Claim | errors.EdgeError]:
        return await _ask_all(self._claim(sentinel) for sentinel in self._sentinels)

    async def _claim(self, sentinel: Client) -> Claim:
        # The epoch before the address: while a failover ends, a Sentinel knows the new epoch and tells the new
        # address, and still has the old master's row. Read the other way round, the two could be of different times.
        row, address = await sentinel.pipelined(
            [("SENTINEL", "MASTER", self._name), ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._name)]
        )
        try:
            known = pairs(row)
            host, port = str(address[0]), int(address[1])
            epoch, flags = int(known["config-epoch"]), known["flags"].split(",")
            same = (known["ip"], known["port"]) == (host, str(port))
        except (LookupError, TypeError, ValueError) as error:
            raise errors.EdgeUnavailable(EDGE, f"{sentinel.url} does not speak as a Sentinel") from error
        return Claim(epoch=epoch, url=self._servers.url(host, port), down=same and "o_down" in flags)

    async def standing(self) -> Standing:
        """Which master is believed in, how many Sentinels say so, and whether they could agree on another one."""
        claims = await self._claims()
        best = believed(claim for claim in claims if isinstance(claim, Claim))
        if best is None:
            return Standing(
                found="no Sentinel answers", advice="correct redis.sentinel, or start the Sentinels"
            )
        agreeing = sum(isinstance(claim, Claim) and claim.url == best.url for claim in claims)
        found = f"master {best.url}, named by {agreeing} of {len(claims)} Sentinels"
        voices = await _ask_all(
            sentinel.execute("SENTINEL", "CKQUORUM", self._name) for sentinel in self._sentinels
        )
        if any(not isinstance(voice, errors.EdgeError) for voice in voices):
            found += ", quorum reachable"
        else:
            said = sorted(str(voice) for voice in voices)[0]
            return Standing(found=found, advice=f"no failover is possible: {said}")
        if agreeing < len(claims):
            silent = [
                f"{sentinel.url} ({claim if isinstance(claim, errors.EdgeError) else claim.url})"
                for sentinel, claim in zip(self._sentinels, claims, strict=True)
                if isinstance(claim, errors.EdgeError) or claim.url != best.url
            ]
            return Standing(found=found, advice=f"silent or of another opinion: {', '.join(silent)}")
        return Standing(found=found)

    async def close(self) -> None:
        """Close the connections to the Sentinels."""
        await asyncio.gather(*(sentinel.close() for sentinel in self._sentinels))


class ClusterNodes:
    """The node of a Redis Cluster that holds the slot of ``key``. ``nodes`` are some of the cluster's; the one that
    serves us and its replicas are asked, too, once they are known.

    Source: https://redis.io/docs/latest/commands/cluster-nodes/
    """

    moves = True

    def __init__(self, nodes: Sequence[tuple[str, int]], *, key: str, access: Access) -> None:
        self._slot = slot_of(key)
        self._access = access
        self._given = {access.url(host, port): Client(access.url(host, port), access) for host, port in nodes}
        self._learned: dict[str, Client] = {}

    async def master(self) -> str:
        """The URL of the node. Raises EdgeUnavailable: none answers, or none has the slot; MasterDown."""
        best = believed(claim for claim, _ in await self._views())
        if best is None:
            raise errors.EdgeUnavailable(EDGE, f"no node of the Cluster knows who holds slot {self._slot}")
        if best.down:
            raise MasterDown(EDGE, f"the Cluster agrees that {best.url} is down")
        return best.url

    async def _views(self) -> list[tuple[Claim, set[str]]]:
        asked = {**self._learned, **self._given}
        answers = await _ask_all(client.execute("CLUSTER", "NODES") for client in asked.values())
        views = [
            view
            for url, answer in zip(asked, answers, strict=True)
            if isinstance(answer, str) and (view := self._view(answer, url)) is not None
        ]
        best = believed(claim for claim, _ in views)
        for claim, shard in views:
            if claim == best:
                await self._learn(shard)
                break
        return views

    def _view(self, answer: str, asked: str) -> tuple[Claim, set[str]] | None:
        """Who holds the slot in this node's eyes, and the URLs of that one and its replicas."""
        nodes = [node for line in answer.splitlines() if (node := _node(line, asked, self._access))]
        holder = next((node for node in nodes if "master" in node.flags and node.holds(self._slot)), None)
        if holder is None:
            return None
        shard = {node.url for node in nodes if node.master == holder.id and "fail" not in node.flags}
        claim = Claim(epoch=holder.epoch, url=holder.url, down="fail" in holder.flags)
        return claim, shard | {holder.url}

    async def _learn(self, shard: set[str]) -> None:
        wanted = shard - set(self._given)
        gone = [self._learned.pop(url) for url in set(self._learned) - wanted]
        for url in wanted - set(self._learned):
            self._learned[url] = Client(url, self._access)
        await asyncio.gather(*(client.close() for client in gone))

    async def standing(self) -> Standing:
        """Which node serves us, and how many of those asked say so."""
        views = await self._views()
        best = believed(claim for claim, _ in views)
        if best is None:
            return Standing(found="no node answers", advice="correct redis.cluster, or start the nodes")
        asked = len({**self._learned, **self._given})
        agreeing = sum(claim.url == best.url for claim, _ in views)
        found = f"slot {self._slot} on {best.url}, by {agreeing} of {asked} nodes asked"
        replicas = max(len(shard) for claim, shard in views if claim == best) - 1
        if replicas == 0:
            return Standing(found=found, advice="it has no replica: nobody can take over from it")
        if agreeing < asked:
            return Standing(
                found=found, advice="some nodes are silent or of another opinion: see CLUSTER NODES"
            )
        return Standing(found=found)

    async def close(self) -> None:
        """Close the connections to the nodes."""
        clients = [*self._given.values(), *self._learned.values()]
        await asyncio.gather(*(client.close() for client in clients))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    id: str
    url: str
    flags: frozenset[str]
    master: str
    epoch: int
    slots: tuple[str, ...]

    def holds(self, slot: int) -> bool:
        """Whether the slot is in its ranges; one that is on its way in or out is written in brackets, and apart."""
        for words in self.slots:
            first, _, last = words.partition("-")
            if first.isdigit() and (last or first).isdigit() and int(first) <= slot <= int(last or first):
                return True
        return False


def _node(line: str, asked: str, access: Access) -> _Node | None:
    """One line of ``CLUSTER NODES``; ``None`` for a node without an address, and for what is no such line."""
    words = line.split()
    if len(words) < 8 or "noaddr" in words[2] or "handshake" in words[2]:
        return None
    address, _, announced = words[1].partition(",")
    host, _, port = address.partition("@")[0].rpartition(":")
    if not (port.isdigit() and words[6].isdigit()):
        return None
    if access.tls is not None and announced.partition(",")[0]:
        host = announced.partition(",")[0]  # certificates bear names
    return _Node(
        id=words[0],
        # A node that has met nobody does not know its own address.
        url=access.url(host.strip("[]"), int(port)) if host else asked,
        flags=frozenset(words[2].split(",")),
        master=words[3],
        epoch=int(words[6]),
        slots=tuple(words[8:]),
    )


def slot_of(key: str) -> int:
    """The slot of a key. Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/"""
    first = key.find("{")
    last = key.find("}", first + 1)
    tag = key[first + 1 : last] if first >= 0 and last > first + 1 else key
    return binascii.crc_hqx(tag.encode(), 0) % SLOTS


async def _ask_all(questions: Iterable[Any]) -> list[Any]:
    """What each answers, or the ``EdgeError`` in its place."""

    async def ask(question: Any) -> Any:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return await question
        except TimeoutError:
            return errors.EdgeUnavailable(EDGE, f"no answer within {ASK_SECONDS:g} s")
        except errors.EdgeError as error:
            return error

    return list(await asyncio.gather(*(ask(question) for question in questions)))
