"""Is the container old enough? One that has just started is left alone."""

from __future__ import annotations

from datetime import timedelta

from bridge.guards.situation import Situation
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "min_uptime"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses if its last start, by the Docker host's clock, is less than ``min_uptime`` ago, or is unknown."""
    least = situation.target_policy.min_uptime_seconds
    uptime = situation.facts.uptime_seconds
    inputs = {
        "since its start": "unknown" if uptime is None else f"{uptime:.0f} s",
        "min_uptime": f"{least:.0f} s",
    }
    if least <= 0 or (uptime is not None and uptime >= least):
        return GuardAnswer(guard=NAME, inputs=inputs)
    if uptime is None:
        refusal = Refusal(reason=Reason.STARTED_RECENTLY, detail="it is not known when it was started")
    else:
        until = situation.now + timedelta(seconds=least - uptime)
        detail = f"started {uptime:.0f} s ago, must be up for {least:.0f} s"
        refusal = Refusal(reason=Reason.STARTED_RECENTLY, detail=detail, until=until)
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=refusal)
