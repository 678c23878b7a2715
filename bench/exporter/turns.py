"""Two states of the exporter scraped in turns on one fleet: what a change brings, whatever the hour."""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.exporter.subject import ROOT, Exporter, scheduled, spaced
from bench.figures import Figure, figure
from bridge.demo import parts


def turns(engine: parts.DockerEngine, other: Path, *, count: int, rounds: int) -> list[Figure]:
    """Of this checkout; the baseline is the one in `other`. Who goes first changes with each round."""
    found = []
    with Exporter(engine.url) as mine, Exporter(engine.url, checkout=other) as base:
        pair = (mine, base)
        for exporter in pair:
            exporter.wait_for(count)
        for gzip in (False, True):
            walls: dict[Exporter, list[float]] = {exporter: [] for exporter in pair}
            costs: dict[Exporter, list[float]] = {exporter: [] for exporter in pair}
            for exporter in pair * 3:  # what is made at the first scrapes and then kept
                spaced(exporter, gzip=gzip)
            for number in range(rounds):
                for exporter in pair if number % 2 else pair[::-1]:
                    before = scheduled(exporter.pid)
                    walls[exporter].append(spaced(exporter, gzip=gzip))
                    costs[exporter].append((scheduled(exporter.pid) - before) * 1e3)
            name = "scrape, gzip" if gzip else "scrape"
            found += [
                figure(name, "ms", walls[mine], walls[base]),
                figure(f"{name}: the least", "ms", [min(walls[mine])], [min(walls[base])]),
                figure(f"{name}: CPU", "ms", costs[mine], costs[base]),
                figure(f"{name}: the least CPU", "ms", [min(costs[mine])], [min(costs[base])]),
            ]
        found.append(figure("RSS", "MiB", [mine.rss()], [base.rss()]))
    return found


def checkout(text: str) -> Path:
    """Raises: argparse.ArgumentTypeError: no exporter is there, or it is this very checkout."""
    path = Path(text).resolve()
    if not (path / "exporters" / "docker" / "__main__.py").is_file():
        raise argparse.ArgumentTypeError(f"{text}: there is no exporters/docker in it")
    if path == ROOT:
        raise argparse.ArgumentTypeError(f"{text}: is this checkout itself; git worktree add makes another")
    return path
