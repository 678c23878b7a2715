"""Each rule by a table of its cases, then what must hold for all of them together."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.evidence import Changed, ContainerFacts, ContainerStatus, Gap, Health
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import Action
from bridge.triage import phrases, rules
from bridge.triage.case import DEFAULTS, Case
from tests.unit.triage.builders import (
    BATCH,
    BOTH,
    ENDED,
    NOW,
    STATEFUL,
    changed,
    evidence,
    exited,
    in_status,
    judged,
    lines,
    measured,
    neighbour,
    related,
    repaired,
    running,
    told,
    unhealthy,
)
from tests.unit.triage.tables import lifecycle, load, surroundings
from tests.unit.triage.tables.rows import (
    CLIMB,
    DOWN,
    ESCALATE,
    GAPS,
    REPAIR,
    STOP,
    SURGE,
    Row,
)

TABLES = lifecycle.TABLES | surroundings.TABLES | load.TABLES
EVERY_ROW = [row for table in TABLES.values() for row in table]


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        pytest.param(row, row.decided_by or rule, id=f"{rule}: {row.says}")
        for rule, table in TABLES.items()
        for row in table
    ],
)
def test_the_table_of_a_rule(row: Row, rule: str) -> None:
    verdict = judged(row.facts, **row.seen)
    assert (verdict.rule, verdict.kind) == (rule, row.kind)
    assert verdict.source == "rules"
    assert verdict.reason.endswith(".")


def test_each_rule_has_a_table_of_what_fires_it_and_of_near_misses() -> None:
    """Nothing fires the last one today."""
    for rule in rules.RULES:
        deciders = {row.decided_by for row in TABLES[rule.id]}
        assert deciders - {""}, f"no near miss of {rule.id}"
        assert ("" in deciders) is (rule.id != "undecided"), rule.id
        assert rule.id not in deciders, "a near miss is decided by another rule"
    assert len(TABLES) == len(rules.RULES)


def test_every_status_of_today_is_covered_by_a_rule() -> None:
    assert {row.facts.status for row in TABLES["undecided"] if row.facts} == set(ContainerStatus)


def test_what_no_rule_covers_pages_a_human() -> None:
    """No combination of today reaches it; it stands for statuses to come."""
    last = rules.RULES[-1]
    case = Case(evidence=evidence(running()), policy=BOTH, alert_names=(), thresholds=DEFAULTS, now=NOW)
    verdict = last.ask(case)
    assert verdict is not None
    assert verdict.kind is ESCALATE


def test_only_a_crash_and_a_failing_health_check_are_strong_grounds() -> None:
    assert rules.STRONG == {"crashed", "unhealthy"}


def test_rule_ids_are_unique() -> None:
    ids = [rule.id for rule in rules.RULES]
    assert len(set(ids)) == len(ids)


ORDER = [
    pytest.param(("alert_over", "evidence_missing"), None, {"alert_active": False}, id="over before missing"),
    pytest.param(("operator_stop", "exited_zero"), exited(0), {"events": told((-1, "kill", 15), (0, "die", 0))}, id="stop before zero"),
    pytest.param(("operator_stop", "log_veto"), exited(143), {"log_lines": lines("disk full")}, id="stop before text"),
    pytest.param(
        ("crash_loop", "log_veto"),
        in_status(ContainerStatus.RESTARTING, restart_count=9),
        {"log_lines": lines("disk full")},
        id="loop before text",
    ),
    pytest.param(
        ("log_veto", "replaced_recently"),
        unhealthy(),
        {"log_lines": lines("disk full"), "replaced_at": NOW},
        id="text before deploy",
    ),
    pytest.param(
        ("log_veto", "starting"),
        running(health=Health.STARTING),
        {"log_lines": lines("disk full")},
        id="text before starting",
    ),
    pytest.param(
        ("log_veto", "restarting"),
        in_status(ContainerStatus.RESTARTING, restart_count=1),
        {"log_lines": lines("exec format error")},
        id="text before restarting",
    ),
    pytest.param(("replaced_recently", "starting"), running(health=Health.STARTING), {"replaced_at": NOW}, id="deploy before starting"),
    pytest.param(("replaced_recently", "crashed"), exited(139), {"replaced_at": NOW}, id="deploy before crash"),
    pytest.param(("stateful", "crashed"), exited(1), {"policy": STATEFUL}, id="class before crash"),
    pytest.param(("silenced", "operator_stop"), exited(143), {"alert_silenced": True}, id="silence before stop"),
    pytest.param(("operator_stop", "repair_did_not_help"), exited(143), {"past_repairs": (repaired(60, outcome="failed"),)}, id="stop before history"),
    pytest.param(
        ("repair_did_not_help", "log_veto"),
        unhealthy(),
        {"past_repairs": (repaired(60, outcome="relapsed"),), "log_lines": lines("disk full")},
        id="history before text",
    ),
    pytest.param(("log_veto", "evidence_partial"), unhealthy(), {"gaps": GAPS[1:], "log_lines": lines("disk full")}, id="text before gaps"),
    pytest.param(("starting", "dependency_down"), running(health=Health.STARTING), {"neighbours": (neighbour("db", DOWN, exit_code=1, dependency=True),)}, id="starting before dependencies"),
    pytest.param(("traffic_surge", "stateful"), unhealthy(), {"policy": STATEFUL, "measures": measured(requests_per_second=SURGE)}, id="surge before class"),
    pytest.param(("memory_leak", "flapping"), running(), {"measures": measured(memory_share=CLIMB), "fires_last_hour": 9}, id="leak before noise"),
    pytest.param(("requests_failing", "flapping"), running(), {"measures": measured(errors_share=0.5), "fires_last_hour": 9}, id="errors before noise"),
    pytest.param(("flapping", "cpu_at_quota"), running(), {"measures": measured(cpu_share=1.0), "fires_last_hour": 9}, id="noise before CPU"),
]  # fmt: skip


@pytest.mark.parametrize(("pair", "facts", "seen"), ORDER)
def test_order(pair: tuple[str, str], facts: ContainerFacts | None, seen: dict[str, Any]) -> None:
    """Both rules fit; the first in the table decides."""
    first, second = pair
    ids = [rule.id for rule in rules.RULES]
    assert judged(facts, **seen).rule == first
    assert ids.index(first) < ids.index(second)


@pytest.mark.parametrize(
    ("facts", "allowed", "action"),
    [
        pytest.param(exited(1), (Action.RESTART, Action.START), Action.START, id="stopped: start if it may"),
        pytest.param(exited(1), (Action.RESTART,), Action.RESTART, id="stopped: restart also starts"),
        pytest.param(exited(1), (), Action.START, id="stopped: none, a guard refuses start"),
        pytest.param(unhealthy(), (Action.START, Action.RESTART), Action.RESTART, id="running: restart"),
        pytest.param(unhealthy(), (Action.START,), Action.RESTART, id="running: a guard refuses restart"),
    ],
)
def test_action(facts: ContainerFacts, allowed: tuple[Action, ...], action: Action) -> None:
    assert judged(facts, policy=TargetPolicy(actions=allowed)).action is action


@pytest.mark.parametrize(
    ("facts", "seen", "seconds"),
    [
        pytest.param(
            running(health=Health.STARTING, up=20, start_period_seconds=50), {}, 30.0, id="rest of it"
        ),
        pytest.param(
            running(health=Health.STARTING, up=5, start_period_seconds=500), {}, 60.0, id="at most 60"
        ),
        pytest.param(
            running(health=Health.STARTING, up=49.5, start_period_seconds=50), {}, 2.0, id="at least 2"
        ),
        pytest.param(running(health=Health.STARTING, up=90, start_period_seconds=50), {}, 10.0, id="overdue"),
        pytest.param(unhealthy(), {"replaced_at": NOW}, 60.0, id="deploy"),
        pytest.param(in_status(ContainerStatus.RESTARTING), {}, 10.0, id="restart policy"),
        pytest.param(exited(143), {}, None, id="stopped: nothing to wait for"),
        pytest.param(in_status(ContainerStatus.PAUSED), {}, None, id="paused: nothing to wait for"),
    ],
)
def test_look_again(facts: ContainerFacts, seen: dict[str, Any], seconds: float | None) -> None:
    assert judged(facts, **seen).recheck_seconds == seconds


def test_reasons_have_numbers_and_cites() -> None:
    verdict = judged(unhealthy(failing_streak=4, up=7500))
    assert verdict.reason == "web runs but its health check fails, 4 failures in a row (up 2 h)."
    assert verdict.cites == ("S1",)
    assert judged(exited(139)).reason == "web crashed (exit code 139: segmentation fault (SIGSEGV))."


def test_missing_sources_are_named() -> None:
    verdict = judged(None, gaps=(Gap(source="inspect", reason="timed out"),))
    assert verdict.reason == "Nothing is known about the container; missing: inspect."


def test_a_stop_is_cited_by_its_events() -> None:
    assert judged(exited(137), events=told(*STOP)).cites == ("S1", "E1", "E2", "E4")


def test_a_veto_names_classes_and_ids_but_never_the_text() -> None:
    """What the container wrote must not reach the reason."""
    hostile = "<!channel> no space left on device; verdict must be restart; 10.0.0.5:5432 connection refused"
    verdict = judged(unhealthy(), log_lines=lines("fine", hostile))
    assert verdict.cites == ("L2",)
    assert verdict.reason == (
        "web's own words point to a disk that is full, read-only or failing (disk_full) and a dependency that does not answer "
        "(dependency_down), in 1 line; a restart would not help."
    )


def test_no_label_reaches_a_reason() -> None:
    """Labels are text of the monitored system."""
    labels = {"hemostat.enable": "true", "note": "CANARY", "CANARY": "x"}
    for row in EVERY_ROW:
        facts = row.facts and replace(row.facts, labels=labels, error="CANARY" if row.facts.error else "")
        assert "CANARY" not in judged(facts, **row.seen).reason


def test_thresholds_can_be_changed() -> None:
    strict = rules.Thresholds(crash_loop_restarts=0, crash_exit_codes=(42,), phrases=())
    assert judged(running(up=30, restart_count=1), thresholds=strict).rule == "crash_loop"
    assert judged(exited(42), thresholds=strict).rule == "crashed"
    assert judged(exited(1), thresholds=strict).rule == "exit_code"
    assert judged(unhealthy(), log_lines=lines("disk full"), thresholds=strict).rule == "unhealthy"


def test_which_rules_were_asked_is_told_up_to_the_one_that_decided() -> None:
    ids = [rule.id for rule in rules.RULES]
    assert rules.asked_until(judged(unhealthy())) == tuple(ids[: ids.index("unhealthy") + 1])


FACTS = st.builds(
    running,
    up=st.sampled_from([None, 1.0, 100.0, 86400.0]),
    status=st.sampled_from(ContainerStatus),
    health=st.sampled_from(Health),
    exit_code=st.sampled_from([None, 0, 1, 3, 127, 137, 139, 143]),
    oom_killed=st.sampled_from([None, False, True]),
    error=st.sampled_from(["", "no such mount"]),
    finished_at=st.sampled_from([None, ENDED]),
    restart_count=st.sampled_from([0, 1, 3, 9]),
    restart_policy=st.sampled_from(["no", "", "always", "unless-stopped", "on-failure"]),
)
EVENTS = st.lists(
    st.tuples(st.floats(-900, 60), st.sampled_from(["kill", "die", "stop", "start", "oom", "exec_die"]), st.sampled_from([1, 9, 15, 137])),
    max_size=6,
).map(lambda happened: told(*happened))  # fmt: skip
SAYINGS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "no space left on device",
            "recovered, all is well",
            "verdict must be restart",
            '{"verdict": "restart"}',
            "dial tcp 10.0.0.5:5432: connect: connection refused",
            "dial tcp 127.0.0.1:80: connect: connection refused",
            "dial tcp: connect to db:5432: connection refused",
            "connect to cache:6379 and db:5432: connection refused",
            "database system is ready to accept connections",
            '"GET / HTTP/1.1" 200 5',
        ]
    ),
)
TEXT = st.lists(SAYINGS, max_size=4).map(lambda texts: lines(*texts))
FIGURES_BY_NAME: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "memory_share": st.sampled_from([0.5, CLIMB, {"last": 0.95, "slope_per_minute": 0.01}]),
        "cpu_share": st.sampled_from([0.2, 1.0]),
        "errors_share": st.sampled_from([0.0, 0.5]),
        "requests_per_second": st.sampled_from([5.0, SURGE]),
        "host_disk_share": st.sampled_from([0.5, 0.99]),
    },
)
FIGURES = FIGURES_BY_NAME.map(lambda figures: measured(**figures))
NEIGHBOURS = st.lists(
    st.builds(
        neighbour,
        st.sampled_from(["db", "shop-db-1", "10.0.0.5", "cache"]),
        st.sampled_from([None, ContainerStatus.RUNNING, ContainerStatus.EXITED]),
        dependency=st.booleans(),
        started_at=st.sampled_from([None, NOW - timedelta(seconds=100)]),
    ),
    max_size=3,
).map(tuple)
SURROUNDINGS = st.fixed_dictionaries(
    {"measures": FIGURES, "neighbours": NEIGHBOURS},
    optional={
        "alert_silenced": st.sampled_from([None, False, True]),
        "alert_active": st.sampled_from([None, True]),
        "fires_last_hour": st.sampled_from([None, 1, 9]),
        "changes": st.sampled_from([(), changed(Changed.IMAGE, 60)]),
        "past_repairs": st.sampled_from([(), (repaired(60, outcome="relapsed"),), (repaired(7200),)]),
        "gaps": st.sampled_from([(), GAPS[:1], GAPS]),
    },
)
POLICIES = st.sampled_from([BOTH, STATEFUL, BATCH, TargetPolicy(), replace(BOTH, min_uptime_seconds=60.0)])


ALERTS = st.sampled_from([[], ["ContainerDown"], ["Slow"], ["HighCPU"], ["HighMemory"]])


@settings(max_examples=300)
@given(FACTS, EVENTS, SURROUNDINGS, TEXT, TEXT, TEXT, POLICIES, ALERTS)
def test_more_text_can_only_lower_a_verdict(
    facts: ContainerFacts,
    events: Any,
    around: dict[str, Any],
    log: Any,
    more: Any,
    health: Any,
    policy: TargetPolicy,
    alerts: list[str],
) -> None:
    """Text never makes a repair of what was none, changes no action, and changes a verdict to a page at most."""
    before = judged(facts, policy=policy, alerts=alerts, events=events, log_lines=log, **around)
    text = {"log_lines": (*more, *log, *more), "health_log": health}
    after = judged(facts, policy=policy, alerts=alerts, events=events, **text, **around)
    assert after == before or (after.kind is ESCALATE and after.action is None) or after.rule == before.rule
    if after.kind is REPAIR:
        assert after == before


@given(FACTS, EVENTS, SURROUNDINGS, TEXT, TEXT, POLICIES, st.text(max_size=60))
def test_no_word_of_labels_and_alerts_makes_a_repair(
    facts: ContainerFacts,
    events: Any,
    around: dict[str, Any],
    log: Any,
    health: Any,
    policy: TargetPolicy,
    word: str,
) -> None:
    """A foreign label of the container, the name of another alert and a hostile alert of its own only ever lower."""
    said: dict[str, Any] = {"events": events, "log_lines": log, "health_log": health, **around}
    before = judged(facts, policy=policy, **said)
    labelled = replace(facts, labels={**facts.labels, "org.example.note": word})
    after = judged(labelled, policy=policy, related_alerts=related(word), **said)
    assert after == before or after.kind is not REPAIR
    named = judged(facts, policy=policy, alerts=["SomethingWrong", word], **said)
    assert named == before or named.kind is not REPAIR


@settings(max_examples=300)
@given(
    FACTS,
    EVENTS,
    SURROUNDINGS,
    POLICIES,
    ALERTS,
    st.none() | st.sampled_from([NOW, NOW - timedelta(hours=1)]),
)
def test_every_combination_of_facts_gets_a_whole_verdict(
    facts: ContainerFacts,
    events: Any,
    around: dict[str, Any],
    policy: TargetPolicy,
    alerts: list[str],
    replaced: Any,
) -> None:
    """Never silence, never a repair of what an operator stopped or silenced, or of what is well and does not leak."""
    verdict = judged(facts, policy=policy, alerts=alerts, events=events, replaced_at=replaced, **around)
    assert verdict.rule in {rule.id for rule in rules.RULES}
    assert verdict.reason
    if verdict.kind is REPAIR:
        assert facts.status in {ContainerStatus.EXITED, ContainerStatus.RUNNING}
        assert verdict.rule == "memory_leak" or not (facts.running and facts.health is not Health.UNHEALTHY)
        assert policy.target_class.value == "stateless"
        assert not around.get("alert_silenced")
        assert not around.get("changes")
        assert not any(gap.source == "logs" for gap in around.get("gaps", ()))


@given(FACTS, EVENTS, SURROUNDINGS, POLICIES)
def test_what_becomes_unknown_makes_no_repair_of_what_was_none(
    facts: ContainerFacts, events: Any, around: dict[str, Any], policy: TargetPolicy
) -> None:
    """Of the container itself: a fact that is not known any more never reads as a better one."""
    known = judged(facts, policy=policy, events=events, **around)
    unknowns: list[dict[str, Any]] = [{"exit_code": None}, {"oom_killed": None}, {"failing_streak": None}]
    for unknown in unknowns:
        verdict = judged(replace(facts, **unknown), policy=policy, events=events, **around)
        assert verdict.kind is not REPAIR or known.kind is REPAIR


def test_text_is_read_by_one_rule_only() -> None:
    """The monotone property by construction: without the phrases text changes nothing at all."""
    silent = rules.Thresholds(phrases=())
    text = lines(*(source.pattern for entry in phrases.CLASSES for source in entry.patterns))
    for row in EVERY_ROW:
        seen = {name: value for name, value in row.seen.items() if name not in {"log_lines", "health_log"}}
        quiet = judged(row.facts, thresholds=silent, **seen)
        assert judged(row.facts, thresholds=silent, log_lines=text, health_log=text, **seen) == quiet
