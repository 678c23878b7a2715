"""The loop that carries the work: messages into free slots, a heartbeat on what is held, a takeover of what went silent.

At-least-once by the stream, one at a time by the claim. Everything is crash-only: a worker that dies leaves its
messages pending and its claims to run out, and another one goes on. It knows no vendor and no rule.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bridge import errors, logs
from bridge.metrics import Metrics
from bridge.pipeline import DEADMAN_SHARE
from bridge.roles import Claims, Deadman, Held, HeldElsewhere, Turn, WorkQueue

log = logging.getLogger("hemostat.worker")

SWEEP_SECONDS = 0.5
"""How often silent workers are looked for, and the longest wait for work that is due."""

STORE_AWAY_SECONDS = 0.5
"""Until a store that did not answer is asked again."""

SLOTS_WHILE_CROWDED = 2
"""Incidents walked at once while webhooks queue up in the same process: to be taken in they have seconds, and a walk of
something new has minutes."""

ALIVE_SECONDS = 5.0
"""Since the last answer of the store: with a longer one the reading loop is not taken for alive."""

MANY_DEATHS = 5
"""Of workers in a row that had an incident and did not give it back, after which it is treated as if its walk had ended
in a bug: what kills a process leaves no exception."""

UNREADABLE_SECONDS = 10.0
"""Until an incident that this version cannot read is offered again, perhaps to a worker of a version that can."""

TELL_AGAIN_SECONDS = 30.0
"""Between two log lines about the same outage."""

Walk = Callable[[Held], Awaitable[float | None]]


@dataclass(slots=True)
class _Job:
    turn: Turn
    task: asyncio.Task[None] | None = None
    held: Held | None = None
    lease_ends: float = 0.0
    """On the monotonic clock; the walk is cancelled when it passes without a renewal."""
    ending: bool = False
    """It is being given back: its claim may be freed at any moment, and that is no loss."""


class Worker:
    """``concurrency`` incidents at once; ``lease_seconds`` as the queue and the claims have it.

    ``walk`` and ``stumbled`` (after a bug in the walk) give the seconds until the next turn, ``None`` at the end.
    """

    def __init__(
        self,
        *,
        queue: WorkQueue,
        claims: Claims,
        walk: Walk,
        stumbled: Walk,
        deadman: Deadman,
        metrics: Metrics,
        concurrency: int,
        lease_seconds: float,
        crowded: Callable[[], bool] = lambda: False,
    ) -> None:
        self._queue = queue
        self._claims = claims
        self._walk = walk
        self._stumbled = stumbled
        self._deadman = deadman
        self._metrics = metrics
        self._concurrency = concurrency
        self._crowded = crowded
        self._lease_seconds = lease_seconds
        self._jobs: dict[str, _Job] = {}
        self._slots = asyncio.Semaphore(concurrency)
        self._freed = asyncio.Event()
        self._stopping = False
        self._alive_at = 0.0
        """When the reading loop last got an answer from the store, on the monotonic clock; 0 before the first."""

    def alive(self) -> bool:
        """Whether the reading loop is turning and the store answers it."""
        return time.monotonic() - self._alive_at < ALIVE_SECONDS

    async def run(self) -> None:
        """Work until cancelled; then give back what is held."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(), name="worker-read")
                group.create_task(self._beat(), name="worker-beat")
                group.create_task(self._sweep(), name="worker-sweep")
        finally:
            await self._drain()

    async def _read(self) -> None:
        ready, told_at = False, float("-inf")
        while True:
            try:
                if not ready:
                    await self._queue.open()
                    ready = True
                    if told_at > float("-inf"):
                        log.info("store_back")
                        told_at = float("-inf")
                    self._alive_at = time.monotonic()
                if (free := self._free()) == 0:
                    self._alive_at = time.monotonic()
                    await self._slot_freed()
                    continue
                turns = await self._queue.read(free)
                self._alive_at = time.monotonic()
                self._take(turns)
            except errors.EdgeError as error:
                self._metrics.edge_errors.labels(error.edge).inc()
                ready = False  # a store that came back empty has no group either
                if time.monotonic() - told_at > TELL_AGAIN_SECONDS:
                    told_at = time.monotonic()
                    log.warning("store_away", extra={"error": str(error)})
                await asyncio.sleep(STORE_AWAY_SECONDS)

    async def _sweep(self) -> None:
        while True:
            try:
                next_due = await self._queue.due()
                if (free := self._free()) > 0:
                    self._take(await self._queue.sweep(free))
            except errors.EdgeError:
                next_due = None  # the reading loop says so in the log
            await asyncio.sleep(
                SWEEP_SECONDS if next_due is None else min(SWEEP_SECONDS, max(0.02, next_due))
            )

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            jobs = list(self._jobs.values())
            asked = time.monotonic()
            try:
                await self._queue.beat([job.turn for job in jobs])
                held = [(job, job.held) for job in jobs if job.held is not None and not job.ending]
                lost = await self._claims.beat([one for _, one in held])
            except errors.EdgeError as error:
                log.warning("heartbeat_failed", extra={"error": str(error)})
                self._cancel_expired()
                continue
            for job, one in held:
                if job.ending:  # by now: whoever gives a claim back loses none
                    continue
                if one.claim in lost:
                    self._cancel(job, "claim_lost")
                else:
                    job.lease_ends = asked + self._lease_seconds
                    # Counted from the question, as the lease at its latest is: a pause between the two must not add.
                    left = asked + DEADMAN_SHARE * self._lease_seconds - time.monotonic()
                    self._deadman.renew(str(one.claim), left)

    def _cancel_expired(self) -> None:
        now = time.monotonic()
        for job in list(self._jobs.values()):
            if job.held is not None and not job.ending and job.lease_ends <= now:
                self._cancel(job, "lease_ran_out")

    def _cancel(self, job: _Job, why: str) -> None:
        log.warning(why, extra={"incident": job.turn.incident_id})
        if job.task is not None:
            job.task.cancel()

    def _free(self) -> int:
        """Slots that nobody has. Never below 0, which Redis would take for "without a limit": a sweep may fill slots
        that a read under way has asked for."""
        if self._stopping:
            return 0
        slots = min(self._concurrency, SLOTS_WHILE_CROWDED) if self._crowded() else self._concurrency
        return max(0, slots - len(self._jobs))

    async def _slot_freed(self) -> None:
        self._freed.clear()
        try:
            async with asyncio.timeout(1.0):
                await self._freed.wait()
        except TimeoutError:
            return

    def _take(self, turns: Sequence[Turn]) -> None:
        for turn in turns:
            if turn.id in self._jobs:
                continue
            job = self._jobs[turn.id] = _Job(turn=turn)
            job.task = asyncio.create_task(self._one(job), name=f"walk-{turn.incident_id}")

    async def _one(self, job: _Job) -> None:
        turn = job.turn
        logs.incident_id.set(turn.incident_id)
        try:
            async with self._slots:
                await self._claimed(job)
        except errors.ClaimLost as error:
            # The new holder has the incident; the message may still be ours, and done is safe only for the holder.
            log.warning("claim_lost", extra={"error": str(error)})
        except errors.EdgeError as error:
            # The store is away: the message stays pending and is taken over once its lease has run out.
            log.warning("walk_interrupted", extra={"error": str(error)})
        except Exception:  # not even how it stumbled could be written down: nobody else looks at this task
            self._metrics.walk_crashes.inc()
            log.exception("turn_crashed")
        finally:
            self._jobs.pop(turn.id, None)
            self._freed.set()

    async def _claimed(self, job: _Job) -> None:
        turn = job.turn
        # Unique per call: a call that the client repeats is recognised, another turn of ours is not.
        owner = f"{self._queue.consumer}/{secrets.token_hex(4)}"
        started = time.monotonic()
        try:
            claimed = await self._claims.claim(turn.incident_id, owner)
        except errors.Unreadable as error:
            await self._left(job, error)
            return
        if claimed is None:
            await self._queue.done(turn, claim=None)
            return
        if isinstance(claimed, HeldElsewhere):
            await self._queue.later(turn, claim=None, seconds=claimed.seconds)
            return
        job.held, job.lease_ends = claimed, started + self._lease_seconds
        try:
            seconds = await self._walked(claimed)
        except errors.Unreadable as error:  # an alert that joined meanwhile
            await self._left(job, error)
            return
        await self._give_back(job, seconds)

    async def _left(self, job: _Job, error: errors.Unreadable) -> None:
        """It stays as it is: whoever cannot read it could only destroy it."""
        self._metrics.unreadable.inc()
        log.error("incident_unreadable", extra={"error": error.why})
        job.ending = True
        claim = job.held.claim if job.held is not None else error.claim
        await self._queue.later(job.turn, claim=claim, seconds=UNREADABLE_SECONDS)

    async def _walked(self, held: Held) -> float | None:
        if held.deaths >= MANY_DEATHS:
            self._metrics.walk_crashes.inc()
            log.error("walk_deadly", extra={"deaths": held.deaths})
            return await self._stumbled(held)
        try:
            return await self._walk(held)
        except (errors.EdgeUnavailable, errors.Unreadable, errors.ClaimLost, asyncio.CancelledError):
            raise
        except Exception:  # a bug in the walk must not end the worker: the incident is kept and tried again
            self._metrics.walk_crashes.inc()
            log.exception("walk_crashed")
            return await self._stumbled(held)

    async def _give_back(self, job: _Job, seconds: float | None) -> None:
        job.ending = True
        claim = job.held.claim if job.held is not None else None
        if seconds is None:
            await self._queue.done(job.turn, claim=claim)
        else:
            await self._queue.later(job.turn, claim=claim, seconds=seconds)

    async def _drain(self) -> None:
        """Stop walking and give everything back at once: each incident stands where it was last written."""
        self._stopping = True
        jobs = list(self._jobs.values())
        for job in jobs:
            if job.task is not None:
                job.task.cancel()
        await asyncio.gather(*(job.task for job in jobs if job.task is not None), return_exceptions=True)
        try:
            async with asyncio.timeout(3.0):
                for job in jobs:
                    await self._give_back(job, 0.0)
        except (TimeoutError, errors.EdgeError):
            log.warning("left_pending", extra={"turns": len(jobs)})
