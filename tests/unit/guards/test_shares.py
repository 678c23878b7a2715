"""Nothing is repaired while too many are sick: of the project, of the host, of the fleet."""

import pytest

from bridge.guards import fleet_share, project_share
from bridge.model.share import Share, ShareScope
from tests.unit.guards.builders import of_fleet, of_project, situation
from tests.unit.triage.builders import NOW


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
