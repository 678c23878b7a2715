"""What a real Engine tells of a container's past: starts, ends, signals, and a stop under way."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from bridge.edges.docker_engine import DockerEngine
from bridge.model.evidence import Evidence
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import VerdictKind
from bridge.triage import rules
from tests.integration.edges.docker_engine.containers import DEAF, IDLE, RunContainer, full_id, inspected
from tests.waiting import until


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
