"""A row of a rule's table: what is known, and which verdict follows. And the facts that several tables speak of."""

from dataclasses import dataclass, field
from typing import Any

from bridge.model.evidence import ContainerFacts, ContainerStatus, Gap, Health
from bridge.model.verdict import VerdictKind
from tests.unit.triage.builders import running

REPAIR, WAIT = VerdictKind.REPAIR, VerdictKind.WAIT
NO_ACTION, ESCALATE = VerdictKind.NO_ACTION, VerdictKind.ESCALATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One case. ``decided_by``: the rule that decides it instead, of a near miss; ``""``: the table's own."""

    kind: VerdictKind
    facts: ContainerFacts | None
    says: str
    seen: dict[str, Any] = field(default_factory=dict)
    decided_by: str = ""


Tables = dict[str, tuple[Row, ...]]
"""The rows of each rule, by its id."""


def fires(kind: VerdictKind, facts: ContainerFacts | None, says: str, /, **seen: Any) -> Row:
    """The table's rule decides."""
    return Row(kind=kind, facts=facts, says=says, seen=seen)


def spares(
    decided_by: str, kind: VerdictKind, facts: ContainerFacts | None, says: str, /, **seen: Any
) -> Row:
    """A near miss: it looks like a case of the table's rule, and another one decides."""
    return Row(kind=kind, facts=facts, says=says, seen=seen, decided_by=decided_by)


GAPS = (Gap(source="logs", reason="no answer"), Gap(source="events", reason="no answer"))
CLIMB = (0.71, 0.74, 0.77, 0.80, 0.83, 0.86, 0.88, 0.91, 0.94, 0.97)
"""Memory near its limit soon."""
SURGE = (50.0, 52.0, 49.0, 51.0, 50.0, 80.0, 150.0, 190.0, 200.0, 205.0)
UNCHECKED = running(health=Health.NONE)
DOWN = ContainerStatus.EXITED
RAN_LONG_AGO = (-86400.0, "start")
STOP = ((-10.2, "kill", 15), (-0.1, "kill", 9), (0.0, "die", 137), (0.1, "stop"))
OUR_RESTART = ((-8.4, "kill", 15), (-8.3, "die", 143), (-8.3, "stop"), (-8.2, "start"), (-8.2, "restart"))
DATABASE_REFUSES = "dial tcp: connect to db:5432: connection refused"
"""What a client says of a database that is away."""
LABELLED = {"hemostat.enable": "true", "hemostat.class": "stateless"}
