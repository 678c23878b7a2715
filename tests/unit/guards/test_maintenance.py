"""Nothing is repaired in a window of maintenance for the target."""

from datetime import UTC, datetime

import pytest

from bridge.guards import maintenance
from bridge.model.policy import MaintenanceWindow, Matcher, MatchOperator, Policy
from bridge.model.refusal import Reason
from tests.unit.guards.answers import reason, until
from tests.unit.guards.builders import alert, situation, window

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
