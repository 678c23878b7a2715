"""A storm is told as one message: which incidents are folded into it, and how it stands.

The first incident that is folded is the storm's anchor: in its notes stands where the storm was posted, and whoever
tells it looks at all the others, again and again until the storm is over and nothing of it moves any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from bridge import telling
from bridge.roles import Record, Storms
from bridge.sinks import Notes, Tally
from bridge.telling import StormPoster

LOOK_SECONDS = 5.0
"""Between two looks at a storm, and so between two edits of its message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """An incident that is told as part of a storm. ``poster`` only for the anchor: what is to be shown now."""

    storm: str
    poster: StormPoster | None = None

    @property
    def again_seconds(self) -> float | None:
        """When the anchor looks again."""
        return None if self.poster is None or self.poster.done else LOOK_SECONDS


class Folding:
    """``storms`` knows whether one is on; ``tally`` is what the sink has been told of it."""

    def __init__(self, storms: Storms, tally: Tally) -> None:
        self._storms = storms
        self._tally = tally

    async def fold(self, record: Record, notes: Notes) -> Folded | None:
        """``None``: the incident is told for itself."""
        incident = record.incident
        storm = notes.get("storm") or await self._storm_of(record, notes)
        if not storm:
            return None
        line = telling.tally_line(incident)
        place = await self._tally.place(storm, incident.id)
        is_anchor = place.anchor == incident.id
        if place.finished and not is_anchor and line != place.line and telling.needs_a_person(line):
            # Nobody looks at the storm's message any more, and this must not be missed.
            await notes.write({"storm": ""})
            return None
        if line != place.line:
            await self._tally.note(storm, incident.id, line)
        return Folded(storm=storm, poster=await self._poster(storm) if is_anchor else None)

    async def _storm_of(self, record: Record, notes: Notes) -> str:
        """The storm that this incident belongs to, if it was not told before the storm was noticed."""
        if notes.get("ts") or notes.get("posting") or notes.get("stands"):
            return ""
        storm = await self._storms.now()
        if storm is None or record.incident.opened_at < storm.since:
            return ""
        name = f"{storm.since.timestamp() * 1000:.0f}"
        await notes.write({"storm": name})
        return name

    async def _poster(self, storm: str) -> StormPoster:
        since = datetime.fromtimestamp(int(storm) / 1000, UTC)
        now = await self._storms.now()
        over = now is None or now.since > since
        poster = telling.storm_poster(await self._tally.read(storm), since=since, over=over)
        if poster.done:
            # From here on whatever happens is told for itself; what came before is in what is read now.
            await self._tally.finish(storm)
            poster = telling.storm_poster(await self._tally.read(storm), since=since, over=over)
        return poster
