"""The end of a container's log, and of its health checks' log, read from a real Engine: newest lines, bounded, dated."""

from __future__ import annotations

from datetime import timedelta

from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine
from tests.integration.edges.docker_engine.containers import IDLE, RunContainer, full_id, health_of
from tests.waiting import until_true


async def test_lines_of_an_earlier_run_can_be_told_apart(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    """A log outlives a restart: each line has its time, so that old trouble does not speak for the new run."""
    container = run_container("dated", "trap 'exit 0' TERM; echo run; while :; do sleep 0.05; done")
    await until_true(lambda: b"run" in container.logs())  # from here on it ends when it is told to
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
