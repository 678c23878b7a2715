"""What a guard answered: why it refuses, and until when."""

from datetime import datetime

from bridge.model.refusal import GuardAnswer, Reason


def reason(answer: GuardAnswer) -> Reason | None:
    """Why it refuses; none if it allows."""
    return answer.refusal.reason if answer.refusal else None


def until(answer: GuardAnswer) -> datetime | None:
    """Until when it refuses; none if time alone does not help."""
    assert answer.refusal is not None
    return answer.refusal.until
