"""Targets with their budgets, while Docker answers, answers late, refuses, or says nothing at all."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from bridge import app
from tests.integration.serving import Running
from tests.servers.docker_engine import DockerEngineProxy, is_inspect
from tests.waiting import until_true

NAMES = [f"web{n}" for n in range(12)]


@pytest.fixture
def engine() -> Iterator[DockerEngineProxy]:
    """No Engine is behind it: it answers as a test says."""
    with DockerEngineProxy() as proxy:
        proxy.answer(
            lambda request: request.path == "/version",
            body=b'{"Version": "20.10", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}',
        )
        yield proxy


@pytest.fixture
async def running(start: Callable[..., Awaitable[Running]], engine: DockerEngineProxy) -> Running:
    """A bridge that has looked at twelve targets on this host."""
    running = await start(docker_url=engine.url)
    words = [word for name in NAMES for word in (f"local/{name}", "{}")]
    await running.parts.store.command("HSET", "{hemostat}:targets", *words)
    return running


async def listed(running: Running) -> list[str]:
    """The names of all targets that are shown."""
    status, answer = await running.get("/api/v1/targets")
    assert status == 200
    return [target["name"] for target in answer["targets"]]


async def test_several_targets_are_asked_about_at_once(running: Running, engine: DockerEngineProxy) -> None:
    """But not all: the walk needs the same Engine."""
    rule = engine.hang(is_inspect)
    asking = asyncio.create_task(listed(running))
    await asyncio.to_thread(rule.wait_until_reached, seconds=10)

    def under_way() -> int:
        return len([request for request in engine.requests if is_inspect(request)])

    await until_true(lambda: under_way() >= app.TARGETS_AT_ONCE)
    assert under_way() == app.TARGETS_AT_ONCE
    rule.release()
    assert await asking == sorted(NAMES)


async def test_an_engine_that_hangs_holds_up_the_whole_list_no_longer_than_one_deadline(
    running: Running, engine: DockerEngineProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store knows is shown all the same."""
    monkeypatch.setattr(app, "TARGETS_SECONDS", 0.3)
    engine.hang(is_inspect)
    began = time.monotonic()
    assert await listed(running) == sorted(NAMES)
    assert time.monotonic() - began < running.parts.config.docker.hosts[0].timeout_seconds


async def test_an_engine_that_refuses_to_show_a_container_hides_no_other(
    running: Running, engine: DockerEngineProxy
) -> None:
    """Behind a socket proxy that allows little, or with a name that is the id of another."""
    engine.answer(is_inspect, status=403, body=b"{}")
    assert await listed(running) == sorted(NAMES)
    assert (await running.get("/api/v1/targets/local/web1"))[0] == 200
    assert (await running.get("/api/v1/targets/local/other"))[0] == 404


async def test_a_target_that_nobody_knows_is_not_reset(running: Running, engine: DockerEngineProxy) -> None:
    """Whoever mistypes a name must not believe that its budget is free again."""
    engine.answer(is_inspect, status=404, body=b'{"message": "No such container"}')
    for name, status in (("web1", 204), ("wbe1", 404)):
        async with running.client.post(f"/api/v1/targets/local/{name}/reset") as answer:
            assert answer.status == status
    async with running.client.post("/api/v1/targets/elsewhere/web1/reset") as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (404, "not_found")


async def test_targets_whose_containers_are_gone_are_looked_for_in_one_list(
    running: Running, engine: DockerEngineProxy
) -> None:
    """A store remembers each that ever was; a list of a busy host is dear."""
    engine.answer(lambda request: request.path == "/containers/json", body=b"[]")
    engine.answer(lambda request: request.path == "/info", body=b'{"SystemTime": "2026-11-20T12:00:00Z"}')
    engine.answer(is_inspect, status=404, body=b'{"message": "No such container"}')
    assert await listed(running) == sorted(NAMES)
    asked = [request for request in engine.requests if request.path == "/containers/json"]
    assert len(asked) == 1
