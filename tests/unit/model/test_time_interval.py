"""Time intervals as Alertmanager understands them; accepted and refused texts were held against its ``amtool``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge import errors
from bridge.model.time_interval import TimeInterval
from tests.unit.configured_interval import interval_of


def at(text: str) -> datetime:
    """A UTC instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


MONDAY = {"weekdays": ["monday"]}
NIGHT = {
    "times": [{"start_time": "22:00", "end_time": "24:00"}, {"start_time": "00:00", "end_time": "04:00"}]
}


@pytest.mark.parametrize(
    ("raw", "inside", "outside"),
    [
        pytest.param(
            {"times": [{"start_time": "09:00", "end_time": "17:00"}]},
            ["2026-01-01T09:00", "2026-01-01T16:59:59"],
            ["2026-01-01T08:59:59", "2026-01-01T17:00"],
            id="end-is-excluded",
        ),
        pytest.param(
            NIGHT,
            ["2026-01-01T23:59", "2026-01-02T00:00"],
            ["2026-01-01T04:00", "2026-01-01T12:00"],
            id="night",
        ),
        pytest.param(
            {"weekdays": ["monday:friday"]},
            ["2026-11-20T12:00", "2026-11-16T00:00"],
            ["2026-11-21T12:00", "2026-11-22T12:00"],
            id="weekdays",
        ),
        pytest.param(
            {"weekdays": ["Saturday", "sunday"]},
            ["2026-11-21T12:00", "2026-11-22T12:00"],
            ["2026-11-20T12:00"],
            id="weekend",
        ),
        pytest.param(
            {"days_of_month": ["1:5"]},
            ["2026-02-01T00:00", "2026-02-05T23:59"],
            ["2026-02-06T00:00"],
            id="days",
        ),
        pytest.param(
            {"days_of_month": ["-3:-1"]},
            ["2026-02-26T00:00", "2026-02-28T23:59", "2026-03-31T00:00", "2028-02-29T00:00"],
            ["2026-02-25T00:00", "2026-03-28T00:00", "2028-02-26T00:00"],
            id="days-from-the-end",
        ),
        pytest.param(
            {"days_of_month": ["25:-1"]},
            ["2026-02-25T00:00", "2026-02-28T00:00"],
            ["2026-02-24T00:00"],
            id="days-mixed",
        ),
        pytest.param(
            {"days_of_month": ["29:31"]},
            ["2026-01-31T00:00", "2028-02-29T00:00"],
            ["2026-02-28T00:00"],
            id="days-the-month-lacks",
        ),
        pytest.param(
            {"days_of_month": ["-31:-30"]},
            ["2026-01-01T00:00", "2026-04-01T00:00"],
            ["2026-02-01T00:00"],
            id="days-before-the-month",
        ),
        pytest.param({"days_of_month": [15]}, ["2026-01-15T00:00"], ["2026-01-14T00:00"], id="one-day"),
        pytest.param({"months": ["january:march"]}, ["2026-03-31T00:00"], ["2026-04-01T00:00"], id="months"),
        pytest.param(
            {"months": ["1:3", "December"]},
            ["2026-12-01T00:00", "2026-02-01T00:00"],
            ["2026-11-30T00:00"],
            id="months-by-number",
        ),
        pytest.param(
            {"years": ["2026:2028", 2031]},
            ["2028-12-31T00:00", "2031-01-01T00:00"],
            ["2025-12-31T00:00", "2029-01-01T00:00"],
            id="years",
        ),
        pytest.param(
            {
                "weekdays": ["friday"],
                "months": ["november"],
                "times": [{"start_time": "10:00", "end_time": "11:00"}],
            },
            ["2026-11-20T10:30"],
            ["2026-11-20T11:30", "2026-11-19T10:30", "2026-10-23T12:30"],
            id="all-must-hold",
        ),
        pytest.param(
            {
                "times": [{"start_time": "00:00", "end_time": "01:00"}],
                "weekdays": ["monday"],
                "location": "Asia/Tokyo",
            },
            ["2026-11-15T15:30"],
            ["2026-11-16T00:30", "2026-11-15T16:00"],
            id="location",
        ),
    ],
)
def test_what_lies_inside(raw: dict[str, Any], inside: list[str], outside: list[str]) -> None:
    interval = interval_of(raw)
    assert [text for text in inside if not interval.contains(at(text))] == []
    assert [text for text in outside if interval.contains(at(text))] == []


