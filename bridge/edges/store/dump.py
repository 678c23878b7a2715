"""The whole store out and in again, through SCAN and scripts: works on managed servers, and reads from a replica.

A backup is no point in time while a bridge is at work. Closed incidents come first, in many steps; what decides
(locks, windows, breakers, pause, tokens) and the open work come last, in one step: restored, they are never older than
the history beside them, so that a restored store can only be stricter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from bridge import errors
from bridge.edges.store import clock
from bridge.edges.store.client import CLIENT_NAME
from bridge.edges.store.connection import Store, key
from bridge.edges.store.portable import REBORN, Digest, Piece, Whole, arguments_of, pieces_of

RECORD = "backups"
"""When a backup and a drill last worked. Of the store and not of its content: neither backed up nor restored."""

EVENTS = "events"
HISTORY = ("incident:", "episode:", "repairs:")
TRACES = (RECORD, "born", "tick", "sink", "engine")
"""Beginnings of what a bridge writes by starting: its sinks, the Engine's events, how far time has come."""
PARTS = frozenset({"alerts", "timeline"})
"""Of an incident, each a key of its own; others are found by looking."""

PAGE_KEYS = 200
"""Read by one script, which takes some two milliseconds."""

PAGE_ENTRIES = 500
SCANNED = 1000
LOAD_ARGUMENTS = 6000
SKIPPED_TOKENS = 10**11
"""More than could have been given between the backup and the loss: claims count in random steps of up to 65,536, so
this is room for three million of them. Tokens stay exact up to 10**14, which is a thousand restores away."""

LEAST_TTL_MS = 60_000
"""What lives no longer is a lease of somebody who will not be there after a restore: it is left out."""

RESTORED_TTL_MS = 600_000
"""What expires lives at least so long again: it must still be there when it is verified."""

NEVER = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vitals:
    """What a backup tells of the server, and a restore needs to know."""

    now: datetime
    server: dict[str, str]
    fence: int
    incidents: int


