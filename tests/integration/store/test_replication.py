"""A master and its replica: what is not confirmed did not happen, and after a failover nothing is taken for granted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.client import MasterDown
from bridge.edges.store.connection import NotReplicated, Standing, Store
from bridge.edges.store.journal import StoredJournal
from bridge.model.evidence import ContainerFacts
from bridge.model.incident import Entry, Outcome, State
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant
from tests.conftest import started
from tests.in_memory_containers import InMemoryContainers
from tests.integration.desk import FREE, LEASE_SECONDS, OPEN_LIMITS, Desk, alert
from tests.integration.walking import walk_on
from tests.servers.redis_topology import QUICK_REPLICATION, replicas_of, replication, said, until_in_step
from tests.unit.triage.builders import running
from tests.waiting import until

T = TypeVar("T")


@dataclass
class Pair:
    """Two servers, each the other's possible successor."""

    master: parts.RedisServer
    replica: parts.RedisServer

    def promote(self) -> None:
        """The replica becomes a master; the old one stays one, too, as after a split."""
        self.replica.command("REPLICAOF", "NO", "ONE")

    def demote(self) -> None:
        """The old master follows its successor, and forgets what that one does not know."""
        replicas_of(self.replica, self.master)

    def in_step(self) -> None:
        """The replica has everything."""
        self.replica.resume()
        until_in_step(self.replica)
        there = parts.wait_until(lambda: _offset(self.master) == _offset(self.replica), seconds=10)
        assert there, "the replica stays behind"


def _offset(server: parts.RedisServer) -> str:
    told = replication(server)
    return told["master_repl_offset"]


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    """Shared by all tests here."""
    master = started(lambda: parts.RedisServer(extra=QUICK_REPLICATION))
    replica = started(lambda: parts.RedisServer(extra=QUICK_REPLICATION))
    yield Pair(master, replica)
    replica.stop()
    master.stop()


@pytest.fixture
def pair(servers: Pair) -> Iterator[Pair]:
    """In step, empty, and with settings as they began."""
    servers.replica.resume()
    servers.master.command("REPLICAOF", "NO", "ONE")
    servers.master.command("FLUSHALL")
    servers.master.command("SCRIPT", "FLUSH")
    replicas_of(servers.master, servers.replica)
    yield servers
    servers.replica.resume()
    for server in (servers.master, servers.replica):
        server.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
        server.command("CONFIG", "SET", "min-replicas-to-write", "0")


class Moving:
    """A topology that a test moves; ``None``: those who watch it agree that the master is down."""

    moves = True

    def __init__(self, url: str) -> None:
        self.url: str | None = url
        self.asked = 0

    async def master(self) -> str:
        """Where the test says it is."""
        self.asked += 1
        if self.url is None:
            raise MasterDown("redis", "the test says that it is down")
        return self.url

    async def standing(self) -> Standing | None:
        """Nobody asks."""
        return None

    async def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def topology(pair: Pair) -> Moving:
    """Names the first master until told otherwise."""
    return Moving(pair.master.url)


@pytest.fixture
async def replicated(topology: Moving) -> AsyncIterator[Store]:
    """Waits for the replica."""
    store = Store(topology, replicas=1)
    yield store
    await store.close()


@pytest.fixture
async def local(topology: Moving) -> AsyncIterator[Store]:
    """Waits for nobody."""
    store = Store(topology)
    yield store
    await store.close()


def desk_on(store: Store) -> Desk:
    """Its claims outlive a failover."""
    desk = Desk(store, StoredJournal(store, lease_seconds=60), Acceptor(store, backlog_limit=1000))
    desk.budgets = StoredBudgets(store, lease_seconds=60, trust_empty=True)
    return desk


class PausesAtInspection(InMemoryContainers):
    """The replica falls silent when the container is looked at for the n-th time."""

    def __init__(self, replica: parts.RedisServer, *, at: int) -> None:
        super().__init__()
        self._replica, self._left = replica, at

    async def inspect(self, host: str, ref: str) -> ContainerFacts | None:
        self._left -= 1
        if self._left == 0:
            await asyncio.to_thread(self._replica.pause)
        return await super().inspect(host, ref)


# What no replica confirms


async def test_an_alert_that_no_replica_confirmed_is_not_accepted_and_its_repetition_is(
    pair: Pair, replicated: Store
) -> None:
    """Alertmanager is told 503 and sends it again."""
    desk = desk_on(replicated)
    pair.replica.pause()
    with pytest.raises(NotReplicated, match="0 of 1 replicas confirmed"):
        await desk.take(alert())
    pair.in_step()
    [incident] = (await patiently(lambda: desk.take(alert()))).incidents
    assert await replicated.command("XLEN", "{hemostat}:work") == 1
    assert pair.replica.command("EXISTS", f"{{hemostat}}:incident:{incident}") == ":1"


