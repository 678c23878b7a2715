"""What people answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bridge.model.incident import Answer, Outcome


class AnswerResult(StrEnum):
    """What became of an answer to a proposal."""

    DONE = "done"
    ALREADY = "already"
    """Somebody was faster: theirs counts."""
    EXPIRED = "expired"
    VOID = "void"
    """The incident asks something else by now."""
    NOT_ASKED = "not_asked"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """There is no such incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer that counts, where there is one: ``answer``, ``by``, ``at``. ``outcome`` of an incident that ended."""

    result: AnswerResult
    incident_id: str
    answer: Answer | None = None
    by: str = ""
    at: datetime | None = None
    outcome: Outcome | None = None


class Approvals(Protocol):
    """People's answers to what incidents ask, whoever receives them."""

    async def answer(
        self, incident_id: str, answer: Answer, *, by: str, proposal_id: str = "", through: str = ""
    ) -> Answered:
        """The first answer counts, and the incident goes on at once. ``proposal_id`` ``""``: whatever it asks now.

        ``by`` is who, ``through`` where; both are written into the story.
        """
        ...
