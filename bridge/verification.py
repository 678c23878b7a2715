"""Did the repair help, and did the action in doubt happen? Pure: facts and times in, an answer out.

Nothing here ever turns "unknown" into "healed", nor into "not healed".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.model.evidence import ContainerFacts, ContainerStatus, Health
from bridge.model.incident import Finding, Intent, Outcome, Repair
from bridge.model.policy import VerifyPolicy
from bridge.roles import AlertView

STOPPED_BY_SIGNAL = (130, 137, 143)
"""Exit codes of SIGINT, SIGKILL and SIGTERM: unless the kernel's OOM killer sent it, somebody stopped it."""

BLIND_SECONDS = 10.0
"""Between two looks, or ``stable_for`` where that is longer: of a longer pause nobody can say what happened in it."""

SETTLE_GRACE_SECONDS = 2.0
"""On top of the stop timeout: how long Docker may take for a restart whose caller died, once it answers again."""


class AlertState(StrEnum):
    """What is known of the incident's alerts. ``unwatched``: nobody was configured who could say."""

    ENDED = "ended"
    FIRING = "firing"
    UNKNOWN = "unknown"
    UNWATCHED = "unwatched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The final answer of a verification."""

    outcome: Outcome
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAgain:
    """Not decided yet."""

    finding: Finding


def assess(
    repair: Repair,
    facts: ContainerFacts | None,
    previous: Finding | None,
    *,
    policy: VerifyPolicy,
    alert: AlertState,
    now: datetime,
) -> Verified | LookAgain:
    """One look at a repaired container.

    ``facts`` ``None`` means that the container does not exist. Healed means: it has been well without a pause for
    ``stable_for``, and its alert has ended where somebody is there to say so.
    """
    if facts is None:
        return Verified(outcome=Outcome.UNVERIFIED, reason="the container was removed after the repair")
    if facts.id != repair.container_id:
        return Verified(outcome=Outcome.UNVERIFIED, reason="the container was recreated after the repair")
    if _stopped(facts):
        return Verified(
            outcome=Outcome.UNVERIFIED, reason=f"it was stopped (code {facts.exit_code}) after the repair"
        )
    if facts.status in (ContainerStatus.EXITED, ContainerStatus.DEAD):
        code = "unknown" if facts.exit_code is None else facts.exit_code
        return Verified(
            outcome=Outcome.NOT_HEALED, reason=f"the container exited again (code {code}) after the repair"
        )

    trouble = _trouble(facts)
    sick_at = now if trouble else _seen_sick_at(previous)
    since = None if trouble else _well_since(facts, previous, policy, now)
    stable = since is not None and now - since >= timedelta(seconds=policy.stable_for_seconds)
    if stable and alert in (AlertState.ENDED, AlertState.UNWATCHED):
        seconds = policy.stable_for_seconds
        told = " and its alert has ended" if alert is AlertState.ENDED else ""
        return Verified(outcome=Outcome.HEALED, reason=f"well for {seconds:g} s{told}")
    if now - repair.at < timedelta(seconds=policy.within_seconds):
        text = trouble or (f"well, but {_still(alert)}" if stable else "well, not yet for long enough")
        return LookAgain(
            finding=Finding(
                at=now,
                text=text,
                healthy_since=since,
                sick_at=sick_at,
                restart_count=facts.restart_count,
                started_at=facts.started_at,
            )
        )
    if facts.status is ContainerStatus.PAUSED:
        return Verified(outcome=Outcome.UNVERIFIED, reason="somebody paused the container after the repair")
    if trouble is None and not stable and alert is not AlertState.FIRING:
        return _too_short(_down_at(repair, facts, sick_at, now), policy, now)
    return _out_of_time(trouble, alert, policy)


def _still(alert: AlertState) -> str:
    return "its alert still fires" if alert is AlertState.FIRING else "whether its alert has ended is unknown"