class Dump:
    """``store`` as content."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def vitals(self) -> Vitals:
        """Of this moment."""
        info = {**await self._store.info("server"), **await self._store.info("replication")}
        valkey = info.get("valkey_version")
        fence, incidents = await self._store.commands(("GET", key("fence")), ("ZCARD", key("incidents")))
        return Vitals(
            now=(await clock.read(self._store)).now,
            server={
                "product": "valkey" if valkey else "redis",
                "version": valkey or info.get("redis_version", ""),
                "replid": info.get("master_replid", ""),
            },
            fence=int(fence or 0),
            incidents=int(incidents),
        )

    async def everything(self) -> AsyncIterator[list[Piece]]:
        """Every key, history first and what decides last, page by page."""
        done: set[str] = set()
        open_ids: set[str] = set()
        parts = set(PARTS)
        # Twice: what was closed while the first round took its seconds is found by the second, which takes none.
        for _ in range(2):
            names = await self._names()
            parts |= {part for name in names if (part := part_of(name))}
            fresh = [name for name in names if name.startswith(HISTORY) and name not in done]
            open_ids.clear()
            for page in pages(fresh):
                pieces: list[Piece] = []
                for whole in await self._dump("closed", page):
                    if whole.kind == "open":
                        open_ids.add(incident_of(whole.name))
                    else:
                        done.add(whole.name)
                        pieces += pieces_of(whole)
                yield pieces
        async for pieces in self._events():
            yield pieces
        done.add(EVENTS)
        deciding = [name for name in names if not name.startswith(HISTORY) and name not in {EVENTS, RECORD}]
        waiting = [f"incident:{one}{part}" for one in open_ids for part in ("", *(f":{p}" for p in parts))]
        last = await self._dump("decisive", [*waiting, *deciding], sorted(parts))
        yield [piece for whole in last if whole.name not in done for piece in pieces_of(whole)]

    async def digest(self) -> Digest:
        """Of all content."""
        digest = Digest()
        names = await self._names()
        for page in pages([name for name in names if name not in {RECORD, EVENTS}]):
            for whole in await self._dump("all", page):
                digest.add(pieces_of(whole))
        async for pieces in self._events():
            digest.add(pieces)
        return digest

    async def _names(self) -> list[str]:
        """Every key of ours without its namespace, sorted, each once. Takes the server many small steps, not one."""
        found: set[str] = set()
        cursor = "0"
        while True:
            cursor, page = await self._store.command("SCAN", cursor, "MATCH", key("*"), "COUNT", SCANNED)
            found.update(page)
            if str(cursor) == "0":
                return sorted(name.removeprefix(key("")) for name in found)

    async def _events(self) -> AsyncIterator[list[Piece]]:
        """The longest key by far, in pages. A restore gets it in the same pieces as the backup did."""
        before, after = 0, "-"
        while after:
            entries = await self._store.script("entries", EVENTS, after, PAGE_ENTRIES)
            values = [[str(entry), list(fields)] for entry, fields in entries]
            if values:
                yield [Piece(name=EVENTS, kind="stream", values=values, before=before)]
            before += len(values)
            # A short page is the end: what came meanwhile would be cut into other pieces when it is read again.
            after = f"({values[-1][0]}" if len(values) == PAGE_ENTRIES else ""

    async def _dump(self, mode: str, names: Sequence[str], parts: Sequence[str] = ()) -> list[Whole]:
        found = await self._store.script("dump", mode, len(parts), *parts, *names)
        return [
            Whole(
                name=str(one[0]),
                kind=str(one[1]),
                ttl_ms=int(one[2]) if len(one) > 2 else -1,
                values=one[3] if len(one) > 2 else (),
                groups=one[4] if len(one) > 2 else (),
            )
            for one in found
            if len(one) == 2 or not 0 <= int(one[2]) < LEAST_TTL_MS
        ]

    async def open_incidents(self) -> list[str]:
        """Their ids."""
        return [str(one) for one in await self._store.command("HVALS", key("open"))]

    async def is_empty(self) -> bool:
        """Whether nothing would be overwritten. A bridge that has only just started leaves traces, but no incident."""
        names = [name for name in await self._names() if not name.startswith(TRACES)]
        if len(names) > PAGE_KEYS:
            return False
        return all(whole.kind == "stream" and not whole.values for whole in await self._dump("all", names))

    async def worked_on(self) -> bool:
        """Whether a bridge waits for work on this store now; ``False`` where the server does not tell."""
        try:
            listed, own = await self._store.commands(("CLIENT", "LIST"), ("CLIENT", "INFO"))
        except errors.EdgeUnavailable as error:
            if "unknown command" in str(error).lower() or "noperm" in str(error).lower():
                return False
            raise
        ours = {
            f"name={CLIENT_NAME}",
            "cmd=xreadgroup",
            *(word for word in own.split() if word.startswith("db=")),
        }
        return any(ours <= set(line.split()) for line in listed.splitlines())

    async def rebirth(self, *, why: str, fence: int, clock_ms: int) -> int:
        """Paused, young, and with tokens beyond any that was ever given; gives the new fence."""
        answer = await self._store.script("rebirth", why, fence, clock_ms, SKIPPED_TOKENS, durable=True)
        return int(answer[0])

    async def why_paused(self, why: str) -> None:
        """Say it in other words."""
        await self._store.command("HSET", key("pause"), "why", why)

    async def clear(self) -> None:
        """Remove everything but what a rebirth has set."""
        names = [name for name in await self._names() if name not in REBORN and name != RECORD]
        for page in pages(names):
            await self._store.command("UNLINK", *(key(name) for name in page))

    async def load(self, pieces: Iterable[Piece]) -> None:
        """Write these, in their order, but for what a rebirth has set."""
        batch: list[str | int] = []
        for piece in pieces:
            if piece.name in REBORN:
                continue
            batch += arguments_of(piece, least_ttl_ms=RESTORED_TTL_MS)
            if len(batch) > LOAD_ARGUMENTS:
                await self._store.script("load", *batch)
                batch.clear()
            for group, start in piece.groups:
                await self._store.script("load", *batch)
                batch.clear()
                await self._store.command("XGROUP", "CREATE", key(piece.name), group, start, "MKSTREAM")
        await self._store.script("load", *batch, durable=True)

    async def note(self, what: str, path: str) -> None:
        """``what`` (``backup`` or ``drill``) worked just now."""
        now = (await self._store.command("TIME"))[0]
        await self._store.command("HSET", key(RECORD), what, now, f"{what}_path", path)

    async def newest_path(self) -> str | None:
        """The file of the last backup."""
        path = await self._store.command("HGET", key(RECORD), "backup_path")
        return str(path) if path else None


async def last_success(store: Store) -> tuple[float, float]:
    """When a backup and a drill last worked, in Unix seconds of the store's clock; 0 for never."""
    backup, drill = await store.command("HMGET", key(RECORD), "backup", "drill")
    return float(backup or NEVER), float(drill or NEVER)


def names_incident(name: str) -> bool:
    """Whether it is the key of an incident itself, not one of its parts."""
    return name.startswith("incident:") and name.count(":") == 1


def incident_of(name: str) -> str:
    """The id in the name of an incident's key; the name itself for any other."""
    return name.split(":", 2)[1] if name.startswith("incident:") else name


def part_of(name: str) -> str:
    """``alerts`` of ``incident:<id>:alerts``; ``""`` for any other key."""
    return name.split(":", 2)[2] if name.startswith("incident:") and name.count(":") > 1 else ""


def pages(names: Sequence[str]) -> Iterator[list[str]]:
    """Names, sorted before, in pages; the keys of one incident stay on one."""
    page: list[str] = []
    for _, together in groupby(names, key=incident_of):
        page += together
        if len(page) >= PAGE_KEYS:
            yield page
            page = []
    if page:
        yield page
