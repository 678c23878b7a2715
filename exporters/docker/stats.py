"""Figures by the Engine's statistics, for containers whose control groups cannot be seen from here.

A round of requests in a thread of its own, at an interval; a scrape shows what the last round brought, and its age.
Nothing is asked while there is no such container.

Source: Docker Engine API, `GET /containers/{id}/stats` (one-shot).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from exporters.docker import figures
from exporters.docker.engine import Engine
from exporters.docker.errors import EngineError
from exporters.docker.exposition import encoded, escaped, seconds
from exporters.docker.figures import Layout, Row, Slot, layout

SETTLE_SECONDS = 1.0
"""Between a container's coming and the first question: of those that die young, nothing is asked."""

TIMEOUT_SECONDS = 15.0
"""For one answer. An Engine before 25 takes up to two seconds by itself, and far more with many containers."""

NANO = "e-9"

log = logging.getLogger(__name__)


class NoFigures(Exception):
    """No round has brought any yet, or the last one failed for this container."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one round brought for one container. `at`: seconds of the monotonic clock."""

    layout: Layout
    row: Row
    at: float


class Statistics:
    """Run `run` in a thread of its own; `source` gives what shows its findings.

    `interval`: seconds between the beginnings of two rounds.
    """

    def __init__(
        self, engine: Engine, *, interval: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rounds = 0
        self.round_seconds = 0.0
        """How long the last round took."""
        self.errors = 0
        self._engine = engine
        self._interval = interval
        self._clock = clock
        self._wanted: dict[str, ApiSource] = {}
        self._changed = threading.Event()
        self._stopping = threading.Event()

    def source(self, container_id: str) -> ApiSource:
        source = self._wanted[container_id] = ApiSource(container_id, self._unwanted, self._clock)
        self._changed.set()
        return source

    def run(self) -> None:
        """Rounds until `stop`. Whatever the Engine does, it does not end."""
        next_round = self._clock()
        while not self._stopping.is_set():
            if not self._wanted:
                self._changed.wait()
            self._changed.clear()
            # In this order with `stop`, which sets the two the other way round.
            if self._stopping.wait(min(SETTLE_SECONDS, self._interval)):
                return
            if (now := self._clock()) >= next_round:
                next_round = now + self._interval
                self._round(dict(self._wanted))
            else:
                self._round({key: source for key, source in self._wanted.copy().items() if not source.seen})
            self._changed.wait(max(0.0, next_round - self._clock()))

    def stop(self) -> None:
        self._stopping.set()
        self._changed.set()

    def _round(self, wanted: Mapping[str, ApiSource]) -> None:
        begun = self._clock()
        for container_id, said in self._engine.statistics(wanted, timeout=TIMEOUT_SECONDS):
            if self._stopping.is_set():
                return
            if isinstance(said, EngineError):
                self.errors += 1
                log.debug("stats_failed", extra={"container_id": container_id[:12], "error": str(said)})
            else:
                wanted[container_id].seen = _seen(said, self._clock())
        if wanted:
            self.rounds += 1
            self.round_seconds = self._clock() - begun

    def _unwanted(self, source: ApiSource) -> None:
        if self._wanted.get(source.container_id) is source:
            del self._wanted[source.container_id]


class ApiSource:
    """One run of one container, as of the last round."""

    kind: Final = "api"

    def __init__(
        self, container_id: str, unwanted: Callable[[ApiSource], None], clock: Callable[[], float]
    ) -> None:
        self.container_id = container_id
        self.seen: Seen | None = None
        self.layout = layout(())
        self._unwanted = unwanted
        self._clock = clock

    def read(self) -> Row:
        """Raises: NoFigures."""
        if (seen := self.seen) is None:
            raise NoFigures(self.container_id)
        self.layout = seen.layout
        return (*seen.row, encoded(seconds(self._clock() - seen.at)))

    def close(self) -> None:
        self._unwanted(self)


def _seen(said: Mapping[str, Any], at: float) -> Seen | None:
    """`None`: the container has ended, or the answer cannot be made out."""
    try:
        found = [*_cpu(said), *_memory(said), *_threads(said), *_io(said), *_network(said)]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if not found:
        return None
    slots = (*(slot for slot, _ in found), Slot(figures.FIGURES_AGE))
    return Seen(layout(slots), tuple(b"%d" % number for _, number in found), at)


Found = list[tuple[Slot, int]]


def _cpu(said: Mapping[str, Any]) -> Found:
    """Nanoseconds, as the Engine gives them on both versions of cgroups."""
    usage = said["cpu_stats"]["cpu_usage"]
    if not usage.get("total_usage"):
        return []
    found: Found = [
        (Slot(figures.CPU_USAGE, figures.FIGURES[0].labels, NANO), usage["total_usage"]),
        (Slot(figures.CPU_USER, scale=NANO), usage.get("usage_in_usermode", 0)),
        (Slot(figures.CPU_SYSTEM, scale=NANO), usage.get("usage_in_kernelmode", 0)),
    ]
    throttling = said["cpu_stats"].get("throttling_data") or {}
    if throttling.get("periods"):
        found += [
            (Slot(figures.CFS_PERIODS), throttling["periods"]),
            (Slot(figures.CFS_THROTTLED_PERIODS), throttling["throttled_periods"]),
            (Slot(figures.CFS_THROTTLED_SECONDS, scale=NANO), throttling["throttled_time"]),
        ]
    return found


def _memory(said: Mapping[str, Any]) -> Found:
    memory = said["memory_stats"]
    if "usage" not in memory:
        return []
    used, stat = int(memory["usage"]), memory.get("stats") or {}
    inactive = stat.get("total_inactive_file", stat.get("inactive_file", 0))
    return [
        (Slot(figures.MEMORY_USAGE), used),
        (Slot(figures.MEMORY_WORKING_SET), max(0, used - inactive)),
        (Slot(figures.MEMORY_RSS), stat.get("total_rss", stat.get("anon", 0))),
        (Slot(figures.MEMORY_CACHE), stat.get("total_cache", stat.get("file", 0))),
    ]


def _threads(said: Mapping[str, Any]) -> Found:
    current = (said.get("pids_stats") or {}).get("current")
    return [] if current is None else [(Slot(figures.THREADS), current)]


def _io(said: Mapping[str, Any]) -> Found:
    entries = (said.get("blkio_stats") or {}).get("io_service_bytes_recursive") or []

    def total(operation: str) -> int:
        return sum(int(entry["value"]) for entry in entries if entry["op"].lower() == operation)

    return [(Slot(figures.FS_READS), total("read")), (Slot(figures.FS_WRITES), total("write"))]


def _network(said: Mapping[str, Any]) -> Found:
    networks: Mapping[str, Mapping[str, int]] = said.get("networks") or {}
    return [
        (Slot(name, f'interface="{escaped(interface)}"'), numbers[f"{direction}_{what}"])
        for interface, numbers in networks.items()
        for direction, names in (("rx", figures.RECEIVE), ("tx", figures.TRANSMIT))
        for name, what in zip(names, ("bytes", "packets", "errors", "dropped"), strict=True)
    ]
