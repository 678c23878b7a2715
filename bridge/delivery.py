"""The loop that tells: one for each sink, so that a sink that is away for a day delays nothing else.

What must be told stands in the sink's backlog in the store, written by the very step that made it news; the walk calls
no sink and waits for none. Here an incident is taken from the backlog under a lease, told as it then stands, and given
back if that did not work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from bridge import errors, logs, telling
from bridge.metrics import Metrics
from bridge.redaction import Redactor
from bridge.roles import Record
from bridge.sinks import Backlog, Delivery, Due, Notes, Sink

log = logging.getLogger("hemostat.delivery")

LOOK_SECONDS = 0.25
"""The longest wait before the backlog is looked at again."""

STORE_AWAY_SECONDS = 1.0
REGISTER_SECONDS = 60.0
"""How often a process says which sinks it has."""

RETIRE_AFTER_SECONDS = 86_400.0
"""A process that has run for so long may say which sinks nobody has any more: all others have said theirs by then."""

UNREADABLE_SECONDS = 60.0
"""Until an incident that this version cannot read is looked at again, perhaps by a process that can."""

DELIVERY_SECONDS = 60.0
"""For one delivery with all its requests; each of them has a shorter deadline of its own."""


class Teller:
    """Tells one sink. ``lease_seconds`` as the backlog has it; ``redactor`` is asked each time, so that a reload
    counts."""

    def __init__(
        self,
        sink: Sink,
        *,
        backlog: Backlog,
        metrics: Metrics,
        redactor: Callable[[], Redactor],
        lease_seconds: float,
    ) -> None:
        self._sink = sink
        self._backlog = backlog
        self._metrics = metrics
        self._redactor = redactor
        self._lease_seconds = lease_seconds
        self._jobs: dict[Due, asyncio.Task[None]] = {}
        self._freed = asyncio.Event()
        self._held = False

    async def run(self) -> None:
        """Tell until cancelled. What is being told then is told again by whoever takes it next."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._take(), name=f"tell-{self._sink.channel}")
                group.create_task(self._beat(), name=f"tell-beat-{self._sink.channel}")
        finally:
            tasks = list(self._jobs.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _take(self) -> None:
        while True:
            wait = LOOK_SECONDS
            if (free := self._sink.pace.at_once - len(self._jobs)) > 0:
                try:
                    taken = await self._backlog.claim(self._sink, at_most=free)
                except errors.EdgeError:  # the worker's loop says so in the log
                    wait = STORE_AWAY_SECONDS
                else:
                    for due in taken.due:
                        name = f"tell-{due.channel}-{due.incident_id}"
                        self._jobs[due] = asyncio.create_task(self._one(due), name=name)
                    if taken.next_seconds is not None:
                        wait = min(LOOK_SECONDS, max(0.01, taken.next_seconds))
            await self._freed_within(wait)

    async def _freed_within(self, seconds: float) -> None:
        self._freed.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._freed.wait()
        except TimeoutError:
            return

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            try:
                lost = await self._backlog.beat(list(self._jobs))
            except errors.EdgeError:
                continue
            for due in lost:
                if (task := self._jobs.get(due)) is not None:
                    task.cancel()

    async def _one(self, due: Due) -> None:
        logs.incident_id.set(due.incident_id)
        try:
            found = await self._backlog.read(due)
            if found is None:
                await self._backlog.settled(due, Delivery(sent=False))
            elif found[0].incident.unreadable:
                log.warning(
                    "delivery_left", extra={"channel": due.channel.value, "error": found[0].incident.reason}
                )
                await self._backlog.settled(due, Delivery(sent=False, again_seconds=UNREADABLE_SECONDS))
            else:
                await self._tell(due, *found)
        except errors.ClaimLost as error:
            log.warning("delivery_lost", extra={"channel": due.channel.value, "error": str(error)})
        except errors.EdgeError as error:
            # The store is away: the lease runs out, and the incident is told again.
            log.warning("delivery_interrupted", extra={"channel": due.channel.value, "error": str(error)})
        finally:
            self._jobs.pop(due, None)
            self._freed.set()

    async def _tell(self, due: Due, record: Record, notes: Notes) -> None:
        try:
            async with asyncio.timeout(DELIVERY_SECONDS):
                record = telling.without_secrets(record, self._redactor())
                delivery = await self._sink.deliver(record, notes, now=await self._backlog.now())
        except errors.ClaimLost:
            raise
        except errors.MessageRefused as error:
            await self._refused(due, str(error))
        except errors.EdgeError as error:
            await self._kept_back(due, error)
        except TimeoutError:
            told = f"{due.channel}: a delivery took longer than {DELIVERY_SECONDS:g} s"
            await self._kept_back(due, errors.EdgeUnavailable(due.channel, told))
        except Exception:  # a bug in a sink must not end the others, nor lose what it was to tell
            log.exception("delivery_crashed", extra={"channel": due.channel.value})
            await self._refused(due, "an internal error; see the log of HemoStat")
        else:
            await self._backlog.settled(due, delivery)
            if delivery.sent:
                self._count("delivered")
                if self._held:
                    self._held = False
                    log.info("sink_back", extra={"channel": due.channel.value})

    async def _refused(self, due: Due, why: str) -> None:
        log.warning("delivery_refused", extra={"channel": due.channel.value, "error": why})
        self._count("dropped" if await self._backlog.refused(due, why) else "failed")

    async def _kept_back(self, due: Due, error: errors.EdgeError) -> None:
        """The sink takes nothing now. Said once, not at each try."""
        if not self._held:
            self._held = True
            log.warning("sink_away", extra={"channel": due.channel.value, "error": str(error)})
        given_up = await self._backlog.held(
            due,
            str(error),
            rejected=isinstance(error, errors.EdgeRejected),
            retry_after_seconds=error.retry_after_seconds if isinstance(error, errors.RateLimited) else None,
        )
        self._count("dropped" if given_up else "failed")

    def _count(self, result: str) -> None:
        self._metrics.deliveries.labels(self._sink.channel.value, result).inc()


async def tell(
    sinks: Sequence[Sink],
    *,
    backlog: Backlog,
    metrics: Metrics,
    redactor: Callable[[], Redactor],
    lease_seconds: float,
) -> None:
    """Tell all sinks until cancelled; returns at once where there is none."""
    if not sinks:
        return
    async with asyncio.TaskGroup() as group:
        group.create_task(_register(sinks, backlog), name="tell-register")
        for sink in sinks:
            teller = Teller(
                sink, backlog=backlog, metrics=metrics, redactor=redactor, lease_seconds=lease_seconds
            )
            group.create_task(teller.run(), name=f"tell-{sink.channel}")


async def _register(sinks: Sequence[Sink], backlog: Backlog) -> None:
    """Again and again: a store that came back empty does not know them any more."""
    started = time.monotonic()
    while True:
        try:
            await backlog.register(sinks, retire=time.monotonic() - started > RETIRE_AFTER_SECONDS)
        except errors.EdgeError:
            await asyncio.sleep(STORE_AWAY_SECONDS)
        else:
            await asyncio.sleep(REGISTER_SECONDS)
