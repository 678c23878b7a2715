"""Incidents as tests of the budgets take them: from alert to grant to end, and what the budget said."""

import time
from dataclasses import replace

from bridge.model.incident import Entry, Outcome
from bridge.model.policy import BreakerPolicy
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant, Held
from tests.integration.desk import Desk

HOUR = 3600.0
WINDOWS = [f"{{hemostat}}:window:{of}" for of in ("target:local/web", "host:local", "fleet")]
END = Entry(event="closed", fields={})


async def finish(
    desk: Desk,
    held: Held,
    outcome: Outcome = Outcome.HEALED,
    *,
    healed: bool | None = True,
    failures: int = 3,
) -> None:
    """Close an incident, so that its target is free."""
    now = await desk.journal.now()
    closed = held.incident.closing(outcome, "for the test", now=now, reconsider_at=now)
    breaker = BreakerPolicy(failures=failures, open_for_seconds=HOUR)
    await desk.journal.close(replace(held, incident=closed), END, healed=healed, breaker=breaker)


async def grant(desk: Desk, name: str = "web", fingerprint: str = "", **asked: object) -> Grant | Refusal:
    """One incident from alert to grant to end; what the budget said."""
    held = await desk.judged(name, fingerprint=fingerprint or f"{name}-{time.monotonic_ns()}")
    answer = await desk.acquire(held, **asked)  # type: ignore[arg-type]
    await finish(desk, held)
    return answer


def refused(answer: Grant | Refusal) -> Reason | None:
    """The reason of a refusal."""
    return answer.reason if isinstance(answer, Refusal) else None
