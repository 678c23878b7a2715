"""Two states of the exporter scraped in turns on one fleet: what a change brings, whatever the hour."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.exporter.subject import ROOT, Exporter, p99, scheduled, spaced
from bench.exporter.trouble import coming_and_going
from bench.figures import Figure, figure
from bridge.demo import parts


def turns(
    engine: parts.DockerEngine, other: Path, *, count: int, rounds: int, churn_seconds: float
) -> list[Figure]:
    """Of this checkout; the baseline is the one in `other`. Who goes first changes with each round."""
    found = []
    with Exporter(engine.url) as mine, Exporter(engine.url, checkout=other) as base:
        pair = (mine, base)
        for exporter in pair:
            exporter.wait_for(count)
        for gzip in (False, True):
            for exporter in pair * 3:  # what is made at the first scrapes and then kept
                spaced(exporter, gzip=gzip)
            walls, costs = _in_turns(pair, range(rounds), gzip=gzip)
            name = "scrape, gzip" if gzip else "scrape"
            found += [
                figure(name, "ms", walls[mine], walls[base]),
                figure(f"{name}: the least", "ms", [min(walls[mine])], [min(walls[base])]),
                figure(f"{name}: CPU", "ms", costs[mine], costs[base]),
                figure(f"{name}: the least CPU", "ms", [min(costs[mine])], [min(costs[base])]),
            ]
        found.append(figure("RSS", "MiB", [mine.rss()], [base.rss()]))
        found += _while_they_come_and_go(pair, engine, seconds=churn_seconds)
    return found


def _while_they_come_and_go(
    pair: tuple[Exporter, Exporter], engine: parts.DockerEngine, *, seconds: float
) -> list[Figure]:
    mine, base = pair
    with coming_and_going(engine):
        began = {exporter: scheduled(exporter.pid) for exporter in pair}
        walls, _ = _in_turns(pair, _until(time.monotonic() + seconds))
        used = {e: (scheduled(e.pid) - began[e]) * 1e3 / len(walls[e]) for e in pair}
    return [
        figure("scrape in the churn", "ms", walls[mine], walls[base]),
        figure("the slowest of 100 in the churn", "ms", [p99(walls[mine])], [p99(walls[base])]),
        figure("CPU of a scrape in the churn, events included", "ms", [used[mine]], [used[base]]),
    ]


def _in_turns(
    pair: tuple[Exporter, Exporter], numbers: Iterable[int], *, gzip: bool = False
) -> tuple[dict[Exporter, list[float]], dict[Exporter, list[float]]]:
    """Milliseconds that scrapes took, and milliseconds of CPU."""
    walls: dict[Exporter, list[float]] = {exporter: [] for exporter in pair}
    costs: dict[Exporter, list[float]] = {exporter: [] for exporter in pair}
    for number in numbers:
        for exporter in pair if number % 2 else pair[::-1]:
            before = scheduled(exporter.pid)
            walls[exporter].append(spaced(exporter, gzip=gzip))
            costs[exporter].append((scheduled(exporter.pid) - before) * 1e3)
    return walls, costs


def _until(deadline: float) -> Iterator[int]:
    return itertools.takewhile(lambda _: time.monotonic() < deadline, itertools.count())


def checkout(text: str) -> Path:
    """Raises: argparse.ArgumentTypeError: no exporter is there, or it is this very checkout."""
    path = Path(text).resolve()
    if not (path / "exporters" / "docker" / "__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"{text}: there is no exporters/docker in it")
    if path == ROOT:
        raise argparse.ArgumentTypeError(f"{text}: is this checkout itself; git worktree add makes another")
    return path
