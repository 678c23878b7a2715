"""The store's time, as every script has it: Redis' clock, never below the highest that is known."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridge.edges.store.connection import Store, instant

BEHIND_SECONDS = 1.0
"""By how much the server's clock may be behind before anybody is told: two servers are never quite in step."""

LEAP_SECONDS = 600.0
"""By how much it may be behind before nothing is granted: ``CLOCK_LEAP_MS`` of the scripts' prelude."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """``behind_seconds``: how far the server's own clock is behind ``now``, 0 as a rule.

    It is after a failover to a server whose clock is behind, or where a clock was set back. Until they meet, time goes
    at half the pace of that clock.
    """

    now: datetime
    behind_seconds: float


async def read(store: Store) -> Reading:
    """The time now. Raises EdgeUnavailable."""
    now, behind = await store.script("now")
    return Reading(now=instant(now), behind_seconds=int(behind) / 1000)
