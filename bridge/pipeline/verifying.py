"""Did the repair help, and does it last? One look is one turn of work; what is seen is judged by ``verification``."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime

from bridge import errors, verification
from bridge.model.incident import Outcome, Repair
from bridge.pipeline.desk import LOOK_SECONDS, WATCH_SECONDS, Desk, entry_of, host_of, listed_in
from bridge.roles import Held
from bridge.verification import AlertState

log = logging.getLogger("hemostat.walk")


async def verify(desk: Desk, held: Held) -> Held:
    """One look at the repaired container."""
    held = await desk.journal.load(held)
    incident, repair = held.incident, held.incident.repair
    if repair is None:
        raise ValueError(f"incident {incident.id} is verifying without a repair")
    policy = desk.policy(held).verify
    now = await desk.journal.now()
    try:
        facts = await desk.containers.inspect(host_of(incident), repair.container_id)
    except errors.EdgeError as error:
        desk.failed(error)
        answer = verification.unseen(repair, desk.plain(str(error)), incident.finding, policy=policy, now=now)
    else:
        held, alert = await _alert_state(desk, held, repair, now)
        incident = held.incident
        answer = verification.assess(repair, facts, incident.finding, policy=policy, alert=alert, now=now)
    if isinstance(answer, verification.LookAgain):
        news = incident.finding is None or incident.finding.text != answer.finding.text
        entry = entry_of("looked", finding=answer.finding.text) if news else None
        return await desk.save(
            replace(held, incident=incident.looked(answer.finding, now=now, seconds=LOOK_SECONDS)), entry
        )
    return await desk.close(held, answer.outcome, answer.reason)


async def _alert_state(desk: Desk, held: Held, repair: Repair, now: datetime) -> tuple[Held, AlertState]:
    views = await desk.views(held)
    if views is not None:
        held = replace(held, incident=held.incident.seen_listed(listed_in(views)))
    return held, verification.alert_state(
        all_resolved=held.resolved,
        watched=desk.alerts is not None,
        views=views,
        listed_by=held.incident.listed_by,
        acted_ago=(now - repair.at).total_seconds(),
    )


async def watch(desk: Desk, held: Held) -> Held:
    """A healed target is looked at for a while longer: a repair that does not last did not help."""
    incident, repair = held.incident, held.incident.repair
    now = await desk.journal.now()
    if incident.watch_until is None or repair is None:
        return held
    try:
        facts = await desk.containers.inspect(host_of(incident), repair.container_id)
        why = verification.relapse(repair, facts, incident.finding)
        unsure = verification.not_lasting(repair, facts)
    except errors.EdgeError as error:
        desk.failed(error)
        why, unsure = None, f"cannot look: {error}"
    if why is not None:
        desk.metrics.incidents_closed.labels(Outcome.RELAPSED.value).inc()
        log.warning("relapsed", extra={"reason": why})
        relapsed = replace(held, incident=incident.relapsed(f"healed, then {why}", now=now))
        return await desk.journal.close(
            relapsed,
            entry_of("relapsed", reason=why),
            healed=False,
            breaker=desk.policy(held).breaker,
        )
    if now >= incident.watch_until:
        return await desk.journal.close(
            replace(held, incident=incident.settled_down(now=now)),
            entry_of("watch_ended", reason=desk.plain(unsure or "")),
            healed=True if unsure is None else None,
            breaker=desk.policy(held).breaker,
        )
    seconds = min(WATCH_SECONDS, max(0.5, (incident.watch_until - now).total_seconds()))
    return await desk.save(
        replace(held, incident=incident.watched(now=now, seconds=seconds, until=incident.watch_until)),
        None,
    )
