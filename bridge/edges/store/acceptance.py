"""Webhooks made durable: every alert of a webhook is written by one script before anybody is told "accepted".

Requests that arrive while all calls are under way share the next one (group commit): the answer still comes only
after the write, and a storm costs round trips by time, not by request.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge import errors
from bridge.edges.store.connection import Store, milliseconds
from bridge.edges.store.records import encode
from bridge.model.alert import Alert, Subject
from bridge.model.policy import StormLimit
from bridge.roles import Acceptance

SEEN_GRANULARITY_MS = 60_000
"""A re-send is noted at most this often: it is durable already, and each note costs a write to disk."""

MAX_ALERTS_PER_CALL = 96
"""Keeps one script under two milliseconds; a single larger webhook still goes in one piece."""

MAX_CALLS = 2
"""Calls under way at once: while the store carries out one, the requests of the other are answered and read. With
one alone, this process and the store would wait for each other in turns."""

ID_BYTES = 6
"""Of an incident's id, of which it shows twice as many hexadecimal digits."""


@dataclass(slots=True)
class _Batch:
    arguments: list[str | int]
    alerts: int
    done: asyncio.Future[list[str]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Acceptor:
    """The writing half of intake. ``backlog_limit`` is the number of open work items above which it refuses.

    ``storm`` may be replaced at any time; the next write uses the new one.
    """

    def __init__(self, store: Store, *, backlog_limit: int, storm: StormLimit | None = None) -> None:
        self.storm = storm or StormLimit()
        self._store = store
        self._backlog_limit = backlog_limit
        self._waiting: list[_Batch] = []
        self._writers: set[asyncio.Task[None]] = set()

    @property
    def crowded(self) -> bool:
        """Whether webhooks wait for those before them to be written."""
        return bool(self._waiting)

    async def accept(self, alerts: Sequence[tuple[Alert, Subject]]) -> Acceptance:
        """Write all alerts of one webhook, or none.

        Raises:
            EdgeUnavailable: the store is away, cannot confirm durability, or the backlog is over its limit. Nothing
                may be assumed; a repetition of the same webhook is harmless.
        """
        if not alerts:
            return Acceptance(accepted=0, incidents=())
        batch = _Batch(arguments=_arguments(alerts), alerts=len(alerts))
        self._waiting.append(batch)
        if len(self._writers) < MAX_CALLS:
            writer = asyncio.create_task(self._write(), name="accept-writer")
            self._writers.add(writer)
            writer.add_done_callback(self._writers.discard)
        ids = await batch.done
        return Acceptance(accepted=len(alerts), incidents=tuple(dict.fromkeys(i for i in ids if i)))

    async def _write(self) -> None:
        # WAIT answers at once for a call that wrote nothing: where it counts, even a re-send writes.
        granularity = 0 if self._store.replicas else SEEN_GRANULARITY_MS
        while self._any_waits():
            batches = [self._waiting.pop(0)]
            total = batches[0].alerts
            while self._waiting and total + self._waiting[0].alerts <= MAX_ALERTS_PER_CALL:
                total += self._waiting[0].alerts
                batches.append(self._waiting.pop(0))
            arguments = [argument for batch in batches for argument in batch.arguments]
            try:
                ids = await self._store.script(
                    "accept",
                    self._backlog_limit,
                    granularity,
                    self.storm.incidents,
                    round(self.storm.per_seconds * 1000),
                    *arguments,
                    durable=True,
                )
                if ids == ["overloaded"]:
                    raise errors.EdgeUnavailable(
                        "redis", f"the backlog is over its limit of {self._backlog_limit}"
                    )
            except errors.EdgeError as error:
                self._settle(batches, error)
            except asyncio.CancelledError:
                self._settle([*batches, *self._waiting], errors.EdgeUnavailable("redis", "shutting down"))
                raise
            else:
                at = 0
                for batch in batches:
                    if not batch.done.done():
                        batch.done.set_result(ids[at : at + batch.alerts])
                    at += batch.alerts

    def _any_waits(self) -> bool:
        # Whose sender was told 503 meanwhile comes again: while the store hangs, that must not pile up here.
        self._waiting = [batch for batch in self._waiting if not batch.done.done()]
        return bool(self._waiting)

    @staticmethod
    def _settle(batches: Sequence[_Batch], error: errors.EdgeError) -> None:
        for batch in batches:
            if not batch.done.done():  # the requester may have gone away meanwhile
                batch.done.set_exception(error)


def _arguments(alerts: Sequence[tuple[Alert, Subject]]) -> list[str | int]:
    arguments: list[str | int] = []
    fresh = os.urandom(ID_BYTES * len(alerts)).hex()
    for at, (alert, subject) in enumerate(alerts):
        arguments += (
            alert.fingerprint,
            alert.status.value,
            milliseconds(alert.starts_at),
            milliseconds(alert.ends_at) if alert.ends_at else 0,
            encode(alert),
            subject.key,
            encode(subject),
            fresh[2 * ID_BYTES * at : 2 * ID_BYTES * (at + 1)],
        )
    return arguments
