"""A repair that nothing speaks against, unless a test says otherwise."""

from dataclasses import replace
from typing import Any

from bridge.guards import Situation
from bridge.model.alert import Alert, AlertStatus, Subject, SubjectKind
from bridge.model.policy import Policy, TargetPolicy
from bridge.model.verdict import Action, Verdict, VerdictKind
from tests.unit.triage.builders import NOW, unhealthy

RESTART = Verdict(kind=VerdictKind.REPAIR, rule="unhealthy", reason="sick.", action=Action.RESTART)
PAGE = Verdict(kind=VerdictKind.ESCALATE, rule="undecided", reason="unclear.")


def alert(**labels: str) -> Alert:
    """A firing alert with these labels."""
    return Alert(fingerprint="f1", status=AlertStatus.FIRING, labels=labels, annotations={}, starts_at=NOW)


def situation(**changes: Any) -> Situation:
    """An unhealthy, opted-in container that the policy allows to restart."""
    allowed = Situation(
        subject=Subject(kind=SubjectKind.CONTAINER, host="local", name="web"),
        alerts=(alert(alertname="Slow", container="web"),),
        facts=unhealthy(),
        verdict=RESTART,
        policy=Policy(),
        target_policy=TargetPolicy(),
        now=NOW,
    )
    return replace(allowed, **changes)
