"""Scrapes while containers come and go, and while the Engine stands still."""

from __future__ import annotations

import contextlib
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

from bench.exporter.subject import ROOT, SPACING_SECONDS, Exporter, p99, spaced
from bench.figures import Figure, figure
from bridge.demo import parts


def churn(exporter: Exporter, engine: parts.DockerEngine, *, seconds: float) -> list[Figure]:
    """Containers come, live for a second and go, 3.5 of them in a second, while it is scraped.

    Who starts them is a process of its own, as in life: in this one it would hold Python's lock while scrapes are timed.
    Starting containers takes most of a small machine. How much of a slow scrape is that, a fixed piece of work tells
    that is done beside each scrape and takes as long as one while it is quiet.
    """
    work = _work_as_long_as(statistics.median(spaced(exporter) for _ in range(40)))
    quiet, quiet_work, quiet_cpu = _side_by_side(exporter, work, seconds=10)
    memory, files = exporter.rss(), exporter.open_files()
    with coming_and_going(engine) as lived:
        # A scrape that fails ends it all: there is none in a run that has come to its end.
        walls, works, cpu = _side_by_side(exporter, work, seconds=seconds)
    goal = f"≤ 3 x {statistics.median(quiet):.0f}"
    return [
        figure("scrapes that failed in the churn", "", [0], goal="0"),
        figure("scrape in the churn (baseline: fixed work beside it)", "ms", walls, works),
        figure(
            "the slowest of 100 (baseline: of the fixed work)", "ms", [p99(walls)], [p99(works)], goal=goal
        ),
        figure(
            "the slowest of 100 while it was quiet (baseline likewise)",
            "ms",
            [p99(quiet)],
            [p99(quiet_work)],
        ),
        figure("CPU of a scrape in the churn, events included (baseline: quiet)", "ms", [cpu], [quiet_cpu]),
        figure("containers that came and went, per second", "", [sum(lived) / seconds]),
        figure("RSS after (baseline: before)", "MiB", [exporter.rss()], [memory], goal="flat"),
        figure("open files after (baseline: before)", "", [exporter.open_files()], [files], goal="flat"),
    ]


@contextlib.contextmanager
def coming_and_going(engine: parts.DockerEngine) -> Iterator[list[int]]:
    """Containers that do, until the end; then how many there were stands in what it gives."""
    lived: list[int] = []
    command = [sys.executable, "-m", "bench.exporter.churning", engine.url]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as coming:
        yield lived
        lived.append(int(coming.communicate()[0]))
    time.sleep(1)


def _work_as_long_as(milliseconds: float) -> Callable[[], float]:
    """Work of about this length while the machine is quiet; gives how long it took, in milliseconds."""

    def work(turns: int) -> float:
        begun = time.perf_counter()
        for _ in range(turns):
            pass
        return (time.perf_counter() - begun) * 1e3

    turns = int(1_000_000 * milliseconds / min(work(1_000_000) for _ in range(10)))
    return lambda: work(turns)


def _side_by_side(
    exporter: Exporter, work: Callable[[], float], *, seconds: float
) -> tuple[list[float], list[float], float]:
    """Milliseconds of scrapes, of the work beside them, and of CPU that the exporter used for each scrape."""
    walls, works = [], []
    begun, deadline = exporter.value("process_cpu_seconds_total"), time.monotonic() + seconds
    while time.monotonic() < deadline:
        walls.append(spaced(exporter))
        works.append(work())
    used = exporter.value("process_cpu_seconds_total") - begun
    return walls, works, used / (len(walls) + 1) * 1e3


def hung(exporter: Exporter, engine: parts.DockerEngine, *, seconds: float) -> list[Figure]:
    """The Engine stopped where it stands: are scrapes as quick, the figures fresh, and is it said?"""
    busy = rb'container_cpu_usage_seconds_total\{[^}]*name="fleet-0000"[^}]*\} (\S+)\n'
    walls, fresh, looks, last = [], 0, 0, 0.0
    engine.pause_daemon()
    begun, said_after = time.monotonic(), None
    try:
        while time.monotonic() - begun < seconds:
            time.sleep(max(1.0, SPACING_SECONDS))
            wall, body = exporter.scrape()
            walls.append(wall * 1e3)
            if said_after is None and b"\ndocker_up 0\n" in body:
                said_after = time.monotonic() - begun
            used = re.search(busy, body)
            assert used
            looks, fresh, last = looks + 1, fresh + (float(used[1]) > last), float(used[1])
    finally:
        engine.resume_daemon()
    assert parts.wait_until(lambda: exporter.value("docker_up") == 1, seconds=30)
    return [
        figure("scrape while the Engine hangs", "ms", walls, goal="each < 20"),
        figure("fresh figures of a busy container", "%", [100 * fresh / looks], goal="100"),
        figure("docker_up is 0 after", "s", [said_after if said_after is not None else float("inf")]),
    ]
