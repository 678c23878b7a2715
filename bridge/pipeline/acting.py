"""From a granted budget to an action that is written down: the intent first, then Docker, then what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from bridge import errors
from bridge.actions import ACTIONS
from bridge.model.evidence import ContainerFacts, Health
from bridge.model.incident import Entry, Incident, Intent, Outcome, Repair
from bridge.model.refusal import Reason, Refusal
from bridge.model.share import Population
from bridge.pipeline.desk import (
    EDGE_AWAY_SECONDS,
    LOOK_SECONDS,
    Desk,
    action_of,
    entry_of,
    host_of,
    judged_container,
)
from bridge.roles import Held

log = logging.getLogger("hemostat.walk")

DEADMAN_SHARE = 0.8
"""Of the lease: the timer must end the process before anybody else may take the incident over."""


async def begin(desk: Desk, held: Held) -> Held:
    """The budget is granted: look once more, write the intent, act."""
    held = await desk.journal.load(held)
    incident, now = held.incident, await desk.journal.now()
    if held.resolved:
        return await desk.close(held, Outcome.RESOLVED, "every alert ended before the action began")
    judged = judged_container(incident)
    try:
        facts, populations = await look_once_more(desk, incident)
    except errors.EdgeError as error:
        desk.failed(error)
        return await desk.undecided(held, f"cannot ask Docker: {error}", EDGE_AWAY_SECONDS)
    if facts is None:
        return await desk.refuse(held, changed("was removed"))
    if not as_judged(incident, facts):
        # Started since: if not by us before a failover that lost our intent, nobody can say. Then the grant counts.
        started = judged is None or facts.started_at != judged.started_at
        return await desk.refuse(held, changed("changed"), counts=started)
    return await act(desk, held, facts, populations, now)


async def look_once_more(
    desk: Desk, incident: Incident
) -> tuple[ContainerFacts | None, Sequence[Population]]:
    """The container as it is, ``None`` if it is gone, and the populations it belongs to. Raises EdgeError."""
    judged = judged_container(incident)
    populations = await desk.judge.census.around(judged) if judged is not None else ()
    # Last: the list may take long on a large host, and a person may touch the container meanwhile.
    return await desk.containers.inspect(host_of(incident), judged.id if judged else ""), populations


def as_judged(incident: Incident, facts: ContainerFacts) -> bool:
    """Whether the container is still as it was when it was decided to do something to it."""
    judged = judged_container(incident)
    return (
        judged is not None
        and facts.name == judged.name  # a deploy renames the old one before it starts the new one
        and facts.started_at == judged.started_at
        and facts.status == judged.status
        and (facts.health is not Health.HEALTHY or judged.health is Health.HEALTHY)
    )


def changed(what: str) -> Refusal:
    """It is not any more; ``what`` became of it."""
    return Refusal(reason=Reason.TARGET_CHANGED, detail=f"the container {what} after it was judged")


async def act(
    desk: Desk, held: Held, facts: ContainerFacts, populations: Sequence[Population], now: datetime
) -> Held:
    """Write the intent, then carry it out; ``facts`` are what a crash in between is settled against."""
    incident = held.incident
    # An outage, ours or the Engine's, may lie between the decision and this moment, and a reload in it.
    if (objection := desk.judge.objection(incident, held.firing, facts, now=now)) is not None:
        return await desk.refuse(held, objection)
    action = action_of(incident)
    intent = Intent(
        action=action,
        container_id=facts.id,
        was_running=facts.running,
        started_at=facts.started_at,
        restart_count=facts.restart_count,
        stop_timeout_seconds=facts.stop_timeout_seconds if facts.running else 0.0,
        token=incident.token or 0,
        at=now,
        failures=incident.intent.failures if incident.intent else 0,
    )
    held = replace(held, incident=incident.acting(intent, now=now))
    # Armed before the intent, whose answer may reach a process that was paused for longer than the lease it tells of.
    with or_dead(desk, held):
        entry = entry_of("acting", action=action.value, container=facts.id[:12])
        refusal = await _begun(desk, held, entry, facts, populations)
        failure = None if refusal is not None else await _carry_out(desk, held, intent)
    if refusal is not None:
        return await desk.refuse(replace(held, incident=incident), refusal)
    if isinstance(failure, errors.EdgeRejected):
        desk.metrics.repairs.labels(action.value, "failed").inc()
        return await desk.close(held, Outcome.FAILED, f"{action.value} failed: {failure}")
    if failure is not None:
        # It may have happened. The container's own StartedAt will tell; repeating blindly would act twice.
        desk.metrics.repairs.labels(action.value, "in_doubt").inc()
        later = held.incident.in_doubt(now=await desk.journal.now(), seconds=LOOK_SECONDS, failed=True)
        return await desk.save(replace(held, incident=later), entry_of("in_doubt", reason=str(failure)))
    desk.metrics.repairs.labels(action.value, "done").inc()
    return await acted(desk, held, settled=False)


async def _begun(
    desk: Desk, held: Held, entry: Entry, facts: ContainerFacts, populations: Sequence[Population]
) -> Refusal | None:
    """Write the intent. Raises: EdgeUnavailable: not confirmed in time; a store that hangs is no paused process."""
    try:
        async with asyncio.timeout(DEADMAN_SHARE / 2 * desk.lease_seconds):
            return await desk.budgets.begin(
                held,
                entry,
                policy=desk.judge.policy(held.firing, facts),
                limits=desk.judge.ruleset.policy.limits,
                facts=facts,
                populations=populations,
            )
    except TimeoutError:
        raise errors.EdgeUnavailable("redis", "the intent was not confirmed in time") from None


async def _carry_out(desk: Desk, held: Held, intent: Intent) -> errors.EdgeError | None:
    """Do what is intended; what went wrong, if anything."""
    target = held.incident.target
    log.info("acting", extra={"action": intent.action.value, "target": target and target.key})
    try:
        with desk.metrics.stage_duration.labels("act").time():
            await ACTIONS[intent.action](desk.containers, host_of(held.incident), intent.container_id)
    except errors.EdgeError as error:
        desk.failed(error)
        return error
    return None


@contextlib.contextmanager
def or_dead(desk: Desk, held: Held) -> Iterator[None]:
    """Inside, a process that is paused ends before anybody else may take the incident over."""
    key = str(held.claim)
    desk.deadman.arm(key, DEADMAN_SHARE * desk.lease_seconds)
    try:
        yield
    finally:
        desk.deadman.disarm(key)


async def acted(desk: Desk, held: Held, *, settled: bool) -> Held:
    """The action happened, as Docker said, or (``settled``) as the facts say."""
    now = await desk.journal.now()
    intent = held.incident.intent
    if intent is None:
        raise ValueError(f"incident {held.incident.id} acted without an intent")
    desk.metrics.time_to_repair.observe((now - held.incident.opened_at).total_seconds())
    repair = Repair(action=intent.action, container_id=intent.container_id, at=now, settled=settled)
    entry = entry_of("acted", action=intent.action.value, settled="yes" if settled else "no")
    return await desk.save(replace(held, incident=held.incident.verifying(repair, now=now)), entry)
