"""Who counts as a neighbour, and under which name a dependency is found."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bridge.model.evidence import ContainerFacts, ContainerStatus, Health
from bridge.neighbourhood import dependencies, has_any, neighbours
from tests.unit.triage.builders import running


def member(name: str, *, service: str = "", project: str = "shop", **changes: Any) -> ContainerFacts:
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": service or name}
    return running(
        id=f"{abs(hash(name)):064x}"[:64],
        name=name,
        labels={**labels, **changes.pop("labels", {})},
        **changes,
    )


DOWN: dict[str, Any] = {"status": ContainerStatus.EXITED, "health": Health.NONE, "exit_code": 1}
WEB = member(
    "shop-web-1",
    service="web",
    labels={
        "com.docker.compose.depends_on": "db:service_healthy:false,init:service_completed_successfully:false"
    },
)
DB = member("shop-db-1", service="db")
INIT = member("shop-init-1", service="init", **{**DOWN, "exit_code": 0})
CACHE = member("shop-cache-1", service="cache", **DOWN)
RUN = member("shop-db-run-1", service="db", labels={"com.docker.compose.oneoff": "True"})
STRANGER = member("queue", project="other")
ALL = [WEB, DB, INIT, CACHE, RUN, STRANGER]


def test_a_compose_dependency_is_the_service_of_the_same_project() -> None:
    assert dependencies(WEB, ALL) == [("db", DB)]


def test_a_job_that_had_to_end_first_is_no_dependency_now() -> None:
    assert "init" not in [name for name, _ in dependencies(WEB, ALL)]


def test_the_label_names_services_and_containers_and_what_is_not_there() -> None:
    web = replace(WEB, labels={**WEB.labels, "hemostat.depends_on": " cache, queue ,ghost,,shop-web-1"})
    assert dependencies(web, ALL) == [
        ("cache", CACHE),
        ("queue", STRANGER),
        ("ghost", None),
        ("shop-web-1", None),
        ("db", DB),
    ]


def test_of_a_scaled_service_a_running_container_stands_for_it() -> None:
    second = member("shop-db-2", service="db")
    stopped = replace(DB, status=ContainerStatus.EXITED)
    assert dependencies(WEB, [WEB, stopped, second]) == [("db", second)]


def test_neighbours_are_dependencies_first_then_sick_siblings() -> None:
    found = neighbours(WEB, ALL, dependencies(WEB, ALL))
    assert [(each.id, each.name, each.dependency, each.sick) for each in found] == [
        ("B1", "shop-db-1", True, False),
        ("B2", "shop-cache-1", False, True),
        ("B3", "shop-init-1", False, None),
    ]


def test_a_dependency_that_nobody_bears_is_listed_as_unknown() -> None:
    [ghost, *_] = neighbours(WEB, ALL, [("ghost", None)])
    assert (ghost.name, ghost.status, ghost.dependency, ghost.sick) == ("ghost", None, True, None)


def test_a_container_without_project_and_names_has_no_neighbours() -> None:
    alone = running()
    assert not has_any(alone)
    assert neighbours(alone, [alone, *ALL], []) == ()


def test_only_so_many_are_listed() -> None:
    many = [member(f"shop-x-{n}") for n in range(40)]
    assert len(neighbours(WEB, [WEB, *many], [])) == 10
