"""An intent whose action nobody reported, after a crash or a lost answer: settled by comparison, never repeated blindly."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from bridge import errors, verification
from bridge.model.evidence import ContainerFacts
from bridge.model.incident import Incident, Intent, Outcome
from bridge.pipeline.acting import act, acted, as_judged, changed, look_once_more, or_dead
from bridge.pipeline.desk import EDGE_AWAY_SECONDS, LOOK_SECONDS, Desk, entry_of, host_of, judged_container
from bridge.roles import Held
from bridge.verification import Settled

MAX_FAILURES = 3
"""Calls that Docker may answer with an error before the action counts as failed. A crash of ours is not counted."""


async def settle(desk: Desk, held: Held) -> Held:
    """An intent whose action nobody reported: compare it with what Docker says, then go on from there."""
    held = await desk.journal.load(held)
    incident, intent = held.incident, held.incident.intent
    if intent is None:
        raise ValueError(f"incident {incident.id} is acting without an intent")
    try:
        facts = await desk.containers.inspect(host_of(incident), intent.container_id)
    except errors.EdgeError as error:
        desk.failed(error)
        return await _unsettled(desk, held, intent, error)
    # After the answer: an Engine that hung may have taken long to give it.
    now = await desk.journal.now()
    verdict = verification.settle(intent, facts, now=now)
    match verdict:
        case Settled.HAPPENED:
            return await _settled(desk, held, intent)
        case Settled.HALF_DONE if _renamed(incident, facts):
            return await desk.refuse(held, changed("was stopped and renamed, as a deploy does,"))
        case Settled.HALF_DONE:
            return await _start_missing(desk, held, intent, now)
        case Settled.MAYBE_STILL:
            unchanged_since = intent.unchanged_since or now
            later = incident.in_doubt(now=now, seconds=LOOK_SECONDS, unchanged_since=unchanged_since)
            return await desk.save(replace(held, incident=later), None)
        case Settled.TARGET_CHANGED:
            return await desk.close(
                held, Outcome.FAILED, "the container was removed or recreated during the action"
            )
        case Settled.NOT_DONE:
            if held.resolved:
                return await desk.close(
                    held, Outcome.RESOLVED, "every alert ended before the action happened"
                )
            return await _act_after_all(desk, held, intent, now)


def _renamed(incident: Incident, facts: ContainerFacts | None) -> bool:
    judged = judged_container(incident)
    return facts is not None and judged is not None and facts.name != judged.name


async def _act_after_all(desk: Desk, held: Held, intent: Intent, now: datetime) -> Held:
    """It was not done: a new intent, unless something stands against it by now."""
    incident = held.incident
    try:
        facts, populations = await look_once_more(desk, incident)
    except errors.EdgeError as error:
        desk.failed(error)
        return await _unsettled(desk, held, intent, error)
    if facts is None or not as_judged(incident, facts):
        return await desk.refuse(held, changed("changed"))
    if intent.failures >= MAX_FAILURES:
        why = f"Docker answered {intent.failures} times with an error and did not {intent.action.value} it"
        return await desk.close(held, Outcome.FAILED, why)
    return await act(desk, held, facts, populations, now)


async def _start_missing(desk: Desk, held: Held, intent: Intent, now: datetime) -> Held:
    """Stopped and never started: the missing half is not a second restart, and a no-op if it runs.

    A pause does not stand against it: it begins nothing, and what we stopped must not stay down until someone resumes.
    """
    incident = held.incident
    with or_dead(desk, held):
        # Renews the lease under the timer: a process that was paused must not start what people stopped later.
        doubt = incident.in_doubt(now=now, seconds=0)
        held = await desk.save(replace(held, incident=doubt), entry_of("starting", reason="half a restart"))
        try:
            await desk.containers.start(host_of(incident), intent.container_id)
        except errors.EdgeError as error:
            failure: errors.EdgeError | None = error
            desk.failed(error)
        else:
            failure = None
    if isinstance(failure, errors.EdgeRejected):
        return await desk.close(held, Outcome.FAILED, f"the missing start failed: {failure}")
    if failure is not None:
        return await _unsettled(desk, held, intent, failure)
    return await _settled(desk, held, intent)


async def _settled(desk: Desk, held: Held, intent: Intent) -> Held:
    desk.metrics.repairs.labels(intent.action.value, "settled").inc()
    return await acted(desk, held, settled=True)


async def _unsettled(desk: Desk, held: Held, intent: Intent, error: errors.EdgeError) -> Held:
    """Docker cannot be asked whether it happened: again later, and after a while a human is told."""
    policy, now = desk.policy(held).verify, await desk.journal.now()
    if now - intent.at > timedelta(seconds=policy.within_seconds + intent.stop_timeout_seconds):
        why = f"whether the {intent.action.value} happened could not be found out: {error}"
        return await desk.close(held, Outcome.UNVERIFIED, why)
    later = held.incident.in_doubt(now=now, seconds=EDGE_AWAY_SECONDS)
    return await desk.save(replace(held, incident=later), None)
