"""A repair that nothing speaks against, unless a test says otherwise, and what may speak against it."""

from dataclasses import replace
from typing import Any

from bridge.guards import Situation
from bridge.model.alert import Alert, AlertStatus, Subject, SubjectKind
from bridge.model.policy import MaintenanceWindow, Matcher, Policy, TargetPolicy
from bridge.model.share import Population, Share, ShareScope
from bridge.model.time_interval import TimeInterval
from bridge.model.verdict import Action, Verdict, VerdictKind
from tests.unit.configured_interval import interval_of
from tests.unit.triage.builders import NOW, unhealthy

RESTART = Verdict(kind=VerdictKind.REPAIR, rule="unhealthy", reason="sick.", action=Action.RESTART)
PAGE = Verdict(kind=VerdictKind.ESCALATE, rule="undecided", reason="unclear.")
OTHER_ID = "0" * 64


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


def window(name: str, *times: tuple[str, str], matchers: tuple[Matcher, ...] = ()) -> MaintenanceWindow:
    """A window open at these times of every day; without times, always."""
    spans = [{"start_time": start, "end_time": end} for start, end in times]
    interval = interval_of({"times": spans}) if spans else TimeInterval()
    return MaintenanceWindow(name=name, intervals=(interval,), matchers=matchers)


def of_project(sick: int, known: int, **state: Any) -> Share:
    """So many of project shop, of which a third may be sick."""
    population = Population(scope=ShareScope.PROJECT, host="local", name="shop")
    return Share(population=population, sick=sick, known=known, limit=0.34, **state)


def of_fleet(
    sick: int, known: int, *unseen: str, scope: ShareScope = ShareScope.FLEET, **state: Any
) -> Share:
    """So many of all containers, or of host ``local``."""
    host = "local" if scope is ShareScope.HOST else ""
    population = Population(scope=scope, host=host, unseen=unseen)
    return Share(population=population, sick=sick, known=known, limit=0.34, **state)
