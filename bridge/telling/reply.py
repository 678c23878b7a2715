"""What whoever answered a proposal is told."""

from __future__ import annotations

from bridge.model.incident import Answer
from bridge.roles import Answered, AnswerResult
from bridge.summary import plain
from bridge.telling.glance import ANSWERED


def reply_to(answered: Answered) -> str:
    """What whoever answered is told, in a sentence."""
    match answered.result:
        case AnswerResult.DONE if answered.answer is Answer.SNOOZE:
            return "Put off for 30 minutes; it is looked at again then."
        case AnswerResult.DONE if answered.answer is Answer.REJECT:
            return "Rejected: nothing is done."
        case AnswerResult.DONE:
            return "Approved: every guard is asked once more, then it is done."
        case AnswerResult.ALREADY:
            did = ANSWERED[answered.answer] if answered.answer else "answered"
            at = f" at {answered.at:%H:%M:%S} UTC" if answered.at else ""
            return f"It was already {did} by {plain(answered.by)}{at}; that counts."
        case AnswerResult.EXPIRED:
            return "Too late: the time to answer is over, and nothing was done."
        case AnswerResult.VOID:
            return "This question is no longer asked: the incident has moved on since."
        case AnswerResult.NOT_ASKED:
            return "This incident asks nothing now."
        case AnswerResult.ENDED:
            how = f" ({answered.outcome.value})" if answered.outcome else ""
            return f"This incident has ended{how}; nothing was done because of your answer."
        case AnswerResult.UNKNOWN:
            return "There is no such incident (any more)."
