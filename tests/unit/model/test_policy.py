"""What an operator allows: routes, protection, and labels that only ever narrow."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.alert import Alert, AlertStatus
from bridge.model.policy import (
    MODES_NARROW_FIRST,
    PROTECTED_BY_DEFAULT,
    Matcher,
    MatchOperator,
    Mode,
    Policy,
    Route,
    TargetClass,
    TargetPolicy,
    image_spellings,
    narrowed,
    opted_in,
)
from bridge.model.verdict import Action

BUILT_IN = Policy(protected=PROTECTED_BY_DEFAULT)


def equal(label: str, value: str) -> Matcher:
    return Matcher(label=label, operator=MatchOperator.EQUAL, value=value)


def alert(minute: int, **labels: str) -> Alert:
    return Alert(
        fingerprint=str(minute),
        status=AlertStatus.FIRING,
        labels=labels,
        annotations={},
        starts_at=datetime(2026, 11, 20, tzinfo=UTC) + timedelta(minutes=minute),
    )


@pytest.mark.parametrize(
    ("operator", "value", "labels", "matches"),
    [
        pytest.param("=", "x", {"a": "x"}, True, id="equal"),
        pytest.param("=", "x", {"a": "xy"}, False, id="equal-is-whole"),
        pytest.param("=", "", {}, True, id="a-missing-label-is-empty"),
        pytest.param("!=", "x", {}, True, id="not-equal-to-missing"),
        pytest.param("=~", "x|y", {"a": "y"}, True, id="regex"),
        pytest.param("=~", "x", {"a": "xy"}, False, id="regex-is-anchored"),
        pytest.param("=~", ".*", {}, True, id="regex-on-missing"),
        pytest.param("=~", ".+", {"a": "x\n"}, False, id="dot-is-no-newline"),
        pytest.param("!~", "x.*", {"a": "y"}, True, id="not-regex"),
        pytest.param("!~", "x.*", {"a": "xy"}, False, id="not-regex-refuses"),
    ],
)
def test_matchers(operator: str, value: str, labels: dict[str, str], matches: bool) -> None:
    assert Matcher(label="a", operator=MatchOperator(operator), value=value).matches(labels) is matches


def seconds(cooldown: float, *, actions: tuple[Action, ...] = (Action.RESTART,)) -> TargetPolicy:
    return TargetPolicy(cooldown_seconds=cooldown, actions=actions)


TREE = Policy(
    root=seconds(0),
    routes=(
        Route(
            matchers=(equal("team", "web"),),
            policy=seconds(1),
            routes=(
                Route(matchers=(equal("severity", "critical"), equal("zone", "a")), policy=seconds(2)),
                Route(matchers=(equal("severity", "critical"),), policy=seconds(3)),
            ),
        ),
        Route(matchers=(equal("severity", "critical"),), policy=seconds(4)),
        Route(matchers=(equal("severity", "info"),), policy=seconds(5, actions=())),
    ),
)


@pytest.mark.parametrize(
    ("labels", "cooldown"),
    [
        pytest.param({}, 0, id="root"),
        pytest.param({"team": "web"}, 1, id="parent"),
        pytest.param({"team": "web", "severity": "critical", "zone": "a"}, 2, id="all-matchers"),
        pytest.param({"team": "web", "severity": "critical"}, 3, id="next-child"),
        pytest.param({"team": "db", "severity": "critical"}, 4, id="next-route"),
        pytest.param({"team": "web", "severity": "info"}, 1, id="first-match-wins"),
    ],
)
def test_the_first_route_that_matches_decides_depth_first(labels: dict[str, str], cooldown: float) -> None:
    assert TREE.for_labels(labels).cooldown_seconds == cooldown


def test_several_alerts_take_the_oldest_one_that_allows_an_action() -> None:
    alerts = [alert(3, severity="critical"), alert(1, severity="info"), alert(2, team="web")]
    assert TREE.for_alerts(alerts).cooldown_seconds == 1


def test_alerts_of_which_none_allows_an_action_allow_none() -> None:
    assert TREE.for_alerts([alert(1, severity="info")]).actions == ()


def test_no_alerts_mean_the_root() -> None:
    assert TREE.for_alerts([]) == TREE.root


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("redis", "example/x"),
        ("myproject-redis-1", "example/x"),
        ("myproject_redis_1", "example/x"),
        ("stack_redis.1.x7k2j", "example/x"),
        ("HemoStat", "example/x"),
        ("hemostat-bridge", "example/x"),
        ("hemostat_bridge_1", "example/x"),
        ("shop-hemostat-bridge-2", "example/x"),
        ("hemostat-exporter-1", "example/x"),
        ("monitoring-prometheus-1", "example/x"),
        ("web", "redis:7"),
        ("web", "Redis"),
        ("web", "docker.io/library/redis@sha256:0123"),
        ("web", "docker.io/library/redis:7-alpine@sha256:0123"),
        ("web", "localhost:5000/redis"),
        ("web", "redis/redis-stack-server:latest"),
        ("web", "bitnami/redis-sentinel:7"),
        ("web", "valkey/valkey:8"),
        ("web", "mirror.example.org/infra/cache-redis:7"),
        ("web", "prom/prometheus:v2"),
        ("web", "quay.io/prometheus/prometheus:v3.1.0"),
        ("web", "prom/alertmanager"),
        ("web", "grafana/grafana"),
        ("web", "grafana/grafana-oss:12.0.0"),
        ("web", "grafana/grafana-enterprise"),
        ("web", "ghcr.io/example/hemostat:1"),
        ("web", "ghcr.io/example/hemostat/bridge:1"),
    ],
)
def test_what_hemostat_needs_is_protected_by_default(name: str, image: str) -> None:
    assert BUILT_IN.protects(name, image) is not None


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("web", "nginx:1.27"),
        ("redistribution-api", "example/redistribution-api:1"),
        ("redis-consumer", "example/consumer"),
        ("redis-exporter", "oliver006/redis_exporter:v1.60"),
        ("predis", "example/predis"),
        ("web", "php:8-redis"),
        ("web", "example/app:1.2-redis-7"),
        ("web", "localhost:5000/web"),
        ("prometheus-node-exporter", "prom/node-exporter:v1"),
        ("loki", "grafana/loki:3"),
        ("grafana-image-renderer", "grafana/grafana-image-renderer"),
        ("hemostat-demo-app-1", "hemostat-demo-app"),
        ("web", "sha256:0123456789ab"),
        ("web", ""),
    ],
)
def test_what_only_sounds_like_it_is_not_protected(name: str, image: str) -> None:
    assert BUILT_IN.protects(name, image) is None


@pytest.mark.parametrize(
    ("pattern", "name", "image", "protected"),
    [
        pytest.param("*redis*", "redistribution-api", "x", True, id="an-operators-wide-glob"),
        pytest.param("postgres", "web", "docker.io/library/postgres:16", True, id="tag-does-not-hide"),
        pytest.param("postgres:1*", "web", "library/postgres:16", True, id="pattern-with-tag"),
        pytest.param("postgres:1*", "web", "library/postgres:9", False, id="pattern-with-other-tag"),
        pytest.param("*@sha256:0123", "web", "web@sha256:0123", True, id="pattern-with-digest"),
        pytest.param("localhost:5000/*", "web", "localhost:5000/web:1", True, id="pattern-with-registry"),
        pytest.param("DB-?", "db-1", "x", True, id="case-is-ignored"),
        pytest.param("db-[12]", "db-3", "x", False, id="class"),
        pytest.param("library/*", "web", "docker.io/library/nginx", True, id="pattern-with-path"),
    ],
)
def test_patterns_hold_for_name_and_image(pattern: str, name: str, image: str, protected: bool) -> None:
    assert Policy(protected=(pattern,)).protects(name, image) == (pattern if protected else None)


def test_an_image_in_all_its_spellings() -> None:
    assert image_spellings("docker.io/library/redis:7@sha256:01") == (
        "docker.io/library/redis",
        "library/redis",
        "redis",
    )
    assert "redis:7" in image_spellings("docker.io/library/redis:7@sha256:01", tagged=True)


@pytest.mark.parametrize(
    ("labels", "opted"),
    [
        ({}, False),
        ({"hemostat.enable": "true"}, True),
        ({"hemostat.enable": " True "}, True),
        ({"autoheal": "true"}, True),
        ({"hemostat.enable": "yes please"}, False),
        ({"hemostat.enable": "false", "autoheal": "true"}, False),
        ({"hemostat.enable": "off", "autoheal": "true"}, False),
        ({"hemostat.enable": "flase", "autoheal": "true"}, False),
        ({"hemostat.enable": "", "autoheal": "true"}, False),
        ({"hemostat.enable": "1"}, False),
        ({"hemostat.enable": "\u0442rue"}, False),
        ({"hemostat.enable": "true", "autoheal": "false"}, True),
    ],
)
def test_a_container_must_opt_in(labels: dict[str, str], opted: bool) -> None:
    assert opted_in(labels) is opted


def test_labels_narrow() -> None:
    policy = TargetPolicy(actions=(Action.RESTART, Action.START), cooldown_seconds=60.0)
    labels = {
        "hemostat.mode": "Approve",
        "hemostat.actions": "start, reboot",
        "hemostat.cooldown": "2m",
        "hemostat.class": "stateful",
    }
    result = narrowed(policy, labels)
    assert (result.mode, result.actions, result.cooldown_seconds) == (Mode.APPROVE, (Action.START,), 120.0)
    assert result.target_class is TargetClass.STATEFUL


@pytest.mark.parametrize("labels", [{"hemostat.mode": "full-speed"}, {"hemostat.cooldown": "60"}])
def test_a_label_that_is_not_understood_observes(labels: dict[str, str]) -> None:
    assert narrowed(TargetPolicy(), labels).mode is Mode.OBSERVE


@pytest.mark.parametrize("typed", ["statefull", "database", "state less", "true"])
def test_a_class_that_is_not_understood_keeps_state(typed: str) -> None:
    """Of the three the one that asks a person before a repair."""
    assert narrowed(TargetPolicy(), {"hemostat.class": typed}).target_class is TargetClass.STATEFUL


@pytest.mark.parametrize("empty", ["", "  "])
def test_a_class_that_says_nothing_is_none(empty: str) -> None:
    assert narrowed(TargetPolicy(), {"hemostat.class": empty}).target_class is TargetClass.STATELESS


def test_a_label_does_not_take_a_class_back() -> None:
    policy = TargetPolicy(target_class=TargetClass.STATEFUL)
    assert narrowed(policy, {"hemostat.class": "stateless"}).target_class is TargetClass.STATEFUL


DURATIONS = st.one_of(st.integers(0, 10**6).map(lambda seconds: f"{seconds}s"), st.text(max_size=8))


@settings(max_examples=100, deadline=None)
@given(
    mode=st.sampled_from(Mode),
    actions=st.lists(st.sampled_from(Action), unique=True).map(tuple),
    cooldown=st.floats(0, 1e6),
    labels=st.fixed_dictionaries(
        {},
        optional={
            "hemostat.mode": st.one_of(st.sampled_from([*Mode]), st.text(max_size=8)),
            "hemostat.actions": st.one_of(
                st.sampled_from(["restart", "start,restart", ""]), st.text(max_size=12)
            ),
            "hemostat.cooldown": DURATIONS,
        },
    ),
)
def test_labels_never_widen(
    mode: Mode, actions: tuple[Action, ...], cooldown: float, labels: dict[str, str]
) -> None:
    policy = TargetPolicy(mode=mode, actions=actions, cooldown_seconds=cooldown)
    result = narrowed(policy, labels)
    assert MODES_NARROW_FIRST.index(result.mode) <= MODES_NARROW_FIRST.index(mode)
    assert set(result.actions) <= set(actions)
    assert result.cooldown_seconds >= cooldown
