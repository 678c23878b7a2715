"""The store on a Redis Cluster: all keys in one slot, one node serves us, and its replica takes over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store.client import Access, Client
from bridge.edges.store.connection import NAMESPACE, Store
from bridge.edges.store.discovery import ClusterNodes, slot_of
from bridge.edges.store.queue import StoredQueue
from bridge.model.incident import IncidentQuery, Outcome
from tests.conftest import started
from tests.in_memory_containers import InMemoryContainers
from tests.integration.desk import alert
from tests.integration.store.test_replication import desk_on, patiently
from tests.integration.walking import walk_on
from tests.servers.redis_topology import said, start_cluster

SLOT = slot_of(NAMESPACE)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[parts.RedisServer]]:
    """Three masters with a third of the slots each, and two replicas for each."""
    started(parts.RedisServer).stop()  # where there is none, this says so
    nodes = start_cluster(masters=3, replicas=6)
    yield nodes
    for node in nodes:
        node.stop()


def addresses(nodes: list[parts.RedisServer]) -> list[tuple[str, int]]:
    return [(node.host, node.port) for node in nodes]


@pytest.fixture
async def store(nodes: list[parts.RedisServer]) -> AsyncIterator[Store]:
    """Knows two of the nodes, neither of which need hold our slot; waits for the replica."""
    access = Access()
    store = Store(ClusterNodes(addresses(nodes)[:2], key=NAMESPACE, access=access), access, replicas=1)
    yield store
    await store.close()


async def serving(nodes: list[parts.RedisServer]) -> parts.RedisServer:
    """The node that holds our slot."""
    topology = ClusterNodes(addresses(nodes), key=NAMESPACE, access=Access())
    url = await topology.master()
    await topology.close()
    return next(node for node in nodes if url == f"redis://{node.host}:{node.port}")


def test_the_slot_is_computed_as_the_server_does(nodes: list[parts.RedisServer]) -> None:
    """By the hash tag alone."""
    for key in (NAMESPACE, "{hemostat}:work", "plain", "{}empty", "a{b}{c}"):
        assert said(nodes[0].host, nodes[0].port, "CLUSTER", "KEYSLOT", key) == slot_of(key)


async def test_the_whole_walk_is_possible_on_one_node(store: Store, nodes: list[parts.RedisServer]) -> None:
    """Webhook, work stream, claim, grant, intent, action, verification and end: every script and every plain command."""
    docker = InMemoryContainers()
    walk = walk_on(store, docker)
    queue = StoredQueue(store, consumer="me", lease_seconds=30)
    incident_id = await patiently(walk.alert)
    await queue.open()
    [turn] = await queue.read(5)
    assert turn.incident_id == incident_id
    assert (await patiently(lambda: walk.until_closed(incident_id))).outcome is Outcome.HEALED
    assert [verb for verb, _ in docker.actions] == ["restart"]
    await queue.later(turn, claim=None, seconds=0)
    await queue.due()
    [again] = await queue.read(5)
    await queue.beat([again])
    await queue.done(again, claim=None)
    assert await queue.depth() == {"work": 0, "later": 0}
    assert [incident.id for incident in (await walk.journal.newest(IncidentQuery()))[0]] == [incident_id]
    sizes = [said(node.host, node.port, "DBSIZE") for node in nodes[:3]]
    assert sorted(size > 0 for size in sizes) == [False, False, True], sizes


async def test_while_the_slot_moves_nothing_is_granted_and_then_everything_is_where_it_was(
    store: Store, nodes: list[parts.RedisServer]
) -> None:
    """Control: a client that follows ASK, as clients do, is granted the same target twice."""
    desk = desk_on(store)
    held = await patiently(lambda: desk.judged("moved", fingerprint="moved"))
    granted = await patiently(lambda: desk.acquire(held))
    source = await serving(nodes)
    target = next(node for node in nodes[:3] if node is not source)
    ids = {node: said(node.host, node.port, "CLUSTER", "MYID") for node in (source, target)}
    slot = str(SLOT)
    assert target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", ids[source]) == "+OK"
    assert source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target]) == "+OK"
    with pytest.raises(errors.EdgeUnavailable, match="being moved"):
        await desk.acquire(held)
    with pytest.raises(errors.EdgeUnavailable, match="being moved"):
        await desk.take(alert("other", fingerprint="other"))
    control = Client(f"redis://{target.host}:{target.port}", Access())
    _, there = await control.pipelined(
        [("ASKING",), ("EVAL", "return redis.call('EXISTS', KEYS[1])", 1, _lock())]
    )
    assert there == 0, "the control saw the lock, so this proves nothing"
    await control.close()

    keys = said(source.host, source.port, "CLUSTER", "GETKEYSINSLOT", slot, "1000")
    assert (
        said(
            source.host, source.port, "MIGRATE", target.host, str(target.port), "", "0", "5000", "KEYS", *keys
        )
        == "OK"
    )
    for node in (target, source, *nodes[:3]):
        assert node.command("CLUSTER", "SETSLOT", slot, "NODE", ids[target]) == "+OK"
    assert await patiently(lambda: desk.acquire(held)) == granted
    assert await serving(nodes) is target


def _lock() -> str:
    return "{hemostat}:lock:local/moved"


@pytest.mark.timeout(60)
async def test_when_its_node_dies_the_replica_takes_over_with_all_that_was_confirmed(
    store: Store, nodes: list[parts.RedisServer]
) -> None:
    """Fails closed meanwhile."""
    desk = desk_on(store)
    held = await patiently(lambda: desk.judged("survivor", fingerprint="survivor"))
    granted = await patiently(lambda: desk.acquire(held))
    before = await serving(nodes)
    following = asyncio.create_task(store.follow())
    await asyncio.to_thread(before.kill)
    at, refused = time.monotonic(), 0
    while True:
        try:
            assert await desk.acquire(held) == granted
            break
        except errors.EdgeUnavailable:
            refused += 1
            assert time.monotonic() < at + 20, "nobody took over"
            await asyncio.sleep(0.05)
    print(
        f"\nCluster: acting again {time.monotonic() - at:.1f} s after its node died; refused {refused} times meanwhile"
    )
    assert time.monotonic() - at < 10
    assert await serving(nodes) is not before
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
