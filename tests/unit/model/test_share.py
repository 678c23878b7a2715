"""Which containers a share is of: those that run, and of the others the sick ones."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.model.evidence import ContainerStatus
from bridge.model.share import (
    Part,
    Population,
    ShareScope,
    all_populations,
    is_over,
    populations_around,
    read_key,
)
from tests.unit.triage.builders import running

SHOP = {"com.docker.compose.project": "shop"}


def container(name: str, host: str = "a", **changes: Any) -> Any:
    """A container of project shop."""
    return running(name=name, host=host, labels=SHOP, **changes)


WEB, DB = container("web"), container("db")
JOB = container("job", status=ContainerStatus.EXITED)
LONE = running(name="lone", host="a", labels={})
FAR = container("web", host="b")


def test_a_container_belongs_to_its_project_and_the_fleet() -> None:
    populations = populations_around(WEB, {"a": [WEB, DB, JOB, LONE]})
    assert populations == (
        Population(
            scope=ShareScope.PROJECT,
            host="a",
            name="shop",
            parts=(Part(host="a", up=2, down=("job",), members=("web", "db", "job")),),
        ),
        Population(scope=ShareScope.FLEET, parts=(Part(host="a", up=3, down=("job",)),)),
    )


def test_a_container_without_a_project_belongs_to_none() -> None:
    assert [p.scope for p in populations_around(LONE, {"a": [LONE]})] == [ShareScope.FLEET]


@pytest.mark.parametrize(
    "label", ["shop/eu", "\x1b[31mshop", "a password=hunter2", "-x", " ", "s" * 129, "\u0441hop"]
)
def test_what_compose_would_not_call_a_project_is_none(label: str) -> None:
    """Whoever labels a container may write anything; the name stands in traces, events and keys of the store."""
    odd = running(name="web", host="a", labels={"com.docker.compose.project": label})
    assert [each.scope for each in populations_around(odd, {"a": [odd]})] == [ShareScope.FLEET]
    assert [each.scope for each in all_populations({"a": [odd]})] == [ShareScope.FLEET]


def test_a_project_of_the_same_name_on_another_host_is_another_one() -> None:
    first, *_ = populations_around(FAR, {"a": [WEB, DB], "b": [FAR]})
    assert [part.members for part in first.parts] == [("web",)]
    assert first.key == "project/b/shop"


def test_of_several_hosts_each_is_a_population_beside_the_fleet() -> None:
    populations = all_populations({"a": [WEB, LONE], "b": [FAR]})
    assert [population.key for population in populations] == [
        "project/a/shop",
        "project/b/shop",
        "fleet",
        "host/a",
        "host/b",
    ]


def test_a_host_that_did_not_answer_is_neither_sick_nor_well() -> None:
    project, fleet, host = populations_around(WEB, {"a": None, "b": [FAR]})
    assert (project.parts, project.unseen) == ((), ("a",))
    assert ([part.host for part in fleet.parts], fleet.unseen) == (["b"], ("a",))
    assert (host.parts, host.unseen) == ((), ("a",))


@pytest.mark.parametrize(
    ("listing", "unseen"),
    [({"a": [LONE]}, ()), ({"a": None}, ("a",)), ({"b": []}, ())],
    ids=["gone", "away", "dropped"],
)
def test_a_project_whose_containers_are_gone_is_empty_and_one_nobody_saw_is_not_known(
    listing: dict[str, Any], unseen: tuple[str, ...]
) -> None:
    *_, last = all_populations(listing, also=[Population(scope=ShareScope.PROJECT, host="a", name="old")])
    assert (last.key, last.parts, last.unseen) == ("project/a/old", (), unseen)


@pytest.mark.parametrize("key", ["project/a/shop", "host/a", "fleet"])
def test_a_key_reads_back(key: str) -> None:
    assert read_key(key).key == key


@pytest.mark.parametrize(
    ("scope", "sick", "known", "over"),
    [
        (ShareScope.PROJECT, 1, 1, False),
        (ShareScope.PROJECT, 1, 2, False),
        (ShareScope.PROJECT, 2, 2, True),
        (ShareScope.PROJECT, 2, 6, False),
        (ShareScope.PROJECT, 2, 5, True),
        (ShareScope.FLEET, 9, 9, False),
        (ShareScope.FLEET, 10, 10, True),
        (ShareScope.FLEET, 34, 100, False),
        (ShareScope.FLEET, 35, 100, True),
        (ShareScope.HOST, 0, 0, False),
    ],
)
def test_too_many_are_more_than_the_share_and_more_than_a_few(
    scope: ShareScope, sick: int, known: int, over: bool
) -> None:
    assert is_over(sick, known, limit=0.34, scope=scope) is over


def test_a_place_of_a_swarm_service_is_one_whatever_is_left_of_its_tasks() -> None:
    """Marks of who is sick bear the target's name; what Swarm keeps of ended tasks is nobody beside it."""

    def task(slot: int, task_id: str, status: ContainerStatus = ContainerStatus.RUNNING) -> Any:
        labels = {"com.docker.swarm.service.name": "web", "com.docker.swarm.task.id": task_id}
        return running(name=f"web.{slot}.{task_id}", host="a", labels=labels, status=status)

    ended = ContainerStatus.EXITED
    listed = [
        task(1, "new"),
        task(1, "old", ended),
        task(1, "older", ended),
        task(2, "x", ended),
        task(2, "y", ended),
    ]
    [fleet] = all_populations({"a": listed})
    assert fleet.parts == (Part(host="a", up=1, down=("web.2",)),)


def test_a_container_that_compose_puts_in_anothers_place_is_that_one() -> None:
    lent = container("4f1c0ffee04f_web", status=ContainerStatus.CREATED)
    project, _ = populations_around(WEB, {"a": [WEB, lent]})
    assert project.parts == (Part(host="a", up=1, down=(), members=("web",)),)
