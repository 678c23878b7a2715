"""People's answers to proposals: one script, so that any replica may receive them and the first one counts."""

from __future__ import annotations

import secrets

from bridge.edges.store.connection import Store, instant
from bridge.edges.store.records import encode_entry
from bridge.model.incident import Answer, Entry, Outcome
from bridge.roles import Answered, AnswerResult

_EVENTS = {Answer.APPROVE: "approved", Answer.REJECT: "rejected", Answer.SNOOZE: "snoozed"}


class StoredApprovals:
    """Implements ``roles.Approvals``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def answer(
        self, incident_id: str, answer: Answer, *, by: str, proposal_id: str = "", through: str = ""
    ) -> Answered:
        """Answer what an incident asks."""
        fields = {"by": by, "through": through} if through else {"by": by}
        result, *rest = await self._store.script(
            "answer",
            incident_id,
            proposal_id,
            answer.value,
            by,
            encode_entry(Entry(event=_EVENTS[answer], fields=fields)),
            secrets.token_hex(8),
            durable=True,
        )
        result = AnswerResult(result)
        if result in (AnswerResult.DONE, AnswerResult.ALREADY):
            said, who, at = rest
            return Answered(
                result=result, incident_id=incident_id, answer=Answer(said), by=who, at=instant(at)
            )
        outcome = Outcome(rest[0]) if rest and rest[0] else None
        return Answered(result=result, incident_id=incident_id, outcome=outcome)
