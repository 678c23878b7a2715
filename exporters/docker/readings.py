"""One look at all figures: every source read once, gathered into columns for the page.

One at a time: who comes while another reads waits for it, and who comes soon after gets the same, unless a container
came, went or changed in between.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from exporters.docker.figures import Column, Layout, Row
from exporters.docker.kernel.batch import Batch
from exporters.docker.kernel.parallel import ParallelReader
from exporters.docker.kernel.part import Closed, Unreadable
from exporters.docker.kernel.plan import Plan
from exporters.docker.kernel.source import KernelSource
from exporters.docker.snapshot import Snapshot
from exporters.docker.sources import KINDS, Source, Sources
from exporters.docker.stats import NoFigures

SAME_SECONDS = 0.1
"""Two scrapers of a pair, or a person reloading, need no second look."""

BATCH = 256
"""Containers read together at most: all that was read of them is in memory at once, and should fit into a cache."""

NONE = "none"
"""Where the figures of a living container come from that could not be read."""


@dataclass(frozen=True, slots=True)
class Group:
    """Containers whose numbers mean the same, with a column for each slot of the layout."""

    layout: Layout
    ids: Sequence[str]
    columns: Sequence[Column]


def group(layout: Layout, rows: Sequence[tuple[str, Row]]) -> Group:
    """Out of rows of that layout, each with its container's id."""
    ids = tuple(container_id for container_id, _ in rows)
    return Group(layout, ids, list(zip(*(row for _, row in rows), strict=True)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    groups: Sequence[Group] = ()
    by_kind: Mapping[str, Sequence[str]] = field(default_factory=lambda: _by_kind())
    """Ids of the living containers by where their figures came from."""
    seconds: float = 0.0
    """How long the reading took."""
    errors: int = 0
    """Readings of a container that failed, since the exporter's start."""
    rounds: int = 0
    """Looks taken since the exporter's start, this one included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """All that a page is made of."""

    snapshot: Snapshot
    readings: Readings
    now: float
    """Seconds since the epoch."""
    inventory_age: float
    """Seconds since the Engine last showed that the snapshot is current."""


@dataclass(frozen=True, slots=True)
class _Cohort:
    """Containers that are read in one go where they can be."""

    kind: str
    members: Mapping[str, Source]
    batch: Batch | None = None
    """`None`: they are read one by one."""


class Reader:
    """`snapshot`: what there is now. `suspect`: told the id of a container that cannot be read any more."""

    def __init__(
        self,
        sources: Sources,
        snapshot: Callable[[], Snapshot],
        suspect: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._sources = sources
        self._snapshot = snapshot
        self._suspect = suspect
        self._clock = clock
        self._wall_clock = wall_clock
        self._last: Look | None = None
        self._last_at = 0.0
        self._cohorts: list[_Cohort] | None = None
        self._reader = ParallelReader()
        self._errors = 0
        self._rounds = 0

    def take(self) -> Look:
        """What all sources say now, or said within the last `SAME_SECONDS`."""
        with self._sources.lock:
            snapshot, last = self._snapshot(), self._last
            fresh = self._clock() - self._last_at < SAME_SECONDS
            if last is None or _regrouped(last.snapshot, snapshot):
                self._cohorts = None
            elif fresh and last.snapshot.up == snapshot.up:
                return last
            last = self._last = self._look(snapshot)
            self._last_at = self._clock()
            return last

    def _look(self, snapshot: Snapshot) -> Look:
        begun = self._clock()
        groups: list[Group] = []
        by_kind = _by_kind()
        if self._cohorts is None:
            self._cohorts = _cohorts(snapshot)
        for cohort in self._cohorts:
            for found in self._read(cohort):
                groups.append(found)
                by_kind[cohort.kind] += found.ids
        read = set().union(*by_kind.values())
        by_kind[NONE] += [one.id for one in snapshot.containers if one.alive and one.id not in read]
        self._rounds += 1
        now = self._clock()
        readings = Readings(
            groups=groups, by_kind=by_kind, seconds=now - begun, errors=self._errors, rounds=self._rounds
        )
        return Look(
            snapshot=snapshot,
            readings=readings,
            now=self._wall_clock(),
            inventory_age=now - snapshot.confirmed_at,
        )

    def _read(self, cohort: _Cohort) -> Sequence[Group]:
        if cohort.batch is None:
            return self._one_by_one(cohort)
        try:
            taken = cohort.batch.read(self._reader)
        except Unreadable:
            # One of them: which, is found out one by one; from then on the others are read together again.
            self._cohorts = None
            return self._one_by_one(cohort)
        ids = tuple(cohort.members)
        if taken.ended:
            self._cohorts = None
            for place in taken.ended:
                self._failed(ids[place])
            ids = tuple(one for place, one in enumerate(ids) if place not in taken.ended)
        return [Group(cohort.batch.plan.layout, ids, taken.columns)] if ids else []

    def _one_by_one(self, cohort: _Cohort) -> Sequence[Group]:
        found: dict[Layout, list[tuple[str, Row]]] = defaultdict(list)
        for container_id, source in cohort.members.items():
            row = self._row(container_id, source)
            if row is not None:
                found[source.layout].append((container_id, row))
        return [group(layout, rows) for layout, rows in found.items()]

    def _row(self, container_id: str, source: Source) -> Row | None:
        try:
            return source.read()
        except (NoFigures, Closed):
            return None
        except Unreadable:
            self._failed(container_id)
            return None

    def _failed(self, container_id: str) -> None:
        self._errors += 1
        self._suspect(container_id)


def _by_kind() -> dict[str, list[str]]:
    return {kind: [] for kind in (*KINDS, NONE)}


def _regrouped(before: Snapshot, now: Snapshot) -> bool:
    return now.containers is not before.containers or now.sources is not before.sources


def _cohorts(snapshot: Snapshot) -> list[_Cohort]:
    together: dict[tuple[str, Plan], dict[str, KernelSource]] = defaultdict(dict)
    alone: dict[str, dict[str, Source]] = defaultdict(dict)
    for container in snapshot.containers:
        source = snapshot.sources.get(container.id) if container.alive else None
        if isinstance(source, KernelSource) and source.kept and not source.broken:
            together[source.kind, source.plan][container.id] = source
        elif source is not None:
            alone[source.kind][container.id] = source
    batches = [
        _Cohort(kind, dict(members), Batch([source for _, source in members]))
        for (kind, _), alike in together.items()
        for members in _in_batches(list(alike.items()))
    ]
    return batches + [_Cohort(kind, members) for kind, members in alone.items()]


def _in_batches(members: list[tuple[str, KernelSource]]) -> Iterator[list[tuple[str, KernelSource]]]:
    for first in range(0, len(members), BATCH):
        yield members[first : first + BATCH]
