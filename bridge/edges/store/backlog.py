"""What sinks must still be told: one backlog each, filled by the scripts that make the transitions (``mark`` in the prelude).

An entry is an incident, not a message: however often it moves while a sink is away, it is told once, as it then stands.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime

from bridge import errors
from bridge.edges.store.connection import Store, instant, key
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.records import pairs
from bridge.model.channel import Channel
from bridge.roles import Record
from bridge.sinks import BacklogState, Delivery, Due, GivenUp, Sink, Taken

LEASE_SECONDS = 15.0
"""After which another process tells what a silent one had taken."""

RETIRE_SECONDS = 86_400.0
"""A sink that no running process has named for so long is forgotten, and what waited for it."""

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
"""Between two tries of a sink that is away: doubled each time, up to a minute, so that its return is soon noticed."""

REJECTED_PAUSE_SECONDS = 15.0
LONGEST_REJECTED_PAUSE_SECONDS = 300.0
"""The same for one that says no: a person must mend it first."""

LONGEST_RETRY_AFTER_SECONDS = 300.0
"""Of what a sink may ask for: a mistaken hour must not become our silence."""

REFUSED_TRIES = 3
GIVEN_UP_SHOWN = 100


class StoredNotes:
    """Implements ``sinks.Notes``."""

    def __init__(self, store: Store, due: Due, told: Mapping[str, str]) -> None:
        self._store = store
        self._due = due
        self._told = dict(told)

    def get(self, name: str) -> str:
        """A note; ``""`` if there is none."""
        return self._told.get(name, "")

    async def write(self, notes: Mapping[str, str]) -> None:
        """Durable before it returns."""
        words = [word for note in notes.items() for word in note]
        due = self._due
        answer = await self._store.script(
            "sink_note", due.channel.value, due.incident_id, due.teller, *words, durable=True
        )
        _ours(answer, due)
        self._told.update(notes)


class StoredBacklog:
    """Implements ``sinks.Backlog``."""

    def __init__(self, store: Store, journal: StoredJournal, *, lease_seconds: float = LEASE_SECONDS) -> None:
        self.lease_seconds = lease_seconds
        self._store = store
        self._journal = journal
        self._lease_ms = round(lease_seconds * 1000)

    async def now(self) -> datetime:
        """Redis' clock."""
        return await self._journal.now()

    async def register(self, sinks: Sequence[Sink], *, retire: bool) -> None:
        """From now on every transition is kept for these."""
        named = [
            word for sink in sinks for word in (sink.channel.value, round(sink.pace.gather_seconds * 1000))
        ]
        await self._store.script(
            "sink_register", round(RETIRE_SECONDS * 1000) if retire else 0, *named, durable=True
        )

    async def claim(self, sink: Sink, *, at_most: int) -> Taken:
        """Take what is due, under a lease."""
        teller, pace = secrets.token_hex(6), sink.pace
        next_ms, *ids = await self._store.script(
            "sink_claim",
            sink.channel.value,
            teller,
            self._lease_ms,
            at_most,
            round(1000 / pace.per_second) if pace.per_second else 0,
            pace.burst,
        )
        return Taken(
            due=tuple(Due(channel=sink.channel, incident_id=i, teller=teller) for i in ids),
            next_seconds=None if int(next_ms) < 0 else int(next_ms) / 1000,
        )

    async def read(self, due: Due) -> tuple[Record, StoredNotes] | None:
        """The incident as it stands and what was said of it."""
        record = await self._journal.read(due.incident_id)
        if record is None:
            return None
        told = pairs(await self._store.command("HGETALL", key(f"incident:{due.incident_id}:told")))
        prefix = f"{due.channel.value}:"
        mine = {name.removeprefix(prefix): text for name, text in told.items() if name.startswith(prefix)}
        return record, StoredNotes(self._store, due, mine)

    async def beat(self, due: Sequence[Due]) -> set[Due]:
        """Renew the leases of one sink's; gives those that are no longer ours."""
        if not due:
            return set()
        words = [word for one in due for word in (one.incident_id, one.teller)]
        lost = pairs(await self._store.script("sink_beat", due[0].channel.value, self._lease_ms, *words))
        return {one for one in due if lost.get(one.incident_id) == one.teller}

    async def settled(self, due: Due, delivery: Delivery) -> None:
        """It was told."""
        again = -1 if delivery.again_seconds is None else round(delivery.again_seconds * 1000)
        await self._settle(due, "told" if delivery.sent else "silent", again)

    async def held(self, due: Due, why: str, *, rejected: bool, retry_after_seconds: float | None) -> bool:
        """The sink takes nothing now. Gives whether this message was given up."""
        first, longest = (
            (REJECTED_PAUSE_SECONDS, LONGEST_REJECTED_PAUSE_SECONDS)
            if rejected
            else (FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        )
        asked = (
            -1
            if retry_after_seconds is None
            else round(1000 * min(max(0.0, retry_after_seconds), LONGEST_RETRY_AFTER_SECONDS))
        )
        return await self._settle(due, "held", why[:200], round(first * 1000), round(longest * 1000), asked)

    async def refused(self, due: Due, why: str) -> bool:
        """The sink does not take this one. Gives whether it was given up."""
        first, longest = round(FIRST_PAUSE_SECONDS * 1000), round(LONGEST_PAUSE_SECONDS * 1000)
        return await self._settle(due, "refused", why[:200], first, longest, REFUSED_TRIES)

    async def _settle(self, due: Due, how: str, *words: str | int) -> bool:
        answer = await self._store.script(
            "sink_settle", due.channel.value, due.incident_id, due.teller, how, *words
        )
        _ours(answer, due)
        return bool(answer[0] == "dead")

    async def depth(self) -> dict[str, int]:
        """Incidents that wait for each sink or are being told, by channel; sinks that are configured nowhere are absent."""
        channels = list(pairs(await self._store.command("HGETALL", key("sinks"))))
        if not channels:
            return {}
        counts = await self._store.commands(
            *(("ZCARD", key(f"{kind}:{name}")) for name in channels for kind in ("due", "leased"))
        )
        return {name: int(counts[2 * n]) + int(counts[2 * n + 1]) for n, name in enumerate(channels)}

    async def state(self) -> list[BacklogState]:
        """Every sink's backlog, by name, with the newest that were given up."""
        channels = sorted(pairs(await self._store.command("HGETALL", key("sinks"))))
        return [await self._state(name) for name in channels]

    async def _state(self, name: str) -> BacklogState:
        flat, waiting, under_way, oldest, dead, given_up = await self._store.commands(
            ("HGETALL", key(f"sink:{name}")),
            ("ZCARD", key(f"due:{name}")),
            ("ZCARD", key(f"leased:{name}")),
            ("ZRANGE", key(f"due:{name}"), 0, 0, "WITHSCORES"),
            ("ZCARD", key(f"dead:{name}")),
            ("ZREVRANGE", key(f"dead:{name}"), 0, GIVEN_UP_SHOWN - 1, "WITHSCORES"),
        )
        fields, last = pairs(flat), list(pairs(oldest).values())
        held = "held_until" in fields
        return BacklogState(
            channel=name,
            waiting=int(waiting),
            under_way=int(under_way),
            oldest_due_at=instant(last[0]) if last else None,
            worked_at=instant(fields["worked_at"]) if "worked_at" in fields else None,
            held_since=instant(fields["held_since"]) if held and "held_since" in fields else None,
            held_until=instant(fields["held_until"]) if held else None,
            held_why=fields.get("held_why", "") if held else "",
            dead=int(dead),
            given_up=await self._given_up(name, pairs(given_up)),
        )

    async def _given_up(self, name: str, at: Mapping[str, str]) -> tuple[GivenUp, ...]:
        if not at:
            return ()
        told = await self._store.commands(
            *(("HMGET", key(f"incident:{i}:told"), f"{name}:tries", f"{name}:error") for i in at)
        )
        return tuple(
            GivenUp(incident_id=i, at=instant(ms), tries=int(tries or 0), error=error or "")
            for (i, ms), (tries, error) in zip(at.items(), told, strict=True)
        )

    async def retry(self, channel: Channel) -> int | None:
        """What was given up is due again, and the sink is tried at once; gives how many, ``None``: no such sink."""
        count = int(await self._store.script("sink_retry", channel.value))
        return None if count < 0 else count


def _ours(answer: Sequence[object], due: Due) -> None:
    if answer[0] == "lost":
        raise errors.ClaimLost(f"incident {due.incident_id} is told to {due.channel} by somebody else")
