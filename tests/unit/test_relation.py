"""Which other alerts have to do with a container, and when its own count as silenced."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bridge.model.alert import Alert, AlertStatus
from bridge.relation import related, silenced
from bridge.roles import ListedAlert
from tests.unit.triage.builders import ID, NOW, running

WEB = running(labels={"com.docker.compose.project": "shop"})
OURS = Alert(
    fingerprint="ours",
    status=AlertStatus.FIRING,
    labels={"alertname": "ContainerUnhealthy", "name": "web", "instance": "docker-1:9417"},
    annotations={},
    starts_at=NOW,
)


def listed(called: str, /, *, ago: float = 60, suppressed: bool = False, **labels: str) -> ListedAlert:
    return ListedAlert(
        fingerprint=called,
        labels={"alertname": called, **labels},
        since=NOW - timedelta(seconds=ago),
        suppressed=suppressed,
    )


def names(*alerts: ListedAlert, hosts: tuple[str, ...] = ("local",)) -> list[str]:
    return [alert.name for alert in related(WEB, [OURS], alerts, hosts=hosts)]


@pytest.mark.parametrize(
    ("labels", "yes"),
    [
        ({"name": "web"}, True),
        ({"container": "web", "docker_host": "local"}, True),
        ({"container_id": ID[:12]}, True),
        ({"name": "web", "docker_host": "attic"}, False),
        ({"name": "web-2"}, False),
        ({"name": "db", "compose_project": "shop"}, True),
        ({"name": "db", "compose_project": "other"}, False),
        ({"container_label_com_docker_compose_project": "shop"}, True),
        ({"docker_host": "local"}, True),
        ({"docker_host": "local", "name": "db"}, False),
        ({"instance": "docker-1:9100"}, True),
        ({"instance": "docker-1:9417", "name": "db"}, False),
        ({"instance": "docker-2:9100"}, False),
        ({}, False),
        ({"team": "web"}, False),
    ],
)
def test_related_is_what_is_about_the_container_its_project_or_its_host(
    labels: dict[str, Any], yes: bool
) -> None:
    assert (names(listed("Other", **labels)) == ["Other"]) is yes


@pytest.mark.parametrize(
    ("labels", "yes"),
    [
        ({"service_name": "web"}, True),
        ({"service_name": "db"}, False),
        ({"name": "web.1.new"}, True),
        ({"name": "web.1.old"}, False),
        ({"docker_host": "attic", "service_name": "web"}, False),
    ],
)
def test_an_alert_may_name_a_task_by_its_service(labels: dict[str, Any], yes: bool) -> None:
    swarm = {"com.docker.swarm.service.name": "web", "com.docker.swarm.task.id": "new"}
    found = related(
        running(name="web.1.new", labels=swarm), [OURS], [listed("Other", **labels)], hosts=["local"]
    )
    assert [alert.same_target for alert in found] == ([True] if yes else [])


def test_with_several_hosts_a_name_alone_names_nobody() -> None:
    assert names(listed("Other", name="web"), hosts=("local", "attic")) == []


def test_ours_is_not_related_to_itself() -> None:
    assert names(replace(listed("ContainerUnhealthy", name="web"), fingerprint="ours")) == []


def test_about_the_container_first_then_the_newest_and_ten_at_most() -> None:
    of_host = [listed(f"Host{n}", ago=n, docker_host="local") for n in range(20)]
    found = related(
        WEB, [OURS], [*of_host, listed("Memory", ago=999, name="web", severity="page")], hosts=["local"]
    )
    assert [alert.name for alert in found] == ["Memory", *(f"Host{n}" for n in range(9))]
    assert [alert.id for alert in found] == [f"R{n}" for n in range(1, 11)]
    assert (found[0].same_target, found[0].severity, found[1].same_target) == (True, "page", False)


@pytest.mark.parametrize(
    ("states", "expected"),
    [([], None), ([True], True), ([False], False), ([True, True], True), ([True, False], False)],
)
def test_silenced_means_every_alert_of_the_incident(states: list[bool], expected: bool | None) -> None:
    firing = [replace(OURS, fingerprint=f"a{n}") for n in range(len(states) or 1)]
    told = [replace(listed("x"), fingerprint=f"a{n}", silenced=state) for n, state in enumerate(states)]
    assert silenced(firing, told) is expected


def test_an_alert_that_alertmanager_does_not_know_is_not_silenced() -> None:
    told = [replace(listed("x"), fingerprint="ours", silenced=True)]
    assert silenced([OURS, replace(OURS, fingerprint="unknown")], told) is False
