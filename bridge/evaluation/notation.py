"""What is pleasant to write by hand, and what it means: relative times, sizes, percentages. Each raises ``ValueError``."""

from __future__ import annotations

import re
import signal
from datetime import datetime, timedelta

from bridge.model.duration import parse_duration

_OFFSET = re.compile(r"([-+])\s*(\S+)")
_AGO = re.compile(r"(\S+) ago")
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_FACTORS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def moment(text: str, now: datetime) -> datetime:
    """``now``, ``-90s``, ``90s ago``, ``+5m``, or RFC 3339 with a zone."""
    if text.strip().lower() == "now":
        return now
    if found := _OFFSET.fullmatch(text.strip()):
        seconds = parse_duration(found[2])
        return now + timedelta(seconds=seconds if found[1] == "+" else -seconds)
    if found := _AGO.fullmatch(text.strip()):
        return now - timedelta(seconds=parse_duration(found[1]))
    return instant(text)


def instant(text: str) -> datetime:
    """RFC 3339 with a zone."""
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{text[:40]!r} is no time: write now, -90s, +5m, or 2026-11-20T12:00:00Z")
    return at


def seconds(value: str | float) -> float:
    """A number of seconds, or a duration."""
    return parse_duration(value) if isinstance(value, str) else float(value)


def number(value: str | float) -> float:
    """A number, or a percentage as a share."""
    if not isinstance(value, str):
        return float(value)
    text = value.strip()
    try:
        return float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        raise ValueError(f"{value[:40]!r} is no number: write 0.93 or 93%") from None


def size(value: str | int) -> int:
    """A number of bytes; ``512MiB``, ``512M`` and ``512MB`` all mean 512 x 1024², as in ``docker run --memory``."""
    if not isinstance(value, str):
        return int(value)
    found = _SIZE.fullmatch(value.strip())
    if found is None:
        raise ValueError(f"{value[:40]!r} is no size: write bytes, or 512MiB")
    return int(float(found[1]) * _FACTORS[found[2].upper()])


def signal_number(value: str | int) -> int:
    """``15``, ``SIGTERM`` or ``TERM``."""
    if not isinstance(value, str):
        return int(value)
    name = value.strip().upper()
    if name.isdigit():
        return int(name)
    try:
        return int(signal.Signals[name if name.startswith("SIG") else f"SIG{name}"])
    except KeyError:
        raise ValueError(f"{value[:40]!r} is no signal: write 15 or SIGTERM") from None


def slope_per_minute(points: tuple[float, ...], *, minutes: float = 30.0) -> float | None:
    """The rise per minute of evenly spaced means (least squares); ``None`` for fewer than three."""
    if len(points) < 3:
        return None
    step = minutes / len(points)
    middle, mean = (len(points) - 1) / 2, sum(points) / len(points)
    over = sum((index - middle) * (value - mean) for index, value in enumerate(points))
    return over / sum((index - middle) ** 2 for index in range(len(points))) / step
