"""How a model is asked, and what about. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.alert import Alert
from bridge.model.evidence import Evidence
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import Verdict
from bridge.triage.prompt import SendLogs
from bridge.triage.traits import Traits, traits_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the model is asked, as configured.

    ``hard_model`` is asked for a second opinion where the first disagrees with the rules or is unsure; ``""``: none.
    ``deadline_seconds`` bounds everything from the question to the opinion. ``traits`` overrides what is known of
    models; ``own_server``: an unknown model there costs nothing.
    """

    model: str
    hard_model: str = ""
    confidence_threshold: float = 0.7
    deadline_seconds: float = 3.5
    send_logs: SendLogs = SendLogs.TAIL
    keep_prompts: bool = False
    own_server: bool = False
    traits: Mapping[str, Traits] = field(default_factory=dict)

    def traits_of(self, model: str) -> Traits:
        """What is known of a model, the operator's word first."""
        return self.traits.get(model) or traits_of(model, own_server=self.own_server)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One incident to have an opinion on. ``rules`` is what the rules say, which the model is not told."""

    evidence: Evidence
    policy: TargetPolicy
    alerts: tuple[Alert, ...]
    rules: Verdict
    now: datetime
