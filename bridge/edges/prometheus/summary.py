"""Half an hour of samples as a measure: last, mean, highest, slope and ten points. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bridge.edges.prometheus.questions import RANGE_SECONDS
from bridge.model.evidence import ContainerFacts, Measure, Measured

POINTS = 10
LEAST_FOR_A_SLOPE = 5

Samples = Sequence[tuple[float, float]]
"""Unix seconds and value, oldest first."""


def measures(
    container: ContainerFacts, answers: Mapping[str, Samples], *, begin: float
) -> tuple[Measure, ...]:
    """A measure for each answer that has a number in it, in the order of the closed list, as ``M1`` and on.

    What came in cores and bytes becomes a share of the container's own limit, or of its host where it has none; where
    that is unknown there is no measure. ``begin``: the Unix time at which the half hour began.
    """
    found: list[Measure] = []
    for name in Measured:
        samples = _scaled(name, container, answers.get(name.value, ()))
        if samples:
            found.append(_summarised(f"M{len(found) + 1}", name, samples, begin))
    return tuple(found)


def _scaled(name: Measured, container: ContainerFacts, samples: Samples) -> Samples:
    whole: float | None = 1.0
    if name is Measured.CPU_SHARE:
        whole = container.cpu_limit_cores or container.host_cpu_cores
    if name is Measured.MEMORY_SHARE:
        whole = container.memory_limit_bytes or container.host_memory_bytes
    if not whole:
        return ()
    return [(at, value / whole) for at, value in samples if math.isfinite(value)]


def _summarised(measure_id: str, name: Measured, samples: Samples, begin: float) -> Measure:
    values = [value for _, value in samples]
    return Measure(
        id=measure_id,
        name=name,
        last=_rounded(values[-1]),
        mean=_rounded(math.fsum(values) / len(values)),
        max=_rounded(max(values)),
        slope_per_minute=_slope(samples),
        points=tuple(_points(samples, begin)),
    )


def _slope(samples: Samples) -> float | None:
    """Least squares, a minute; ``None``: too few samples to say."""
    if len(samples) < LEAST_FOR_A_SLOPE:
        return None
    minutes = [at / 60 for at, _ in samples]
    middle = math.fsum(minutes) / len(minutes)
    mean = math.fsum(value for _, value in samples) / len(samples)
    spread = math.fsum((minute - middle) ** 2 for minute in minutes)
    rise = math.fsum(
        (minute - middle) * (value - mean) for minute, (_, value) in zip(minutes, samples, strict=True)
    )
    return _rounded(rise / spread) if spread else None


def _points(samples: Samples, begin: float) -> list[float]:
    """The mean of each tenth of the half hour that has a sample, oldest first."""
    parts: list[list[float]] = [[] for _ in range(POINTS)]
    for at, value in samples:
        place = int((at - begin) * POINTS / RANGE_SECONDS)
        parts[min(max(place, 0), POINTS - 1)].append(value)
    return [_rounded(math.fsum(part) / len(part)) for part in parts if part]


def _rounded(value: float) -> float:
    """Four significant digits: more is noise, and every digit is a token."""
    return float(f"{value:.4g}")
