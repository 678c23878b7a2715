"""The transitions of all incidents as readers follow them: a stream that the scripts write, read in pages."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.edges.store.connection import Store, instant, key
from bridge.edges.store.records import decode_line, pairs
from bridge.model.incident import Transition

BEFORE_ALL = "0-0"


class StoredTransitions:
    """The newest 100,000 or so are kept; none holds a connection while nothing happens."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def newest(self) -> str:
        """The id of the last one; one that is before all where nothing happened yet."""
        last = await self._store.command("XREVRANGE", key("events"), "+", "-", "COUNT", 1)
        return str(last[0][0]) if last else BEFORE_ALL

    async def after(self, event_id: str, *, count: int) -> Sequence[Transition]:
        """The first ``count`` that came after this one, oldest first."""
        found = await self._store.command("XRANGE", key("events"), f"({event_id}", "+", "COUNT", count)
        return [_transition(str(stream_id), pairs(flat)) for stream_id, flat in found or ()]


def _transition(stream_id: str, fields: dict[str, str]) -> Transition:
    entry = decode_line(fields.get("entry", ""), otherwise_at=instant(stream_id.partition("-")[0]))
    return Transition(id=stream_id, incident_id=fields.get("incident", ""), entry=entry)
