"""Durations as Prometheus writes them (``1h30m``, ``500ms``); seconds inside. No clock here."""

from __future__ import annotations

import re

UNIT_MILLISECONDS = {
    "y": 365 * 86_400_000,
    "w": 7 * 86_400_000,
    "d": 86_400_000,
    "h": 3_600_000,
    "m": 60_000,
    "s": 1000,
    "ms": 1,
}
"""Units from long to short, the order in which they must be written. A year has 365 days, as in Prometheus."""

LONGEST_MILLISECONDS = (2**63 - 1) // 1_000_000
"""About 292 years, where Prometheus' own type ends."""

_WHOLE_ONLY = ("y", "w")
_DURATION = re.compile("".join(f"(?:([0-9]{{1,18}}){unit})?" for unit in UNIT_MILLISECONDS), re.ASCII)
_BARE_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds of ``1h30m``, ``90s``, ``500ms``, ``1d``, ``1w``, ``1y``. Units from long to short, each at most once.

    Raises:
        ValueError: it is not such a duration; one line that says what to write instead.

    Source: Prometheus' documentation, "Configuration", ``<duration>``.
    """
    if _BARE_NUMBER.fullmatch(text):
        raise ValueError(f"{_shown(text)} has no unit: add a unit, for example {_shown(text)[1:-1]}s")
    found = _DURATION.fullmatch(text) if text else None
    if found is None:
        raise ValueError(f"{_shown(text)} is not a duration: write for example 90s, 5m or 1h30m")
    parts = zip(found.groups(), UNIT_MILLISECONDS.values(), strict=True)
    milliseconds = sum(int(number) * unit for number, unit in parts if number is not None)
    if milliseconds > LONGEST_MILLISECONDS:
        raise ValueError(
            f"{_shown(text)} is too long: at most {format_duration(LONGEST_MILLISECONDS / 1000)}"
        )
    return milliseconds / 1000


def format_duration(seconds: float) -> str:
    """The same time in Prometheus' notation, rounded to milliseconds; years and weeks only where nothing is left over.

    Raises:
        ValueError: ``seconds`` is negative; such a duration cannot be written.
    """
    left = round(seconds * 1000)
    if left < 0:
        raise ValueError(f"{seconds} seconds: a duration cannot be negative")
    text = ""
    for unit, length in UNIT_MILLISECONDS.items():
        if left >= length and not (unit in _WHOLE_ONLY and left % length):
            text += f"{left // length}{unit}"
            left %= length
    return text or "0s"


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