def unseen(
    repair: Repair, why: str, previous: Finding | None, *, policy: VerifyPolicy, now: datetime
) -> Verified | LookAgain:
    """A look that failed because nobody answered. It breaks the run of good looks: unknown is not well."""
    sick_at = _seen_sick_at(previous)
    if now - repair.at < timedelta(seconds=policy.within_seconds):
        return LookAgain(finding=Finding(at=now, text=f"cannot look: {why}", sick_at=sick_at))
    if sick_at is not None and now - sick_at < timedelta(seconds=policy.stable_for_seconds):
        seconds = (now - sick_at).total_seconds()
        reason = (
            f"not well within {policy.within_seconds:g} s; sick {seconds:.0f} s ago, and since then: {why}"
        )
        return Verified(outcome=Outcome.NOT_HEALED, reason=reason)
    return Verified(
        outcome=Outcome.UNVERIFIED, reason=f"could not be looked at within {policy.within_seconds:g} s: {why}"
    )


def relapse(repair: Repair, facts: ContainerFacts | None, healed: Finding | None = None) -> str | None:
    """Why a healed container counts as relapsed, or ``None``. What a person or a deploy did to it is no relapse.

    ``healed``: what verification saw last; a restart before that was counted there and is none since.
    """
    if facts is None or facts.id != repair.container_id:
        return None
    if facts.status is ContainerStatus.EXITED and facts.oom_killed:
        return "was OOM-killed again"
    if facts.status is ContainerStatus.EXITED and not _stopped(facts):
        return f"exited again with code {facts.exit_code}"
    since = facts.restart_count - ((healed and healed.restart_count) or 0)
    if facts.status is ContainerStatus.RESTARTING or since > 0:
        return f"its restart policy restarted it {max(since, 1)} times since"
    if facts.running and facts.health is Health.UNHEALTHY:
        return "became unhealthy again"
    return None


def not_lasting(repair: Repair, facts: ContainerFacts | None) -> str | None:
    """Why nobody can say at the end of the watch that it stayed well; ``None``: it did."""
    if facts is None or facts.id != repair.container_id:
        return "the container was removed or recreated"
    return None if facts.running else f"the container is {facts.status}"


def _stopped(facts: ContainerFacts) -> bool:
    """Whether it may be that somebody stopped it, or that it has finished: it is down, and did not crash."""
    if facts.status is not ContainerStatus.EXITED or facts.oom_killed:
        return False
    # Docker restarts a container with such a policy whatever its exit code, unless it was told to stop it or cannot.
    restarted = facts.restart_policy.strip().lower() in ("always", "unless-stopped") and not facts.error
    return restarted or facts.exit_code in (0, *STOPPED_BY_SIGNAL)


def _trouble(facts: ContainerFacts) -> str | None:
    if not facts.running:
        return f"the container is {facts.status}"
    if facts.health is Health.UNHEALTHY:
        return "its health check fails"
    if facts.health is Health.STARTING:
        return "its health check has not passed yet"
    return None


def _well_since(
    facts: ContainerFacts, previous: Finding | None, policy: VerifyPolicy, now: datetime
) -> datetime:
    """Since when it has been well without a pause; a start since the last look, by whomever, is a pause nobody saw,
    and so is a time in which nobody looked."""
    if (
        previous is None
        or previous.healthy_since is None
        or now - previous.at > timedelta(seconds=max(BLIND_SECONDS, policy.stable_for_seconds))
        or facts.restart_count > (previous.restart_count or 0)
        or (previous.started_at is not None and facts.started_at != previous.started_at)
    ):
        return now
    return previous.healthy_since


def _seen_sick_at(previous: Finding | None) -> datetime | None:
    return previous.sick_at if previous is not None else None


def _down_at(repair: Repair, facts: ContainerFacts, sick_at: datetime | None, now: datetime) -> datetime:
    """The last moment at which it is known not to have been well: seen so, or before it was started last."""
    uptime = facts.uptime_seconds
    started_at = now if uptime is None else now - timedelta(seconds=uptime)
    return max(repair.at, started_at, sick_at or repair.at)