def test_the_zone_of_now_does_not_matter() -> None:
    interval = interval_of({"times": [{"start_time": "12:00", "end_time": "13:00"}]})
    assert interval.contains(datetime.fromisoformat("2026-01-01T14:30:00+02:00"))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param({"weekdays": ["friday:monday"]}, "runs backwards", id="weekdays-backwards"),
        pytest.param({"weekdays": ["1:5"]}, "is not a weekday", id="weekday-number"),
        pytest.param({"weekdays": ["mon"]}, "is not a weekday", id="weekday-short"),
        pytest.param({"weekdays": ["monday : friday"]}, "is not a weekday", id="weekday-white-space"),
        pytest.param({"weekdays": []}, "must not be empty", id="empty-list"),
        pytest.param({"weekdays": "monday"}, "must be a list", id="no-list"),
        pytest.param({"months": [13]}, "is not a month", id="month-13"),
        pytest.param({"months": ["11:2"]}, "runs backwards", id="months-backwards"),
        pytest.param({"months": ["jan"]}, "is not a month", id="month-short"),
        pytest.param({"days_of_month": [0]}, "is not a day of the month", id="day-0"),
        pytest.param({"days_of_month": ["1:32"]}, "is not a day of the month", id="day-32"),
        pytest.param({"days_of_month": ["1:"]}, "is not a day of the month", id="half-a-range"),
        pytest.param({"days_of_month": ["-1:-3"]}, "runs backwards", id="days-backwards"),
        pytest.param({"days_of_month": ["-3:5"]}, "so must be the last", id="days-over-the-end"),
        pytest.param({"days_of_month": ["30:-5"]}, "runs backwards", id="days-that-never-meet"),
        pytest.param({"years": ["2028:2026"]}, "runs backwards", id="years-backwards"),
        pytest.param({"years": ["soon"]}, "is not a year", id="year-text"),
        pytest.param(
            {"times": [{"start_time": "22:00", "end_time": "06:00"}]}, "written as two", id="over-midnight"
        ),
        pytest.param(
            {"times": [{"start_time": "9:00", "end_time": "10:00"}]}, "is not a time of day", id="one-digit"
        ),
        pytest.param(
            {"times": [{"start_time": "09:00", "end_time": "24:01"}]}, "is not a time of day", id="after-24"
        ),
        pytest.param({"times": [{"start_time": "09:00"}]}, "end_time: is missing", id="no-end"),
        pytest.param({"times": ["09:00"]}, "must be a mapping", id="time-as-text"),
        pytest.param({**MONDAY, "location": "Europe"}, "is not a known time zone", id="zone-folder"),
        pytest.param({**MONDAY, "location": "Mars/Base"}, "is not a known time zone", id="zone-unknown"),
        pytest.param({**MONDAY, "location": "../../etc/passwd"}, "is not a known time zone", id="zone-path"),
        pytest.param({**MONDAY, "weekday": ["monday"]}, "weekday: unknown key", id="unknown-key"),
    ],
)
def test_what_is_no_interval_is_refused_in_one_line(raw: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.SettingsError, match=message) as caught:
        interval_of(raw)
    assert len(caught.value.problems) == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("raw", "now", "end"),
    [
        pytest.param(NIGHT, "2026-01-01T12:00:30", "2026-01-01T12:00:30", id="not-inside"),
        pytest.param(NIGHT, "2026-01-01T23:10:30", "2026-01-02T04:00", id="over-midnight"),
        pytest.param(
            {"weekdays": ["saturday", "sunday"]}, "2026-11-21T12:00", "2026-11-23T00:00", id="weekend"
        ),
        pytest.param(
            {"months": ["december", "january"]}, "2026-12-24T12:00", "2027-02-01T00:00", id="two-months"
        ),
        pytest.param({"years": ["2026"]}, "2026-01-02T00:00", "2027-01-01T00:00", id="a-year"),
        pytest.param({"years": ["2026:2030"]}, "2026-01-02T00:00", None, id="years"),
        pytest.param(
            {
                "times": [
                    {"start_time": "01:00", "end_time": "03:00"},
                    {"start_time": "02:00", "end_time": "05:00"},
                ]
            },
            "2026-01-01T01:30",
            "2026-01-01T05:00",
            id="overlapping",
        ),
        pytest.param(
            {"weekdays": ["sunday"], "location": "Europe/Berlin"},
            "2026-10-25T12:00",
            "2026-10-25T23:00",
            id="long-day",
        ),
        pytest.param(
            {"weekdays": ["sunday"], "location": "Europe/Berlin"},
            "2026-03-29T00:00",
            "2026-03-29T22:00",
            id="short-day",
        ),
        pytest.param(
            {"times": [{"start_time": "02:30", "end_time": "04:00"}], "location": "Europe/Berlin"},
            "2026-10-25T00:45",
            "2026-10-25T01:00",
            id="the-clock-is-put-back-out-of-it",
        ),
        pytest.param(
            {"times": [{"start_time": "01:30", "end_time": "02:30"}], "location": "Europe/Berlin"},
            "2026-03-29T00:45",
            "2026-03-29T01:00",
            id="the-clock-is-put-forward-out-of-it",
        ),
        pytest.param(
            {"weekdays": ["saturday"], "location": "Asia/Kathmandu"},
            "2026-11-21T00:00",
            "2026-11-21T18:15",
            id="odd-offset",
        ),
    ],
)
def test_when_it_ends(raw: dict[str, Any], now: str, end: str | None) -> None:
    assert interval_of(raw).ends_after(at(now)) == (at(end) if end else None)


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


