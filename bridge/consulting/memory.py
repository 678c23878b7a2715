"""Answers that may be used again: the same question within minutes, the same sickness within a minute. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from bridge.model.consultation import Consultation

Consultations = tuple[Consultation, ...]

QUESTION_SECONDS = 300.0
SICKNESS_SECONDS = 60.0
"""However much more its log says: twenty alerts about one container are one question."""

SIZE = 1000


@dataclass(frozen=True, slots=True)
class _Kept:
    at: float
    consultations: Consultations


class Memory:
    """Verdicts only: that nobody answered is not remembered. Times are seconds of a clock that only goes forward."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def find(self, *, question: str, sickness: str, now: float) -> Consultations | None:
        """What was answered to the question, or to another about the same sickness just now."""
        for key, seconds in ((question, QUESTION_SECONDS), (sickness, SICKNESS_SECONDS)):
            kept = self._kept.get(key)
            if kept is not None and now - kept.at < seconds:
                return kept.consultations
        return None

    def keep(self, consultations: Consultations, *, question: str, sickness: str, now: float) -> None:
        """Remember an answer; the oldest is forgotten."""
        for key in (question, sickness):
            self._kept[key] = _Kept(now, consultations)
            self._kept.move_to_end(key)
        while len(self._kept) > SIZE:
            self._kept.popitem(last=False)
