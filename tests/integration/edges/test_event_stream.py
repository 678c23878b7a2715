"""Events of a real Engine as they happen, through outages of every kind, kept once however many hear them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from docker.models.containers import Container

from bridge import errors
from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine, DockerHost
from bridge.edges.docker_engine import engine as one_engine
from bridge.edges.store.connection import Store, key
from bridge.edges.store.engine_events import MOST_EVENTS, StoredEngineEvents
from bridge.event_watch import EventWatch
from bridge.evidence import merged
from bridge.metrics import Metrics
from bridge.model.evidence import EngineEvent
from bridge.roles import ToldEvent
from tests.integration.edges.docker_engine.containers import IDLE, full_id
from tests.servers.docker_engine import DockerEngineProxy, Request
from tests.waiting import until, until_true

RunContainer = Callable[..., Container]

START = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


def of_events(request: Request) -> bool:
    return request.path == "/events"


@pytest.fixture
def proxy(engine: parts.DockerEngine) -> Iterator[DockerEngineProxy]:
    with DockerEngineProxy(engine.url) as proxy:
        yield proxy


@pytest.fixture
async def docker(proxy: DockerEngineProxy) -> AsyncIterator[DockerEngine]:
    edge = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=5.0)])
    yield edge
    await edge.close()


@pytest.fixture
async def history(redis_url: str) -> AsyncIterator[StoredEngineEvents]:
    store = Store(redis_url)
    yield StoredEngineEvents(store)
    await store.close()


async def first(
    docker: DockerEngine, container_id: str, action: str, *, since: datetime | None = None
) -> ToldEvent:
    """The first such event of a stream, which is closed again."""
    async with asyncio.timeout(10), contextlib.aclosing(docker.watch("here", since=since)) as stream:
        async for told in stream:
            for each in told:
                if (each.container_id, each.event.action) == (container_id, action):
                    return each
    raise AssertionError("the stream ended")


async def kept(history: StoredEngineEvents, container_id: str, count: int) -> Sequence[EngineEvent]:
    """What is kept of a container, once there is so much."""
    return await until(lambda: history.events("here", container_id), lambda found: len(found) >= count)


@contextlib.asynccontextmanager
async def watching(docker: DockerEngine, history: StoredEngineEvents) -> AsyncIterator[Metrics]:
    metrics = Metrics()
    task = asyncio.create_task(EventWatch(engines=docker, history=history, metrics=metrics).run())
    try:
        yield metrics
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


# The stream


async def test_events_come_as_they_happen_with_code_and_signal(
    docker: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    container = run_container("told-live", IDLE)
    seen = asyncio.create_task(first(docker, full_id(container), "kill"))
    await asyncio.to_thread(proxy.wait_for_request, of_events, seconds=15)
    await asyncio.to_thread(container.kill, "TERM")
    told = await seen
    assert told.event.signal == 15
    assert abs(told.event.at - datetime.now(UTC)) < timedelta(seconds=10)


async def test_what_happened_before_is_told_first(docker: DockerEngine, run_container: RunContainer) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    container = run_container("told-late", "exit 3")
    await asyncio.to_thread(container.wait)
    died = await first(docker, full_id(container), "die", since=before)
    assert died.event.exit_code == 3


async def test_closing_ends_the_request_and_its_thread(
    docker: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    container = run_container("told-closing", IDLE)
    await first(docker, full_id(container), "start", since=datetime.now(UTC) - timedelta(seconds=30))
    await until_true(lambda: all(thread.name != "docker-follow" for thread in threading.enumerate()))


async def test_a_quiet_stream_ends_and_is_no_failure(
    docker: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_engine, "QUIET_SECONDS", 0.2)
    async with asyncio.timeout(10), contextlib.aclosing(docker.watch("here", since=None)) as stream:
        async for _ in stream:
            pass


@pytest.mark.parametrize("status", [403, 500])
async def test_a_refusal_is_told(docker: DockerEngine, proxy: DockerEngineProxy, status: int) -> None:
    proxy.answer(of_events, status=status, body=b'{"message": "no events for you"}')
    kind = errors.EdgeUnavailable if status == 500 else errors.EdgeRejected
    with pytest.raises(kind, match=rf"following events on here: answered {status} no events for you"):
        async for _ in docker.watch("here", since=None):
            pass


@pytest.mark.parametrize("body", [b"<html>\n", b"[]\n", b'{"Actor": {}}\n', b"{}\n", b"\xff\xfe\n"])
async def test_nonsense_is_unavailable(docker: DockerEngine, proxy: DockerEngineProxy, body: bytes) -> None:
    proxy.answer(of_events, body=body)
    with pytest.raises(errors.EdgeUnavailable, match="cannot be understood"):
        async for _ in docker.watch("here", since=None):
            pass


async def test_away_is_unavailable() -> None:
    docker = DockerEngine(
        [DockerHost(name="here", url="unix:///nonexistent/docker.sock", timeout_seconds=0.5)]
    )
    with pytest.raises(errors.EdgeUnavailable):
        async for _ in docker.watch("here", since=None):
            pass


# What is kept


def told(number: int, *, container_id: str = "a" * 64, seconds: float = 0.0) -> ToldEvent:
    at = START + timedelta(seconds=seconds, microseconds=number)
    return ToldEvent(container_id=container_id, event=EngineEvent(id="", at=at, action="die", exit_code=137))


async def test_the_same_event_from_two_replicas_is_kept_once(history: StoredEngineEvents) -> None:
    for _ in range(2):
        await history.keep("here", [told(1), told(2), told(3, container_id="b" * 64)])
    assert await history.events("here", "a" * 64) == [
        replace(told(1).event, id="E1"),
        replace(told(2).event, id="E2"),
    ]
    assert await history.heard_until("here") == told(3).event.at
    assert await history.events("elsewhere", "a" * 64) == []
    assert await history.heard_until("elsewhere") is None


async def test_only_an_hour_and_so_many_events_are_kept(history: StoredEngineEvents, redis_url: str) -> None:
    await history.keep("here", [told(0)])
    await history.keep("here", [told(n, seconds=3700) for n in range(MOST_EVENTS + 50)])
    found = await history.events("here", "a" * 64)
    assert len(found) == MOST_EVENTS
    assert found[0].at == told(50, seconds=3700).event.at
    store = Store(redis_url)
    assert 0 < await store.command("TTL", key(f"engine:here/{'a' * 64}")) <= 3600
    await store.close()


async def test_every_event_of_a_busy_host_is_kept_though_the_daemon_forgets(
    engine: parts.DockerEngine,
    docker: DockerEngine,
    proxy: DockerEngineProxy,
    history: StoredEngineEvents,
    run_container: RunContainer,
) -> None:
    """It keeps 256 events over everything, and each look of a health check is three of them."""
    async with watching(docker, history), watching(docker, history):
        await asyncio.to_thread(proxy.wait_for_request, of_events, seconds=15)
        container = await asyncio.to_thread(run_container, "told-busy", IDLE)
        await kept(history, full_id(container), 1)

        def fill_the_daemons_memory() -> None:
            for _ in range(260):
                engine.client.api.exec_create(full_id(container), ["true"])

        await asyncio.to_thread(fill_the_daemons_memory)
        assert "start" not in [e.action for e in await docker.events("here", full_id(container), seconds=600)]
        found = await kept(history, full_id(container), 1)
    assert [event.action for event in found] == ["start"]


async def test_what_happens_while_the_engine_is_out_of_reach_is_caught_up(
    docker: DockerEngine, proxy: DockerEngineProxy, history: StoredEngineEvents, run_container: RunContainer
) -> None:
    container = run_container("told-gap", IDLE)
    async with watching(docker, history) as metrics:
        await asyncio.to_thread(proxy.wait_for_request, of_events, seconds=15)
        await asyncio.to_thread(container.kill)
        await kept(history, full_id(container), 3)
        with proxy.refusing_connections():
            await asyncio.to_thread(container.start)
        found = await kept(history, full_id(container), 4)
        assert [event.action for event in found] == ["start", "kill", "die", "start"]
        lost = metrics.registry.get_sample_value("hemostat_edge_errors_total", {"edge": "docker"})
        assert lost is not None
        assert lost >= 1


async def test_a_store_that_is_away_loses_nothing_either(
    docker: DockerEngine, start_redis: Callable[..., parts.RedisServer], run_container: RunContainer
) -> None:
    server = await asyncio.to_thread(start_redis)
    store = Store(server.url)
    history = StoredEngineEvents(store)
    container = run_container("told-store", IDLE)
    async with watching(docker, history):
        await asyncio.to_thread(container.kill)
        await kept(history, full_id(container), 3)
        await asyncio.to_thread(server.pause)
        await asyncio.to_thread(container.start)
        await asyncio.to_thread(server.resume)
        await kept(history, full_id(container), 4)
    await store.close()


# What evidence is made of


def test_of_both_sources_each_event_comes_once_in_order_and_the_newest_hundred() -> None:
    daemon = [replace(told(n).event, id=f"E{n}") for n in range(100, 140)]
    ours = [replace(told(n).event, id=f"E{n}") for n in range(120)]
    found = merged(daemon, ours)
    assert [event.at for event in found] == [told(n).event.at for n in range(40, 140)]
    assert [event.id for event in found] == [f"E{n}" for n in range(1, 101)]
