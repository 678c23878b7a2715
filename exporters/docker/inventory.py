"""The inventory: what containers there are, kept current by one thread, given to scrapes as a snapshot.

One list, then events, one inspect for each container an event names; the whole list again at an interval and
after each reconnect catches what was missed. A scrape reads `snapshot` and nothing else: no rendering here,
and no waiting for this thread's I/O there.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from exporters.docker.container import Container, Tally, from_inspect
from exporters.docker.engine import Engine, Event, EventStream
from exporters.docker.errors import EngineAway, EngineError, EngineSlow
from exporters.docker.snapshot import Snapshot

FIRST_RETRY_SECONDS = 0.25
LAST_RETRY_SECONDS = 5.0
FEED_LENGTH = 10_000
"""Events held while the inventory is busy; beyond it the reader waits, and the Engine buffers."""

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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._resync_interval = resync_interval
        self._quiet = quiet
        self._clock = clock
        self._containers: dict[str, Container] = {}
        self._again: set[str] = set()
        self._next_resync = 0.0
        self._retry_seconds = FIRST_RETRY_SECONDS
        self._stopping = threading.Event()
        self._feed: _Feed | None = None
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

    def _follow(self) -> None:
        """From one connect to its loss. The stream opens before the list is taken: nothing is missed."""
        feed = self._feed = _Feed(self._engine.events())
        try:
            self._resync()
            self._found()
            while not self._stopping.is_set():
                self._step(feed)
        finally:
            feed.end()
            feed.drain()

    def _step(self, feed: _Feed) -> None:
        until_resync = self._next_resync - self._clock()
        if until_resync <= 0:
            self._resync()
        elif events := feed.take(within=min(self._quiet, until_resync)):
            self._apply(events)
        else:
            self._engine.ping()
            again, self._again = self._again, set()
            self._refresh(again)
        self._publish(up=True, confirmed_at=self._clock())

    def _resync(self) -> None:
        ids = self._engine.container_ids()
        for gone in self._containers.keys() - set(ids):
            del self._containers[gone]
        self._again.clear()
        self._refresh(ids)
        self._next_resync = self._clock() + self._resync_interval

    def _apply(self, events: list[Event]) -> None:
        destroyed = {event.container_id for event in events if event.action == "destroy"}
        for container_id in destroyed:
            self._containers.pop(container_id, None)
        # In order of arrival and each once: a burst of events about one container costs one inspect.
        touched = dict.fromkeys(event.container_id for event in events)
        self._refresh(container_id for container_id in touched if container_id not in destroyed)
        self._count_ooms(events)
        self._publish(events=self._snapshot.events + len(events))

    def _refresh(self, container_ids: Iterable[str]) -> None:
        for container_id in container_ids:
            try:
                self._look(container_id)
            except EngineSlow as error:
                # Docker answers for a container only when that container's own lock is free. If the Engine
                # still pings, it is this one that hangs: it keeps its last facts, the others go on.
                self._failed("inspect_slow", error)
                self._engine.ping()
            except EngineAway:
                raise
            except EngineError as error:
                self._failed("inspect_failed", error)
                self._again.add(container_id)

    def _look(self, container_id: str) -> None:
        details = self._engine.inspect(container_id)
        if details is None:
            self._containers.pop(container_id, None)
            return
        before = self._containers.get(container_id)
        self._containers[container_id] = from_inspect(details, before.tally if before else Tally())

    def _count_ooms(self, events: list[Event]) -> None:
        for container_id, times in Counter(e.container_id for e in events if e.action == "oom").items():
            if (container := self._containers.get(container_id)) is not None:
                self._containers[container_id] = replace(container, tally=container.tally.oom_seen(times))

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
        containers = tuple(sorted(self._containers.values(), key=lambda c: (c.name, c.id)))
        if containers == self._snapshot.containers:
            containers = self._snapshot.containers
        self._snapshot = replace(self._snapshot, containers=containers, **changes)


class _Feed:
    """Reads an event stream in a thread, because a blocking read cannot also watch the clock."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream
        self._queue: queue.Queue[Event | EngineError] = queue.Queue(FEED_LENGTH)
        self._ended = threading.Event()
        threading.Thread(target=self._read, name="docker-events", daemon=True).start()

    def take(self, *, within: float) -> list[Event]:
        """All events that are there, waiting up to `within` seconds for the first; empty: it stayed quiet.

        Raises:
            EngineError: the stream is over. Events that came before it are given first.
        """
        events: list[Event] = []
        try:
            item = self._queue.get(timeout=within)
            while True:
                if isinstance(item, EngineError):
                    return self._last(events, item)
                events.append(item)
                item = self._queue.get_nowait()
        except queue.Empty:
            return events

    def end(self) -> None:
        """End the stream; `take` will say so. From any thread."""
        self._ended.set()
        self._stream.close()

    def drain(self) -> None:
        """Let go a reader that waits for room in the queue. After `end`, by whoever called `take`."""
        with suppress(queue.Empty):
            while True:
                self._queue.get_nowait()

    def _last(self, events: list[Event], error: EngineError) -> list[Event]:
        if not events:
            raise error
        self._queue.put(error)
        return events

    def _read(self) -> None:
        end: EngineError = EngineAway("events: the stream ended")
        try:
            for event in self._stream:
                if self._ended.is_set():
                    return
                self._queue.put(event)
        except EngineError as error:
            end = error
        self._queue.put(end)
