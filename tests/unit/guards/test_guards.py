"""Each guard by its table, then all of them together."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge import guards
from bridge.guards import (
    action_allowed,
    fleet_share,
    maintenance,
    min_uptime,
    mode,
    opted_in,
    paused,
    project_share,
    protected,
    second_key,
    swarm_task,
    target_unchanged,
)
from bridge.model.alert import Subject, SubjectKind
from bridge.model.policy import MaintenanceWindow, Matcher, MatchOperator, Mode, Policy, TargetPolicy
from bridge.model.refusal import GuardAnswer, Reason, Refusal
from bridge.model.share import Population, Share, ShareScope
from bridge.model.time_interval import TimeInterval
from bridge.model.verdict import Action, ModelResult, Verdict, VerdictKind
from tests.unit.configured_interval import interval_of
from tests.unit.guards.builders import PAGE, RESTART, alert, situation
from tests.unit.triage.builders import ID, NOW, exited, unhealthy

LATER = NOW + timedelta(minutes=30)
OTHER_ID = "0" * 64


def reason(answer: GuardAnswer) -> Reason | None:
    return answer.refusal.reason if answer.refusal else None


def until(answer: GuardAnswer) -> datetime | None:
    assert answer.refusal is not None
    return answer.refusal.until


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


@pytest.mark.parametrize(
    ("unconfirmed", "approved_by", "refused"),
    [(False, "", False), (True, "", True), (True, "ada", False)],
)
def test_second_key(unconfirmed: bool, approved_by: str, refused: bool) -> None:
    verdict = replace(RESTART, unconfirmed=unconfirmed, model=ModelResult.TIMEOUT)
    answer = second_key.refuse(situation(verdict=verdict, approved_by=approved_by))
    assert reason(answer) is (Reason.APPROVAL_REQUIRED if refused else None)
    assert answer.inputs["decided by"] == "rules (model: timeout)"


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


@pytest.mark.parametrize(
    ("pause", "expected"),
    [
        pytest.param({"paused": False}, None, id="not paused"),
        pytest.param({"paused": True}, Reason.PAUSED, id="until somebody resumes"),
        pytest.param({"paused": True, "paused_until": LATER}, Reason.PAUSED, id="for half an hour"),
        pytest.param({"paused": True, "paused_until": NOW}, None, id="over just now"),
    ],
)
def test_paused(pause: dict[str, Any], expected: Reason | None) -> None:
    answer = paused.refuse(situation(paused_by="anna: move", **pause))
    assert reason(answer) is expected
    if expected:
        assert until(answer) == pause.get("paused_until")
        assert answer.inputs["by"] == "anna: move"


def window(name: str, *times: tuple[str, str], matchers: tuple[Matcher, ...] = ()) -> MaintenanceWindow:
    spans = [{"start_time": start, "end_time": end} for start, end in times]
    interval = interval_of({"times": spans}) if spans else TimeInterval()
    return MaintenanceWindow(name=name, intervals=(interval,), matchers=matchers)


WEB = Matcher(label="container", operator=MatchOperator.EQUAL, value="web")
DB = Matcher(label="container", operator=MatchOperator.EQUAL, value="db")


@pytest.mark.parametrize(
    ("windows", "end"),
    [
        pytest.param([window("noon", ("11:00", "13:00"))], (13, 0), id="open for every target"),
        pytest.param([window("noon", ("11:00", "13:00"), matchers=(WEB,))], (13, 0), id="open for this one"),
        pytest.param(
            [window("a", ("11:00", "12:30")), window("b", ("12:20", "14:00"))],
            (14, 0),
            id="one after the other",
        ),
        pytest.param(
            [window("a", ("11:00", "12:30")), window("b", ("12:20", "14:00"), matchers=(DB,))],
            (12, 30),
            id="another target's window does not count",
        ),
        pytest.param([window("always")], None, id="without an end"),
    ],
)
def test_maintenance_refuses(windows: list[MaintenanceWindow], end: tuple[int, int] | None) -> None:
    answer = maintenance.refuse(situation(policy=Policy(maintenance=tuple(windows))))
    assert reason(answer) is Reason.MAINTENANCE
    assert until(answer) == (end and datetime(2026, 11, 20, *end, tzinfo=UTC))


def test_a_window_is_open_while_one_of_its_intervals_is() -> None:
    night, noon = window("", ("01:00", "03:00")).intervals, window("", ("11:00", "13:00")).intervals
    twice = MaintenanceWindow(name="twice", intervals=(*night, *noon))
    answer = maintenance.refuse(situation(policy=Policy(maintenance=(twice,))))
    assert reason(answer) is Reason.MAINTENANCE
    assert until(answer) == datetime(2026, 11, 20, 13, 0, tzinfo=UTC)


def test_maintenance_says_which_windows_it_looked_at() -> None:
    noon, night = window("noon", ("11:00", "13:00")), window("night", ("01:00", "03:00"))
    other = window("other", ("11:00", "13:00"), matchers=(DB,))
    answer = maintenance.refuse(situation(policy=Policy(maintenance=(noon, night, other))))
    assert answer.inputs == {"windows": "3", "for this target": "noon, night", "active": "noon"}
    answer = maintenance.refuse(situation(policy=Policy(maintenance=(other,))))
    assert answer.inputs == {"windows": "1", "for this target": "none", "active": "none"}


def test_a_window_for_every_target_is_one_for_a_target_whose_alerts_have_ended() -> None:
    policy = Policy(maintenance=(window("noon", ("11:00", "13:00")),))
    assert reason(maintenance.refuse(situation(policy=policy, alerts=()))) is Reason.MAINTENANCE


@pytest.mark.parametrize(
    "windows",
    [
        pytest.param([], id="none"),
        pytest.param([window("night", ("01:00", "03:00"))], id="closed"),
        pytest.param([window("over", ("11:00", "12:00"))], id="its end is outside"),
        pytest.param([window("noon", ("11:00", "13:00"), matchers=(DB,))], id="another target's"),
        pytest.param([window("noon", ("11:00", "13:00"), matchers=(WEB, DB))], id="all matchers must fit"),
    ],
)
def test_maintenance_allows(windows: list[MaintenanceWindow]) -> None:
    assert maintenance.refuse(situation(policy=Policy(maintenance=tuple(windows)))).allowed


def test_one_alert_in_maintenance_is_enough() -> None:
    policy = Policy(maintenance=(window("noon", ("11:00", "13:00"), matchers=(WEB,)),))
    both = (alert(name="web"), alert(container="web"))
    assert reason(maintenance.refuse(situation(policy=policy, alerts=both))) is Reason.MAINTENANCE


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
    ("verdict", "actions", "allowed"),
    [
        pytest.param(RESTART, (Action.RESTART,), True, id="listed"),
        pytest.param(RESTART, (Action.START,), False, id="not listed"),
        pytest.param(RESTART, (), False, id="nothing listed"),
        pytest.param(PAGE, (), True, id="no action wanted"),
    ],
)
def test_action_allowed(verdict: Any, actions: tuple[Action, ...], allowed: bool) -> None:
    asked = situation(verdict=verdict, target_policy=TargetPolicy(actions=actions))
    assert reason(action_allowed.refuse(asked)) is (None if allowed else Reason.ACTION_NOT_ALLOWED)


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


def test_guards_say_what_they_looked_at() -> None:
    """Where there is something, that; else that there is nothing."""
    verdict = Verdict(kind=VerdictKind.REPAIR, rule="r", reason="sick", action=Action.RESTART)
    policy = TargetPolicy(actions=(Action.RESTART,))
    asked = situation(verdict=verdict, target_policy=policy, approved_by="ada")
    assert action_allowed.refuse(asked).inputs == {"action": "restart", "allowed": "restart"}
    assert mode.refuse(asked).inputs["approved by"] == "ada"
    assert second_key.refuse(asked).inputs["approved by"] == "ada"
    none = situation(
        verdict=replace(verdict, kind=VerdictKind.ESCALATE, action=None),
        target_policy=replace(policy, actions=()),
    )
    assert action_allowed.refuse(none).inputs == {"action": "none", "allowed": "none"}
    assert mode.refuse(none).inputs["approved by"] == "nobody"
    assert second_key.refuse(none).inputs["approved by"] == "nobody"


def test_min_uptime_counts_from_the_last_start_also_after_its_end() -> None:
    policy = TargetPolicy(min_uptime_seconds=300.0)
    answer = min_uptime.refuse(situation(facts=exited(1, ran=5.0), target_policy=policy))
    assert until(answer) == NOW + timedelta(seconds=300 - 65)


@pytest.mark.parametrize(
    ("wanted", "approved_by", "expected"),
    [
        pytest.param(Mode.AUTO, "", None, id="auto"),
        pytest.param(Mode.APPROVE, "", Reason.APPROVAL_REQUIRED, id="nobody approved"),
        pytest.param(Mode.APPROVE, "anna", None, id="approved"),
        pytest.param(Mode.OBSERVE, "", Reason.OBSERVE_MODE, id="observe"),
        pytest.param(Mode.OBSERVE, "anna", Reason.OBSERVE_MODE, id="observe cannot be approved"),
    ],
)
def test_mode(wanted: Mode, approved_by: str, expected: Reason | None) -> None:
    asked = situation(target_policy=TargetPolicy(mode=wanted), approved_by=approved_by)
    assert reason(mode.refuse(asked)) is expected


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


@pytest.mark.parametrize(
    ("share", "detail"),
    [
        pytest.param(of_project(1, 2), "", id="one of two is a sick container"),
        pytest.param(of_project(1, 1), "", id="the only one"),
        pytest.param(of_project(3, 9), "", id="a third"),
        pytest.param(
            of_project(2, 2), "2 of 2 containers of project shop are sick, more than 34%", id="both"
        ),
        pytest.param(
            of_project(5, 8), "5 of 8 containers of project shop are sick, more than 34%", id="most"
        ),
        pytest.param(
            of_project(1, 8, suspect_since=NOW),
            "1 of 8 containers of project shop are sick; more than 34% were, and less than 17% must be for a while",
            id="until it has been quiet",
        ),
    ],
)
def test_nothing_is_repaired_in_a_project_of_which_too_many_are_sick(share: Share, detail: str) -> None:
    answer = project_share.refuse(situation(shares=(share,)))
    assert answer.inputs["sick"] == str(share.sick)
    assert (answer.refusal.detail if answer.refusal else "").startswith(detail)
    assert answer.allowed == (not detail)


def test_a_container_of_no_project_is_held_against_none() -> None:
    assert project_share.refuse(situation()).inputs == {"project": "none"}


@pytest.mark.parametrize(
    ("shares", "allowed"),
    [
        pytest.param((of_fleet(9, 9),), True, id="few, whatever their share"),
        pytest.param((of_fleet(10, 30),), True, id="a third"),
        pytest.param((of_fleet(10, 29),), False, id="more"),
        pytest.param(
            (of_fleet(12, 300), of_fleet(12, 30, scope=ShareScope.HOST)), False, id="all on one host"
        ),
        pytest.param((of_fleet(1, 30, suspect_since=NOW),), False, id="until it has been quiet"),
        pytest.param((of_fleet(0, 0, "local"),), True, id="nothing is known"),
    ],
)
def test_nothing_is_repaired_while_too_many_of_the_host_or_the_fleet_are_sick(
    shares: tuple[Share, ...], allowed: bool
) -> None:
    assert fleet_share.refuse(situation(shares=shares)).allowed is allowed


def test_what_could_not_be_counted_is_said() -> None:
    trace = fleet_share.refuse(situation(shares=(of_fleet(0, 0, "local", "b"),))).inputs
    assert trace == {"sick": "0", "known": "unknown", "allowed": "34%", "not counted": "host local, b"}
    counted = of_fleet(11, 20, "b")
    refusal = fleet_share.refuse(situation(shares=(counted,))).refusal
    assert refusal is not None
    assert refusal.detail.startswith("11 of 20 containers are sick (not counted: host b), more than 34%")


TABLE = [
    "opted_in",
    "protected",
    "swarm_task",
    "paused",
    "project_share",
    "fleet_share",
    "maintenance",
    "target_unchanged",
    "action_allowed",
    "min_uptime",
    "second_key",
    "mode",
]


def test_nothing_speaks_against_a_repair_that_is_allowed() -> None:
    answers = guards.ask_all(situation())
    assert [answer.guard for answer in answers] == TABLE
    decision = guards.decide(RESTART, answers)
    assert decision.allowed
    assert decision.would is None


def test_all_guards_are_asked_and_all_refusals_kept_in_the_order_of_the_table() -> None:
    asked = situation(
        facts=unhealthy(up=5, labels={"com.docker.swarm.task.id": "x7k2"}),
        alerts=(alert(container_id=OTHER_ID),),
        policy=Policy(protected=("web",), maintenance=(window("always"),)),
        target_policy=TargetPolicy(mode=Mode.OBSERVE, actions=(), min_uptime_seconds=60.0),
        paused=True,
        verdict=replace(RESTART, unconfirmed=True, model=ModelResult.BUSY),
        shares=(of_project(5, 8), of_fleet(10, 20)),
    )
    answers = guards.ask_all(asked)
    decision = guards.decide(RESTART, answers)
    assert [answer.guard for answer in answers if not answer.allowed] == TABLE
    assert [refusal.reason for refusal in decision.refusals] == [
        Reason.NOT_OPTED_IN,
        Reason.PROTECTED,
        Reason.SWARM_TASK,
        Reason.PAUSED,
        Reason.PROJECT_SHARE,
        Reason.FLEET_SHARE,
        Reason.MAINTENANCE,
        Reason.TARGET_CHANGED,
        Reason.ACTION_NOT_ALLOWED,
        Reason.STARTED_RECENTLY,
        Reason.APPROVAL_REQUIRED,
        Reason.OBSERVE_MODE,
    ]
    assert not decision.allowed
    assert decision.would is None


def answered(*reasons: Reason) -> list[GuardAnswer]:
    return [
        GuardAnswer(guard=each.value, inputs={}, refusal=Refusal(reason=each, detail="no"))
        for each in reasons
    ]


@pytest.mark.parametrize(
    ("reasons", "would"),
    [
        pytest.param([Reason.OBSERVE_MODE], Action.RESTART, id="observe alone"),
        pytest.param([Reason.PAUSED, Reason.OBSERVE_MODE], None, id="it would not have done it anyway"),
        pytest.param([Reason.APPROVAL_REQUIRED], None, id="approval is asked for"),
    ],
)
def test_decide_says_what_it_would_have_done(reasons: list[Reason], would: Action | None) -> None:
    decision = guards.decide(RESTART, answered(*reasons))
    assert decision.would is would
    assert not decision.allowed


@pytest.mark.parametrize(
    ("reasons", "asks"),
    [
        pytest.param([Reason.APPROVAL_REQUIRED], Action.RESTART, id="an approval alone is missing"),
        pytest.param([Reason.APPROVAL_REQUIRED] * 2, Action.RESTART, id="for two reasons"),
        pytest.param([Reason.PAUSED, Reason.APPROVAL_REQUIRED], None, id="it would not be done anyway"),
        pytest.param([], None, id="nothing is missing"),
    ],
)
def test_people_are_asked_where_their_approval_alone_is_missing(
    reasons: list[Reason], asks: Action | None
) -> None:
    assert guards.decide(RESTART, answered(*reasons)).asks is asks


def test_only_a_repair_can_be_refused() -> None:
    """The answers are kept for people, but nothing was refused where nothing was wanted."""
    decision = guards.decide(PAGE, answered(Reason.PAUSED, Reason.OBSERVE_MODE))
    assert decision.refusals == ()
    assert decision.would is None
    assert len(decision.guards) == 2
    assert not decision.allowed
