"""Durations in Prometheus' notation."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.duration import LONGEST_MILLISECONDS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0.0),
        ("90s", 90.0),
        ("500ms", 0.5),
        ("5m", 300.0),
        ("1h30m", 5400.0),
        ("1d", 86_400.0),
        ("1w", 604_800.0),
        ("1y", 31_536_000.0),
        ("1y2w3d4h5m6s7ms", 33_019_506.007),
        ("90m", 5400.0),
        ("007s", 7.0),
    ],
)
def test_durations_as_in_prometheus(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["60", "1.5", "-1", "0", "+3"])
def test_a_bare_number_is_told_to_add_a_unit(text: str) -> None:
    with pytest.raises(ValueError, match="add a unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1 h",
        "1h 30m",
        "30m1h",
        "1h1h",
        "1.5h",
        "-1s",
        "s",
        "1H",
        "1min",
        "1s\n",
        "\u0661s",
        "9" * 30 + "s",
    ],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


def test_a_duration_is_bounded_as_in_prometheus() -> None:
    assert parse_duration("292y") > 0
    with pytest.raises(ValueError, match="is too long"):
        parse_duration("293y")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0s"),
        (0.5, "500ms"),
        (90.0, "1m30s"),
        (5400.0, "1h30m"),
        (86_400.0, "1d"),
        (8 * 86_400.0, "8d"),
        (14 * 86_400.0, "2w"),
    ],
)
def test_seconds_are_written_shortest(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


def test_a_negative_duration_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="negative"):
        format_duration(-1.0)


@settings(max_examples=200, deadline=None)
@given(st.integers(min_value=0, max_value=LONGEST_MILLISECONDS))
def test_what_is_written_reads_the_same(milliseconds: int) -> None:
    seconds = milliseconds / 1000
    assert parse_duration(format_duration(seconds)) == seconds
