"""When two moments are the same question."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.model.evidence import Evidence, Health, Measure, Measured
from bridge.model.verdict import Action, Verdict, VerdictKind
from bridge.triage import fingerprint
from tests.unit.triage.builders import BOTH, NOW, STATEFUL, evidence, lines, told, unhealthy

VERDICT = Verdict(kind=VerdictKind.REPAIR, rule="unhealthy", reason="sick", action=Action.RESTART)
COLLECTED = evidence(
    unhealthy(),
    log_lines=lines("request 17 took 30 s"),
    measures=(Measure(id="M1", name=Measured.CPU_SHARE, last=0.50, mean=0.4, max=0.9),),
    events=told((-20, "oom")),
)


def key(collected: Evidence, **changes: Any) -> str:
    asked = {"policy": BOTH, "verdict": VERDICT, "alert_names": ["A"], "asked": "v1"}
    return fingerprint.question(collected, **{**asked, **changes})


@pytest.mark.parametrize(
    "same",
    [
        pytest.param({"collected_at": NOW + timedelta(seconds=9)}, id="later"),
        pytest.param({"log_lines": lines("request 99 took 31 s")}, id="other-numbers"),
        pytest.param(
            {"container": unhealthy(host_now=NOW + timedelta(seconds=60), failing_streak=9)},
            id="clock-and-streak",
        ),
        pytest.param(
            {"measures": (Measure(id="M2", name=Measured.CPU_SHARE, last=0.51, mean=0.2, max=0.9),)},
            id="figures",
        ),
    ],
)
def test_what_says_the_same_is_the_same_question(same: dict[str, Any]) -> None:
    assert key(replace(COLLECTED, **same)) == key(COLLECTED)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"container": unhealthy(up=5.0)}, id="restarted"),
        pytest.param({"container": unhealthy(restart_count=1)}, id="restart-count"),
        pytest.param({"container": unhealthy(health=Health.HEALTHY)}, id="health"),
        pytest.param({"log_lines": lines("migration started")}, id="log"),
        pytest.param({"events": ()}, id="events"),
        pytest.param({"runbook": "never restart"}, id="note"),
        pytest.param({"alert_silenced": True}, id="silenced"),
        pytest.param(
            {"measures": (Measure(id="M1", name=Measured.CPU_SHARE, last=0.9, mean=0.4, max=0.9),)},
            id="figures",
        ),
    ],
)
def test_what_says_something_else_is_another_question(other: dict[str, Any]) -> None:
    assert key(replace(COLLECTED, **other)) != key(COLLECTED)


def test_policy_verdict_alerts_and_the_way_of_asking_belong_to_the_question() -> None:
    keys = {
        key(COLLECTED),
        key(COLLECTED, policy=STATEFUL),
        key(COLLECTED, alert_names=["A", "B"]),
        key(COLLECTED, asked="v2"),
        key(COLLECTED, verdict=replace(VERDICT, rule="crashed")),
    }
    assert len(keys) == 5


def test_a_sickness_is_the_containers_state_whatever_is_said_about_it() -> None:
    talkative = replace(COLLECTED, log_lines=lines("anything"), measures=())
    sick = {fingerprint.sickness(each, policy=BOTH, verdict=VERDICT) for each in (COLLECTED, talkative)}
    assert len(sick) == 1
    assert fingerprint.sickness(evidence(unhealthy(up=5.0)), policy=BOTH, verdict=VERDICT) not in sick


def test_the_hash_of_evidence_is_of_all_of_it() -> None:
    assert fingerprint.evidence_hash(COLLECTED) == fingerprint.evidence_hash(replace(COLLECTED))
    assert fingerprint.evidence_hash(COLLECTED) != fingerprint.evidence_hash(replace(COLLECTED, log_lines=()))
