"""Failover under load: the master killed, or split off with one Sentinel that goes on naming it, and what of all that
was answered "granted" the new master knows.

In each trial three Redis and three Sentinels run behind a network that can be cut, and eight of the product's own
stores take alerts in, claim, acquire and begin as fast as the trial lets them. Half of them wait for a replica
(`durability: replicated`), half do not: they are the control. redis-py's own discovery is asked in the same split.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from redis.asyncio import Redis
from redis.asyncio.sentinel import MasterNotFoundError
from redis.asyncio.sentinel import Sentinel as StockSentinel

from bridge import errors
from bridge.demo import parts
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.client import Access
from bridge.edges.store.connection import Standing, Store
from bridge.edges.store.discovery import Sentinels
from bridge.edges.store.journal import StoredJournal
from bridge.model.incident import Intent
from bridge.model.policy import Cap, Limits
from bridge.model.verdict import Action
from bridge.roles import Grant, Held
from tests.integration.desk import START, Desk, alert, as_judged
from tests.servers.network import Network
from tests.servers.redis_topology import MASTER, QUICK_REPLICATION, RedisSentinel, said, until_in_step

REDIS = ("r1", "r2", "r3")
SENTINELS = ("s1", "s2", "s3")
NEAR, FAR = "near", "far"
"""Clients that reach everything, and clients on the other side of a split than the old master."""

OPEN_LIMITS = Limits(fleet=Cap(max=1_000_000, per_seconds=3600), host=Cap(max=1_000_000, per_seconds=3600))
PACE_SECONDS = 0.01
WARM = 3
"""Grants of each client before the fault."""
CALM_SECONDS = 1.0
"""How long clients go on after the network healed, or after the killed master came back as one."""
DEADLINE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """Something that was answered with a yes."""

    kind: str
    incident_id: str
    target: str
    token: int
    at: float


@dataclass(slots=True, kw_only=True)
class Count:
    """What clients of one durability were promised over all trials, and what of it the last master did not know."""

    accepted: int = 0
    granted: int = 0
    begun: int = 0
    accepted_lost: int = 0
    granted_lost: int = 0
    begun_lost: int = 0

    @property
    def lost(self) -> int:
        """All that was lost."""
        return self.accepted_lost + self.granted_lost + self.begun_lost

    def add(self, promise: Promise, *, kept: bool) -> None:
        """Count one promise."""
        setattr(self, promise.kind, getattr(self, promise.kind) + 1)
        if not kept:
            setattr(self, f"{promise.kind}_lost", getattr(self, f"{promise.kind}_lost") + 1)

    def __str__(self) -> str:
        return (
            f"{self.accepted} accepted, {self.granted} granted, {self.begun} begun; lost"
            f" {self.accepted_lost}, {self.granted_lost}, {self.begun_lost}"
        )


@dataclass(slots=True, kw_only=True)
class Result:
    """Over all trials. `resumed` are the seconds from the fault to each replicated client's next grant."""

    kills: int
    splits: int
    replicated: Count = field(default_factory=Count)
    local: Count = field(default_factory=Count)
    resumed: list[float] = field(default_factory=list)
    stock_misled: int = 0
    """Splits in which redis-py's own discovery still named the old master when ours named the new one."""

    @property
    def slowest(self) -> float:
        """Seconds until the last replicated client acted again, over all trials."""
        return max(self.resumed, default=0.0)

    @property
    def holds(self) -> bool:
        """Nothing replicated was lost, everybody acted again in time, and each control failed."""
        controls = self.splits == 0 or (self.local.granted_lost > 0 and self.stock_misled == self.splits)
        return self.replicated.lost == 0 and 0 < self.slowest < 10 and controls

    def told(self) -> str:
        """The product's line and one for each control."""
        middle = sorted(self.resumed)[len(self.resumed) // 2] if self.resumed else 0.0
        return "\n".join(
            (
                f"failover  product   {self.kills} kills, {self.splits} splits, replicated: {self.replicated};"
                f" acting again p50 {middle:.1f} s, max {self.slowest:.1f} s",
                f"          control   no WAIT (durability local): {self.local}",
                f"          control   redis-py's discovery misled in {self.stock_misled} of {self.splits} splits",
            )
        )


class Translated:
    """The product's discovery for clients that reach each node at an address of their own."""

    moves = True

    def __init__(self, topology: Sentinels, seen: dict[str, str]) -> None:
        self._topology = topology
        self._seen = seen

    async def master(self) -> str:
        """As the clients see it."""
        return self._seen[await self._topology.master()]

    async def standing(self) -> Standing | None:
        """Nobody asks."""
        return None

    async def close(self) -> None:
        """The same."""
        await self._topology.close()


class Trial:
    """Three Redis, three Sentinels, a network between all of them and eight clients."""

    def __init__(self) -> None:
        self.network = Network([*REDIS, *SENTINELS], groups=[NEAR, FAR])
        self._started: list[parts.Process] = []
        self.redis: dict[str, parts.RedisServer] = {}

    async def __aenter__(self) -> Trial:
        await self.network.__aenter__()
        try:
            await asyncio.to_thread(self._start)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._stop)
        await self.network.__aexit__()

    def _stop(self) -> None:
        for part in reversed(self._started):
            part.stop()

    def _start(self) -> None:
        for name in REDIS:
            (host, port), (known_host, known_port) = self.network.address(name), self.network.announced(name)
            flags = (
                *("--bind-source-addr", host, "--protected-mode", "no"),
                *("--replica-announce-ip", known_host, "--replica-announce-port", str(known_port)),
                *QUICK_REPLICATION,
            )
            self.redis[name] = parts.RedisServer(host=host, port=port, extra=flags)
            self._started.append(self.redis[name].start())
        master = self.network.announced(REDIS[0])
        for name in REDIS[1:]:
            self.redis[name].command("REPLICAOF", master[0], str(master[1]))
        until_in_step(*(self.redis[name] for name in REDIS[1:]))
        for name in SENTINELS:
            self._started.append(self._sentinel(name, master).start())
        ready = parts.wait_until(lambda: all(self._knows_all(name) for name in SENTINELS), seconds=15)
        assert ready, f"the Sentinels did not find each other: {self._started[-1].log_tail()}"

    def _sentinel(self, name: str, master: tuple[str, int]) -> RedisSentinel:
        host, port = self.network.address(name)
        known_host, known_port = self.network.announced(name)
        ids = {other: f"{number + 1:040d}" for number, other in enumerate(SENTINELS)}
        places = {other: "{} {}".format(*self.network.announced(other)) for other in (*REDIS, *SENTINELS)}
        return RedisSentinel(
            master,
            host=host,
            port=port,
            extra=(
                f"bind-source-addr {host}",
                f"sentinel announce-ip {known_host}",
                f"sentinel announce-port {known_port}",
                f"sentinel myid {ids[name]}",
            ),
            known=(
                *(f"known-replica {MASTER} {places[replica]}" for replica in REDIS[1:]),
                *(
                    f"known-sentinel {MASTER} {places[other]} {ids[other]}"
                    for other in SENTINELS
                    if other != name
                ),
            ),
        )

    def _knows_all(self, name: str) -> bool:
        host, port = self.network.address(name)
        ready = said(host, port, "SENTINEL", "CKQUORUM", MASTER)
        replicas = said(host, port, "SENTINEL", "REPLICAS", MASTER)
        return (
            str(ready).startswith("OK 3")
            and len(replicas) == 2
            and all("master-link-status" in row and "s_down" not in " ".join(row) for row in replicas)
        )

    def discovery(self, group: str, *, first: str = "s1") -> Sentinels:
        """Ours, as clients of this group would configure it, with this Sentinel at the head of the list."""
        return Sentinels(MASTER, self.sentinels(group, first=first), access=Access(), servers=Access())

    def sentinels(self, group: str, *, first: str) -> list[tuple[str, int]]:
        """All Sentinels as this group sees them."""
        return [
            self.network.seen_by(group, name) for name in sorted(SENTINELS, key=lambda name: name != first)
        ]

    def store(self, group: str, *, replicas: int) -> Store:
        """A store of the product's for a client of this group."""
        access = Access()
        seen = {
            access.url(*self.network.announced(name)): access.url(*self.network.seen_by(group, name))
            for name in REDIS
        }
        return Store(Translated(self.discovery(group, first="s3"), seen), access, replicas=replicas)

    async def master(self) -> str:
        """The name of whom ours names to a client that reaches everything; "" for nobody."""
        topology = self.discovery(NEAR, first="s3")
        try:
            url = await topology.master()
        except errors.EdgeError:
            return ""
        finally:
            await topology.close()
        return next(name for name in REDIS if Access().url(*self.network.announced(name)) == url)

    async def stock_names(self, group: str, *, first: str) -> tuple[str, int] | None:
        """What redis-py's own discovery says to a client that has this Sentinel at the head of its list."""
        stock = StockSentinel(self.sentinels(group, first=first), sentinel_kwargs={"socket_timeout": 1.0})  # type: ignore[no-untyped-call]  # redis-py has no types for it
        try:
            found: tuple[str, int] = await stock.discover_master(MASTER)
            return found[0], int(found[1])
        except MasterNotFoundError:
            return None
        finally:
            await stock.aclose()


