"""The inventory: what containers there are, kept current by one thread, given to scrapes as a snapshot.

One list, then events, one inspect for each container an event names; the whole list again at an interval and
after each reconnect catches what was missed. At the interval the inspects come in small batches between events, so
that neither an event nor a scrape waits for them. A scrape reads `snapshot` and nothing else: no rendering here,
and no waiting for this thread's I/O there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from exporters.docker.container import Container, Tally, from_inspect
from exporters.docker.engine import INSPECTS_AT_ONCE, Engine, Event, Listed
from exporters.docker.errors import EngineAway, EngineError, EngineSlow
from exporters.docker.feed import Feed
from exporters.docker.snapshot import Snapshot
from exporters.docker.sources import Sources

Inspected = dict[str, Any] | EngineError | None

FIRST_RETRY_SECONDS = 0.25
LAST_RETRY_SECONDS = 5.0
BATCH_PAUSE_SECONDS = 0.05
"""Between two batches of inspects at the interval: while one is read, a scrape in another thread waits for it."""

LATER_SECONDS = 0.25
"""From an end to the question what the event left open. The Engine takes up to 100 ms to take down the network, answers
for that container only then, and would hold up here what happens to others; who is removed meanwhile costs no question."""

WHOLE_EVERY = 10
"""Of so many lists one is followed by an inspect of every container. After each of them it cost as much CPU as the scrapes
of that time, to find what events had told already."""

SUSPECTED = "suspected"
"""In place of an event's action: a scrape could not read the container's figures."""

log = logging.getLogger(__name__)


class Inventory:
    """Run `run` in a thread of its own; read `snapshot` from anywhere.

    `resync_interval`: seconds between full lists. `quiet`: seconds of silence on the event stream after which
    the Engine is pinged; a hung Engine is noticed within `quiet` plus the Engine's own timeout.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        resync_interval: float,
        quiet: float,
        sources: Sources | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without `sources` it says what there is, and nobody reads figures."""
        self._engine = engine
        self._sources = sources
        self._resync_interval = resync_interval
        self._quiet = quiet
        self._clock = clock
        self._containers: dict[str, Container] = {}
        self._missed: set[str] = set()
        """Those whose last inspect failed."""
        self._again: set[str] = set()
        """Of these, those to be tried again as soon as it is quiet."""
        self._resyncs = 0
        self._later: dict[str, float] = {}
        """When whom is to be looked at who ended or could not be read."""
        self._due: deque[str] = deque()
        self._digests: dict[str, str] = {}
        self._changed = False
        self._next_resync = 0.0
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._stopping = threading.Event()
        self._feed: Feed | None = None
        self._snapshot = Snapshot(confirmed_at=clock())

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    def run(self) -> None:
        """Keep the inventory current until `stop`. Whatever the Engine does, it does not end."""
        while not self._stopping.is_set():
            try:
                self._follow()
            except EngineError as error:
                if self._stopping.is_set():
                    break
                self._lost(error)
                self._stopping.wait(self._retry_seconds)
                self._retry_seconds = min(self._retry_seconds * 2, LAST_RETRY_SECONDS)
        self._engine.close()

    def stop(self) -> None:
        self._stopping.set()
        if (feed := self._feed) is not None:
            feed.end()

    def suspect(self, container_id: str) -> None:
        """Look at this container, unless an event tells of it first. From any thread; with the stream lost, the next
        inventory looks at all."""
        if (feed := self._feed) is not None:
            feed.add(Event(SUSPECTED, container_id))

    def _follow(self) -> None:
        """From one connect to its loss. The stream opens before the list is taken: nothing is missed."""
        feed = self._feed = Feed(self._engine.events())
        try:
            self._resyncs = 0
            self._later.clear()
            self._refresh(self._resync())
            self._found()
            while not self._stopping.is_set():
                self._step(feed)
        finally:
            feed.end()
            feed.drain()

    def _step(self, feed: Feed) -> None:
        next_look = max(0.0, min([self._next_resync, *self._later.values()]) - self._clock())
        events = feed.take(within=BATCH_PAUSE_SECONDS if self._due else min(self._quiet, next_look))
        self._apply(events)
        now_due = [who for who, at in self._later.items() if at <= self._clock()]
        self._touch(now_due)
        if self._due:
            self._refresh([self._due.popleft() for _ in range(min(len(self._due), INSPECTS_AT_ONCE))])
        elif self._clock() >= self._next_resync:
            self._due.extend(self._resync())
        elif not events and not now_due:
            self._engine.ping()
            again, self._again = self._again, set()
            self._refresh(again)
        self._publish(up=True, confirmed_at=self._clock())

    def _resync(self) -> list[str]:
        """Takes the list, drops who is gone, and gives the ids of those to look at, those not known yet first."""
        listed = self._engine.listed()
        for gone in self._containers.keys() - listed.keys():
            self._drop(gone)
        whole = self._resyncs % WHOLE_EVERY == 0
        self._resyncs += 1
        self._due.clear()
        self._again.clear()
        self._missed &= listed.keys()
        used = {container.image_id for container in self._containers.values()}
        self._digests = {image: digest for image, digest in self._digests.items() if digest and image in used}
        self._next_resync = self._clock() + self._resync_interval
        ids = [who for who, entry in listed.items() if whole or self._is_to_be_looked_at(who, entry)]
        return sorted(ids, key=self._containers.__contains__)

    def _is_to_be_looked_at(self, container_id: str, entry: Listed) -> bool:
        known = self._containers.get(container_id)
        if known is None or container_id in self._missed:
            return True
        if known.state != entry.state or known.name not in entry.names:
            return True
        # No event tells of a failing streak that grows, nor of control groups that can be seen by now.
        lacking = self._sources is not None and self._sources.lacks(container_id)
        return known.alive and (known.health != "none" or lacking)

    def _apply(self, events: list[Event]) -> None:
        told = [event for event in events if event.action != SUSPECTED]
        destroyed = {event.container_id for event in told if event.action == "destroy"}
        for container_id in destroyed:
            self._drop(container_id)
        ooms = Counter(event.container_id for event in told if event.action == "oom")
        known = ooms.keys() & self._containers.keys()
        self._count_ooms({container_id: ooms.pop(container_id) for container_id in known})
        ended = self._ends(told)
        self._publish()
        # In order of arrival and each once: a burst of events about one container costs one inspect.
        touched = dict.fromkeys(event.container_id for event in told)
        self._touch([who for who in touched if who not in destroyed | ended])
        for container_id in [*ended, *(event.container_id for event in events if event.action == SUSPECTED)]:
            if container_id not in destroyed:
                self._later.setdefault(container_id, self._clock() + LATER_SECONDS)
        self._count_ooms(ooms)
        self._publish(events=self._snapshot.events + len(told))

    def _ends(self, events: list[Event]) -> set[str]:
        """Who ended, and is shown so by the event itself."""
        last = {event.container_id: event for event in events if event.action in ("die", "start")}
        ended = set()
        for event in events:
            if event.action == "die":
                # Before the Engine is asked, which may take its time: an open file holds the network namespace.
                self._end_run(event.container_id)
                if event is last[event.container_id] and self._ended(event):
                    ended.add(event.container_id)
        return ended

    def _touch(self, container_ids: list[str]) -> None:
        for container_id in container_ids:
            self._later.pop(container_id, None)
        self._refresh(container_ids)

    def _refresh(self, container_ids: Iterable[str]) -> None:
        slow: EngineSlow | None = None
        for container_id, said in self._inspected(list(container_ids)):
            try:
                if isinstance(said, EngineError):
                    raise said
                self._look(container_id, said)
                self._missed.discard(container_id)
            except EngineSlow as error:
                self._failed("inspect_slow", error)
                self._missed.add(container_id)
                slow = error
            except EngineAway:
                raise
            except EngineError as error:
                self._failed("inspect_failed", error)
                self._missed.add(container_id)
                self._again.add(container_id)
        if slow:
            # Docker answers for a container only when that container's own lock is free. If the Engine still
            # pings, it is this one that hangs: it keeps its last facts, the others go on.
            self._engine.ping()

    def _inspected(self, container_ids: list[str]) -> Iterator[tuple[str, Inspected]]:
        if not container_ids:
            return
        if len(container_ids) != 1:
            yield from self._engine.inspect_all(container_ids)
            return
        # One alone goes over the kept connection, which is the quickest.
        try:
            yield container_ids[0], self._engine.inspect(container_ids[0])
        except EngineError as error:
            yield container_ids[0], error

    def _look(self, container_id: str, details: dict[str, Any] | None) -> None:
        if details is None:
            self._drop(container_id)
            return
        before = self._containers.get(container_id)
        container = from_inspect(details, before.tally if before else Tally())
        container = replace(container, image_digest=self._digest(container.image_id))
        if before and before.run != container.run:
            container = replace(container, tally=self._run_ended(container_id, container.tally))
        if container != before:
            self._put(container)
        if self._sources:
            self._sources.follow(self._containers[container_id])

    def _digest(self, image_id: str) -> str:
        """Asked once for each image. A proxy that lets nobody ask about images costs no more than the digest."""
        if image_id not in self._digests:
            self._digests[image_id] = ""
            try:
                self._digests[image_id] = self._engine.image_digest(image_id)
            except EngineSlow as error:
                self._failed("image_slow", error)
            except EngineAway:
                raise
            except EngineError as error:
                log.debug("image_digest_unknown", extra={"image_id": image_id, "error": str(error)})
        return self._digests[image_id]

    def _end_run(self, container_id: str) -> None:
        if (container := self._containers.get(container_id)) is not None:
            self._put(replace(container, tally=self._run_ended(container_id, container.tally)))

    def _ended(self, event: Event) -> bool:
        """Whether the event itself says that it ended, and how, and of a container that is known to have lived."""
        container = self._containers.get(event.container_id)
        if container is None or not container.alive or event.at is None or event.exit_code is None:
            return False
        self._put(container.ended(at=event.at, exit_code=event.exit_code))
        return True

    def _run_ended(self, container_id: str, tally: Tally) -> Tally:
        return tally.run_ended(self._sources.close(container_id) if self._sources else 0)

    def _count_ooms(self, times: Mapping[str, int]) -> None:
        for container_id, count in times.items():
            if (container := self._containers.get(container_id)) is not None:
                self._put(replace(container, tally=container.tally.oom_seen(count)))
                if self._sources:
                    self._sources.count(self._containers[container_id])

    def _put(self, container: Container) -> None:
        self._containers[container.id] = container
        self._changed = True

    def _drop(self, container_id: str) -> None:
        self._later.pop(container_id, None)
        self._missed.discard(container_id)
        if self._containers.pop(container_id, None) is not None:
            self._changed = True
        if self._sources:
            self._sources.close(container_id)

    def _found(self) -> None:
        reconnected = self._snapshot.loaded
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._publish(
            up=True,
            loaded=True,
            confirmed_at=self._clock(),
            reconnects=self._snapshot.reconnects + reconnected,
        )
        log.info("engine_connected", extra={"containers": len(self._containers), "reconnected": reconnected})

    def _lost(self, error: EngineError) -> None:
        news = self._snapshot.up or not self._snapshot.engine_errors
        self._publish(up=False, engine_errors=self._snapshot.engine_errors + 1)
        # Once per loss: an Engine that stays away is told by docker_up, not by a line every five seconds.
        log.log(logging.WARNING if news else logging.DEBUG, "engine_lost", extra={"error": str(error)})

    def _failed(self, what: str, error: EngineError) -> None:
        self._publish(engine_errors=self._snapshot.engine_errors + 1)
        log.warning(what, extra={"error": str(error)})

    def _publish(self, **changes: Any) -> None:
        """Swap in a new snapshot. One reference, one writer: readers need no lock."""
        if self._changed:
            self._changed = False
            changes["containers"] = tuple(sorted(self._containers.values(), key=lambda c: (c.name, c.id)))
        if self._sources:
            changes["sources"] = self._sources.by_container
        self._snapshot = replace(self._snapshot, **changes)
