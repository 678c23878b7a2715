"""An alert of our own: routed as the alerts behind it were, and never taken for a sick container."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge import escalation
from bridge.intake import TARGET_LABELS, subject_of
from bridge.model.alert import Alert, SubjectKind
from bridge.model.incident import Outcome
from bridge.roles import EpisodeView
from tests.integration.desk import alert
from tests.unit.test_annotation import acting, closed, judged

CALLED = {
    Outcome.ESCALATED: "HemoStatEscalated",
    Outcome.NOT_HEALED: "HemoStatRepairFailed",
    Outcome.RELAPSED: "HemoStatRepairFailed",
    Outcome.UNVERIFIED: "HemoStatRepairFailed",
    Outcome.FAILED: "HemoStatRepairFailed",
}


def labelled(**labels: str) -> EpisodeView:
    return EpisodeView(alert=replace(alert(), labels={"alertname": "ContainerDown", **labels}), firing=True)


@pytest.mark.parametrize("outcome", Outcome)
def test_people_are_called_where_nobody_but_them_goes_on(outcome: Outcome) -> None:
    incident = closed(
        judged() if outcome is Outcome.ESCALATED else acting(), outcome, reason="it is still sick"
    )
    posted = escalation.of(incident, [labelled(name="web")])
    assert (posted.labels["alertname"] if posted else None) == CALLED.get(outcome)


def test_an_incident_under_way_calls_nobody() -> None:
    assert escalation.of(acting(), [labelled(name="web")]) is None


def test_it_keeps_what_all_alerts_behind_it_were_routed_by() -> None:
    episodes = [
        labelled(name="web", team="shop", severity="critical", job="a"),
        labelled(name="web", team="shop", severity="critical", job="b"),
    ]
    posted = escalation.of(closed(judged(), Outcome.ESCALATED), episodes)
    assert posted is not None
    assert dict(posted.labels) == {
        "alertname": "HemoStatEscalated",
        "team": "shop",
        "severity": "critical",
        "hemostat_target": "web",
        "hemostat_host": "local",
        "outcome": "escalated",
        "incident": "a1b2c3",
    }


def test_a_label_that_alertmanager_may_not_take_costs_nobody_the_call() -> None:
    odd = {"team": "shop", "service.name": "a", "on call": "b", "\x1b[31m\u202e": "c", "": "d"}
    posted = escalation.of(closed(judged(), Outcome.ESCALATED), [labelled(**odd)])
    assert posted is not None
    assert {"team"} == odd.keys() & posted.labels.keys()


def test_no_label_of_it_names_a_target() -> None:
    labels = dict.fromkeys(TARGET_LABELS, "web") | {"docker_host": "local", "service_name": "shop_web"}
    posted = escalation.of(closed(judged(), Outcome.ESCALATED), [labelled(**labels)])
    assert posted is not None
    assert subject_of(posted.labels, hosts=["local"]).kind is SubjectKind.UNKNOWN


def test_an_alert_without_a_target_is_called_that() -> None:
    """Its subject's name is a hash, which tells nobody anything."""
    nameless = replace(judged(), target=None, subject=subject_of({"alertname": "DiskFull"}, hosts=["local"]))
    posted = escalation.of(closed(nameless, Outcome.ESCALATED), [labelled(instance="db-1")])
    assert posted is not None
    assert posted.annotations["summary"] == "an alert without a target: escalated, a person must look"
    assert "hemostat_target" not in posted.labels


def test_it_is_known_as_our_own() -> None:
    posted = escalation.of(closed(judged(), Outcome.ESCALATED), [labelled(name="web")])
    assert posted is not None
    echo: Alert = replace(alert(), labels=posted.labels)
    assert echo.own
    assert not alert().own
