"""A firing that began before the last end of its alert is neither dropped nor trusted: it waits for what tells."""

from __future__ import annotations

from dataclasses import replace

from bridge.model.evidence import Health
from bridge.model.incident import Outcome, State
from bridge.model.policy import VerifyPolicy
from bridge.pipeline import deciding
from tests.integration.walking import FIRES, HOLDS_NO_MORE, NEVER_HAD_IT, Walk


async def after_a_resolved(walk: Walk) -> str:
    """An incident opened by a firing that began before the last end."""
    await walk.until_closed(await walk.alert())
    await walk.alert(ended=30)
    await walk.store.command("DEL", "{hemostat}:window:target:local/web")
    walk.docker.actions.clear()
    walk.docker.change(health=Health.UNHEALTHY)
    return await walk.alert()


async def opened_ago(walk: Walk, incident_id: str, seconds: float) -> None:
    """As if it had been opened so long ago, by the store's clock."""
    at = round((await walk.journal.now()).timestamp() * 1000 - seconds * 1000)
    await walk.store.command("HSET", f"{{hemostat}}:incident:{incident_id}", "opened", at, "suspected", at)


async def test_a_stale_firing_is_not_acted_on(walk: Walk) -> None:
    """Alertmanager does not list it, and its resolved comes."""
    incident_id = await after_a_resolved(walk)
    walk.alerts.view, walk.pipeline.desk.alerts = HOLDS_NO_MORE, walk.alerts
    assert (await walk.turn(incident_id)).state is State.WAITING
    await walk.alert(ended=30)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.RESOLVED, [])


async def test_a_firing_that_alertmanager_does_not_list_is_not_over_before_its_resolved_came(
    walk: Walk,
) -> None:
    """The one that is asked may have been restarted, or be cut off from Prometheus, and the other one of the cluster have
    sent it: then it fires."""
    incident_id = await after_a_resolved(walk)
    walk.alerts.view, walk.pipeline.desk.alerts = NEVER_HAD_IT, walk.alerts
    waiting = await walk.turn(incident_id)
    assert (waiting.state, walk.docker.actions) == (State.WAITING, [])
    walk.alerts.view = replace(FIRES, up_since=NEVER_HAD_IT.up_since)  # by now Prometheus told it, too
    await walk.turn(incident_id)
    assert [verb for verb, _ in walk.docker.actions] == ["restart"]


async def test_a_firing_that_stays_contradicted_is_told_to_a_human(walk: Walk) -> None:
    """It is neither dropped nor acted on: one of the two Alertmanagers is wrong, and nobody can say which."""
    incident_id = await after_a_resolved(walk)
    walk.alerts.view, walk.pipeline.desk.alerts = HOLDS_NO_MORE, walk.alerts
    await opened_ago(walk, incident_id, deciding.SUSPECT_HOLD_SECONDS + 1)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, incident.reason) == (Outcome.ESCALATED, deciding.CONTRADICTED)
    assert walk.docker.actions == []


async def test_its_true_twin_is_acted_on(walk: Walk) -> None:
    """Byte for byte the same, and Alertmanager says that it fires."""
    incident_id = await after_a_resolved(walk)
    walk.pipeline.desk.alerts = walk.alerts
    walk.policy(verify=VerifyPolicy(within_seconds=0.1, stable_for_seconds=0, relapse_watch_seconds=0))
    await walk.until_closed(incident_id)
    assert [verb for verb, _ in walk.docker.actions] == ["restart"]


async def test_a_suspect_firing_that_nobody_could_check_is_acted_on_when_its_resolved_would_have_come(
    walk: Walk,
) -> None:
    """It ends neither in silence nor in waiting for ever."""
    incident_id = await after_a_resolved(walk)
    await opened_ago(walk, incident_id, deciding.SUSPECT_HOLD_SECONDS + 1)
    await walk.until_closed(incident_id)
    assert [verb for verb, _ in walk.docker.actions] == ["restart"]


async def test_a_suspect_firing_waits_from_when_it_came(walk: Walk) -> None:
    """Its incident may have been open for long: nobody was at work, and the end came in between."""
    incident_id = await walk.alert()
    await opened_ago(walk, incident_id, deciding.SUSPECT_HOLD_SECONDS + 1)
    await walk.alert(ended=30)
    assert await walk.alert() == incident_id
    incident = await walk.turn(incident_id)
    assert (incident.state, walk.docker.actions) == (State.WAITING, [])


async def test_a_suspect_firing_that_nobody_can_check_waits(walk: Walk) -> None:
    """Neither dropped nor trusted."""
    incident_id = await after_a_resolved(walk)
    incident = await walk.turn(incident_id)
    assert (incident.state, walk.docker.actions) == (State.WAITING, [])