async def test_a_grant_that_no_replica_confirmed_costs_a_cap_and_allows_nothing(
    pair: Pair, replicated: Store
) -> None:
    """It is used up once it is confirmed: one grant, one restart."""
    docker = InMemoryContainers()
    walk = walk_on(replicated, docker)
    incident_id = await patiently(walk.alert)
    pair.replica.pause()
    with pytest.raises(errors.EdgeUnavailable, match="acquire"):
        await walk.turn(incident_id)
    assert docker.actions == []
    assert await replicated.command("ZCARD", "{hemostat}:window:target:local/web") == 1
    pair.in_step()
    assert (await patiently(lambda: walk.until_closed(incident_id))).outcome is Outcome.HEALED
    assert [verb for verb, _ in docker.actions] == ["restart"]
    assert await replicated.command("ZCARD", "{hemostat}:window:target:local/web") == 1


async def test_an_intent_that_no_replica_confirmed_calls_nobody(pair: Pair, replicated: Store) -> None:
    """A grant that outlives its intent would be acted on again by whoever takes over."""
    looks = await _looks_before_the_intent(replicated)
    docker = PausesAtInspection(pair.replica, at=looks)
    walk = walk_on(replicated, docker)
    incident_id = await patiently(lambda: walk.alert(fingerprint="bb"))
    with pytest.raises(errors.EdgeUnavailable, match="begin"):
        await walk.turn(incident_id)
    assert docker.actions == []
    pair.in_step()
    assert (await walk.written(incident_id)).state is State.ACTING
    await walk.much_later(incident_id)
    assert (await patiently(lambda: walk.until_closed(incident_id))).outcome is Outcome.HEALED
    assert [verb for verb, _ in docker.actions] == ["restart"]


async def _looks_before_the_intent(store: Store) -> int:
    """How often the walk looks at a container until it acts on it; the store is empty again afterwards."""

    class Counting(InMemoryContainers):
        looks = 0
        until_action = 0

        async def inspect(self, host: str, ref: str) -> ContainerFacts | None:
            self.looks += 1
            return await super().inspect(host, ref)

        async def restart(self, host: str, container_id: str) -> None:
            self.until_action = self.looks
            await super().restart(host, container_id)

    docker = Counting()
    walk = walk_on(store, docker)
    incident_id = await patiently(walk.alert)
    await patiently(lambda: walk.turn(incident_id))
    assert docker.until_action > 0
    await store.command("FLUSHALL")
    return docker.until_action


async def test_a_pause_that_no_replica_confirmed_is_told_to_be_uncertain(
    pair: Pair, replicated: Store
) -> None:
    """It holds here; a failover might lift it behind the operator's back, so they are told to repeat it."""
    desk = desk_on(replicated)
    pair.replica.pause()
    with pytest.raises(NotReplicated):
        await desk.budgets.pause(by="ann", why="deploy", until=None)
    assert await desk.budgets.paused() is not None


async def test_a_master_that_misses_its_replicas_writes_nothing(pair: Pair, local: Store) -> None:
    """``min-replicas-to-write`` refuses before a script has written its first key."""
    desk = desk_on(local)
    await desk.take(alert("before", fingerprint="before"))
    await local.command("CONFIG", "SET", "min-replicas-to-write", 2)
    before = await local.command("DBSIZE")
    with pytest.raises(errors.EdgeUnavailable, match="NOREPLICAS"):
        await desk.take(alert())
    assert await local.command("DBSIZE") == before


# After a failover


async def test_a_call_goes_to_the_new_master_when_the_old_one_may_not_write(
    pair: Pair, topology: Moving, local: Store
) -> None:
    """The caller hears nothing of it: the old one did nothing and said so. Scripts are unknown there and made known."""
    desk = desk_on(local)
    first = await desk.incident_for(alert())
    pair.in_step()
    pair.promote()
    pair.demote()
    topology.url = pair.replica.url
    assert await desk.incident_for(alert(fingerprint="bb")) == first
    assert topology.asked == 2


async def test_a_connection_that_broke_is_not_heard_of(pair: Pair, topology: Moving, local: Store) -> None:
    """Who the master is was asked anew, and the same script ran again."""
    desk = desk_on(local)
    await desk.take(alert())
    pair.master.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    await local.create_group("work", "workers")
    await local.read_group("work", "workers", "me", 1)
    blocked = asyncio.create_task(local.read_group("work", "workers", "me", 1))
    await until(lambda: _blocked(pair.master))
    pair.master.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    assert await blocked == []


