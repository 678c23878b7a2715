"""The Docker edge on a real Engine, and on one that is away, slow, refuses or talks nonsense (a proxy before it)."""

from __future__ import annotations

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from blockbuster import blockbuster_ctx
from docker.models.containers import Container

from bridge import errors
from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine, DockerHost, DockerTLS
from bridge.edges.docker_engine.connection import READS_AT_ONCE
from bridge.model.evidence import ContainerFacts, ContainerStatus, Evidence, Health
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import VerdictKind
from bridge.triage import rules
from tests.servers.docker_engine import DockerEngineProxy
from tests.waiting import until, until_true

RunContainer = Callable[..., Container]

ROOT = Path(__file__).parents[3]
TIMEOUT_SECONDS = 2.0
"""Of the edge behind the proxy: some tests wait for it, in others a busy machine must answer within it."""

IDLE = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; while :; do sleep 0.05; done"


@pytest.fixture
async def docker(engine: parts.DockerEngine) -> AsyncIterator[DockerEngine]:
    """The edge on the shared Engine, under the name `here`; a blocking call on the loop raises."""
    edge = DockerEngine([DockerHost(name="here", url=engine.url)])
    with blockbuster_ctx("bridge.edges"):
        yield edge
    await edge.close()


@pytest.fixture
def proxy(engine: parts.DockerEngine) -> Iterator[DockerEngineProxy]:
    with DockerEngineProxy(engine.url) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: DockerEngineProxy) -> AsyncIterator[DockerEngine]:
    """The edge behind the proxy, with a short timeout."""
    edge = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=TIMEOUT_SECONDS)])
    yield edge
    await edge.close()


async def inspected(edge: DockerEngine, ref: str) -> ContainerFacts:
    facts = await edge.inspect("here", ref)
    assert facts is not None
    return facts


def health_of(container: Container) -> dict[str, Any]:
    container.reload()
    health: dict[str, Any] = container.attrs["State"]["Health"]
    return health


def full_id(container: Container) -> str:
    assert container.id is not None
    return container.id


# What it sees


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


@pytest.mark.parametrize(
    "ref", ["nonesuch", "", "../../info", "a/../../info", "web?x=1", "%2e%2e", "f" * 64, "f" * 300]
)
async def test_what_is_not_there_is_none(docker: DockerEngine, ref: str) -> None:
    assert await docker.inspect("here", ref) is None


