"""A model's opinion on one incident, or why there is none."""

from __future__ import annotations

from bridge.consulting.consultant import AT_ONCE, Consultant
from bridge.consulting.terms import Question, Terms

__all__ = ["AT_ONCE", "Consultant", "Question", "Terms"]
