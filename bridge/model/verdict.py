"""What should happen to an incident, as triage sees it."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A verdict and what it rests on.

    ``action`` is set exactly when ``kind`` is ``repair``. ``rule`` is the id of the deciding rule, ``source`` who
    decided (``rules``; ``llm`` joins later). ``cites`` names evidence items. ``recheck_seconds`` of a ``wait``
    says when to look again; ``None`` means there is nothing to wait for (a person stopped it).
    """

    kind: VerdictKind
    rule: str
    reason: str
    source: str = "rules"
    action: Action | None = None
    cites: tuple[str, ...] = ()
    recheck_seconds: float | None = None

    def __post_init__(self) -> None:
        if (self.action is not None) != (self.kind is VerdictKind.REPAIR):
            raise ValueError(f"verdict {self.kind} with action {self.action}")
