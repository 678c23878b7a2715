"""A worker that died, or an answer that was lost: what was intended is settled by the facts and never done twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge import errors, evidence
from bridge.model.evidence import ContainerStatus, Health
from bridge.model.incident import Outcome, State, Target
from bridge.model.policy import VerifyPolicy
from bridge.model.refusal import Reason
from bridge.pipeline import deciding
from tests.integration.walking import Walk


async def test_an_engine_that_hung_gets_its_time_anew(walk: Walk) -> None:
    """It may still hold a call that it has not read: from its first answer on it has a whole stop timeout."""
    walk.policy(verify=VerifyPolicy(within_seconds=120, stable_for_seconds=0, relapse_watch_seconds=0))
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.away = True
    assert (await walk.turn(incident_id)).state is State.ACTING
    walk.docker.away = False
    assert (await walk.turn(incident_id)).state is State.ACTING
    assert walk.docker.actions == []
    walk.docker.started()
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.HEALED, [])


@pytest.mark.parametrize("state", [State.JUDGED, State.RESERVED, State.ACTING, State.VERIFYING])
async def test_a_worker_that_dies_leaves_an_incident_that_another_finishes(walk: Walk, state: State) -> None:
    """Whatever the state, the action happens exactly once in the end."""
    incident_id = await walk.alert()
    if state is State.JUDGED:
        held = await walk.claim(incident_id)
        found = await walk.docker.inspect("local", "web")
        assert found is not None
        where = evidence.Found(target=Target(host="local", name="web"), facts=found)
        await deciding.judge(
            walk.pipeline.desk, replace(held, incident=held.incident.found(where.target)), where
        )
        assert (await walk.written(incident_id)).state is State.JUDGED
    else:
        left = await walk.dies_while(state, incident_id)
        assert left.state is state
    if state is State.VERIFYING:
        walk.docker.started()
    incident = await walk.until_closed(incident_id)
    assert incident.outcome is Outcome.HEALED
    assert len(walk.docker.actions) == (0 if state is State.VERIFYING else 1)
    assert await walk.store.command("ZCARD", "{hemostat}:window:fleet") == 1


async def test_an_action_that_happened_before_the_crash_is_not_repeated(walk: Walk) -> None:
    """StartedAt differs from the intent: it happened."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.started()
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.HEALED, [])
    assert incident.repair is not None
    assert incident.repair.settled


async def test_a_half_done_restart_gets_its_missing_start(walk: Walk) -> None:
    """Stopped and never started, as some Engines leave it when their client dies: no second restart."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=137)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, [verb for verb, _ in walk.docker.actions]) == (Outcome.HEALED, ["start"])


async def test_what_a_deploy_stopped_and_renamed_meanwhile_is_not_started(walk: Walk) -> None:
    """To Docker it looks like half a restart; started again it would hold the port that the new one needs."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=137)
    walk.docker.rename("web", "0123456789ab_web")
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.refusals[-1].reason is Reason.TARGET_CHANGED


async def test_a_pause_does_not_leave_stopped_what_a_restart_of_ours_stopped(walk: Walk) -> None:
    """It begins nothing; what was begun before it is brought to its end."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=137)
    await walk.budgets.pause(by="ann", why="night", until=None)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, [verb for verb, _ in walk.docker.actions]) == (Outcome.HEALED, ["start"])


async def test_a_restart_that_did_not_happen_is_not_begun_again_in_a_pause(walk: Walk) -> None:
    """Nothing of it is under way: it would be a new one."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    await walk.budgets.pause(by="ann", why="night", until=None)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])


@pytest.mark.parametrize(
    "changed",
    [{"health": Health.HEALTHY}, {"status": ContainerStatus.PAUSED}],
    ids=["well again", "paused by a person"],
)
async def test_a_restart_that_did_not_happen_is_not_begun_again_where_it_is_not_as_it_was_judged(
    walk: Walk, changed: dict[str, Any]
) -> None:
    """Perhaps an hour later, after an outage of ours: what would have kept it from beginning keeps it from that too."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.change(**changed)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.refusals[-1].reason is Reason.TARGET_CHANGED


@pytest.mark.parametrize("gone", [True, False], ids=["removed", "recreated"])
async def test_a_container_that_changed_during_the_action_is_left_alone(walk: Walk, gone: bool) -> None:
    """The intent was about another container."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    if gone:
        walk.docker.containers.clear()
    else:
        walk.docker.change(id="f" * 64)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.FAILED, [])


async def test_an_answer_that_never_came_is_settled_by_the_facts(walk: Walk) -> None:
    """Docker restarted it, and the answer was lost: one restart, no second call."""
    walk.docker.break_action = [errors.EdgeUnavailable("docker", "cut")]
    incident_id = await walk.alert()
    assert (await walk.turn(incident_id)).state is State.ACTING
    walk.docker.started()
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, len(walk.docker.actions)) == (Outcome.HEALED, 1)


async def test_a_restart_that_did_not_happen_is_not_begun_again_for_an_alert_that_has_ended(
    walk: Walk,
) -> None:
    """It got well by itself while we were away."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    await walk.alert(ended=30)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.RESOLVED, [])


async def test_each_look_at_an_action_in_doubt_counts_from_the_first(walk: Walk) -> None:
    """Else Docker's time would never be over."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    held = await walk.claim(incident_id)
    assert held.incident.intent is not None
    intent = replace(held.incident.intent, unchanged_since=None, stop_timeout_seconds=60.0)
    await walk.journal.save(replace(held, incident=replace(held.incident, intent=intent)), None)
    looks = [(await walk.turn(incident_id)).intent for _ in range(2)]
    assert [look and look.unchanged_since for look in looks] == [looks[0] and looks[0].unchanged_since] * 2
    assert looks[0] is not None
    assert looks[0].unchanged_since is not None
