"""The facts of a container as it is looked at: what a real Engine knows of it, and None for what it does not."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import pytest

from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine
from bridge.model.evidence import ContainerStatus, Health
from tests.integration.edges.docker_engine.containers import IDLE, RunContainer, full_id, health_of, inspected
from tests.servers.docker_engine import DockerEngineProxy
from tests.waiting import until_true


async def test_inspect_gives_the_facts(docker: DockerEngine, run_container: RunContainer) -> None:
    check = parts.Healthcheck(command="echo fine", start_period_seconds=7)
    container = run_container(
        "facts-web",
        IDLE,
        labels={"hemostat.enable": "true"},
        healthcheck=check,
        restart="on-failure:3",
        stop_signal="KILL",
    )
    facts = await inspected(docker, "facts-web")
    assert facts.id == full_id(container)
    assert (facts.host, facts.name, facts.status) == ("here", "facts-web", ContainerStatus.RUNNING)
    assert facts.health in (Health.STARTING, Health.HEALTHY)
    assert facts.failing_streak == 0
    assert (facts.start_period_seconds, facts.stop_timeout_seconds) == (7.0, 10.0)
    assert facts.restart_policy == "on-failure"
    assert facts.labels == {"hemostat.enable": "true"}
    assert facts.image == parts.IMAGE
    assert facts.image_id.startswith("sha256:")
    assert (facts.exit_code, facts.finished_at, facts.oom_killed) == (None, None, False)
    assert facts.uptime_seconds is not None
    assert 0 <= facts.uptime_seconds < 10


async def test_what_is_not_known_is_none(docker: DockerEngine, engine: parts.DockerEngine) -> None:
    made = engine.client.containers.create(parts.IMAGE, ["true"], name="never-run", network_mode="none")
    try:
        facts = await inspected(docker, "never-run")
    finally:
        made.remove()
    assert facts.status is ContainerStatus.CREATED
    assert (facts.started_at, facts.finished_at, facts.uptime_seconds) == (None, None, None)
    assert (facts.health, facts.failing_streak, facts.exit_code) == (Health.NONE, None, None)


@pytest.mark.parametrize(
    ("given", "cores", "memory"),
    [
        ({"nano_cpus": 1_500_000_000, "mem_limit": "64m"}, 1.5, 64 * 1024 * 1024),
        ({"cpu_quota": 50_000}, 0.5, None),
        ({"cpu_quota": 50_000, "cpu_period": 200_000}, 0.25, None),
        ({}, None, None),
    ],
    ids=["cpus", "quota", "quota and period", "none"],
)
async def test_limits_are_its_own_and_the_hosts_stand_beside_them(
    docker: DockerEngine,
    engine: parts.DockerEngine,
    given: dict[str, Any],
    cores: float | None,
    memory: int | None,
) -> None:
    made = engine.client.containers.create(
        parts.IMAGE, ["true"], name="limited", network_mode="none", **given
    )
    try:
        facts = await inspected(docker, "limited")
    finally:
        made.remove()
    assert (facts.cpu_limit_cores, facts.memory_limit_bytes) == (cores, memory)
    assert facts.host_cpu_cores == os.cpu_count()
    assert facts.host_memory_bytes is not None
    assert facts.host_memory_bytes > 64 * 1024 * 1024


async def test_an_ended_container_has_its_exit_code(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    container = run_container("ended", "exit 3")
    container.wait()
    facts = await inspected(docker, "ended")
    assert (facts.status, facts.exit_code) == (ContainerStatus.EXITED, 3)
    assert facts.finished_at is not None
    assert facts.running is False


async def test_hosts_clock_is_read_once_for_many_looks(
    through: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    run_container("clocked", IDLE)
    first, second = await inspected(through, "clocked"), await inspected(through, "clocked")
    assert first.host_now is not None
    assert second.host_now is not None
    assert first.host_now < second.host_now <= datetime.now(UTC)
    assert [request.path for request in proxy.requests].count("/info") == 1


async def test_without_the_hosts_clock_the_age_is_unknown(
    through: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    run_container("no-clock", IDLE)
    proxy.answer(lambda request: request.path == "/info", status=500)
    facts = await inspected(through, "no-clock")
    assert (facts.host_now, facts.uptime_seconds) == (None, None)


async def test_list_shows_all_containers_as_far_as_a_list_knows(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    run_container("listed-ended", "exit 4").wait()
    sick = run_container(
        "listed-sick", IDLE, healthcheck=parts.Healthcheck(command="false", interval_seconds=0.1, retries=1)
    )
    await until_true(lambda: health_of(sick)["Status"] == "unhealthy")
    listed = {facts.name: facts for facts in await docker.list("here")}
    ended, unhealthy = listed["listed-ended"], listed["listed-sick"]
    assert (ended.status, ended.exit_code, ended.health) == (ContainerStatus.EXITED, 4, Health.NONE)
    assert (unhealthy.status, unhealthy.health) == (ContainerStatus.RUNNING, Health.UNHEALTHY)
    assert (unhealthy.started_at, unhealthy.failing_streak, unhealthy.oom_killed) == (None, None, None)
    assert unhealthy.id == full_id(sick)
