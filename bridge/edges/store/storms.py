"""Storms in the store: begun by the script that opens incidents, ended by whichever looks first after its end."""

from __future__ import annotations

from bridge.edges.store.connection import Store, instant, key
from bridge.edges.store.records import pairs
from bridge.model.incident import Outcome
from bridge.model.storm import Storm, StormScope

_CLOSED = "closed:"


class StoredStorms:
    """Implements ``roles.Storms``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def now(self) -> Storm | None:
        """The storm that is on."""
        flat, (seconds, _) = await self._store.commands(("HGETALL", key("storm")), ("TIME",))
        fields = pairs(flat)
        if "until" not in fields or int(fields["until"]) <= int(seconds) * 1000:
            return None
        return Storm(
            since=instant(fields["since"]),
            until=instant(fields["until"]),
            incidents=int(fields["incidents"]),
            scope=StormScope(fields["scope"]),
            outcomes={
                Outcome(name.removeprefix(_CLOSED)): int(count)
                for name, count in sorted(fields.items())
                if name.startswith(_CLOSED)
            },
        )

    async def settle(self) -> bool:
        """End a storm whose end has come; whether this call did. Every replica may ask: one of them is told."""
        return bool((await self._store.script("storm"))[0])
