"""What the demo says, worked out from what Docker, Prometheus, Alertmanager and the bridge have on record."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.text import Text

from bridge.demo import records, story
from bridge.demo.story import Boots, Course, Fact, Promise, Stage
from bridge.model.alert import Subject, SubjectKind
from bridge.model.incident import Decision, Incident, Outcome, State, TimelineEntry
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import Action, Verdict, VerdictKind

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HEALED = Promise(container="web", trouble="hangs", outcome=Outcome.HEALED, starts=1)
LEFT = Promise(container="mailer", trouble="loops", outcome=Outcome.ESCALATED, starts=0)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def fact(stage: Stage, seconds: float, text: str = "something", container: str = "web") -> Fact:
    return Fact(at=after(seconds), container=container, stage=stage, text=text)


def closed(outcome: Outcome, action: Action | None = Action.RESTART) -> Incident:
    kind = VerdictKind.REPAIR if action else VerdictKind.ESCALATE
    verdict = Verdict(kind=kind, rule="unhealthy", reason="It is sick.", action=action)
    return Incident(
        id="abc",
        subject=Subject(kind=SubjectKind.CONTAINER, host="local", name="web"),
        opened_at=NOW,
        state=State.CLOSED,
        outcome=outcome,
        reason="as it is",
        decision=Decision(verdict=verdict, guards=()),
    )


def course(promise: Promise = HEALED, outcome: Outcome | None = Outcome.HEALED, starts: int = 1) -> Course:
    action = Action.RESTART if promise.starts else None
    return Course(
        promise=promise,
        incident=closed(outcome, action) if outcome else None,
        boots=Boots(counted=5, by_policy=4 - starts),
    )


def plain(lines: Iterable[Text]) -> list[str]:
    return [line.plain for line in lines]


def test_seconds_count_from_when_the_container_fell_sick() -> None:
    told = course()
    told.learn([fact(Stage.SICK, 10), fact(Stage.ALERT, 12.34, "it fires")])
    assert plain(story.telling(fact(Stage.ALERT, 12.34, "it fires"), told, width=80)) == [
        "   2.3 s  web     alert      it fires"
    ]


def test_before_it_fell_sick_there_are_no_seconds() -> None:
    assert plain(story.telling(fact(Stage.FAULT, 0, "is frozen"), course(), width=80)) == [
        "          web     fault      is frozen"
    ]


@pytest.mark.parametrize("width", [20, 40, 63, 64, 80, 120, 300])
def test_no_line_is_wider_than_the_terminal_and_no_word_is_lost(width: int) -> None:
    text = " ".join(f"word{number}" for number in range(30))
    lines = plain(story.telling(fact(Stage.DECISION, 1, text), course(), width=width))
    words = " ".join(" ".join(lines).split())
    assert words.endswith(text)
    assert max(map(len, lines[1:]), default=0) <= width


def test_the_outcome_is_told_in_its_own_word() -> None:
    end = fact(Stage.END, 3, "left to a human", "mailer")
    [line] = story.telling(end, course(LEFT, Outcome.ESCALATED, 0), width=80)
    assert line.plain.split() == ["mailer", "escalated", "left", "to", "a", "human"]


def test_restarts_by_docker_are_told_only_once_the_incident_is_over() -> None:
    told = course(LEFT, Outcome.ESCALATED, 0)
    told.learn([fact(Stage.END, 5, container="mailer")])
    assert story.telling(fact(Stage.RESTART, 4, container="mailer"), told, width=80) == []
    assert story.telling(fact(Stage.RESTART, 6, container="mailer"), told, width=80) != []


def test_a_fact_is_news_once_and_a_milestone_keeps_its_first_time() -> None:
    told = course()
    first, again = fact(Stage.ALERT, 1, "it fires"), fact(Stage.ALERT, 61, "it fires still")
    assert told.learn([again, first]) == [first]
    assert told.learn([first, again]) == []
    assert told.at(Stage.ALERT) == first.at


@pytest.mark.parametrize(
    ("outcome", "goes_on"),
    [(Outcome.RESOLVED, True), (Outcome.ESCALATED, False), (Outcome.HEALED, False), (None, False)],
)
def test_an_incident_that_was_over_by_itself_gives_way_to_the_next(
    outcome: Outcome | None, goes_on: bool
) -> None:
    """Docker's restarts may end an alert for a moment; what is sick all the same is another incident."""
    first, then = replace(closed(Outcome.RESOLVED), outcome=outcome), closed(Outcome.ESCALATED)
    then = replace(then, id="def", opened_at=after(5))
    told = course(LEFT, None, 0)
    assert told.follow(first)
    if outcome:
        told.learn([fact(Stage.END, 3, container="mailer")])
    assert told.over_at == (None if goes_on or outcome is None else after(3))
    assert told.follow(then) is goes_on
    assert told.follow(first) is not goes_on
    told.learn([fact(Stage.END, 8, container="mailer")])
    if goes_on:
        assert (told.outcome, told.over_at) == (Outcome.ESCALATED, after(8))


