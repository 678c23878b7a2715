"""A real Prometheus, scraping the real exporter on a real Engine, answers what panels, rules and other people ask."""

import re

import pytest

from tests.integration.exporters.conftest import until
from tests.rules.conftest import PANEL_QUERIES, ROOT, Watch, rules_of
from tests.rules.known_queries import CONTAINER_RULES, DOCKPROM, NOT_ANSWERED

VARIABLES = {"$instance": ".*", "$name": ".*", "$__rate_interval": "1m"}
RESOURCES = {rule["alert"]: rule["expr"] for rule in rules_of(ROOT / "alert-rules/resources.yml")}


def filled_in(query: str) -> str:
    for variable, value in VARIABLES.items():
        query = query.replace(variable, value)
    return query


def scaled(expression: str) -> str:
    """Without thresholds, and over what the test has had time to see; else the expression as it is."""
    shorter = re.sub(r"\[(?:5|10)m\]", "[20s]", expression)
    return re.sub(r"> (?:0\.\d+|1)$", "> -1", shorter, flags=re.MULTILINE)


def without_threshold(rule: str) -> str:
    """What the rule looks at, whether or not there is trouble now. An `absent` is about what it says is not."""
    looked_at = re.sub(r"\s*[<>]\s*(?:[\d.]+|\( 25 / 100 \))$", "", rule)
    watched = re.fullmatch(r"absent\((container_last_seen)\)", looked_at)
    return watched.group(1) if watched else looked_at


# What the other dashboards show takes repairs: tests/acceptance/test_dashboards.py.
CONTAINERS = {title: query for title, query in PANEL_QUERIES.items() if title.startswith("containers:")}


@pytest.mark.parametrize("query", CONTAINERS.values(), ids=CONTAINERS)
def test_each_panels_query_is_answered(query: str, watching: Watch) -> None:
    assert watching.answers(filled_in(query))


def test_the_condition_of_a_container_tells_well_from_sick(watching: Watch) -> None:
    found = watching.query(filled_in(PANEL_QUERIES["containers: What is wrong now, A"]))
    conditions = {series["metric"]["name"]: int(series["value"][1]) for series in found}
    assert conditions == {"shop-api-1": 0, "nginx": 0, "finished": 1, "sick": 3, "broken": 4}


@pytest.mark.parametrize(("panel", "number"), [("Engine", 1), ("Sick now", 2), ("Running", 3)])
def test_the_numbers_on_top_are_right(panel: str, number: int, watching: Watch) -> None:
    (found,) = watching.query(filled_in(PANEL_QUERIES[f"containers: {panel}, A"]))
    assert float(found["value"][1]) == number


@pytest.mark.parametrize(
    "alert", ["ContainerCPUHigh", "ContainerMemoryHigh", "ContainerMemoryNearLimit", "ContainerThrottled"]
)
def test_a_rule_about_resources_finds_the_one_container_with_limits_by_its_name(
    alert: str, watching: Watch
) -> None:
    found = watching.query(scaled(RESOURCES[alert]))
    assert [(one["metric"]["name"], one["metric"]["docker_host"]) for one in found] == [
        ("shop-api-1", "local")
    ]
    assert {"id", "image", "cpu"}.isdisjoint(found[0]["metric"])


def test_a_container_that_is_removed_is_missed(watching: Watch) -> None:
    asked = RESOURCES["ContainerNotSeen"].replace("> 600", "> -1").replace("> 60\n", "> 1\n")
    asked = asked.replace("<= 60", "<= 1")
    assert watching.query(asked) == []
    leaving = watching.engine.run("leaving", "sleep 1000")
    try:
        until(lambda: watching.query('container_last_seen{name="leaving"}'))
    finally:
        leaving.remove(force=True, v=True)
    until(lambda: [one["metric"]["name"] for one in watching.query(asked)] == ["leaving"])


@pytest.mark.parametrize("query", DOCKPROM)
def test_dockproms_queries_are_answered_unchanged(query: str, watching: Watch) -> None:
    watching.query(query)
    assert watching.answers(without_threshold(query))


@pytest.mark.parametrize("rule", CONTAINER_RULES)
def test_the_usual_container_rules_are_answered_unchanged(rule: str, watching: Watch) -> None:
    """But for `offset 1m`, for which the test would have to run a minute longer."""
    watching.query(rule)
    assert watching.answers(without_threshold(rule).replace("offset 1m", "offset 400ms"))


@pytest.mark.parametrize("query", NOT_ANSWERED)
def test_what_is_left_out_on_purpose_is_still_left_out(query: str, watching: Watch) -> None:
    """If one of these is answered one day, docs/rules.md says too little."""
    assert watching.query(query) == []