async def test_found_by_name_id_and_long_enough_prefix(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    known = full_id(run_container("by-name", IDLE))
    for ref in ("by-name", "/by-name", known, known[:12], known[:40]):
        assert (await inspected(docker, ref)).id == known
    assert await docker.inspect("here", known[:11]) is None
    assert await docker.inspect("here", "by-nam") is None


async def test_a_name_that_looks_like_an_id_selects_nothing(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    """Docker prefers the name: asked for the id of one container it would give the other."""
    victim = full_id(run_container("look-alike", IDLE))
    run_container(victim[:12], IDLE)
    with pytest.raises(errors.EdgeRejected) as refused:
        await docker.inspect("here", victim[:12])
    assert refused.value.status == 409
    assert (await inspected(docker, victim)).name == "look-alike"


async def test_a_hexadecimal_name_is_a_name(docker: DockerEngine, run_container: RunContainer) -> None:
    run_container("deadbeefcafe", IDLE)
    assert (await inspected(docker, "deadbeefcafe")).name == "deadbeefcafe"


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


async def test_find_service_gives_running_containers_first(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    service = {"com.docker.swarm.service.name": "shop_api"}
    ended = run_container("shop-api.1", "exit 1", labels=service)
    ended.wait()
    running = run_container("shop-api.2", IDLE, labels=service)
    ended_too = run_container("shop-api.3", "exit 1", labels=service)
    ended_too.wait()
    run_container("other.1", IDLE, labels={"com.docker.swarm.service.name": "shop_api2"})
    found = await docker.find_service("here", "shop_api")
    assert found[0].id == full_id(running)
    assert {each.id for each in found} == {full_id(container) for container in (ended, running, ended_too)}
    assert await docker.find_service("here", 'none"}') == ()


# What it reads


async def test_lines_of_an_earlier_run_can_be_told_apart(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    """A log outlives a restart: each line has its time, so that old trouble does not speak for the new run."""
    container = run_container("dated", f"echo run; {IDLE}")
    await docker.restart("here", full_id(container))
    await until_true(lambda: container.logs().count(b"run") == 2)
    facts = await docker.inspect("here", "dated")
    assert facts is not None
    assert facts.started_at is not None
    first, second = await docker.log_tail("here", full_id(container), lines=10)
    assert first.at is not None
    assert second.at is not None
    assert first.at < facts.started_at - timedelta(milliseconds=1)
    assert second.at > facts.started_at - timedelta(seconds=1)


async def test_log_tail_reads_both_streams(docker: DockerEngine, run_container: RunContainer) -> None:
    script = "echo one; echo; echo two >&2; printf 'a\\377b\\n'; head -c 3000 /dev/zero | tr '\\0' x; echo; printf last"
    container = run_container("talker", script)
    container.wait()
    lines = await docker.log_tail("here", full_id(container), lines=10)
    assert sorted(line.text for line in lines if len(line.text) < 10) == sorted(
        ["one", "two", "a\ufffdb", "last"]
    )
    assert max(len(line.text) for line in lines) == 3000
    assert [line.id for line in lines] == ["L1", "L2", "L3", "L4", "L5"]
    assert [line.text for line in await docker.log_tail("here", full_id(container), lines=1)] == ["last"]
    assert await docker.log_tail("here", full_id(container), lines=0) == ()


async def test_log_of_a_terminal_is_read(docker: DockerEngine, run_container: RunContainer) -> None:
    container = run_container("terminal", "echo one; echo two", tty=True)
    container.wait()
    lines = await docker.log_tail("here", full_id(container), lines=10)
    assert [line.text for line in lines] == ["one", "two"]


async def test_log_keeps_the_newest_96_kib(docker: DockerEngine, run_container: RunContainer) -> None:
    script = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); printf '%0400d\\n' $i; done"
    container = run_container("chatty", script)
    container.wait()
    lines = await docker.log_tail("here", full_id(container), lines=5000)
    assert sum(len(line.text) for line in lines) <= 96 * 1024
    assert int(lines[-1].text) == 300
    assert len(lines) == 245


async def test_unreadable_log_is_empty(docker: DockerEngine, run_container: RunContainer) -> None:
    container = run_container("unlogged", "echo one", log_config={"Type": "none"})
    container.wait()
    assert await docker.log_tail("here", full_id(container), lines=10) == ()


async def test_health_log_says_how_each_check_ended(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    check = parts.Healthcheck(command="echo no luck; echo at all; exit 7", interval_seconds=0.1)
    container = run_container("checked", IDLE, healthcheck=check)
    await until_true(lambda: health_of(container)["FailingStreak"] > 1)
    lines = await docker.health_log("here", full_id(container))
    assert [line.id for line in lines[:2]] == ["H1", "H2"]
    assert {line.text for line in lines} == {"exit 7: no luck | at all"}


async def test_without_a_health_check_its_log_is_empty(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    assert await docker.health_log("here", full_id(run_container("unchecked", IDLE))) == ()


async def test_events_tell_a_restart(docker: DockerEngine, run_container: RunContainer) -> None:
    container, other = run_container("eventful", "exit 5"), run_container("bystander", IDLE)
    container.wait()
    await docker.restart("here", full_id(container))
    container.wait()
    await docker.restart("here", full_id(other))
    events = await docker.events("here", full_id(container), seconds=60)
    assert [event.action for event in events] == ["start", "die", "start", "restart", "die"] or [
        event.action for event in events
    ] == ["start", "die", "start", "die", "restart"]
    assert [event.id for event in events] == ["E1", "E2", "E3", "E4", "E5"]
    assert {event.exit_code for event in events if event.action == "die"} == {5}
    assert {event.signal for event in await docker.events("here", full_id(other), seconds=60)} == {None, 15}
    assert await docker.events("here", full_id(container), seconds=0) == ()
    assert all(abs(datetime.now(UTC) - event.at).total_seconds() < 60 for event in events)


async def test_a_label_makes_no_event_unreadable(docker: DockerEngine, run_container: RunContainer) -> None:
    """Docker writes labels over what an event says by itself: that is why ``bridge.evidence`` believes neither."""
    container = run_container("labelled", IDLE, labels={"signal": "1", "exitCode": "hunter2"})
    container.kill()
    container.wait()
    events = await docker.events("here", full_id(container), seconds=60)
    assert [(event.action, event.signal, event.exit_code) for event in events if event.action != "start"] == [
        ("kill", 1, None),
        ("die", 1, None),
    ]


async def test_a_restart_that_meets_a_stop_under_way_undoes_it(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    """That is why rule ``being_stopped`` waits. Of the stop its ``kill`` is told at once."""
    container = run_container("stopping", DEAF)
    facts = await inspected(docker, "stopping")
    stop = asyncio.create_task(asyncio.to_thread(container.stop, timeout=6))

    async def asked_to_end() -> bool:
        events = await docker.events("here", facts.id, seconds=60)
        return [event.action for event in events] == ["start", "kill"]

    await until(asked_to_end, seconds=6)
    events = await docker.events("here", facts.id, seconds=60)
    evidence = Evidence(collected_at=datetime.now(UTC), container=facts, events=tuple(events))
    verdict = rules.judge(evidence, policy=TargetPolicy(), alert_names=["Slow"], now=datetime.now(UTC))
    assert (verdict.kind, verdict.rule) == (VerdictKind.WAIT, "being_stopped")
    await docker.restart("here", facts.id)
    await stop
    assert (await inspected(docker, "stopping")).running


# What it does


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


@pytest.mark.parametrize("ref", ["by-name-only", "abcdef012345", "../info", "A" * 64])
async def test_only_a_full_id_can_be_acted_on(docker: DockerEngine, ref: str) -> None:
    with pytest.raises(errors.EdgeRejected):
        await docker.restart("here", ref)


async def test_a_container_named_like_an_id_is_not_acted_on(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    """The container with this id is gone; another one that took the id as its name is not touched."""
    run_container("ab" * 32, IDLE)
    with pytest.raises(errors.EdgeRejected) as refused:
        await docker.restart("here", "ab" * 32)
    assert refused.value.status == 404


# The unhappy four


@pytest.mark.parametrize(
    "url",
    ["unix:///nonexistent/docker.sock", "tcp://127.0.0.1:1", "unix:///dev/null"],
    ids=["no-socket", "refused", "no-server"],
)
async def test_away(url: str) -> None:
    edge = DockerEngine([DockerHost(name="here", url=url, timeout_seconds=1)])
    for call in (
        edge.list("here"),
        edge.inspect("here", "web"),
        edge.restart("here", "a" * 64),
        edge.ping("here"),
    ):
        with pytest.raises(errors.EdgeUnavailable, match=r"^docker: .*here"):
            await call
    await edge.close()


async def test_comes_back_by_itself(
    through: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    known = full_id(run_container("returning", IDLE))
    assert (await inspected(through, "returning")).id == known
    with proxy.refusing_connections():
        with pytest.raises(errors.EdgeUnavailable):
            await through.inspect("here", "returning")
    facts = await inspected(through, "returning")
    assert facts.id == known
    assert facts.host_now is not None


async def test_a_hanging_host_delays_nobody_else(
    engine: parts.DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    run_container("unharmed", IDLE)
    held = proxy.hang()
    hosts = [
        DockerHost(name="sick", url=proxy.url, timeout_seconds=60),
        DockerHost(name="here", url=engine.url),
    ]
    edge = DockerEngine(hosts)
    waiting = [asyncio.create_task(edge.inspect("sick", "web")) for _ in range(30)]
    await asyncio.to_thread(proxy.wait_for_request, lambda request: True, seconds=15)
    assert (await inspected(edge, "unharmed")).running
    assert not any(task.done() for task in waiting)
    held.drop()
    await edge.close()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_calls_to_a_hanging_host_end_together_and_not_one_after_the_other(
    through: DockerEngine, proxy: DockerEngineProxy
) -> None:
    """What waits for a free place waits as long as a call may take, and is then never sent."""
    proxy.hang()
    waiting = [through.inspect("here", "web") for _ in range(30)]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {errors.EdgeUnavailable}
    assert sum("not sent" in str(answer) for answer in answers) >= 30 - 2 * READS_AT_ONCE
    assert len(proxy.requests) <= 2 * READS_AT_ONCE


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


async def test_a_hanging_host_does_not_keep_the_process_from_ending(proxy: DockerEngineProxy) -> None:
    proxy.hang()
    script = (
        "import asyncio, sys\nfrom bridge.edges.docker_engine import DockerEngine, DockerHost\n"
        "async def main():\n"
        "    edge = DockerEngine([DockerHost(name='here', url=sys.argv[1], timeout_seconds=60)])\n"
        "    asyncio.create_task(edge.list('here')); await asyncio.to_thread(sys.stdin.read); await edge.close()\n"
        "asyncio.run(main())"
    )
    argv = [sys.executable, "-c", script, proxy.url]
    child = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE, cwd=ROOT)
    await asyncio.to_thread(proxy.wait_for_request, lambda request: True, seconds=20)
    assert child.stdin is not None
    child.stdin.close()
    assert await asyncio.wait_for(child.wait(), 20) == 0  # of the 60 s that the call has


async def test_dripping_answer_ends_at_the_deadline(through: DockerEngine, proxy: DockerEngineProxy) -> None:
    await through.ping("here")
    proxy.answer_slowly(lambda request: request.path == "/containers/json", piece=b" ", every_seconds=0.1)
    patient = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=60)])
    waiting = asyncio.create_task(patient.list("here"))
    with pytest.raises(errors.EdgeUnavailable):
        await through.list("here")
    assert not waiting.done()
    waiting.cancel()
    await patient.close()


async def test_a_log_takes_a_second_at_most(
    engine: parts.DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    container = run_container("slow-log", "echo one")
    edge = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=60)])
    await edge.ping("here")
    held = proxy.hang(lambda request: request.path.endswith(("/logs", "/containers/json")))
    waiting = asyncio.create_task(edge.list("here"))
    with pytest.raises(errors.EdgeUnavailable, match=r"no answer within 0\.8 s|read timeout=0\.[67]"):
        await edge.log_tail("here", full_id(container), lines=10)
    assert not waiting.done()
    held.drop()
    waiting.cancel()
    await edge.close()


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


async def test_a_hosts_own_authority_counts_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests would let REQUESTS_CA_BUNDLE replace the CA of the host."""
    ours = await asyncio.to_thread(certificate, tmp_path / "ours")
    foreign = await asyncio.to_thread(certificate, tmp_path / "foreign")
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secure.load_cert_chain(*ours)

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"Version": "1", "ApiVersion": "1.41"})

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=secure)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(foreign[0]))
    url = f"tcp://127.0.0.1:{server.port}"
    trusted, distrusted = (
        DockerEngine(
            [DockerHost(name="here", url=url, timeout_seconds=10, tls=DockerTLS(ca_file=str(pair[0])))]
        )
        for pair in (ours, foreign)
    )
    assert (await trusted.ping("here")).engine == "1"
    with pytest.raises(errors.EdgeUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await distrusted.ping("here")
    foreign[0].write_bytes(ours[0].read_bytes())  # a renewed authority counts from the next connection
    assert (await distrusted.ping("here")).engine == "1"
    await trusted.close()
    await distrusted.close()
    await server.close()


def certificate(path: Path) -> tuple[Path, Path]:
    """A certificate of its own authority for loopback, and its key."""
    pair = path.with_suffix(".pem"), path.with_suffix(".key")
    openssl = parts.find_program("openssl", package="openssl")
    argv = [
        openssl,
        "req",
        "-x509",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-days",
        "2",
        "-subj",
        f"/CN={path.name}",
    ]
    names: list[str | Path] = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", pair[0], "-keyout", pair[1]]
    subprocess.run([*argv, *names], check=True, capture_output=True)
    return pair


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


async def test_refusals_are_told_apart(
    through: DockerEngine, proxy: DockerEngineProxy, run_container: RunContainer
) -> None:
    known = full_id(run_container("refused", IDLE))
    body = b'{"message": "' + b"x" * 5000 + b'"}'
    kinds = {
        500: errors.EdgeUnavailable,
        503: errors.EdgeUnavailable,
        409: errors.EdgeRejected,
        403: errors.EdgeRejected,
    }
    for status, kind in kinds.items():
        rule = proxy.answer(lambda request: request.is_action("restart"), status=status, body=body)
        with pytest.raises(errors.EdgeError) as refused:
            await through.restart("here", known)
        assert type(refused.value) is kind
        assert f"restart of {known} on here: answered {status} xxx" in str(refused.value)
        assert len(str(refused.value)) < 450
        proxy.forgive(rule)


async def test_restart_of_a_gone_container_is_rejected(docker: DockerEngine) -> None:
    with pytest.raises(errors.EdgeRejected) as refused:
        await docker.restart("here", "a" * 64)
    assert refused.value.status == 404


NONSENSE = [b"", b"<html>", b"[]", b"null", b"7", b'{"Id": 1}', b"\xff\xfe", b"[7]", b'[{"Id": "x"}]']


@pytest.mark.parametrize(
    ("path", "look", "bodies"),
    [
        ("/containers/sane/json", lambda edge, _: edge.inspect("here", "sane"), NONSENSE),
        ("/containers/json", lambda edge, _: edge.list("here"), [body for body in NONSENSE if body != b"[]"]),
        (
            "/events",
            lambda edge, known: edge.events("here", known, seconds=9),
            [body for body in NONSENSE if body],
        ),
        ("/logs", lambda edge, known: edge.log_tail("here", known, lines=5), [b"no frames", b"\x09" * 20]),
        ("/version", lambda edge, _: edge.ping("here"), [body for body in NONSENSE if body]),
    ],
    ids=["inspect", "list", "events", "logs", "version"],
)
async def test_nonsense_is_unavailable(
    through: DockerEngine,
    proxy: DockerEngineProxy,
    run_container: RunContainer,
    path: str,
    look: Callable[[DockerEngine, str], Awaitable[object]],
    bodies: list[bytes],
) -> None:
    known = full_id(run_container("sane", IDLE, stop_signal="KILL"))
    for body in bodies:
        rule = proxy.answer(lambda request: request.path.endswith(path), body=body)
        with pytest.raises(errors.EdgeUnavailable):
            await look(through, known)
        proxy.forgive(rule)


@pytest.mark.parametrize("body", [b"", b"[]", b'{"ApiVersion": "newest"}', b'{"ApiVersion": null}'])
async def test_a_host_that_is_no_engine_is_unavailable(body: bytes) -> None:
    with DockerEngineProxy() as proxy:
        proxy.answer(lambda request: True, body=body)
        edge = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=1)])
        with pytest.raises(errors.EdgeUnavailable):
            await edge.list("here")
        await edge.close()


@pytest.mark.parametrize(
    ("told", "spoken"),
    [
        ('{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}', "1.41"),
        ('{"ApiVersion": "1.52", "MinAPIVersion": "1.44"}', "1.45"),
    ],
    ids=["older", "newer"],
)
async def test_the_api_version_is_one_that_both_sides_know(told: str, spoken: str) -> None:
    with DockerEngineProxy() as proxy:
        proxy.answer(lambda request: request.path == "/version", body=f'{{"Version": "x",{told[1:]}'.encode())
        edge = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=1)])
        assert (await edge.ping("here")).spoken == spoken
        await edge.close()


async def test_ping_tells_the_versions(docker: DockerEngine, engine: parts.DockerEngine) -> None:
    version = await docker.ping("here")
    told = await asyncio.to_thread(engine.client.version)
    assert (version.engine, version.api) == (told["Version"], told["ApiVersion"])


async def test_unusable_settings_are_rejected_at_the_first_call() -> None:
    tls = DockerTLS(
        ca_file="/nonexistent/ca.pem", cert_file="/nonexistent/c.pem", key_file="/nonexistent/k.pem"
    )
    edge = DockerEngine([DockerHost(name="here", url="tcp://127.0.0.1:1", tls=tls)])
    with pytest.raises(errors.EdgeRejected, match="cannot be connected to"):
        await edge.list("here")


async def test_unknown_host_is_rejected(docker: DockerEngine) -> None:
    assert docker.hosts() == ("here",)
    with pytest.raises(errors.EdgeRejected, match="no Docker host named 'there'"):
        await docker.list("there")


def test_two_hosts_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        DockerEngine([DockerHost(name="a", url="unix:///a"), DockerHost(name="a", url="unix:///b")])