async def _blocked(server: parts.RedisServer) -> bool:
    return "flags=b" in str(said(server.host, server.port, "CLIENT", "LIST"))


async def _reads(store: Store, wanted: str) -> bool:
    return bool(await store.command("GET", "{hemostat}:x") == wanted)


async def _knows_nobody(store: Store) -> bool:
    try:
        await store.command("GET", "{hemostat}:x")
    except MasterDown:
        return True
    return False


async def patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Again while the replica does not confirm in time: on a busy machine a second is short."""
    deadline = time.monotonic() + 15
    while True:
        try:
            return await call()
        except NotReplicated:
            assert time.monotonic() < deadline, "no replica confirms any more"


async def test_a_reader_follows_to_the_new_master_though_the_old_one_answers(
    pair: Pair, topology: Moving, local: Store
) -> None:
    """Whoever only reads would otherwise stay with a master that was cut off."""
    following = asyncio.create_task(local.follow())
    assert await local.command("SET", "{hemostat}:x", "old")
    pair.in_step()
    pair.promote()
    pair.replica.command("SET", "{hemostat}:x", "new")
    topology.url = pair.replica.url
    await until(lambda: _reads(local, "new"))
    topology.url = None
    await until(lambda: _knows_nobody(local))
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


async def test_everybody_who_waits_for_a_master_is_told_at_once(topology: Moving, local: Store) -> None:
    """One search for all: a hundred waiting webhooks must not search one after the other."""
    topology.url = None
    answers = await asyncio.gather(*(local.command("GET", "x") for _ in range(100)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {MasterDown}
    assert topology.asked == 1


async def test_a_claim_of_a_master_that_was_cut_off_is_none_on_its_successor(
    pair: Pair, topology: Moving, local: Store
) -> None:
    """Both count on from the same number, and must not give the same claim to two workers."""
    desk = desk_on(local)
    incident_id = await desk.incident_for(alert())
    pair.in_step()
    pair.promote()
    theirs = await desk.claim(incident_id)
    topology.url = pair.replica.url
    other = Store(topology)
    try:
        ours = await desk_on(other).claim(incident_id)
        assert ours.claim != theirs.claim
        with pytest.raises(errors.ClaimLost):
            await StoredJournal(other, lease_seconds=1).save(theirs, Entry(event="late", fields={}))
    finally:
        await other.close()


async def test_a_successor_with_an_evicting_policy_grants_nothing(
    pair: Pair, topology: Moving, local: Store
) -> None:
    """The server that grants is the one whose policy counts: it is asked in the same script."""
    desk = desk_on(local)
    held = await desk.judged("web")
    pair.in_step()
    pair.promote()
    pair.replica.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    pair.demote()
    topology.url = pair.replica.url
    answer = await desk.acquire(held)
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.STORE_UNSAFE
    assert "allkeys-lru" in answer.detail


async def test_after_a_grant_was_lost_containers_younger_than_their_cooldown_are_left_alone(
    pair: Pair, topology: Moving, local: Store
) -> None:
    """Control: whoever knows of no lost grant restarts the container again."""
    policy = replace(FREE, cooldown_seconds=3600.0)
    desk = desk_on(local)
    first, again = await desk.judged("web", fingerprint="aa"), await desk.judged("db", fingerprint="bb")
    pair.in_step()
    pair.promote()
    assert isinstance(await desk.acquire(first, policy=policy), Grant)
    pair.demote()
    topology.url = pair.replica.url
    assert await local.command("EXISTS", "{hemostat}:window:target:local/web") == 0, "it was not lost"

    ignorant = StoredBudgets(local, lease_seconds=LEASE_SECONDS, trust_empty=True)
    young, old = running(up=60.0), running(up=7200.0)
    target = first.incident.target
    assert target is not None
    control = await ignorant.would_grant(target, policy=policy, limits=OPEN_LIMITS, facts=young)
    assert control is None, "the control was careful, so this proves nothing"
    refused = await desk.budgets.would_grant(target, policy=policy, limits=OPEN_LIMITS, facts=young)
    assert refused is not None
    assert refused.reason is Reason.RECENTLY_STARTED
    assert isinstance(await desk.acquire(again, policy=policy, up=60.0), Refusal)
    everybody = await ignorant.would_grant(target, policy=policy, limits=OPEN_LIMITS, facts=young)
    assert everybody is not None, "what one knows is written down for all"
    assert await ignorant.would_grant(target, policy=policy, limits=OPEN_LIMITS, facts=old) is None
