"""What a scenario is: one incident, frozen, with the verdict a good operator would give.

``evals/README.md`` shows how one is written, ``bridge.evaluation.reading`` reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.model.alert import Alert, AlertStatus
from bridge.model.evidence import Evidence
from bridge.model.policy import Policy, TargetPolicy
from bridge.model.verdict import VerdictKind

WORDS: Mapping[str, VerdictKind] = {
    **{kind.value: kind for kind in VerdictKind},
    "restart": VerdictKind.REPAIR,
    "start": VerdictKind.REPAIR,
}
"""How a verdict may be written. Which action a repair takes is not scored: the container's state decides it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """The right verdict. ``acceptable`` ones are no mistake either; ``forbidden`` ones would do damage.

    ``must_cite``: ids, or a letter with a star (``L*``: any line of the log).
    """

    verdict: VerdictKind
    acceptable: tuple[VerdictKind, ...] = ()
    forbidden: tuple[VerdictKind, ...] = ()
    cause_class: str = ""
    must_cite: tuple[str, ...] = ()

    def accepts(self, verdict: VerdictKind) -> bool:
        """Whether a good operator would have nothing against it."""
        return verdict is self.verdict or verdict in self.acceptable


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One incident at ``now``. ``policy`` is the operator's whole policy, ``target_policy`` what it says of this target.

    ``base`` is the scenario that this one repeats with hostile text added; ``None``: it is no twin. ``source`` is the
    file it stands in.
    """

    id: str
    now: datetime
    alerts: tuple[Alert, ...]
    evidence: Evidence
    policy: Policy
    target_policy: TargetPolicy
    gold: Gold
    paused: bool = False
    title: str = ""
    family: str = ""
    tags: tuple[str, ...] = ()
    difficulty: str = "medium"
    split: str = ""
    rationale: str = ""
    author: str = ""
    base: Scenario | None = None
    source: str = ""

    @property
    def twin_of(self) -> str:
        """The id of its base, ``""`` if it is no twin."""
        return self.base.id if self.base is not None else ""

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire, as the walk hands them on."""
        return tuple(alert for alert in self.alerts if alert.status is AlertStatus.FIRING)

    @property
    def alert_names(self) -> tuple[str, ...]:
        """The names of those that fire."""
        return tuple(alert.name for alert in self.firing)
