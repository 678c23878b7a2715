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
    """The verdict and what was said against it.

    Only a repair can be refused. ``would`` is set where mode ``observe`` alone stands in its way.
    """
    wanted = verdict.action is not None
    refusals = tuple(answer.refusal for answer in answers if answer.refusal is not None and wanted)
    only_observed = bool(refusals) and all(refusal.reason is Reason.OBSERVE_MODE for refusal in refusals)
    return Decision(
        verdict=verdict,
        guards=tuple(answers),
        refusals=refusals,
        would=verdict.action if only_observed else None,
    )
