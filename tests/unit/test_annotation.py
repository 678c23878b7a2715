"""An incident as Grafana sees it: a region for a repair, a point for a refusal, tags that survive, text that is only text."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import annotation
from bridge.model.alert import Subject, SubjectKind
from bridge.model.evidence import Evidence
from bridge.model.incident import Decision, Incident, Intent, Outcome, Repair, Target, TimelineEntry
from bridge.model.verdict import Action, Verdict, VerdictKind
from tests.integration.desk import START
from tests.unit.triage.builders import running


def judged(name: str = "web") -> Incident:
    subject = Subject(kind=SubjectKind.CONTAINER, host="local", name=name)
    incident = Incident(id="a1b2c3", subject=subject, opened_at=START).found(Target(host="local", name=name))
    verdict = Verdict(
        kind=VerdictKind.REPAIR, rule="unhealthy", reason="its health check fails", action=Action.RESTART
    )
    evidence = Evidence(collected_at=START, container=running(name=name))
    return incident.judged(evidence, Decision(verdict=verdict, guards=()), now=START)


def acting(name: str = "web") -> Incident:
    intent = Intent(
        action=Action.RESTART,
        container_id="c" * 64,
        was_running=True,
        started_at=START,
        restart_count=0,
        stop_timeout_seconds=10,
        token=1,
        at=START + timedelta(seconds=2),
    )
    return judged(name).reserved(1, now=START).acting(intent, now=START)


def closed(incident: Incident, outcome: Outcome, *, after: float = 36, reason: str = "") -> Incident:
    now = START + timedelta(seconds=after)
    if incident.intent is not None and outcome is not Outcome.FAILED:
        repair = Repair(action=Action.RESTART, container_id="c" * 64, at=now)
        incident = incident.verifying(repair, now=now)
    return incident.closing(outcome, reason, now=now, reconsider_at=now)


def test_nothing_is_drawn_before_anything_is_done() -> None:
    assert annotation.of(judged(), ()) is None


def test_a_repair_under_way_is_a_region_without_an_end() -> None:
    drawn = annotation.of(acting(), ())
    assert drawn is not None
    assert (drawn.begins, drawn.ends) == (START + timedelta(seconds=2), None)
    assert drawn.tags == ("hemostat", "incident:a1b2c3", "action:restart", "container:web", "host:local")
    assert drawn.text.splitlines() == [
        "restart of web: under way",
        "why: its health check fails",
        "hemostat explain a1b2c3",
    ]


def test_the_outcome_ends_the_region_and_joins_its_tags() -> None:
    drawn = annotation.of(closed(acting(), Outcome.HEALED, reason="well for 30 s"), ())
    assert drawn is not None
    assert drawn.ends == START + timedelta(seconds=36)
    assert "outcome:healed" in drawn.tags
    assert drawn.text.splitlines()[0] == "restart of web: healed after 34 s"
    assert "well for 30 s" in drawn.text


def test_a_region_begins_with_the_first_intent_though_a_crash_made_another() -> None:
    first = TimelineEntry(at=START + timedelta(seconds=1), event="acting", fields={})
    later = replace(first, at=START + timedelta(seconds=9))
    drawn = annotation.of(acting(), (first, later))
    assert drawn is not None
    assert drawn.begins == first.at


@pytest.mark.parametrize(
    ("outcome", "seen"),
    [
        (Outcome.ESCALATED, True),
        (Outcome.REFUSED, True),
        (Outcome.NO_ACTION, False),
        (Outcome.RESOLVED, False),
    ],
)
def test_what_was_not_repaired_is_a_point_where_it_concerns_people(outcome: Outcome, seen: bool) -> None:
    drawn = annotation.of(closed(judged(), outcome), ())
    assert (drawn is not None) is seen
    if drawn:
        assert drawn.begins == drawn.ends == START + timedelta(seconds=36)


def test_which_points_are_drawn_is_configured() -> None:
    incident = closed(judged(), Outcome.NO_ACTION)
    assert annotation.of(incident, (), points={Outcome.NO_ACTION}) is not None
    assert annotation.of(closed(judged(), Outcome.REFUSED), (), points=()) is None


def test_text_of_the_outside_is_only_text() -> None:
    hostile = closed(judged(), Outcome.ESCALATED, reason='<script>alert(1)</script> & <a href="x">')
    drawn = annotation.of(hostile, (), external_url="https://hemostat.example/")
    assert drawn is not None
    lines = drawn.text.splitlines()
    assert lines[1] == '&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;a href="x"&gt;'
    assert lines[-1] == ('<a href="https://hemostat.example/#/incident/a1b2c3">incident a1b2c3</a>')


@given(name=st.text(max_size=400))
def test_tags_survive_as_grafana_keeps_them(name: str) -> None:
    drawn = annotation.of(closed(acting(name), Outcome.HEALED), ())
    assert drawn is not None
    assert drawn.tags[:4] == ("hemostat", "incident:a1b2c3", "outcome:healed", "action:restart")
    assert all(tag.count(":") <= 1 and len(side) <= 100 for tag in drawn.tags for side in tag.split(":"))
    assert len(json.dumps(drawn.tags)) < 500
    assert len(drawn.text.encode()) < 8192
