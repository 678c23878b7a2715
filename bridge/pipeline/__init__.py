"""The walk of one incident, step after step, resumable at every one. Knows roles, never a vendor.

    open ─> judged ─> reserved ─> acting ─> verifying ─> closed
      └─> waiting (look again)         └─ settled by comparison after a crash

``STEPS`` is the whole order: a worker takes an incident at whatever state it finds and goes on from there. Each step
writes what it did before the next begins; a refusal is a value, an outcome comes from a closed list, and whatever
stays undecided is told to a human.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bridge.model.incident import Outcome, State
from bridge.pipeline.acting import DEADMAN_SHARE, begin
from bridge.pipeline.deciding import decide
from bridge.pipeline.desk import Desk, waited_seconds
from bridge.pipeline.settling import MAX_FAILURES, settle
from bridge.pipeline.verifying import verify, watch
from bridge.roles import Held

__all__ = ["DEADMAN_SHARE", "MAX_FAILURES", "STEPS", "Desk", "Pipeline"]

STUMBLE_SECONDS = 10.0
"""Until an incident whose walk ended in a bug is walked again."""

STEPS: Mapping[State, Callable[[Desk, Held], Awaitable[Held]]] = {
    State.OPEN: decide,
    State.WAITING: decide,
    State.JUDGED: decide,  # a crash in between: facts have aged, so they are collected anew
    State.RESERVED: begin,
    State.ACTING: settle,
    State.VERIFYING: verify,
    State.CLOSED: watch,
}


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One turn of work after another, with what is on the desk."""

    desk: Desk

    async def walk(self, held: Held) -> float | None:
        """One incident from where it stands to its end (``None``), or to the next look (in seconds).

        Raises:
            ClaimLost: somebody else has it now; nothing more may be written.
            EdgeUnavailable: the store is away; the incident stays as it was last written.
        """
        while True:
            held = await STEPS[held.incident.state](self.desk, held)
            incident = held.incident
            if incident.look_again_at is not None:
                return max(0.0, (incident.look_again_at - await self.desk.journal.now()).total_seconds())
            if incident.closed:
                return None

    async def stumbled(self, held: Held) -> float | None:
        """After a walk that ended in a bug: again in a while, and for ``wait_for`` at most; then a human is told.

        A watch that ends in bugs is over when it would have been.
        """
        held, now = await self.desk.journal.load(held), await self.desk.journal.now()
        if held.incident.closed:
            watched_until = held.incident.watch_until
            return STUMBLE_SECONDS if watched_until is not None and now < watched_until else None
        # Not since it was last written: a walk may write something each time before it stumbles.
        if waited_seconds(held.incident, now=now) <= self.desk.policy(held).wait_for_seconds:
            return STUMBLE_SECONDS
        outcome = Outcome.ESCALATED if held.incident.intent is None else Outcome.UNVERIFIED
        held = await self.desk.close(
            held, outcome, "HemoStat failed at it by an error of its own; see its log"
        )
        return None if held.incident.closed else STUMBLE_SECONDS  # an alert joined meanwhile
