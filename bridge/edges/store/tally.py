"""What a sink has been told of the incidents of a storm: a hash for each storm, gone a while after it."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.edges.store.connection import Store, key
from bridge.edges.store.records import pairs
from bridge.model.channel import Channel
from bridge.sinks import Place

KEPT_MS = 30 * 86_400_000
_ANCHOR, _FINISHED = "!anchor", "!finished"


class StoredTally:
    """Implements ``sinks.Tally`` for one channel."""

    def __init__(self, store: Store, channel: Channel) -> None:
        self._store = store
        self._channel = channel

    async def place(self, storm: str, incident_id: str) -> Place:
        """Where an incident stands in it; the first one asked about becomes the anchor."""
        name = self._key(storm)
        *_, (anchor, finished, line) = await self._store.commands(
            ("HSETNX", name, _ANCHOR, incident_id),
            ("PEXPIRE", name, KEPT_MS),
            ("HMGET", name, _ANCHOR, _FINISHED, incident_id),
        )
        return Place(anchor=str(anchor or ""), finished=bool(finished), line=str(line or ""))

    async def note(self, storm: str, incident_id: str, line: str) -> None:
        """Write an incident's line; ``""`` takes it out."""
        name = self._key(storm)
        await self._store.command(
            *(("HSET", name, incident_id, line) if line else ("HDEL", name, incident_id))
        )

    async def read(self, storm: str) -> Mapping[str, str]:
        """All lines, by incident."""
        fields = pairs(await self._store.command("HGETALL", self._key(storm)))
        return {name: line for name, line in fields.items() if name not in (_ANCHOR, _FINISHED)}

    async def finish(self, storm: str) -> None:
        """Nobody looks at this storm any more."""
        await self._store.command("HSET", self._key(storm), _FINISHED, 1)

    def _key(self, storm: str) -> str:
        return key(f"tally:{self._channel.value}:{storm}")
