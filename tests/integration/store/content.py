"""A store with every kind of key in it, and all that is in one, read by a client that shares no code with ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from redis.asyncio import Redis

from bridge.edges.store.portable import REBORN
from bridge.edges.store.queue import StoredQueue
from bridge.model.incident import Entry, Outcome, Target
from bridge.model.policy import BreakerPolicy
from bridge.roles import Grant, Held
from tests.integration.desk import Desk, alert
from tests.unit.triage.builders import running

BREAKER = BreakerPolicy(failures=1, open_for_seconds=3600)
END = Entry(event="closed", fields={"reason": "done — ✓ 🐳"})
PREFIX = "{hemostat}:"


async def finish(desk: Desk, held: Held, *, healed: bool | None) -> None:
    """Close an incident as the walk would."""
    now = await desk.journal.now()
    outcome = Outcome.HEALED if healed else Outcome.NOT_HEALED
    incident = held.incident.closing(outcome, "for the test", now=now, reconsider_at=now)
    await desk.journal.close(replace(held, incident=incident), END, healed=healed, breaker=BREAKER)


async def live(desk: Desk) -> dict[str, str]:
    """Every kind of key that a store has: incidents in all states, locks, windows, a breaker, work delivered and not.

    Gives the ids by what became of them.
    """
    queue = StoredQueue(desk.store, consumer="gone", lease_seconds=60)
    await queue.open()
    ids = {}
    for name, healed in (("healed", True), ("sick", False)):
        held = await desk.judged(name)
        await desk.journal.save(held, Entry(event="judged", fields={"reason": 'ÄÖ "quoted" \\ \t tab'}))
        assert isinstance(await desk.acquire(held), Grant)
        await finish(desk, held, healed=healed)
        ids[name] = held.incident.id
    reserved = await desk.judged("reserved")
    assert isinstance(await desk.acquire(reserved), Grant)
    ids["reserved"] = reserved.incident.id
    for name in ("taken", "later", "new"):
        ids[name] = await desk.incident_for(alert(name, fingerprint=name))
    await desk.journal.saw_container(Target(host="local", name="reserved"), running(name="reserved"))
    for turn in await queue.read(5):  # five of the six: pending, with a worker that will not come back
        if turn.incident_id == ids["later"]:
            await queue.later(turn, claim=None, seconds=3600)
        elif turn.incident_id in (ids["healed"], ids["sick"]):
            await queue.done(turn, claim=None)
    return ids


READS: dict[str, tuple[str, ...]] = {
    "string": ("get",),
    "hash": ("hgetall",),
    "list": ("lrange", "0", "-1"),
    "set": ("smembers",),
    "zset": ("zrange", "0", "-1", "withscores"),
    "stream": ("xrange", "-", "+"),
}


async def content(url: str) -> dict[str, Any]:
    """All keys by a client of its own, as the server gives them; the oracle that shares no code with the backup."""
    async with Redis.from_url(url, decode_responses=True, protocol=2) as redis, redis.pipeline(False) as pipe:
        names = [name async for name in redis.scan_iter(match="{hemostat}:*", count=1000)]
        for name in names:
            pipe.type(name)
        found = [
            (name, kind) for name, kind in zip(names, await pipe.execute(), strict=True) if kind in READS
        ]
        for name, kind in found:
            command, *words = READS[kind]
            pipe.execute_command(command, name, *words)
        return {
            name.removeprefix(PREFIX): value
            for (name, _), value in zip(found, await pipe.execute(), strict=True)
        }


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """Without what a restore sets, and what tells when a backup last worked."""
    return {name: value for name, value in found.items() if name not in {*REBORN, "backups"}}
