"""Recovery: a store with many incidents backed up, lost, and restored; the baseline is Redis' own RDB.

The incidents are copies of one that the bridge really walked, from a webhook to a healed container, under ids of
their own. The baseline does less: an RDB goes to no older server and from Valkey to no Redis, nobody verifies it, and
nobody is paused.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import reaction, servers
from bench.figures import Figure, figure
from bridge import recovery
from bridge.demo import parts
from bridge.edges.store.connection import Store, key
from bridge.edges.store.dump import Dump, incident_of, names_incident
from bridge.edges.store.portable import Piece

WAIT_SECONDS = 60.0
BATCH = 500
EVENTS = 100_000
"""As many as the bridge keeps."""


def measure(*, incidents: int) -> list[Figure]:
    """One store of that many incidents, out and in again."""
    with tempfile.TemporaryDirectory(prefix="hs-") as folder, servers.redis() as redis:
        _walk_one(redis)
        asyncio.run(_multiply(redis.url, incidents))
        found = asyncio.run(_recovered(redis.url, Path(folder) / "backup"))
        saved, loaded = _rdb(redis, Path(folder))
    mega = 1_000_000
    taken, restored, drilled = found
    if not taken.digest == restored.digest == drilled.digest:
        raise AssertionError(f"digests differ: {found}")
    return [
        figure("backup", "s", [taken.seconds], [saved]),
        figure("restore, verified", "s", [restored.seconds], [loaded], goal="< 60 s"),
        figure("drill", "s", [drilled.seconds]),
        figure("incidents", "", [restored.incidents]),
        figure("keys", "", [restored.keys]),
        figure("file", "MB", [taken.bytes / mega]),
        figure("digests that are the same", "of 3", [3], goal="3"),
    ]


async def _recovered(url: str, file: Path) -> tuple[recovery.BackedUp, recovery.Restored, recovery.Drilled]:
    store = Store(url)
    taken = await recovery.back_up(store, file, version="bench")
    await store.close()
    with servers.redis() as empty:
        store = Store(empty.url)
        restored = await recovery.restore(store, file)
        await store.close()
    return taken, restored, await recovery.drill(file, now=datetime.now(UTC))


def _rdb(redis: parts.RedisServer, folder: Path) -> tuple[float, float]:
    """Seconds to save, and to start a server on the file until it answers."""
    began = time.monotonic()
    redis.command("BGSAVE")
    dump = redis.directory / "dump.rdb"
    if not parts.wait_until(dump.exists, seconds=WAIT_SECONDS):
        raise parts.PartFailed(redis.name, "wrote no dump.rdb")
    saved = time.monotonic() - began
    other = parts.RedisServer(folder / "other", extra=["--appendonly", "no"])
    shutil.copy(dump, other.directory)
    began = time.monotonic()
    with other.start():
        loaded = time.monotonic() - began
        if other.command("DBSIZE") != redis.command("DBSIZE"):
            raise parts.PartFailed(other.name, "did not load the RDB")
        return saved, loaded


def _walk_one(redis: parts.RedisServer) -> None:
    """One incident, walked to its end by the bridge on a real Engine."""
    with (
        parts.DockerEngine() as engine,
        servers.bridge(docker=engine.url, redis=redis.url, policy=reaction.POLICY) as bridge,
    ):
        sick = parts.Healthcheck(command="test ! -e /tmp/sick", interval_seconds=1.0, retries=1)
        # Sick when it starts for the first time, well from the second start on.
        script = "[ -e /tmp/cured ] && rm -f /tmp/sick || touch /tmp/sick /tmp/cured; sleep 100000"
        engine.run("shop", script, labels={"hemostat.enable": "true"}, healthcheck=sick, stop_signal="KILL")
        if not parts.wait_until(lambda: reaction.health(engine, "shop") == "unhealthy", seconds=WAIT_SECONDS):
            raise parts.PartFailed(engine.name, "did not find shop unhealthy")
        parts.http_request("POST", f"{bridge.url}/api/v1/alerts", reaction.webhook("shop"), seconds=5)
        healed = f"{bridge.url}/api/v1/incidents?outcome=healed"
        if not parts.wait_until(
            lambda: b'"incidents":[]' not in parts.http_request("GET", healed)[1],
            seconds=WAIT_SECONDS,
            every=0.2,
        ):
            raise parts.PartFailed(bridge.name, "healed no incident", bridge.log_tail())


async def _multiply(url: str, incidents: int) -> None:
    """Copies of the one incident under ids of their own: its keys, its alert's episode, its lines among the events."""
    store = Store(url)
    dump = Dump(store)
    pieces = [piece async for page in dump.everything() for piece in page]
    [mould] = [incident_of(piece.name) for piece in pieces if names_incident(piece.name)]
    copied = [piece for piece in pieces if mould in piece.name or piece.name.startswith("episode:")]
    events = [fields for piece in pieces if piece.name == "events" for _, fields in piece.values]
    at, number = round(time.time() * 1000), 1
    while number < incidents:
        ids = [f"{n:012x}" for n in range(number, min(number + BATCH, incidents))]
        await dump.load(_renamed(piece, mould, one) for one in ids for piece in copied)
        times = [word for n, one in enumerate(ids, number) for word in (at + n, one)]
        calls: list[list[str | int]] = [["ZADD", key(index), *times] for index in ("incidents", "closed")]
        for one in ids:
            added = ("XADD", key("events"), "MAXLEN", "~", EVENTS, "*")
            calls += [[*added, *(text.replace(mould, one) for text in fields)] for fields in events]
        await store.commands(*calls)
        number += len(ids)
    await store.close()


def _renamed(piece: Piece, mould: str, fresh: str) -> Piece:
    """The same key of another incident; an alert's episode goes by a fingerprint, which is made of the id here."""
    name = f"episode:{fresh}" if piece.name.startswith("episode:") else piece.name.replace(mould, fresh)
    return msgspec.structs.replace(
        piece, name=name, values=[text.replace(mould, fresh) for text in piece.values]
    )
