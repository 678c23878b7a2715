"""The Engine's events as they come, beside what the exporter itself notices, for one thread to take."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress

from exporters.docker.engine import Event, EventStream
from exporters.docker.errors import EngineAway, EngineError

FEED_LENGTH = 10_000
"""Events held while the inventory is busy; beyond it the reader waits, and the Engine buffers."""


class Feed:
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

    def add(self, event: Event) -> None:
        """As if it had come from the stream; dropped where so much waits that a resync is no later."""
        with suppress(queue.Full):
            self._queue.put_nowait(event)

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
