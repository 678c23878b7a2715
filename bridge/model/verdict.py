"""What should happen to an incident, as triage sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Action(StrEnum):
    """Every repair HemoStat knows; the model and the policy choose among these and nothing else."""

    RESTART = "restart"
    START = "start"


class VerdictKind(StrEnum):
    """The closed list of verdicts."""

    REPAIR = "repair"
    WAIT = "wait"
    NO_ACTION = "no_action"
    ESCALATE = "escalate"


class Source(StrEnum):
    """Who decided. ``llm``: the model's word prevailed, which can only be less than the rules wanted."""

    RULES = "rules"
    LLM = "llm"
    TWO_KEYS = "two_keys"


class ModelResult(StrEnum):
    """What became of asking the model; also a metric label. All but ``ok`` and ``cached`` leave the rules alone.

    ``refused``: the model declined. ``invalid``: what it said is no verdict. ``rate_limited``, ``unavailable``,
    ``rejected``: what the provider answered. ``budget``, ``busy``, ``breaker_open``, ``store_away``: it was not
    asked, because the budget is spent, too many others were waiting, it failed too often, or nobody could reserve.
    """

    OK = "ok"
    CACHED = "cached"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    INVALID = "invalid"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    REJECTED = "rejected"
    BUDGET = "budget"
    BUSY = "busy"
    BREAKER_OPEN = "breaker_open"
    STORE_AWAY = "store_away"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict and what it rests on.

    ``action`` is set exactly when ``kind`` is ``repair``. ``rule`` is the id of the rule that matched, ``source`` who
    decided. ``model`` is what became of asking the model; ``None``: it was not asked. ``unconfirmed``: a repair that
    lacks the model's key, which a person must approve. ``proposes``: what an escalation would do if a person approved
    it. ``cites`` names evidence items. ``recheck_seconds`` of a
    ``wait`` says when to look again; ``None`` means there is nothing to wait for (a person stopped it).
    """

    kind: VerdictKind
    rule: str
    reason: str
    source: Source = Source.RULES
    action: Action | None = None
    cites: tuple[str, ...] = ()
    recheck_seconds: float | None = None
    model: ModelResult | None = None
    unconfirmed: bool = False
    proposes: Action | None = None

    def __post_init__(self) -> None:
        if (self.action is not None) != (self.kind is VerdictKind.REPAIR):
            raise ValueError(f"verdict {self.kind} with action {self.action}")
        if self.unconfirmed and self.kind is not VerdictKind.REPAIR:
            raise ValueError(f"verdict {self.kind} cannot be unconfirmed")
        if self.proposes is not None and self.kind is not VerdictKind.ESCALATE:
            raise ValueError(f"verdict {self.kind} cannot propose anything")

    @property
    def as_repair(self) -> Verdict:
        """What it would be if a person approved it: the repair it proposes, or what it is."""
        if self.proposes is None:
            return self
        return replace(self, kind=VerdictKind.REPAIR, action=self.proposes, proposes=None)

    @property
    def decided_by(self) -> str:
        """Who decided, for people: ``rules (model: timeout)``."""
        who = {Source.RULES: "rules", Source.LLM: "the model", Source.TWO_KEYS: "rules and model"}[
            self.source
        ]
        asked = self.model is not None and self.source is Source.RULES
        return f"{who} (model: {self.model})" if asked else who
