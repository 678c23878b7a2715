"""Keeps an eye on storms and on how many are sick at once, so that what began is also seen to end.

What begins is written where it happens: by the script that opens incidents, by the one that grants. Nothing is decided
here; every replica may watch, and each change is told by one of them.
"""

from __future__ import annotations

import asyncio
import logging

from bridge import errors
from bridge.judgement import Judge
from bridge.model.share import LEAST_SICK, all_populations
from bridge.roles import Storms

log = logging.getLogger("hemostat.storms")

LOOK_SECONDS = 5.0
"""Between two looks. The quiet time of a share is broken by a gap of a minute (``lua/shares_prelude.lua``)."""


class StormWatch:
    """``judge`` knows the limits in force and shares its census, so that watching costs no list of its own."""

    def __init__(self, *, storms: Storms, judge: Judge) -> None:
        self._storms = storms
        self._judge = judge

    async def run(self) -> None:
        """Look until cancelled; a store that is away is looked at again."""
        while True:
            try:
                await self.look()
            except errors.EdgeError as error:
                log.debug("storm_watch_failed", extra={"error": str(error)})
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """End the storm if it is over, and note which populations are suspect now. Raises EdgeUnavailable."""
        if (storm := await self._storms.settle()) is not None:
            log.warning("storm_ended", extra={"incidents": storm.incidents, "since": storm.since})
        suspects = [share.population for share in await self._storms.suspects()]
        hosts = self._judge.census.hosts()
        if not suspects and await self._storms.sick(hosts) < min(LEAST_SICK.values()):
            return  # the usual day: Docker is not asked
        populations = all_populations(await self._judge.census.listing(), suspects)
        for turned in await self._storms.note_shares(populations, limits=self._judge.ruleset.policy.limits):
            event = "share_began" if turned.began else "share_ended"
            log.warning(event, extra={"population": turned.share.population.key, "why": turned.share.counted})