class Client:
    """One who takes alerts in and goes on to the last step before Docker, again and again."""

    def __init__(self, number: int, store: Store, *, replicated: bool) -> None:
        self.replicated = replicated
        self.promises: list[Promise] = []
        self._number = number
        self._store = store
        self._journal = StoredJournal(store, lease_seconds=30.0)
        self._desk = Desk(store, self._journal, Acceptor(store, backlog_limit=10**6))

    async def run(self) -> None:
        """Until cancelled."""
        turn = 0
        async with asyncio.TaskGroup() as group:
            group.create_task(self._store.follow(), name="store-follow")
            while True:
                turn += 1
                with contextlib.suppress(errors.EdgeError, errors.ClaimLost):
                    await self._one(f"c{self._number}-{turn}")
                await asyncio.sleep(PACE_SECONDS)

    async def _one(self, name: str) -> None:
        incident_id = await self._desk.incident_for(alert(name, fingerprint=name))
        self._promised("accepted", incident_id, name, 0)
        claimed = await self._journal.claim(incident_id, f"{name}/{secrets.token_hex(4)}")
        if not isinstance(claimed, Held):
            return  # it was lost between the two calls; the count will tell
        held = as_judged(claimed, name)
        grant = await self._desk.acquire(held, limits=OPEN_LIMITS)
        if not isinstance(grant, Grant):
            return
        self._promised("granted", incident_id, name, grant.token)
        intent = Intent(
            action=Action.RESTART,
            container_id="c" * 64,
            started_at=START,
            restart_count=0,
            stop_timeout_seconds=10.0,
            token=grant.token,
            at=START,
            was_running=True,
        )
        incident = held.incident.reserved(grant.token, now=START).acting(intent, now=START)
        began = await self._desk.begin(replace(held, incident=incident))
        if began is None:
            self._promised("begun", incident_id, name, grant.token)

    def _promised(self, kind: str, incident_id: str, name: str, token: int) -> None:
        at = time.monotonic()
        self.promises.append(
            Promise(kind=kind, incident_id=incident_id, target=f"local/{name}", token=token, at=at)
        )

    def granted_after(self, at: float) -> float | None:
        """When it was first granted something after this moment."""
        return next((p.at for p in self.promises if p.kind == "granted" and p.at > at), None)

    async def close(self) -> None:
        """Close its connections."""
        await self._store.close()


