"""The short versions of `python -m tests.torture`: nothing goes wrong with the product, something with each control."""

from __future__ import annotations

import pytest

from tests.torture import accept, cut, race, recovery, walk

pytestmark = [
    # Connections are cut in the middle of whatever they did; asyncio leaves some of them to the collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.timeout(180),
    pytest.mark.usefixtures("torture_ground"),
]


def test_no_accepted_alert_is_lost_to_kill_9() -> None:
    """Nor is one in two incidents, and every incident ends; a receiver that answers before it writes loses some."""
    accept.run(kills=50, control_kills=10).check()


def test_no_action_is_doubled_or_missing_wherever_a_worker_dies() -> None:
    """By the containers' own count of their boots; repeating what is in doubt doubles some."""
    walk.deaths(deaths=50, control_deaths=8).check()


def test_no_action_is_doubled_by_a_worker_that_stood_still() -> None:
    """Its timer ends it when it wakes; without one it acts beside its successor."""
    walk.pauses(pauses=4, control_pauses=4).check()


def test_no_limit_is_breached_in_a_race() -> None:
    """By the store's own audit; a client that checks and then acts breaches all of them."""
    race.run(calls=20_000, control_calls=3_000).check()


def test_nothing_is_doubled_when_answers_are_lost() -> None:
    """Every command may run twice; one that is not made for it doubles."""
    cut.run(cuts=100, control_cuts=20).check()


def test_a_killed_workers_incidents_move_on() -> None:
    """All of them; how fast is printed, and asserted only within reason."""
    recovery.run(rounds=2).check()


def test_a_worker_told_to_end_gives_back_what_it_holds_at_once() -> None:
    """Within ten seconds, and nobody waits for its lease; after a SIGKILL they do."""
    recovery.drain(rounds=1).check()
