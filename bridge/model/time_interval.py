"""Time intervals as Alertmanager writes them: when a maintenance window holds, and when it ends.

Pure: the time is always an argument. Source: Alertmanager's documentation, "Configuration", ``<time_interval>``.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
MONTHS = tuple(name.lower() for name in calendar.month_name if name)

MINUTES_PER_DAY = 24 * 60
LOOK_AHEAD = timedelta(days=366)

_TIME = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9])|24:00)", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """From ``first`` to ``last``, both included; for times of day ``last`` is the first minute outside."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeInterval:
    """One element of ``time_intervals``: all that is given must hold at once, an empty tuple means "any".

    ``times`` are minutes since midnight, ``last`` excluded. ``weekdays`` count from Sunday = 0. ``days_of_month``
    may be negative: -1 is the month's last day. All of it is the wall clock of ``location``.
    """

    times: tuple[Span, ...] = ()
    weekdays: tuple[Span, ...] = ()
    days_of_month: tuple[Span, ...] = ()
    months: tuple[Span, ...] = ()
    years: tuple[Span, ...] = ()
    location: tzinfo = UTC

    @property
    def always(self) -> bool:
        """Whether nothing restricts it, so that it contains every instant."""
        return not (self.times or self.weekdays or self.days_of_month or self.months or self.years)

    def contains(self, now: datetime) -> bool:
        """Whether the aware ``now`` lies inside; seconds do not count."""
        local = now.astimezone(self.location)
        return (
            _any_covers(self.years, local.year)
            and _any_covers(self.months, local.month)
            and _any_covers(self.weekdays, local.isoweekday() % 7)
            and (not self.days_of_month or any(_covers_day(span, local) for span in self.days_of_month))
            and (not self.times or self._end_minute(local) is not None)
        )

    def ends_after(self, now: datetime) -> datetime | None:
        """The first instant from ``now`` on, in UTC, that is not inside; ``None`` if there is none for about a year.

        It is ``now`` itself if that is not inside.
        """
        if not self.contains(now):
            return now.astimezone(UTC)
        moment = now.astimezone(UTC).replace(second=0, microsecond=0)
        limit = now + LOOK_AHEAD
        while moment < limit:
            if not self.contains(moment):
                return moment
            moment = self._next_candidate(moment)
        return None

    def _next_candidate(self, moment: datetime) -> datetime:
        """A later instant before which nothing can have changed: the end of the day's time span.

        Where the clock is put forward or back in between, minute by minute: there a wall clock says nothing
        about how long it takes.
        """
        local = moment.astimezone(self.location)
        end = self._end_minute(local) or MINUTES_PER_DAY
        later = moment + timedelta(minutes=end - _minute_of(local))
        if later.astimezone(self.location).utcoffset() == local.utcoffset():
            return later
        return moment + timedelta(minutes=1)

    def _end_minute(self, local: datetime) -> int | None:
        minute = _minute_of(local)
        return max((span.last for span in self.times if span.first <= minute < span.last), default=None)


def _minute_of(local: datetime) -> int:
    return local.hour * 60 + local.minute


def _any_covers(spans: tuple[Span, ...], value: int) -> bool:
    return not spans or any(span.first <= value <= span.last for span in spans)


def _covers_day(span: Span, local: datetime) -> bool:
    length = calendar.monthrange(local.year, local.month)[1]
    first, last = (day if day > 0 else length + day + 1 for day in (span.first, span.last))
    return first <= local.day <= last


def parse_time_span(start: str, end: str) -> Span:
    """Minutes since midnight of ``HH:MM`` and ``HH:MM`` (or ``24:00``); the end is excluded.

    Raises:
        ValueError: not such times, or the end is not after the start.
    """
    span = Span(_minutes(start), _minutes(end))
    if span.first >= span.last:
        raise ValueError(
            f"end_time {end} is not after start_time {start}: a span over midnight is written as two, "
            "one up to 24:00 and one from 00:00"
        )
    return span


def parse_weekdays(text: str) -> Span:
    """``monday`` or ``monday:friday``; the week begins on Sunday.

    Raises:
        ValueError: not a weekday, or the range runs backwards.
    """
    first, last = (_position(part, WEEKDAYS, "weekday") for part in _ends(text))
    if first > last:
        raise ValueError(f"{text!r} runs backwards: a week begins on sunday, write it as two ranges")
    return Span(first, last)


def parse_months(text: str) -> Span:
    """``december``, ``january:march`` or ``1:3``.

    Raises:
        ValueError: not a month, or the range runs backwards.
    """
    first, last = (_month(part) for part in _ends(text))
    if first > last:
        raise ValueError(f"{text!r} runs backwards: write it as two ranges")
    return Span(first, last)


def parse_days_of_month(text: str) -> Span:
    """``15``, ``1:5`` or ``-3:-1``, negative days counting from the month's end.

    Raises:
        ValueError: not such days, or the end can never lie behind the start.
    """
    first, last = (_integer(part, "day of the month") for part in _ends(text))
    for day in (first, last):
        if not 1 <= abs(day) <= 31:
            raise ValueError(f"{day} is not a day of the month: 1 to 31, or -1 to -31 from its end")
    if first < 0 < last:
        raise ValueError(f"{text!r}: if the first day is negative, so must be the last")
    if _in_long_month(first) > _in_long_month(last):
        raise ValueError(f"{text!r} runs backwards in every month")
    return Span(first, last)


def parse_years(text: str) -> Span:
    """``2026`` or ``2026:2028``.

    Raises:
        ValueError: not such years, or the range runs backwards.
    """
    first, last = (_integer(part, "year") for part in _ends(text))
    if first > last:
        raise ValueError(f"{text!r} runs backwards")
    return Span(first, last)


def parse_location(text: str) -> tzinfo:
    """A zone of the IANA time zone database, such as ``Europe/Berlin``.

    Raises:
        ValueError: there is no such zone.
    """
    if text == "UTC":
        return UTC
    try:
        return ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{text[:60]!r} is not a known time zone: write for example Europe/Berlin") from None


def _in_long_month(day: int) -> int:
    return day if day > 0 else 32 + day


def _minutes(text: str) -> int:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:60]!r} is not a time of day: write HH:MM, from 00:00 to 24:00")
    return int(found[1]) * 60 + int(found[2]) if found[1] else MINUTES_PER_DAY


def _ends(text: str) -> tuple[str, str]:
    first, colon, last = text.partition(":")
    return first, last if colon else first


def _position(text: str, names: Sequence[str], what: str) -> int:
    if text.lower() not in names:
        raise ValueError(f"{text[:60]!r} is not a {what}: {', '.join(names)}")
    return names.index(text.lower())


def _month(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        return _position(text, MONTHS, "month") + 1
    if not 1 <= int(text) <= 12:
        raise ValueError(f"{text} is not a month: 1 to 12, or a name")
    return int(text)


def _integer(text: str, what: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise ValueError(f"{text[:60]!r} is not a {what}")
    return int(text)
