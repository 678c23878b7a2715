"""Is it maintenance time for this target? Then somebody is working on it."""

from __future__ import annotations

from datetime import datetime

from bridge.guards.situation import Situation
from bridge.model.policy import MaintenanceWindow
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "maintenance"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses while a window is open whose matchers fit one of the incident's alerts, until the last of them ends."""
    fitting = [window for window in situation.policy.maintenance if _fits(window, situation)]
    active = [window.name for window in fitting if _contains(window, situation.now)]
    inputs = {
        "windows": str(len(situation.policy.maintenance)),
        "for this target": ", ".join(window.name for window in fitting) or "none",
        "active": ", ".join(active) or "none",
    }
    if not active:
        return GuardAnswer(guard=NAME, inputs=inputs)
    detail = f"maintenance window {', '.join(active)}"
    refusal = Refusal(reason=Reason.MAINTENANCE, detail=detail, until=_end(fitting, situation.now))
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)


def _fits(window: MaintenanceWindow, situation: Situation) -> bool:
    return not window.matchers or any(
        all(matcher.matches(alert.labels) for matcher in window.matchers) for alert in situation.alerts
    )


def _contains(window: MaintenanceWindow, moment: datetime) -> bool:
    return any(interval.contains(moment) for interval in window.intervals)


def _end(windows: list[MaintenanceWindow], now: datetime) -> datetime | None:
    """When none of the windows is open any more; ``None`` if they follow one another for too long to tell."""
    intervals = [interval for window in windows for interval in window.intervals]
    moment = now
    # One interval may begin before another ends. Each step leaves at least one of them behind.
    for _ in range(8 * len(intervals)):
        open_now = [interval for interval in intervals if interval.contains(moment)]
        if not open_now:
            return moment
        ends = [interval.ends_after(moment) for interval in open_now]
        if any(end is None for end in ends):
            return None
        moment = max(end for end in ends if end is not None)
    return None
