"""A clock that was set forward is told from time that passed."""

from __future__ import annotations

import pytest

from bridge.edges.store.leap import LEAST_SECONDS, LeapWatch


@pytest.mark.parametrize(
    ("store_seconds", "here_seconds", "leap"),
    [
        pytest.param(3600.0, 3600.0, 0.0, id="nobody looked for an hour"),
        pytest.param(5.0 + LEAST_SECONDS, 5.0, 0.0, id="not worth a word"),
        pytest.param(3605.0, 5.0, 3600.0, id="set forward by an hour"),
        pytest.param(-3600.0, 5.0, 0.0, id="set back"),
        pytest.param(300.0, 600.0, 0.0, id="at half its pace"),
    ],
)
def test_what_moved_on_by_more_than_the_time_that_passed_has_leapt(
    store_seconds: float, here_seconds: float, leap: float
) -> None:
    """Whatever the two clocks say by themselves."""
    watch = LeapWatch(elapsed=iter([100.0, 100.0 + here_seconds]).__next__)
    watch.read(1_000_000)
    assert watch.seconds(1_000_000 + round(store_seconds * 1000)) == leap


def test_the_first_reading_tells_nothing() -> None:
    """As after a start."""
    assert LeapWatch().seconds(10**12) == 0.0
