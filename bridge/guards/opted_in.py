"""Is the container opted in? Without its label HemoStat touches nothing."""

from __future__ import annotations

from bridge.guards.situation import Situation
from bridge.model import policy
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "opted_in"


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses unless ``hemostat.enable`` is ``true``, or, where that label is not there at all, ``autoheal``."""
    labels = situation.facts.labels
    inputs = {label: _shown(labels.get(label)) for label in policy.OPT_IN_LABELS}
    if policy.opted_in(labels):
        return GuardAnswer(guard=NAME, inputs=inputs)
    detail = f"no container label {' or '.join(f'{label}=true' for label in policy.OPT_IN_LABELS)}"
    if labels.get(policy.OPT_IN_LABELS[0]) is not None:
        detail = f"container label {policy.OPT_IN_LABELS[0]} is not true"
    return GuardAnswer(guard=NAME, inputs=inputs, refusal=Refusal(reason=Reason.NOT_OPTED_IN, detail=detail))


def _shown(value: str | None) -> str:
    # A label can hold anything; only what is understood is repeated.
    if value is None:
        return "absent"
    known = value.strip().lower()
    return known if known in {"true", "false", "0", "no"} else "something else"
