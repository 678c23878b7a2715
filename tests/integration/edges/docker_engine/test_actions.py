"""Restart and start: what they do to a container, how long they may take, and what a lost request or reply leaves."""

from __future__ import annotations

import asyncio

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine
from tests.integration.edges.docker_engine.containers import (
    DEAF,
    IDLE,
    TIMEOUT_SECONDS,
    RunContainer,
    full_id,
    inspected,
)
from tests.servers.docker_engine import DockerEngineProxy
from tests.waiting import until_true


async def test_restart_replaces_the_process_and_starts_a_stopped_one(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    container = run_container("restarted", IDLE)
    before = await inspected(docker, "restarted")
    await docker.restart("here", before.id)
    after = await inspected(docker, "restarted")
    assert before.started_at is not None
    assert after.started_at is not None
    assert after.started_at > before.started_at
    container.stop()
    await docker.restart("here", before.id)
    assert (await inspected(docker, "restarted")).running


async def test_restart_honours_the_containers_own_stop_timeout(
    docker: DockerEngine, engine: parts.DockerEngine, run_container: RunContainer
) -> None:
    made = engine.client.api.create_container(
        parts.IMAGE,
        ["sh", "-c", DEAF],
        name="stubborn",
        stop_timeout=1,
        host_config=engine.client.api.create_host_config(network_mode="none"),
    )
    try:
        engine.client.api.start(made["Id"])
        assert (await inspected(docker, "stubborn")).stop_timeout_seconds == 1.0
        await docker.restart("here", made["Id"])
        kills = [event for event in await docker.events("here", made["Id"], seconds=30) if event.signal]
        assert [event.signal for event in kills] == [15, 9]
        # By the Engine's own clock, whatever else this machine is busy with; Docker's default would be ten.
        assert 0.9 < (kills[1].at - kills[0].at).total_seconds() < 5
    finally:
        engine.client.api.remove_container(made["Id"], force=True)


async def test_restart_outlasts_the_hosts_timeout(
    through: DockerEngine, engine: parts.DockerEngine, proxy: DockerEngineProxy
) -> None:
    """The container's stop timeout is the longer one."""
    made = engine.client.api.create_container(
        parts.IMAGE,
        ["sh", "-c", DEAF],
        name="slow-to-stop",
        stop_timeout=round(TIMEOUT_SECONDS) + 1,
        host_config=engine.client.api.create_host_config(network_mode="none"),
    )
    try:
        engine.client.api.start(made["Id"])
        await through.restart("here", made["Id"])
        assert [request.query for request in proxy.requests if request.is_action("restart")] == [""]
    finally:
        engine.client.api.remove_container(made["Id"], force=True)


async def test_start_of_a_running_container_changes_nothing(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    known = full_id(run_container("running", IDLE))
    before = await inspected(docker, "running")
    await docker.start("here", known)
    assert (await inspected(docker, "running")).started_at == before.started_at


async def test_start_of_a_stopped_container_runs_it(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    container = run_container("stopped", IDLE)
    container.stop()
    await docker.start("here", full_id(container))
    assert (await inspected(docker, "stopped")).running


async def test_an_action_that_could_not_be_sent_in_time_is_never_sent(
    through: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    known = full_id(run_container("late", IDLE))
    held = proxy.hang(lambda request: request.is_action("restart"))
    sent = [asyncio.create_task(through.restart("here", known)) for _ in range(4)]
    await until_true(lambda: sum(request.is_action("restart") for request in proxy.requests) == 4)
    with pytest.raises(errors.EdgeUnavailable, match="not sent"):
        await through.start("here", known)
    held.release()
    await asyncio.gather(*sent)
    assert not any(request.is_action("start") for request in proxy.requests)


async def test_lost_reply_of_a_restart_is_unavailable_and_it_happened(
    through: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    known = full_id(run_container("in-doubt", IDLE))
    before = await inspected(through, "in-doubt")
    reply = proxy.hold_reply(lambda request: request.is_action("restart"))
    restarting = asyncio.create_task(through.restart("here", known))
    await asyncio.to_thread(reply.wait_until_reached, seconds=10)
    reply.drop()
    with pytest.raises(errors.EdgeUnavailable):
        await restarting
    after = await inspected(through, "in-doubt")
    assert before.started_at is not None
    assert after.started_at is not None
    assert after.started_at > before.started_at
    assert "restart" in [event.action for event in await through.events("here", known, seconds=60)]


async def test_request_lost_on_the_way_did_not_happen(
    through: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    known = full_id(run_container("not-reached", IDLE))
    before = await inspected(through, "not-reached")
    held = proxy.hold_before(lambda request: request.is_action("restart"))
    restarting = asyncio.create_task(through.restart("here", known))
    await asyncio.to_thread(held.wait_until_reached, seconds=10)
    held.drop()
    with pytest.raises(errors.EdgeUnavailable):
        await restarting
    assert (await inspected(through, "not-reached")).started_at == before.started_at


async def test_restart_of_a_gone_container_is_rejected(docker: DockerEngine) -> None:
    with pytest.raises(errors.EdgeRejected) as refused:
        await docker.restart("here", "a" * 64)
    assert refused.value.status == 404
