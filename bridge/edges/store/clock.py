"""The store's time, as every script has it: Redis' clock, never below the highest that is known."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime

from bridge.edges.store.connection import Store, instant, key

log = logging.getLogger("hemostat.store")

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
    """The time now. Raises EdgeUnavailable.

    Where it has moved on by more than the time that passed here, cooldowns may be over early: the store counts as one
    that may have lost grants, so that containers younger than their cooldown are left alone for one.
    """
    now, behind = await store.script("now")
    if (leap := store.leaps.seconds(int(now))) > 0:
        log.warning("store_clock_leapt", extra={"seconds": round(leap)})
        await store.command("SET", key("born"), now, durable=True)
    store.leaps.read(int(now))
    return Reading(now=instant(now), behind_seconds=int(behind) / 1000)