def test_facts_are_told_in_the_order_in_which_they_happened() -> None:
    facts = [fact(Stage.END, 9), fact(Stage.SICK, 0), fact(Stage.DECISION, 3), fact(Stage.WEBHOOK, 3)]
    stages = [one.stage for one in course().learn(facts)]
    assert stages == [Stage.SICK, Stage.WEBHOOK, Stage.DECISION, Stage.END]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_summary_has_every_leg_and_fits(width: int) -> None:
    healed, left = course(), course(LEFT, Outcome.ESCALATED, 0)
    stages = (Stage.SICK, Stage.ALERT, Stage.WEBHOOK, Stage.DECISION, Stage.ACTION, Stage.END)
    healed.learn(fact(stage, seconds) for seconds, stage in enumerate(stages))
    left.learn([fact(Stage.SICK, 0, container="mailer"), fact(Stage.END, 0.25, container="mailer")])

    lines = plain(story.summary([healed, left], width=width))

    rows = [line.split() for line in lines]
    assert ["sick", "→", "alert", "1.0", "s"] in [row[:5] for row in rows]
    assert any(row[:3] == ["sick", "→", "outcome"] and row[-2:] == ["250", "ms"] for row in rows)
    assert any(row[0:3] == ["starts", "by", "HemoStat"] and row[-1] == "0" for row in rows if len(row) > 2)
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize(
    ("told", "complaints"),
    [
        pytest.param(course(), [], id="healed"),
        pytest.param(course(LEFT, Outcome.ESCALATED, 0), [], id="left alone"),
        pytest.param(
            course(outcome=None),
            ["web was to end healed, and nothing was decided in time."],
            id="nothing happened",
        ),
        pytest.param(
            course(outcome=Outcome.UNVERIFIED),
            ["web was to end healed, and ended unverified: as it is"],
            id="another end",
        ),
        pytest.param(
            course(LEFT, Outcome.ESCALATED, 2),
            ["HemoStat was to start mailer never, and did so twice."],
            id="a loop that was restarted",
        ),
        pytest.param(
            Course(promise=HEALED, incident=closed(Outcome.HEALED)),
            ["How often web started could not be counted."],
            id="not counted",
        ),
    ],
)
def test_what_was_not_kept_is_said(told: Course, complaints: list[str]) -> None:
    assert story.broken([told]) == complaints


def test_all_in_one_sentence() -> None:
    courses = [course(), course(), course(LEFT, Outcome.ESCALATED, 0)]
    assert story.verdict_on_all(courses) == (
        "2 healed, 1 escalated to a human (Docker restarted it 4 times, HemoStat never)."
    )


def test_the_usual_times_are_named_beside_the_short_ones() -> None:
    lines = story.policy_lines(TargetPolicy(cooldown_seconds=300), alert_for="1s", usual_for="30s", width=200)
    assert "an alert fires after 1s (30s)" in lines[0].plain
    assert "cooldown 5m (1h)" in lines[0].plain


@pytest.mark.parametrize("width", [40, 80])
def test_an_explanation_is_continued_below_its_text(width: int) -> None:
    lines = story.hanging("because    " + "x" * 20 + " " + "y" * 30 + " " + "z" * 30, width)
    assert len(lines) > 1
    assert all(line.startswith(" ") for line in lines[1:])


# What the records say


def test_the_first_failed_check_after_the_fault_is_the_beginning() -> None:
    def check(start: str, end: str, code: int) -> dict[str, object]:
        return {"Start": start, "End": end, "ExitCode": code, "Output": "no\x1b[31m answer\n"}

    log = [
        check("2026-01-02T03:04:00.1Z", "2026-01-02T03:04:00.2Z", 1),
        check("2026-01-02T03:04:06.1Z", "2026-01-02T03:04:06.2Z", 0),
        check("2026-01-02T03:04:07.123456789Z", "2026-01-02T03:04:08.2Z", 1),
        check("2026-01-02T03:04:09.1Z", "2026-01-02T03:04:09.2Z", 1),
    ]
    [sick] = records.of_health_log("web", {"Log": log}, since=NOW)
    assert (sick.stage, sick.at) == (Stage.SICK, datetime(2026, 1, 2, 3, 4, 7, 123456, tzinfo=UTC))
    assert "\x1b" not in sick.text
    assert records.of_health_log("web", None, since=NOW) == []


