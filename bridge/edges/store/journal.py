"""Incidents in the store: claimed, read and written, each write one script fenced by the claim."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec

from bridge import errors
from bridge.edges.store import clock
from bridge.edges.store.connection import Store, instant, key, milliseconds
from bridge.edges.store.records import (
    decode_alert,
    decode_episode,
    decode_incident,
    decode_line,
    decode_shown,
    encode,
    encode_entry,
    encode_incident,
    pairs,
)
from bridge.model.evidence import Change, Changed, ContainerFacts, PastRepair
from bridge.model.incident import Entry, Incident, IncidentQuery, State, Target, TimelineEntry
from bridge.model.policy import BreakerPolicy
from bridge.roles import EpisodeView, Held, HeldElsewhere, Record


class _Container(msgspec.Struct):
    """What was known of a target's container when it was last looked at. A time of 0: never seen to change."""

    id: str
    image: str
    seen_ms: int
    replaced_ms: int = 0
    image_id: str = ""
    image_ms: int = 0
    config: str = ""
    config_ms: int = 0


_container = msgspec.json.Decoder(_Container)
_CURSOR = re.compile("([0-9]{1,16})-([0-9]{1,9})")

CONFIG_LABEL = "com.docker.compose.config-hash"
CHANGES_SECONDS = 86_400.0
"""For how long a change is told: what goes wrong a day after a deploy is hardly the deploy's."""


LONGEST_STEP = 1 << 16
"""From one claim's number to the next: two histories of one store meet in one number of so many."""

PAGE = 200
"""Incidents read at once while a page of matching ones is filled."""