def _too_short(down_at: datetime, policy: VerifyPolicy, now: datetime) -> Verified:
    """It is well at the end, and was not seen to be so for long enough."""
    within, seconds = f"within {policy.within_seconds:g} s", f"{policy.stable_for_seconds:g} s on end"
    if now - down_at < timedelta(seconds=policy.stable_for_seconds):
        return Verified(outcome=Outcome.NOT_HEALED, reason=f"not well for {seconds} {within}")
    reason = (
        f"it is well, but for a part of the time nobody could look: whether for {seconds} {within} is unknown"
    )
    return Verified(outcome=Outcome.UNVERIFIED, reason=reason)


def _out_of_time(trouble: str | None, alert: AlertState, policy: VerifyPolicy) -> Verified:
    within = f"within {policy.within_seconds:g} s"
    if trouble:
        return Verified(outcome=Outcome.NOT_HEALED, reason=f"{trouble}, not well {within}")
    if alert is AlertState.FIRING:
        return Verified(
            outcome=Outcome.NOT_HEALED, reason=f"the container is well, but its alert still fires {within}"
        )
    return Verified(
        outcome=Outcome.UNVERIFIED, reason="the container is well, but whether its alert ended is unknown"
    )


class Settled(StrEnum):
    """What became of an action in doubt (crash between intent and record). Source: Docker Engine API."""

    HAPPENED = "happened"
    HALF_DONE = "half_done"
    MAYBE_STILL = "maybe_still"
    NOT_DONE = "not_done"
    TARGET_CHANGED = "target_changed"


def settle(intent: Intent, facts: ContainerFacts | None, *, now: datetime) -> Settled:
    """Compare an intent with what Docker says now.

    ``StartedAt`` is the evidence: a start by anybody changes it. A restart asked for by a dead process may still be
    stopping the container, or lie unread in an Engine that hangs: it did not happen only once Docker has answered for
    a whole stop timeout that nothing changed.
    """
    if facts is None or facts.id != intent.container_id:
        return Settled.TARGET_CHANGED
    if facts.started_at != intent.started_at:
        return Settled.HAPPENED
    if intent.was_running and facts.status is ContainerStatus.EXITED:
        return Settled.HALF_DONE
    patience = timedelta(seconds=intent.stop_timeout_seconds + SETTLE_GRACE_SECONDS)
    if intent.unchanged_since is None or now - intent.unchanged_since < patience:
        return Settled.MAYBE_STILL
    return Settled.NOT_DONE


def alert_state(
    *,
    all_resolved: bool,
    watched: bool,
    views: Mapping[str, AlertView] | None,
    listed_by: Mapping[str, datetime],
    acted_ago: float,
) -> AlertState:
    """What is known of the alerts, from the journal's resolved messages and Alertmanager's own view.

    A resolved message is an end unless Alertmanager lists the alert and was told of it since the action: one of a cluster
    that is cut off from Prometheus calls resolved what it has not been told of for minutes.

    ``watched``: an Alertmanager is configured; ``views``: its word on each alert, by fingerprint, ``None`` where it does
    not answer; ``listed_by``: since when the one was up that was last seen to list it; ``acted_ago``: seconds since the
    action. Seconds, since two clocks are never compared: Alertmanager's may be minutes off.
    """
    if not watched:
        return AlertState.ENDED if all_resolved else AlertState.UNWATCHED
    if views is None:
        return AlertState.ENDED if all_resolved else AlertState.UNKNOWN
    states = {_told(view, listed_by.get(one), acted_ago) for one, view in views.items()}
    against = (AlertState.FIRING,) if all_resolved else (AlertState.FIRING, AlertState.UNKNOWN)
    return next((state for state in against if state in states), AlertState.ENDED)


def _told(view: AlertView, listed_by: datetime | None, acted_ago: float) -> AlertState:
    """Of an active alert, what it last heard of before the action proves nothing yet. What it does not list has ended
    where this very process once listed it: another one of the cluster, or a restarted one, never heard of it."""
    ago = view.told_seconds_ago
    if view.active:
        return AlertState.FIRING if ago is not None and ago < acted_ago else AlertState.UNKNOWN
    held_it = ago is not None or (view.up_since is not None and view.up_since == listed_by)
    return AlertState.ENDED if held_it else AlertState.UNKNOWN
