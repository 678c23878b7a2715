"""How figures are told: a name, a value, a unit, the baseline's value of the same run and the limit it should keep."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata

LIBRARIES = ("aiohttp", "redis", "hiredis", "msgspec", "docker")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table. `baseline` and `ratio` are `None` where there is nothing to compare with.

    `ratio` is the median of the rounds' own ratios, not the ratio of the two medians: what disturbed a round
    disturbed both sides of it.
    """

    name: str
    value: float
    unit: str
    spread: tuple[float, float]
    baseline: float | None = None
    ratio: float | None = None
    goal: str = ""


def figure(
    name: str, unit: str, values: Sequence[float], baseline: Sequence[float] = (), *, goal: str = ""
) -> Figure:
    """Of one value per round, and the baseline's of the same rounds."""
    ratios = [value / base for value, base in zip(values, baseline, strict=False) if base]
    return Figure(
        name=name,
        value=statistics.median(values),
        unit=unit,
        spread=(min(values), max(values)),
        baseline=statistics.median(baseline) if baseline else None,
        ratio=statistics.median(ratios) if ratios else None,
        goal=goal,
    )


def table(figures: Sequence[Figure]) -> str:
    """Markdown, so that it can be read here and pasted into the docs."""
    head = ("", "HemoStat", "min … max", "baseline", "ratio", "goal")
    rows = [head, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.ljust(width) if column in (0, 5) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = [
        ("-" * width) if column in (0, 5) else "-" * (width - 1) + ":" for column, width in enumerate(widths)
    ]
    return "\n".join([line(head), line(rule), *(line(row) for row in rows[1:])])


def _row(figure: Figure) -> tuple[str, ...]:
    low, high = figure.spread
    return (
        figure.name,
        f"{_number(figure.value)} {figure.unit}".rstrip(),
        f"{_number(low)} … {_number(high)}" if low != high else "",
        _number(figure.baseline) if figure.baseline is not None else "",
        f"{figure.ratio:.2f}" if figure.ratio is not None else "",
        figure.goal,
    )


def _number(value: float) -> str:
    if value >= 100 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def circumstances(redis: str) -> dict[str, str]:
    """What the figures depend on besides the code."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": str(os.cpu_count()),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "redis-server": redis,
        **{name: metadata.version(name) for name in LIBRARIES},
    }