def run(kills: int, splits: int) -> Result:
    """So many of each, one after the other; about fifteen seconds per trial. Prints nothing."""
    result = Result(kills=kills, splits=splits)
    for _ in range(kills):
        asyncio.run(_trial(result, _kill))
    for _ in range(splits):
        asyncio.run(_trial(result, _split))
    return result


async def _trial(result: Result, fault: Callable[[Trial], Awaitable[None]]) -> None:
    async with Trial() as trial:
        groups = [(NEAR, True), (FAR, True), (NEAR, False), (FAR, False)] * 2
        clients = [
            Client(number, trial.store(group, replicas=int(replicated)), replicated=replicated)
            for number, (group, replicated) in enumerate(groups)
        ]
        running = [asyncio.create_task(client.run(), name="client") for client in clients]
        try:
            await _until(lambda: all(len(client.promises) >= 3 * WARM for client in clients), running)
            at = time.monotonic()
            await fault(trial)
            await _named(trial, but=REDIS[0])
            named = time.monotonic()
            waiting = [client for client in clients if client.replicated]
            await _until(lambda: all(client.granted_after(named) for client in waiting), running)
            result.resumed += [(client.granted_after(named) or named) - at for client in waiting]
            await _mend(trial, result)
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await asyncio.gather(*(client.close() for client in clients))
        await _count(trial.redis[await _named(trial)], clients, result)


