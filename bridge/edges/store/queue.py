"""The work stream: read into free slots, given back with a delay or for good, taken over when a worker goes silent."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from bridge.edges.store.clock import BEHIND_SECONDS
from bridge.edges.store.connection import Store, key
from bridge.roles import Turn

log = logging.getLogger("hemostat.store")

STREAM = "work"
GROUP = "workers"

TELL_AGAIN_SECONDS = 60.0
"""Between two log lines about the same clock."""


class StoredQueue:
    """Implements ``roles.WorkQueue``. ``consumer`` is this process' name, unique per process; ``lease_seconds`` the silence that loses a turn."""

    def __init__(self, store: Store, *, consumer: str, lease_seconds: float) -> None:
        self._store = store
        self.consumer = consumer
        self._behind_told_at = float("-inf")
        self._lease_ms = round(lease_seconds * 1000)

    async def open(self) -> None:
        """Make the consumer group; harmless if it is there. After a loss of the store it must be made anew."""
        await self._store.create_group(STREAM, GROUP)

    async def read(self, free: int) -> list[Turn]:
        """New messages, at most ``free``, waiting up to a second for the first."""
        entries = await self._store.read_group(STREAM, GROUP, self.consumer, free)
        return [Turn(id=entry, incident_id=fields["i"]) for entry, fields in entries]

    async def sweep(self, free: int) -> list[Turn]:
        """Messages of workers that went silent, at most ``free``."""
        flat = await self._store.script("sweep", GROUP, self.consumer, self._lease_ms, free)
        return [Turn(id=flat[n], incident_id=flat[n + 1]) for n in range(0, len(flat), 2)]

    async def due(self) -> float | None:
        """Move what is due into the stream; gives the seconds until the next one, ``None`` if there is none."""
        _, next_ms, behind_ms = await self._store.script("due", 500, GROUP)
        self._tell_behind(int(behind_ms) / 1000)
        return None if int(next_ms) < 0 else int(next_ms) / 1000

    def _tell_behind(self, seconds: float) -> None:
        """Say that the server's clock is behind, at once and then now and again, and that it is so no more."""
        if seconds > BEHIND_SECONDS and time.monotonic() - self._behind_told_at > TELL_AGAIN_SECONDS:
            self._behind_told_at = time.monotonic()
            log.warning("store_clock_behind", extra={"seconds": seconds})
        elif seconds == 0 and self._behind_told_at > float("-inf"):
            self._behind_told_at = float("-inf")
            log.info("store_clock_caught_up")

    async def beat(self, turns: Sequence[Turn]) -> None:
        """Show that these messages are being worked on."""
        if turns:
            await self._store.command(
                "XCLAIM", key(STREAM), GROUP, self.consumer, 0, *(turn.id for turn in turns), "JUSTID"
            )

    async def done(self, turn: Turn, *, claim: int | None) -> None:
        """Finished for good."""
        await self._store.script("later", GROUP, turn.id, turn.incident_id, claim or "", -1)

    async def later(self, turn: Turn, *, claim: int | None, seconds: float) -> None:
        """Due again after a delay; the claim is freed, so that any worker may go on."""
        delay = max(0, round(seconds * 1000))
        await self._store.script("later", GROUP, turn.id, turn.incident_id, claim or "", delay)

    async def forget_workers(self, *, idle_seconds: float) -> int:
        """Forget the names of processes that are long gone and hold nothing; gives how many."""
        return int(await self._store.script("forget_workers", GROUP, round(idle_seconds * 1000)))

    async def depth(self) -> dict[str, int]:
        """Entries waiting or being worked on, and entries due later."""
        work, later = await self._store.commands(("XLEN", key(STREAM)), ("ZCARD", key("later")))
        return {"work": int(work), "later": int(later)}