def event(action: str, seconds: float, code: str = "") -> dict[str, object]:
    attributes = {"exitCode": code} if code else {}
    at = int(after(seconds).timestamp() * 1e9)
    return {"Action": action, "timeNano": at, "Actor": {"Attributes": attributes}}


def test_with_a_restart_policy_every_later_start_is_its_doing() -> None:
    events = [
        event("start", 0),
        event("die", 1, "1"),
        event("start", 2),
        event("die", 3, "1"),
        event("start", 4),
    ]
    facts = records.of_events("mailer", events, since=NOW, policy="always")
    assert [one.stage for one in facts] == [Stage.SICK, Stage.RESTART, Stage.SICK, Stage.RESTART]
    assert facts[-1].text.startswith("restart 2 ")


def test_a_start_without_a_restart_policy_is_no_fact_of_dockers() -> None:
    events = [event("start", -9), event("die", 1, "2"), event("start", 2), event("health_status: healthy", 3)]
    facts = records.of_events("worker", events, since=NOW, policy="")
    assert [one.stage for one in facts] == [Stage.SICK, Stage.HEALTH]


def test_a_container_that_is_stopped_in_good_order_did_not_fall_sick() -> None:
    assert (
        records.of_events("web", [event("die", 1, "0"), event("die", 2, "143")], since=NOW, policy="") == []
    )


def test_alerts_of_strangers_are_left_out() -> None:
    alert = {"alertname": "ContainerDown", "name": "web-1f"}
    stranger = {"alertname": "ContainerDown", "name": "shop"}
    at = "2026-01-02T03:04:06.5Z"
    pending = [{"labels": labels, "activeAt": at} for labels in (alert, stranger, {"alertname": "Watchdog"})]
    active = [{"labels": labels, "updatedAt": at} for labels in (alert, stranger)]
    names = {"web-1f": "web"}
    assert [(one.container, one.at) for one in records.of_prometheus(names, pending)] == [("web", after(1.5))]
    assert [(one.container, one.at) for one in records.of_alertmanager(names, active)] == [
        ("web", after(1.5))
    ]


def test_the_bridges_timeline_becomes_the_story() -> None:
    entries = [
        ("opened", {}),
        ("judged", {"verdict": "repair", "action": "restart", "rule": "unhealthy", "reason": "It is sick."}),
        ("reserved", {"action": "restart"}),
        ("acting", {"action": "restart", "container": "f00"}),
        ("acted", {"action": "restart", "settled": "no"}),
        ("looked", {"finding": "well, not yet for long enough"}),
        ("alert_resolved", {}),
        ("closed", {"outcome": "healed", "reason": "well for 3 s"}),
        ("watch_ended", {}),
    ]
    timeline = [
        TimelineEntry(at=after(i), event=name, fields=fields) for i, (name, fields) in enumerate(entries)
    ]
    facts = records.of_incident("web", closed(Outcome.HEALED), timeline)
    assert [(one.stage, one.at) for one in facts] == [
        (Stage.WEBHOOK, after(0)),
        (Stage.DECISION, after(1)),
        (Stage.BUDGET, after(2)),
        (Stage.INTENT, after(3)),
        (Stage.ACTION, after(4)),
        (Stage.VERIFY, after(5)),
        (Stage.VERIFY, after(6)),
        (Stage.END, after(7)),
    ]
    assert facts[1].text == "restart, by rule unhealthy: It is sick."


def test_while_it_waits_nothing_is_decided() -> None:
    reason = "the deploy gets time to settle."
    timeline = [
        TimelineEntry(
            at=NOW, event="judged", fields={"verdict": "wait", "rule": "replaced_recently", "reason": reason}
        ),
        TimelineEntry(at=NOW, event="waiting", fields={"reason": reason}),
    ]
    facts = records.of_incident("web", closed(Outcome.NO_ACTION), timeline)
    assert [(one.stage, one.text) for one in facts] == [(Stage.WAIT, reason)]


def test_what_was_escalated_untouched_says_so() -> None:
    entry = TimelineEntry(at=NOW, event="closed", fields={"outcome": "escalated", "reason": "a loop"})
    [end] = records.of_incident("mailer", closed(Outcome.ESCALATED, None), [entry])
    assert end.text == "left to a human; HemoStat has not touched it"