TIMES = st.lists(
    st.lists(st.integers(0, 1440), min_size=2, max_size=2, unique=True).map(
        lambda ends: {"start_time": clock(min(ends)), "end_time": clock(max(ends))}
    ),
    min_size=1,
    max_size=3,
)
DAYS = st.sampled_from(["saturday", "sunday", "friday:saturday", "sunday:monday", "sunday:saturday"])


@settings(max_examples=60, deadline=None)
@given(
    raw=st.fixed_dictionaries(
        {
            "location": st.sampled_from(
                ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana"]
            ),
            "weekdays": st.lists(DAYS, min_size=1, max_size=2),
        },
        optional={"times": TIMES},
    ),
    day=st.sampled_from(["2026-03-29", "2026-10-25", "2026-11-01", "2026-03-08", "2026-04-05", "2026-06-13"]),
    minutes=st.integers(-1440, 1440),
)
def test_the_end_is_what_going_minute_by_minute_finds(raw: dict[str, Any], day: str, minutes: int) -> None:
    interval = interval_of(raw)
    now = at(day) + timedelta(minutes=minutes)
    end = interval.ends_after(now)
    walked = (now + timedelta(minutes=step) for step in range(4 * 1440))
    first = next((moment for moment in walked if not interval.contains(moment)), None)
    if first is not None:
        assert end == first
    else:
        assert end is None or end > now + timedelta(days=3)


def test_an_interval_without_restriction_knows_it() -> None:
    assert TimeInterval().always
    assert TimeInterval().contains(at("2026-01-01T00:00"))
    assert TimeInterval().ends_after(at("2026-01-01T00:00")) is None
    assert not interval_of(MONDAY).always
