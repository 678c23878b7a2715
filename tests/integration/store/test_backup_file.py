"""The file of a backup: whole or not there, its owner's alone, and never believed unless every bit of it is right."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import random
import stat
from pathlib import Path
from typing import Any

import pytest

from bridge import errors, recovery
from bridge.edges.store.backup_file import BackupWriter
from bridge.edges.store.connection import Store
from bridge.edges.store.dump import Dump
from tests.conftest import StartRedis
from tests.integration.store.conftest import StartDesk
from tests.integration.store.content import content, live


async def test_whoever_can_read_the_file_is_its_owner(
    desk_at: StartDesk, redis_url: str, tmp_path: Path
) -> None:
    """0600, whatever the umask; and nothing else lies beside it."""
    desk = desk_at(redis_url)
    await live(desk)
    file = tmp_path / "backup"
    for _ in range(2):
        await recovery.back_up(desk.store, file, version="1")
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        assert os.listdir(tmp_path) == [file.name]


async def test_a_backup_that_fails_leaves_the_earlier_one(
    desk_at: StartDesk, start_redis: StartRedis, tmp_path: Path
) -> None:
    """The server goes away before it or in the middle of it: the file is what it was, and nothing lies beside it."""
    redis = start_redis()
    desk = desk_at(redis.url)
    await live(desk)
    file = tmp_path / "backup"
    await recovery.back_up(desk.store, file, version="1")
    before = file.read_bytes()
    pages = Dump(desk.store).everything()
    with pytest.raises(errors.EdgeUnavailable), BackupWriter(file) as writer:  # noqa: PT012
        writer.add(await anext(pages))
        assert len(os.listdir(tmp_path)) == 2
        redis.kill()
        async for pieces in pages:
            writer.add(pieces)
    assert os.listdir(tmp_path) == [file.name]
    with pytest.raises(errors.EdgeUnavailable):
        await recovery.back_up(desk.store, file, version="1")
    assert os.listdir(tmp_path) == [file.name]
    assert file.read_bytes() == before


async def test_two_backups_to_one_file_do_not_mix(desk_at: StartDesk, redis_url: str, tmp_path: Path) -> None:
    """The second one says so and writes nothing."""
    desk = desk_at(redis_url)
    await live(desk)
    results = await asyncio.gather(
        *(recovery.back_up(desk.store, tmp_path / "backup", version="1") for _ in range(3)),
        return_exceptions=True,
    )
    refused = [one for one in results if isinstance(one, errors.BackupPathError)]
    assert len(refused) == 2
    assert "being written now" in str(refused[0])
    assert [one for one in results if isinstance(one, recovery.BackedUp)]


async def test_what_is_damaged_is_refused_before_anything_is_written(
    desk_at: StartDesk, redis_url: str, other: str, tmp_path: Path
) -> None:
    """Cut anywhere, a bit flipped anywhere, a line lost, changed or added: one line of why, and the store stays empty."""
    desk = desk_at(redis_url)
    await live(desk)
    good = tmp_path / "good"
    await recovery.back_up(desk.store, good, version="1")
    whole, lines = good.read_bytes(), gzip.decompress(good.read_bytes()).splitlines(keepends=True)
    rng = random.Random(7)
    bad: dict[str, bytes] = {}
    for _ in range(40):
        at = rng.randrange(len(whole))
        bad[f"cut at {at}"] = whole[:at]
        flipped = bytearray(whole)
        flipped[at] ^= 1 << rng.randrange(8)
        bad[f"bit of byte {at}"] = bytes(flipped)
    for at in (1, len(lines) // 2, len(lines) - 1):
        bad[f"without line {at}"] = gzip.compress(b"".join(lines[:at] + lines[at + 1 :]))
    changed = lines[len(lines) // 2].replace(b"values", b"value5")
    bad["a changed key"] = gzip.compress(b"".join([*lines[:-1], changed, lines[-1]]))
    bad["a line more"] = gzip.compress(b"".join([*lines[:-1], lines[1], lines[-1]]))
    bad["something after the seal"] = gzip.compress(b"".join([*lines, lines[1]]))
    wished = json.loads(lines[-1])
    wished["sealed"]["fence"] = -1
    bad["two seals"] = gzip.compress(b"".join([*lines, lines[-1]]))
    empty_store = desk_at(other)
    unharmed = 0
    for how, content_of in bad.items():
        file = tmp_path / "bad"
        file.write_bytes(content_of)
        with contextlib.suppress(errors.BackupDamaged):
            await recovery.restore(empty_store.store, file)
            # The header of gzip has bits that mean nothing (time, system): flipped, all content is there.
            assert how.startswith("bit of byte"), how
            unharmed += 1
            await empty_store.store.command("FLUSHALL")
        assert await content(other) == {}, how
    assert unharmed < 5
    print(f"{len(bad) - unharmed} damaged files refused, {unharmed} flips in bits without meaning")


@pytest.mark.parametrize(
    ("foreign", "why"),
    [
        (b"", "is empty"),
        (b"REDIS0011\xfa\tredis-ver\x057.0.15", "no gzip file"),
        (gzip.compress(b""), "is empty"),
        (gzip.compress(b"CREATE TABLE incidents;\n"), "no backup of HemoStat"),
        (gzip.compress(b'{"format": "other"}\n'), "no backup of HemoStat"),
        (gzip.compress(b"\x00" * 100_000), "damaged|no backup"),
    ],
    ids=["empty", "rdb", "empty-gzip", "sql", "json", "zeros"],
)
async def test_what_is_foreign_is_called_so(
    desk_at: StartDesk, redis_url: str, tmp_path: Path, foreign: bytes, why: str
) -> None:
    """A dump.rdb is what people try first."""
    file = tmp_path / "foreign"
    file.write_bytes(foreign)
    with pytest.raises(errors.BackupDamaged, match=why):
        await recovery.restore(desk_at(redis_url).store, file)
    assert await content(redis_url) == {}


async def test_a_backup_of_a_later_format_names_its_version(
    desk_at: StartDesk, redis_url: str, tmp_path: Path
) -> None:
    """Guessing at it would be worse than the walk to another version."""
    desk, file = desk_at(redis_url), tmp_path / "later"
    await recovery.back_up(desk.store, file, version="9.9")
    lines = gzip.decompress(file.read_bytes()).replace(b'"version":1', b'"version":2', 1)
    file.write_bytes(gzip.compress(lines))
    with pytest.raises(errors.BackupDamaged, match=r"format 2, written by HemoStat '9\.9'"):
        await recovery.restore(desk.store, file)


async def test_a_server_that_was_replaced_in_the_middle_is_no_backup(
    desk_at: StartDesk, start_redis: StartRedis, tmp_path: Path
) -> None:
    """A scan goes on at another server as if nothing had been, and misses keys: after a restart or a failover it is
    repeated, not believed."""
    redis = start_redis()
    desk = desk_at(redis.url)
    await live(desk)

    class Interrupted(Store):
        async def script(self, name: str, *args: Any, durable: bool = False) -> Any:
            if name == "entries":
                redis.restart()
            return await super().script(name, *args, durable=durable)

    store = Interrupted(redis.url)
    with pytest.raises(errors.BackupFailed, match="another server"):
        await recovery.back_up(store, tmp_path / "backup", version="1")
    await store.close()
    assert os.listdir(tmp_path) == []
