"""Storms and shares in the store: one script opens incidents and begins a storm, one counts who is sick at once.

A storm ends, and a population becomes suspect, by whichever replica looks first: each is told once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.edges.store import clock
from bridge.edges.store.connection import Store, instant, key
from bridge.edges.store.records import encode, pairs
from bridge.model.incident import Outcome
from bridge.model.policy import Limits
from bridge.model.refusal import Reason
from bridge.model.share import (
    LEAST_SICK,
    Population,
    Share,
    ShareScope,
    Turned,
    read_key,
    share_limit,
)
from bridge.model.storm import Storm, StormScope

_CLOSED = "closed:"


class StoredStorms:
    """Implements ``roles.Storms``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def now(self) -> Storm | None:
        """The storm that is on."""
        fields = pairs(await self._store.command("HGETALL", key("storm")))
        if "until" not in fields or instant(fields["until"]) <= (await clock.read(self._store)).now:
            return None
        return _storm(fields)

    async def settle(self) -> Storm | None:
        """End the storm whose end has come, and give it; every replica may ask, one of them is given it."""
        fields = pairs(await self._store.script("storm"))
        return _storm(fields) if fields else None

    async def shares(self, populations: Sequence[Population], *, limits: Limits) -> Sequence[Share]:
        """How many of each are sick now; writes nothing."""
        return [share for share, _ in await self._shares("", populations, limits)]

    async def note_shares(self, populations: Sequence[Population], *, limits: Limits) -> Sequence[Turned]:
        """The same, and write down which have become suspect and which are so no more; gives those."""
        looked = await self._shares("1", populations, limits)
        return [Turned(share=share, began=change == "began") for share, change in looked if change]

    async def suspects(self) -> Sequence[Share]:
        """The populations that are suspect, with the numbers of the last look; their limits are not kept."""
        return [_written(name, text) for name, text in pairs(await self._suspects()).items()]

    async def sick(self, hosts: Sequence[str]) -> int:
        """How many are marked as sick on these hosts; some of the marks may have run out."""
        counts = await self._store.commands(*(("ZCARD", key(f"sick:{host}")) for host in hosts))
        return sum(int(count) for count in counts)

    async def _suspects(self) -> object:
        return await self._store.command("HGETALL", key("shares"))

    async def _shares(
        self, noting: str, populations: Sequence[Population], limits: Limits
    ) -> list[tuple[Share, str]]:
        if not populations:
            return []
        asked = [encode(population_fields(population, limits)) for population in populations]
        flat = await self._store.script("shares", noting, *asked)
        rows = [flat[n : n + 6] for n in range(0, len(flat), 6)]
        return [(share_of(row, populations, limits), str(row[5])) for row in rows]


def _storm(fields: Mapping[str, str]) -> Storm:
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


def population_fields(population: Population, limits: Limits) -> Mapping[str, object]:
    """A population as the scripts take it."""
    of_project = population.scope is ShareScope.PROJECT
    return {
        "key": population.key,
        "reason": Reason.PROJECT_SHARE if of_project else Reason.FLEET_SHARE,
        "limit": share_limit(limits, population.scope),
        "least": LEAST_SICK[population.scope],
        "quiet": round(limits.share_quiet_seconds * 1000),
        "partial": bool(population.unseen),
        "parts": [
            {"host": part.host, "up": part.up, "down": part.down}
            | ({} if part.members is None else {"members": part.members})
            for part in population.parts
        ],
    }


def share_of(row: Sequence[str], populations: Sequence[Population], limits: Limits) -> Share:
    """A population as the scripts answer it: its key, sick, known, suspect since, until."""
    population = next(p for p in populations if p.key == row[0])
    sick, known, since, until = (int(float(number)) for number in row[1:5])
    return Share(
        population=population,
        sick=sick,
        known=known,
        limit=share_limit(limits, population.scope),
        suspect_since=instant(since) if since else None,
        until=instant(until) if until else None,
    )


def _written(name: str, text: str) -> Share:
    since, _, _, sick, known = (int(number) for number in text.split())
    return Share(population=read_key(name), sick=sick, known=known, suspect_since=instant(since))
