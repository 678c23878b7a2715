"""One look at all figures: every source read once, gathered into columns for the page.

One at a time: who comes while another reads waits for it, and who comes soon after gets the same, unless a container
came, went or changed in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from exporters.docker.figures import Layout, Row
from exporters.docker.kernel.part import Closed, Unreadable
from exporters.docker.snapshot import Snapshot
from exporters.docker.sources import KINDS, Source, Sources
from exporters.docker.stats import NoFigures

SAME_SECONDS = 0.1
"""Two scrapers of a pair, or a person reloading, need no second look."""


NONE = "none"
"""Where the figures of a living container come from that could not be read."""


@dataclass(slots=True)
class Group:
    """Containers whose rows mean the same."""

    ids: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    groups: dict[Layout, Group] = field(default_factory=dict)
    by_kind: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in (*KINDS, NONE)})
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
        self._errors = 0
        self._rounds = 0

    def take(self) -> Look:
        """What all sources say now, or said within the last `SAME_SECONDS`."""
        with self._sources.lock:
            snapshot, last = self._snapshot(), self._last
            fresh = self._clock() - self._last_at < SAME_SECONDS
            if last is None or not fresh or _changed(last.snapshot, snapshot):
                last = self._last = self._look(snapshot)
                self._last_at = self._clock()
            return last

    def _look(self, snapshot: Snapshot) -> Look:
        begun = self._clock()
        groups: dict[Layout, Group] = {}
        by_kind: dict[str, list[str]] = {kind: [] for kind in (*KINDS, NONE)}
        for container in snapshot.containers:
            if not container.alive:
                continue
            source = snapshot.sources.get(container.id)
            row = self._row(container.id, source) if source else None
            if source is None or row is None:
                by_kind[NONE].append(container.id)
                continue
            by_kind[source.kind].append(container.id)
            group = groups.get(source.layout)
            if group is None:
                group = groups[source.layout] = Group()
            group.ids.append(container.id)
            group.rows.append(row)
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

    def _row(self, container_id: str, source: Source) -> Row | None:
        try:
            return source.read()
        except (NoFigures, Closed):
            return None
        except Unreadable:
            self._errors += 1
            self._suspect(container_id)
            return None


def _changed(before: Snapshot, now: Snapshot) -> bool:
    return now.containers is not before.containers or now.sources is not before.sources or now.up != before.up
