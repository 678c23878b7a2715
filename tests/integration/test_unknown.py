"""What nobody could see, in the walk: told as unknown, neither as a success nor as a failure, and not for ever."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bridge.model.incident import Outcome, State
from bridge.model.policy import VerifyPolicy
from tests.integration.walking import Walk


async def test_docker_away_at_the_end_of_a_repair_that_was_seen_not_to_help(walk: Walk) -> None:
    """What is known to have failed is not told as unknown because of the last look."""
    walk.policy(verify=VerifyPolicy(within_seconds=0.2, stable_for_seconds=60, relapse_watch_seconds=0))
    walk.docker.heals = False
    incident_id = await walk.alert()
    await walk.turn(incident_id)
    walk.docker.away = True
    assert (await walk.until_closed(incident_id)).outcome is Outcome.NOT_HEALED


async def test_a_repair_that_nobody_could_look_at_is_unverified_though_it_is_well_at_the_end(
    walk: Walk,
) -> None:
    """Whether it was well for long enough is unknown, and unknown is no failure."""
    walk.policy(verify=VerifyPolicy(within_seconds=60, stable_for_seconds=30, relapse_watch_seconds=0))
    incident_id = await walk.alert()
    await walk.dies_while(State.VERIFYING, incident_id)
    held = await walk.claim(incident_id)
    repair = held.incident.repair
    assert repair is not None
    long_ago = replace(repair, at=repair.at - timedelta(seconds=60))
    await walk.journal.save(replace(held, incident=replace(held.incident, repair=long_ago)), None)
    walk.docker.started()
    incident = await walk.turn(incident_id)
    assert (incident.outcome, "nobody could look" in incident.reason) == (Outcome.UNVERIFIED, True)


async def test_an_action_that_nobody_can_find_out_about_is_unverified_in_the_end(walk: Walk) -> None:
    """Docker does not come back: not before it could have been done and verified, and not never."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)  # intended a minute ago
    held = await walk.claim(incident_id)
    intent = held.incident.intent
    assert intent is not None
    slow = replace(intent, stop_timeout_seconds=120.0)
    await walk.journal.save(replace(held, incident=replace(held.incident, intent=slow)), None)
    walk.docker.away = True
    assert (await walk.turn(incident_id)).state is State.ACTING
    held = await walk.claim(incident_id)
    await walk.journal.save(replace(held, incident=replace(held.incident, intent=intent)), None)
    incident = await walk.turn(incident_id)
    assert (incident.outcome, "could not be found out" in incident.reason) == (Outcome.UNVERIFIED, True)


async def test_what_is_undecided_waits_for_as_long_as_it_may_and_no_longer(walk: Walk) -> None:
    """By the store's clock, counted from its beginning."""
    walk.policy(wait_for_seconds=1000)
    walk.docker.away = True
    incident_id = await walk.alert()
    opened = f"{{hemostat}}:incident:{incident_id}"
    now = (await walk.journal.now()).timestamp() * 1000
    await walk.store.command("HSET", opened, "opened", round(now - 500_000))
    assert (await walk.turn(incident_id)).state is State.WAITING
    held = await walk.claim(incident_id)
    longer = replace(held.incident, opened_at=held.incident.opened_at - timedelta(seconds=500))
    await walk.journal.save(replace(held, incident=longer), None)
    incident = await walk.turn(incident_id)
    assert (incident.outcome, incident.reason[:15]) == (Outcome.ESCALATED, "undecided for 1")
