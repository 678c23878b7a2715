"""What a person is asked to approve, and whether the answer still counts. Pure.

A proposal is for one container as it was, and for a while: whatever came after it is judged, and asked about, for itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bridge.model.evidence import ContainerFacts
from bridge.model.incident import Proposal
from bridge.model.refusal import Reason, Refusal
from bridge.model.verdict import Action

SNOOZE_SECONDS = 1800.0
"""Until an incident that a person has put off is looked at again."""


def propose(
    proposal_id: str, action: Action, facts: ContainerFacts, *, now: datetime, ttl_seconds: float
) -> Proposal:
    """What people are asked. ``proposal_id`` is random, so that nobody can answer what was not shown to them."""
    return Proposal(
        id=proposal_id,
        action=action,
        container_id=facts.id,
        started_at=facts.started_at,
        at=now,
        until=now + timedelta(seconds=ttl_seconds),
    )


def void(proposal: Proposal, facts: ContainerFacts, *, now: datetime) -> str:
    """Why an approval does not count any more; ``""``: it does. It holds for as long as people had to give it."""
    if facts.id != proposal.container_id:
        return "the container was recreated after it was asked about"
    if facts.started_at != proposal.started_at:
        return "the container was started again after it was asked about"
    if proposal.answered_at is not None and now > proposal.answered_at + (proposal.until - proposal.at):
        return "it could not be carried out in time"
    return ""


def rejected(proposal: Proposal) -> Refusal:
    """A person said no."""
    return Refusal(reason=Reason.REJECTED, detail=f"{proposal.answered_by} said no to a {proposal.action}")


def put_off(proposal: Proposal) -> str:
    """A person wants to be asked again later."""
    return f"{proposal.answered_by} put it off; looked at again in {SNOOZE_SECONDS / 60:.0f} min"


def unanswered(proposal: Proposal) -> str:
    """Nobody said anything in time."""
    minutes = (proposal.until - proposal.at).total_seconds() / 60
    return f"nobody approved the {proposal.action} within {minutes:g} min"