async def _kill(trial: Trial) -> None:
    """SIGKILL to the master."""
    await asyncio.to_thread(trial.redis[REDIS[0]].kill)


async def _split(trial: Trial) -> None:
    """The master and one Sentinel on one side, everybody else on the other; near clients reach both."""
    trial.network.split([REDIS[0], "s3"], [*REDIS[1:], "s1", "s2", FAR])


async def _mend(trial: Trial, result: Result) -> None:
    """The dead master comes back, and as a master: its own data say so. Or the network heals. Clients go on a while."""
    old = trial.redis[REDIS[0]]
    if old.running:
        named = await trial.stock_names(NEAR, first="s3")
        result.stock_misled += named == trial.network.announced(REDIS[0])
        trial.network.heal()
    else:
        await asyncio.to_thread(old.start)
    await asyncio.sleep(CALM_SECONDS)


async def _named(trial: Trial, *, but: str = "") -> str:
    """The master, once the Sentinels agree on one, and on another one than ``but``."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (name := await trial.master()) in ("", but):
        assert time.monotonic() < deadline, "nobody is named the master"
        await asyncio.sleep(0.05)
    return name


async def _until(fact: Callable[[], bool], running: Sequence[asyncio.Task[None]]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not fact():
        for task in running:
            if task.done():
                task.result()
        assert time.monotonic() < deadline, f"did not come true within {DEADLINE_SECONDS:g} s"
        await asyncio.sleep(0.02)


async def _count(master: parts.RedisServer, clients: Sequence[Client], result: Result) -> None:
    """Ask the master itself for everything that was promised."""
    async with Redis(host=master.host, port=master.port, decode_responses=True) as redis:
        for client in clients:
            count = result.replicated if client.replicated else result.local
            async with redis.pipeline(transaction=False) as pipe:
                for promise in client.promises:
                    pipe.hget(f"{{hemostat}}:incident:{promise.incident_id}", "state")
                    pipe.zscore(f"{{hemostat}}:window:target:{promise.target}", str(promise.token))
                answers = await pipe.execute()
            for promise, state, score in zip(client.promises, answers[::2], answers[1::2], strict=True):
                kept = {
                    "accepted": state is not None,
                    "granted": score is not None,
                    "begun": state == "acting",
                }
                count.add(promise, kept=kept[promise.kind])


if __name__ == "__main__":
    print(run(*(int(number) for number in sys.argv[1:3])).told())
