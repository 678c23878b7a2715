"""Guards that look at the container: its labels, its name, which one it is and how long it runs."""

from datetime import timedelta

import pytest

from bridge.guards import min_uptime, opted_in, protected, swarm_task, target_unchanged
from bridge.model.alert import Subject, SubjectKind
from bridge.model.policy import Policy, TargetPolicy
from bridge.model.refusal import Reason
from tests.unit.guards.answers import reason, until
from tests.unit.guards.builders import OTHER_ID, alert, situation
from tests.unit.triage.builders import ID, NOW, exited, unhealthy


@pytest.mark.parametrize(
    ("labels", "allowed"),
    [
        pytest.param({"hemostat.enable": "true"}, True, id="hemostat's label"),
        pytest.param({"autoheal": "true"}, True, id="autoheal's label"),
        pytest.param({"autoheal": "True "}, True, id="spelling"),
        pytest.param({}, False, id="no label"),
        pytest.param({"hemostat.enable": "yes"}, False, id="not understood"),
        pytest.param({"hemostat.enable": "false", "autoheal": "true"}, False, id="an explicit no wins"),
        pytest.param(
            {"hemostat.enable": "off", "autoheal": "true"}, False, id="so does what is not understood"
        ),
    ],
)
def test_opted_in(labels: dict[str, str], allowed: bool) -> None:
    answer = opted_in.refuse(situation(facts=unhealthy(labels=labels)))
    assert reason(answer) is (None if allowed else Reason.NOT_OPTED_IN)


def test_opted_in_repeats_no_label_it_does_not_understand() -> None:
    answer = opted_in.refuse(situation(facts=unhealthy(labels={"hemostat.enable": "CANARY"})))
    assert answer.inputs == {"hemostat.enable": "something else", "autoheal": "absent"}
    assert "CANARY" not in str(answer)


@pytest.mark.parametrize(
    ("labels", "allowed"),
    [
        pytest.param({}, True, id="a container of its own"),
        pytest.param({"com.docker.compose.project": "shop"}, True, id="of Compose"),
        pytest.param({"com.docker.swarm.service.name": "web"}, True, id="a label that anybody sets"),
        pytest.param({"com.docker.swarm.task.id": "x7k2"}, False, id="a task"),
    ],
)
def test_swarm_task(labels: dict[str, str], allowed: bool) -> None:
    answer = swarm_task.refuse(situation(facts=unhealthy(labels={"hemostat.enable": "true", **labels})))
    assert reason(answer) is (None if allowed else Reason.SWARM_TASK)


@pytest.mark.parametrize(
    ("patterns", "allowed"),
    [
        pytest.param((), True, id="nothing listed"),
        pytest.param(("*redis*",), True, id="something else listed"),
        pytest.param(("WEB",), False, id="by name, case ignored"),
        pytest.param(("shop/*",), False, id="by image"),
    ],
)
def test_protected(patterns: tuple[str, ...], allowed: bool) -> None:
    answer = protected.refuse(situation(policy=Policy(protected=patterns)))
    assert reason(answer) is (None if allowed else Reason.PROTECTED)
    assert answer.inputs["name"] == "web"


@pytest.mark.parametrize("label", ["com.docker.compose.service", "com.docker.swarm.service.name"])
def test_a_service_is_protected_by_the_name_that_people_know_it_by(label: str) -> None:
    """``shop-payments-1`` and ``payments.1.x7k2`` are what Compose and Swarm call the container of ``payments``."""
    facts = unhealthy(name="shop-payments-1", labels={"hemostat.enable": "true", label: "payments"})
    policy = Policy(protected=("payments",))
    assert reason(protected.refuse(situation(facts=facts, policy=policy))) is Reason.PROTECTED
    other = unhealthy(labels={"hemostat.enable": "true", label: "\x1b]CANARY"})
    assert "CANARY" not in str(protected.refuse(situation(facts=other, policy=policy)))


