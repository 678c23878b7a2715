"""Did the repair help, and does it last: what Docker and Alertmanager say decides, and unknown is never a success."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.model.evidence import Health
from bridge.model.incident import Outcome, State
from bridge.model.policy import VerifyPolicy
from bridge.roles import AlertView
from tests.integration.walking import FIRES, HOLDS_NO_MORE, NEVER_HAD_IT, Walk


async def test_a_repair_that_does_not_help_is_not_healed(walk: Walk) -> None:
    """Facts bad at the deadline."""
    walk.docker.heals = False
    walk.policy(verify=VerifyPolicy(within_seconds=0.2, stable_for_seconds=0, relapse_watch_seconds=0))
    assert (await walk.until_closed(await walk.alert())).outcome is Outcome.NOT_HEALED


async def test_docker_away_during_verification_is_unverified_never_healed(walk: Walk) -> None:
    """Nobody could look."""
    walk.policy(verify=VerifyPolicy(within_seconds=0.2, stable_for_seconds=5, relapse_watch_seconds=0))
    incident_id = await walk.alert()
    await walk.turn(incident_id)
    walk.docker.away = True
    assert (await walk.until_closed(incident_id)).outcome is Outcome.UNVERIFIED


@pytest.mark.parametrize(
    ("view", "outcome"),
    [
        pytest.param(FIRES, Outcome.NOT_HEALED, id="fires"),
        pytest.param(replace(FIRES, told_seconds_ago=3600.0), Outcome.UNVERIFIED, id="old news"),
        pytest.param(HOLDS_NO_MORE, Outcome.UNVERIFIED, id="never listed it"),
        pytest.param(None, Outcome.UNVERIFIED, id="away"),
    ],
)
async def test_alertmanager_has_a_say_in_the_outcome(
    walk: Walk, view: AlertView | None, outcome: Outcome
) -> None:
    """A healthy container whose alert fires on is not healed; an Alertmanager that is silent, or that never had the alert
    because its twin did, leaves it unverified."""
    walk.policy(verify=VerifyPolicy(within_seconds=0.2, stable_for_seconds=0, relapse_watch_seconds=0))
    walk.alerts.view, walk.pipeline.desk.alerts = view, walk.alerts
    assert (await walk.until_closed(await walk.alert())).outcome is outcome


@pytest.mark.parametrize(
    ("view", "outcome"),
    [
        pytest.param(HOLDS_NO_MORE, Outcome.HEALED, id="the one that listed it"),
        pytest.param(NEVER_HAD_IT, Outcome.UNVERIFIED, id="another one, or after a restart"),
        pytest.param(FIRES, Outcome.NOT_HEALED, id="fires"),
        pytest.param(replace(FIRES, up_since=NEVER_HAD_IT.up_since), Outcome.NOT_HEALED, id="told again"),
    ],
)
async def test_an_alert_has_ended_when_the_alertmanager_that_listed_it_lists_it_no_more(
    walk: Walk, view: AlertView, outcome: Outcome
) -> None:
    """Each keeps its alerts in memory: what another one, or one that was restarted, does not list may well fire."""
    walk.policy(verify=VerifyPolicy(within_seconds=0.2, stable_for_seconds=0, relapse_watch_seconds=0))
    walk.pipeline.desk.alerts = walk.alerts
    incident_id = await walk.alert()
    await walk.dies_while(State.RESERVED, incident_id)  # so that another replica must know who listed it
    walk.alerts.view = view
    assert (await walk.until_closed(incident_id)).outcome is outcome


@pytest.mark.parametrize(
    ("view", "outcome"),
    [
        pytest.param(HOLDS_NO_MORE, Outcome.HEALED, id="nor does it list it"),
        pytest.param(None, Outcome.HEALED, id="away"),
        pytest.param(FIRES, Outcome.NOT_HEALED, id="it lists it"),
    ],
)
async def test_a_resolved_that_alertmanager_contradicts_heals_nothing(
    walk: Walk, view: AlertView | None, outcome: Outcome
) -> None:
    """The other one of the cluster is cut off from Prometheus: what it has not been told of for minutes it calls resolved."""
    walk.policy(verify=VerifyPolicy(within_seconds=0.3, stable_for_seconds=0, relapse_watch_seconds=0))
    walk.pipeline.desk.alerts = walk.alerts
    incident_id = await walk.alert()
    await walk.dies_while(State.VERIFYING, incident_id)
    walk.docker.started()
    walk.alerts.view = view
    await walk.alert(ended=30)
    assert (await walk.until_closed(incident_id)).outcome is outcome


async def test_a_healed_container_that_falls_sick_within_the_watch_has_relapsed(walk: Walk) -> None:
    """The outcome changes and the breaker counts it; a healing counts only when the watch is over."""
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=600))
    incident_id = await walk.alert()
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED
    walk.docker.change(health=Health.UNHEALTHY)
    incident = await walk.turn(incident_id)
    assert (incident.outcome, incident.watch_until) == (Outcome.RELAPSED, None)
    assert await walk.store.command("HGET", "{hemostat}:breaker:local/web", "fails") == "1"


async def test_a_healing_forgives_what_failed_before_only_when_its_watch_is_over(walk: Walk) -> None:
    """Else a target that always relapses would never open the breaker."""
    breaker = "{hemostat}:breaker:local/web"
    await walk.store.command("HSET", breaker, "fails", 1)
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=600))
    incident_id = await walk.alert()
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED
    assert await walk.store.command("HGET", breaker, "fails") == "1"
    walk.docker.change(health=Health.UNHEALTHY)
    await walk.turn(incident_id)
    assert await walk.store.command("HGET", breaker, "fails") == "2"


async def test_a_watch_that_ends_well_changes_nothing_and_forgives_what_failed_before(walk: Walk) -> None:
    """Healed stays healed, and nobody looks any more."""
    await walk.store.command("HSET", "{hemostat}:breaker:local/web", "fails", 1)
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=0.01))
    incident_id = await walk.alert()
    await walk.until_closed(incident_id)
    incident = await walk.turn(incident_id)
    while incident.watch_until is not None:
        incident = await walk.turn(incident_id)
    assert incident.outcome is Outcome.HEALED
    assert await walk.store.command("EXISTS", "{hemostat}:breaker:local/web") == 0


async def test_a_watch_that_ends_unseen_is_not_said_to_have_gone_well(walk: Walk) -> None:
    """Docker is away when the watch ends: the breaker learns nothing of it, and the story says so."""
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=0.01))
    incident_id = await walk.alert()
    await walk.until_closed(incident_id)
    await walk.store.command("HSET", "{hemostat}:breaker:local/web", "fails", "1")
    walk.docker.away = True
    incident = await walk.turn(incident_id)
    while incident.watch_until is not None:
        incident = await walk.turn(incident_id)
    record = await walk.journal.read(incident_id)
    assert record is not None
    assert record.timeline[-1].event == "watch_ended"
    assert "cannot look" in record.timeline[-1].fields["reason"]
    assert await walk.store.command("HGET", "{hemostat}:breaker:local/web", "fails") == "1"