class StoredJournal:
    """Implements ``roles.Journal`` and ``roles.Claims``; ``lease_seconds`` is how long a claim lives without a heartbeat."""

    def __init__(self, store: Store, *, lease_seconds: float) -> None:
        self._store = store
        self.lease_ms = round(lease_seconds * 1000)

    async def now(self) -> datetime:
        """Redis' clock, never below the highest time that is known."""
        return (await clock.read(self._store)).now

    async def writable(self) -> None:
        """Raises EdgeUnavailable: the store is away, or takes nothing: out of memory or disk, not the master."""
        # Refused as any write is, and changes nothing where it is not: no key, no line in the log on disk.
        await self._store.command("SETRANGE", key("writable"), 0, "")

    async def claim(self, incident_id: str, owner: str) -> Held | HeldElsewhere | None:
        """Take an incident to work on it; ``None`` if there is no such incident any more.

        Raises: Unreadable, with the claim that it got.
        """
        step = 1 + secrets.randbelow(LONGEST_STEP)
        answer = await self._store.script("claim", incident_id, owner, self.lease_ms, step)
        if answer[0] == "gone":
            return None
        if answer[0] == "busy":
            return HeldElsewhere(seconds=max(0.0, (float(answer[1]) - float(answer[2])) / 1000))
        claim = int(answer[1])
        try:
            found = await self._read(incident_id)
        except errors.Unreadable as error:
            raise errors.Unreadable(incident_id, error.why, claim) from error
        if found is None:
            return None
        record, joins = found
        return Held(
            incident=record.incident,
            episodes=record.episodes,
            claim=claim,
            joins=joins,
            deaths=int(answer[3]),
        )

    async def beat(self, held: Sequence[Held]) -> set[int]:
        """Renew the leases; gives the numbers of the claims that are no longer ours."""
        pairs = [part for one in held for part in (one.incident.id, str(one.claim))]
        if not pairs:
            return set()
        return {int(claim) for claim in await self._store.script("beat", self.lease_ms, *pairs)}

    async def load(self, held: Held) -> Held:
        """The same claim on the incident as it is written now, with its alerts."""
        found = await self._read(held.incident.id)
        if found is None:
            raise errors.ClaimLost(f"incident {held.incident.id} is gone")
        record, joins = found
        return replace(held, incident=record.incident, episodes=record.episodes, joins=joins)

    async def save(self, held: Held, entry: Entry | None) -> Held:
        """Write the incident and one line of its story."""
        incident = held.incident
        judged = incident.state is State.JUDGED
        answer = await self._store.script(
            "save",
            incident.id,
            held.claim,
            encode_incident(incident),
            encode(incident.evidence) if judged and incident.evidence else "",
            incident.state.value,
            encode_entry(entry),
            self.lease_ms,
            encode(incident.audit) if judged and incident.audit else "",
            *_asked(incident),
        )
        _ours(answer, incident)
        return held

    async def close(
        self,
        held: Held,
        entry: Entry,
        *,
        healed: bool | None,
        breaker: BreakerPolicy,
        refund: bool = False,
    ) -> Held:
        """Write the closed incident, free its target and feed the breaker.

        ``healed`` ``None`` leaves the breaker alone; ``refund`` gives a grant back that was never begun.
        """
        incident = held.incident
        if incident.outcome is None:
            raise ValueError(f"incident {incident.id} closes without an outcome")
        reconsider = incident.reconsider_at or incident.closed_at or incident.opened_at
        unpaused = incident.reconsider_unpaused_at
        answer = await self._store.script(
            "close",
            incident.id,
            held.claim,
            encode_incident(incident),
            encode(incident.evidence) if incident.evidence else "",
            encode_entry(entry),
            self.lease_ms,
            incident.outcome.value,
            milliseconds(reconsider),
            incident.target.key if incident.target else "",
            {None: "", True: "healed", False: "sick"}[healed],
            breaker.failures,
            round(breaker.open_for_seconds * 1000),
            "1" if incident.repair is not None else "0",
            "1" if refund else "0",
            "" if incident.intent is not None and incident.repair is None else held.joins,
            encode(incident.audit) if incident.audit else "",
            milliseconds(unpaused) if unpaused else "",
        )
        _ours(answer, incident)
        if answer[0] == "joined":
            raise errors.JoinedMeanwhile(f"an alert joined incident {incident.id}")
        return held

    async def saw_container(self, target: Target, facts: ContainerFacts) -> None:
        """Remember which container bears the name. Not fenced: it only ever makes HemoStat more careful."""
        after = _seen(await self._container(target), facts, now=await self.now())
        await self._store.command("HSET", key("targets"), target.key, encode(after))

    async def replaced_at(self, target: Target, facts: ContainerFacts) -> datetime | None:
        """When this container was first seen to bear a name that another one bore before."""
        before = await self._container(target)
        if before is None:
            return None
        if before.id != facts.id:
            return await self.now()
        return instant(before.replaced_ms) if before.replaced_ms else None

    async def changes(self, target: Target, facts: ContainerFacts) -> Sequence[Change]:
        """Image, configuration and container, as far as they became another in the last CHANGES_SECONDS."""
        now = await self.now()
        seen = _seen(await self._container(target), facts, now=now)
        times = {
            Changed.IMAGE: seen.image_ms,
            Changed.CONFIG: seen.config_ms,
            Changed.CONTAINER: seen.replaced_ms,
        }
        # HemoStat looks when an alert comes, perhaps days after a deploy: the container itself tells its age.
        made = [(kind, min(instant(ms), facts.created_at)) for kind, ms in times.items() if ms]
        recent = [(kind, at) for kind, at in made if (now - at).total_seconds() <= CHANGES_SECONDS]
        return [Change(id=f"C{n}", kind=kind, at=at) for n, (kind, at) in enumerate(recent, start=1)]

    async def _container(self, target: Target) -> _Container | None:
        text = await self._store.command("HGET", key("targets"), target.key)
        return _container.decode(text) if text else None

    async def fires_last_hour(self, fingerprints: Sequence[str]) -> int | None:
        """From the episodes, which intake keeps; at most twenty are remembered."""
        if not fingerprints:
            return None
        episodes = await self._store.command("MGET", *(key(f"episode:{each}") for each in fingerprints))
        begun = [text.split(" ")[5].split(",") for text in episodes if text and text.count(" ") == 5]
        since = milliseconds(await self.now()) - 3_600_000
        counts = [sum(1 for at in times if at and int(at) >= since) for times in begun]
        return max(counts, default=None)

    async def known_targets(self) -> list[Target]:
        """Every target that was ever looked at."""
        names = await self._store.command("HKEYS", key("targets"))
        return [
            Target(host=host, name=name) for host, _, name in (text.partition("/") for text in sorted(names))
        ]

    async def past_repairs(self, target: Target) -> Sequence[PastRepair]:
        """The last repairs of this target, newest first."""
        ids = await self._store.command("LRANGE", key(f"repairs:{target.key}"), 0, 9)
        rows = await self._store.commands(*(("HGETALL", key(f"incident:{i}")) for i in ids)) if ids else []
        incidents = [decode_shown(i, pairs(row)) for i, row in zip(ids, rows, strict=True) if row]
        return [
            PastRepair(
                at=incident.repair.at,
                action=incident.repair.action.value,
                outcome=incident.outcome.value if incident.outcome else "",
                container_id=incident.repair.container_id,
            )
            for incident in incidents
            if incident.repair is not None
        ]

    async def read(self, incident_id: str) -> Record | None:
        """One incident whole, as far as this version can read it."""
        fields, alerts = await self._fields(incident_id)
        if not fields:
            return None
        lines = await self._store.command("LRANGE", key(f"incident:{incident_id}:timeline"), 0, -1)
        incident = decode_shown(incident_id, fields)
        episodes: list[EpisodeView] = []
        for text in alerts.values():
            with contextlib.suppress(errors.Unreadable):
                episodes.append(decode_episode(incident_id, text))
        timeline = [TimelineEntry(at=incident.opened_at, event="opened", fields={})]
        for line in lines:
            timeline.append(decode_line(line, otherwise_at=timeline[-1].at))
        return Record(incident=incident, episodes=tuple(episodes), timeline=tuple(timeline))

    async def readable(self, incident_id: str) -> None:
        """Raises: Unreadable: nobody could go on with it."""
        await self._read(incident_id)

    async def _read(self, incident_id: str) -> tuple[Record, int] | None:
        """The incident and how many alerts have joined it. Raises: Unreadable: nobody may go on with a part of it."""
        fields, alerts = await self._fields(incident_id)
        if not fields:
            return None
        episodes = tuple(decode_episode(incident_id, text) for text in alerts.values())
        joins = int(fields.get("joins", 0))
        return Record(incident=decode_incident(incident_id, fields), episodes=episodes), joins

    async def _fields(self, incident_id: str) -> tuple[dict[str, str], dict[str, str]]:
        """What is written of it, and its alerts; both empty if there is no such incident."""
        flat, alerts = await self._store.commands(
            ("HGETALL", key(f"incident:{incident_id}")), ("HGETALL", key(f"incident:{incident_id}:alerts"))
        )
        return pairs(flat), pairs(alerts)

    async def newest(self, query: IncidentQuery) -> tuple[list[Incident], str | None]:
        """A page of incidents, and the cursor of the next one (``None`` at the end).

        Raises: ValueError: the cursor is not ours.
        """
        found: list[Incident] = []
        upper, skip = _place(query.cursor)
        lower = milliseconds(query.since) if query.since else "-inf"
        while True:
            page = await self._store.command(
                "ZREVRANGEBYSCORE", key("incidents"), upper, lower, "WITHSCORES", "LIMIT", skip, PAGE
            )
            opened = [(str(page[n]), str(page[n + 1])) for n in range(0, len(page), 2)]
            rows = (
                await self._store.commands(*(("HGETALL", key(f"incident:{i}")) for i, _ in opened))
                if opened
                else []
            )
            for (incident_id, score), row in zip(opened, rows, strict=True):
                # The place is "after so many of this millisecond": incidents that open meanwhile do not move it.
                upper, skip = score, skip + 1 if score == upper else 1
                if not row:
                    continue
                incident = decode_shown(incident_id, pairs(row))
                if query.fits(incident):
                    found.append(incident)
                if len(found) == query.limit:
                    return found, f"{upper}-{skip}"
            if len(opened) < PAGE:
                return found, None

    async def alert_names(self, ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """What the alerts of these incidents are called, each name once; of another version's nobody knows."""
        commands = [("HVALS", key(f"incident:{one}:alerts")) for one in ids]
        rows = await self._store.commands(*commands) if commands else []
        return {one: _names(row) for one, row in zip(ids, rows, strict=True)}

    async def open_count(self) -> int:
        """How many incidents are open."""
        return int(await self._store.command("HLEN", key("open")))

    async def prune(self, *, older_than: timedelta) -> int:
        """Forget incidents closed longer ago than this; gives how many."""
        before = milliseconds(await self.now() - older_than)
        gone = 0
        while (count := int(await self._store.script("prune", before, 100))) > 0:
            gone += count
            await asyncio.sleep(0)
        return gone


def _names(row: Sequence[str]) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for text in row:
        with contextlib.suppress(msgspec.DecodeError):
            names[decode_alert(text[1:]).name] = None
    return tuple(names)


def _seen(before: _Container | None, facts: ContainerFacts, *, now: datetime) -> _Container:
    """What is known after this look. What was not known before has not changed."""
    before = before or _Container(id=facts.id, image=facts.image, seen_ms=0)
    config = facts.labels.get(CONFIG_LABEL, "")
    at = milliseconds(now)
    return _Container(
        id=facts.id,
        image=facts.image,
        seen_ms=at,
        replaced_ms=at if before.id != facts.id else before.replaced_ms,
        image_id=facts.image_id,
        image_ms=at if before.image_id not in ("", facts.image_id) else before.image_ms,
        config=config,
        config_ms=at if before.config not in ("", config) else before.config_ms,
    )


def _place(cursor: str | None) -> tuple[str, int]:
    """Where a page begins: the highest time in milliseconds, and how many of that time were given already."""
    if cursor is None:
        return "+inf", 0
    place = _CURSOR.fullmatch(cursor)
    if place is None:
        raise ValueError("cursor is not one this server gave")
    return place[1], int(place[2])


def _asked(incident: Incident) -> tuple[str | int, ...]:
    """What people are asked, as the script is told it: only a waiting incident asks, or stops asking."""
    if incident.state is not State.WAITING:
        return ()
    proposal = incident.proposal
    return ("", 0) if proposal is None else (proposal.id, milliseconds(proposal.until))


def _ours(answer: Sequence[object], incident: Incident) -> None:
    if answer[0] == "lost":
        raise errors.ClaimLost(f"incident {incident.id} was taken over")