@pytest.mark.parametrize(
    ("name", "labels", "pattern"),
    [
        ("pay.1.x7k2", {"com.docker.swarm.service.name": "pay", "com.docker.swarm.task.id": "x7k2"}, "pay.1"),
        ("4f1c0ffee04f_shop-pay-1", {"com.docker.compose.project": "shop"}, "shop-pay-1"),
    ],
    ids=["a task's place", "while Compose recreates it"],
)
def test_a_target_is_protected_by_its_name_whatever_its_container_is_called(
    name: str, labels: dict[str, str], pattern: str
) -> None:
    facts = unhealthy(name=name, labels={"hemostat.enable": "true", **labels})
    answer = protected.refuse(situation(facts=facts, policy=Policy(protected=(pattern,))))
    assert reason(answer) is Reason.PROTECTED


@pytest.mark.parametrize(
    ("alerts", "allowed"),
    [
        pytest.param([{"container": "web"}], True, id="only a name"),
        pytest.param([{"container_id": ID}], True, id="its id"),
        pytest.param([{"container_id": ID[:12]}], True, id="its short id"),
        pytest.param([{"container_id": f"docker://{ID}"}], True, id="its id as Kubernetes writes it"),
        pytest.param([{"id": f"/docker/{ID}"}], True, id="cAdvisor"),
        pytest.param([{"id": f"/system.slice/docker-{ID}.scope"}], True, id="cAdvisor with systemd"),
        pytest.param([{"id": "/"}], True, id="an id label that is none"),
        pytest.param([{"container_id": OTHER_ID}], False, id="its predecessor's id"),
        pytest.param([{"container_id": OTHER_ID[:12]}], False, id="its predecessor's short id"),
        pytest.param([{"container_id": ID[:4]}], False, id="too short to tell"),
        pytest.param([{"id": f"/docker/{OTHER_ID}"}], False, id="its predecessor by cAdvisor"),
        pytest.param([{"container_id": OTHER_ID}, {"container_id": ID}], True, id="sick before and now"),
        pytest.param([{"container_id": OTHER_ID}, {"container": "web"}], True, id="and by its name"),
    ],
)
def test_target_unchanged(alerts: list[dict[str, str]], allowed: bool) -> None:
    answer = target_unchanged.refuse(situation(alerts=tuple(alert(**labels) for labels in alerts)))
    assert reason(answer) is (None if allowed else Reason.TARGET_CHANGED)


def test_without_alerts_the_subject_says_which_container_is_meant() -> None:
    subject = Subject(kind=SubjectKind.CONTAINER, host="local", name="web", container_id=OTHER_ID)
    answer = target_unchanged.refuse(situation(subject=subject, alerts=()))
    assert reason(answer) is Reason.TARGET_CHANGED
    assert answer.inputs == {"container": ID[:12], "alerts name": OTHER_ID[:12]}


@pytest.mark.parametrize(
    ("up", "least", "wait"),
    [
        pytest.param(0.0, 0.0, None, id="no least uptime"),
        pytest.param(60.0, 60.0, None, id="old enough"),
        pytest.param(45.0, 60.0, 15.0, id="too young"),
    ],
)
def test_min_uptime(up: float, least: float, wait: float | None) -> None:
    asked = situation(facts=unhealthy(up=up), target_policy=TargetPolicy(min_uptime_seconds=least))
    answer = min_uptime.refuse(asked)
    assert reason(answer) is (None if wait is None else Reason.STARTED_RECENTLY)
    if wait is not None:
        assert until(answer) == NOW + timedelta(seconds=wait)


def test_an_unknown_start_is_not_old_enough() -> None:
    """Unknown is refused, and time alone does not help."""
    policy = TargetPolicy(min_uptime_seconds=60.0)
    answer = min_uptime.refuse(situation(facts=unhealthy(up=None), target_policy=policy))
    assert reason(answer) is Reason.STARTED_RECENTLY
    assert until(answer) is None


def test_an_unknown_start_is_old_enough_where_no_age_is_asked_for() -> None:
    policy = TargetPolicy(min_uptime_seconds=0.0)
    assert min_uptime.refuse(situation(facts=unhealthy(up=None), target_policy=policy)).allowed


def test_min_uptime_counts_from_the_last_start_also_after_its_end() -> None:
    policy = TargetPolicy(min_uptime_seconds=300.0)
    answer = min_uptime.refuse(situation(facts=exited(1, ran=5.0), target_policy=policy))
    assert until(answer) == NOW + timedelta(seconds=300 - 65)
