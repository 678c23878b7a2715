"""Episodes as a comparison with Alertmanager needs them, and what webhooks showed of the way they came."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from bridge.edges.store import clock
from bridge.edges.store.connection import Store, instant, key
from bridge.edges.store.records import decode_alert, encode, pairs
from bridge.model.alert import Alert
from bridge.model.episode import KnownEpisode, Sighting

SAME_CLOCK = timedelta(seconds=5)
"""Two clocks that differ by less are taken for one: it is told in whole seconds, and the answer took some time."""

PAGE = 500
"""Incidents or episodes read at once."""

_RECEIVER = "receiver:"
_ESCAPED = re.compile(r"\\(.)")
_sighting = msgspec.json.Decoder(Sighting)


class StoredEpisodes:
    """Implements ``roles.Episodes``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def lease(self, owner: str, seconds: float) -> bool:
        """Whether the next ``seconds`` are ours alone to compare in."""
        milliseconds = max(1, round(seconds * 1000))
        return await self._store.command("SET", key("reconcile"), owner, "NX", "PX", milliseconds) is not None

    async def known(self, fingerprints: Sequence[str]) -> Mapping[str, KnownEpisode]:
        """The last episode of each of these alerts; those never heard of are left out."""
        found: dict[str, KnownEpisode] = {}
        for first in range(0, len(fingerprints), PAGE):
            page = fingerprints[first : first + PAGE]
            texts = await self._store.command("MGET", *(key(f"episode:{one}") for one in page))
            words = {one: str(text).split() for one, text in zip(page, texts, strict=True) if text}
            ids = [each[3] for each in words.values()]
            wanted = ("closed", "reconsider_unpaused")
            closed = (
                await self._store.commands(*(("HMGET", key(f"incident:{i}"), *wanted) for i in ids))
                if ids
                else []
            )
            for (one, (state, starts, ends, *_)), (at, unpaused) in zip(words.items(), closed, strict=True):
                found[one] = KnownEpisode(
                    firing=state == "firing",
                    starts_at=instant(starts),
                    ended_at=instant(ends) if int(ends) else None,
                    closed_at=instant(at) if at else None,
                    reconsider_unpaused_at=instant(unpaused) if unpaused else None,
                )
        return found

    async def open(self) -> Sequence[Alert]:
        """The alerts that fire in open incidents, those aside that are suspect: they are checked by themselves."""
        ids = await self._store.command("HVALS", key("open"))
        alerts: dict[str, Alert] = {}
        for first in range(0, len(ids), PAGE):
            page = ids[first : first + PAGE]
            suspect = await self._store.commands(*(("HGET", key(f"incident:{i}"), "suspect") for i in page))
            rows = await self._store.commands(*(("HVALS", key(f"incident:{i}:alerts")) for i in page))
            for row, doubtful in zip(rows, suspect, strict=True):
                if doubtful == "1":
                    continue
                for text in row:
                    with contextlib.suppress(
                        msgspec.DecodeError
                    ):  # of another version: for that one to compare
                        if text.startswith("F"):
                            alert = decode_alert(text[1:])
                            alerts[alert.fingerprint] = alert
            await asyncio.sleep(0)
        return list(alerts.values())

    async def sightings(self) -> Mapping[str, Sighting]:
        """What the last comparison saw."""
        seen = pairs(await self._store.command("HGETALL", key("sighted")))
        known: dict[str, Sighting] = {}
        for fingerprint, text in seen.items():
            with contextlib.suppress(msgspec.DecodeError):  # of another version: as if it had not been seen
                known[fingerprint] = _sighting.decode(text)
        return known

    async def keep(self, sightings: Mapping[str, Sighting]) -> None:
        """Remember these until the next comparison, and nothing else."""
        words = [word for one, sighting in sightings.items() for word in (one, encode(sighting))]
        await self._store.script("sighted", *words)

    async def heard(self, receiver: str, *, watchdog: bool) -> None:
        """A webhook came, from this receiver of Alertmanager; whether the alert that always fires was in it.

        ``receiver``: as a webhook tells it, with the characters of regular expressions escaped.
        """
        await self._store.script("heard", _ESCAPED.sub(r"\1", receiver), "1" if watchdog else "")

    async def note_clock(self, at: datetime) -> timedelta:
        """By how much this clock, which is Alertmanager's and of those that post to it, is ahead of the store's."""
        ahead = at - (await clock.read(self._store)).now
        if abs(ahead) <= SAME_CLOCK:
            ahead = timedelta()
        await self._store.command("HSET", key("heard"), "ahead", round(ahead.total_seconds() * 1000))
        return ahead

    async def receivers(self) -> Sequence[str]:
        """The names of the receivers that webhooks came from."""
        fields = pairs(await self._store.command("HGETALL", key("heard")))
        return [name.removeprefix(_RECEIVER) for name in fields if name.startswith(_RECEIVER)]

    async def watchdog(self) -> tuple[datetime | None, float]:
        """When the alert that always fires last came, and seconds between its last two times (0: it came once at most)."""
        at, every = await self._store.command("HMGET", key("heard"), "watchdog", "watchdog_every")
        return instant(at) if at else None, int(every or 0) / 1000
