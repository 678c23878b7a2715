"""What may happen: one file per guard, all of them asked, every refusal kept. The order of the table is theirs.

A guard is pure and never imports another. Budgets are not here: they are checked and reserved in one step in Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bridge.guards import (
    action_allowed,
    fleet_share,
    maintenance,
    min_uptime,
    mode,
    opted_in,
    paused,
    project_share,
    protected,
    second_key,
    swarm_task,
    target_unchanged,
)
from bridge.guards.situation import Situation
from bridge.model.incident import Decision
from bridge.model.refusal import GuardAnswer, Reason
from bridge.model.verdict import Verdict

__all__ = ["GUARDS", "Situation", "ask_all", "decide"]

GUARDS: tuple[Callable[[Situation], GuardAnswer], ...] = (
    opted_in.refuse,
    protected.refuse,
    swarm_task.refuse,
    paused.refuse,
    project_share.refuse,
    fleet_share.refuse,
    maintenance.refuse,
    target_unchanged.refuse,
    action_allowed.refuse,
    min_uptime.refuse,
    second_key.refuse,
    # Last, so that a person who is asked to approve, or reads what would have been done, sees every other "no" first.
    mode.refuse,
)


def ask_all(situation: Situation) -> tuple[GuardAnswer, ...]:
    """Every guard's answer, in the order of the table; the first refusal is the one that is counted."""
    return tuple(refuse(situation) for refuse in GUARDS)


def decide(verdict: Verdict, answers: Sequence[GuardAnswer]) -> Decision:
    """The verdict and what was said against it; of an escalation that proposes a repair, against that.

    Only a repair can be refused. ``would`` is set where mode ``observe`` alone stands in its way, ``asks`` where a
    person's approval alone is missing.
    """
    against = tuple(answer.refusal for answer in answers if answer.refusal is not None)
    refusals = against if verdict.action is not None else ()
    only_approval = all(refusal.reason is Reason.APPROVAL_REQUIRED for refusal in against)
    asks = verdict.proposes or (verdict.action if refusals else None)
    only_observed = bool(refusals) and all(refusal.reason is Reason.OBSERVE_MODE for refusal in refusals)
    return Decision(
        verdict=verdict,
        guards=tuple(answers),
        refusals=refusals,
        would=verdict.action if only_observed else None,
        asks=asks if only_approval else None,
    )
