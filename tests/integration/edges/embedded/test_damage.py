"""Damaged files, and files of other servers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from pathlib import Path

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store import server_program
from bridge.edges.store.embedded import EmbeddedStore
from tests.integration.edges.embedded.stores import WITHIN, filled, program, rewritten, say, started


async def test_a_torn_last_write_is_cut_off_and_told(
    stores: contextlib.AsyncExitStack, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newest = await filled(state)
    os.truncate(newest, newest.stat().st_size - 50)
    assert say(await started(stores, state), "DBSIZE") == ":9"
    assert "store_log_truncated" in caplog.messages


async def test_damage_is_told_with_what_to_do(state: Path) -> None:
    newest = await filled(state)
    with newest.open("r+b") as file:
        file.seek(newest.stat().st_size // 2)
        file.write(b"\0" * 200)
    with pytest.raises(
        errors.EdgeRejected, match=r"is damaged\. Copy the directory, then .*redis-check-aof --fix"
    ):
        await EmbeddedStore(state).start()
    newest.unlink()
    with pytest.raises(errors.EdgeRejected, match="is damaged"):
        await EmbeddedStore(state).start()


async def test_a_lost_manifest_is_no_empty_store(state: Path) -> None:
    """The server itself would start empty and say nothing."""
    newest = await filled(state)
    newest.with_name("appendonly.aof.manifest").unlink()
    with pytest.raises(errors.EdgeRejected, match="has lost its manifest"):
        await EmbeddedStore(state).start()


async def test_an_older_server_is_not_let_at_newer_data(state: Path, tmp_path: Path) -> None:
    await filled(state)
    older = program(tmp_path / "redis-server", "echo 'Redis server v=6.2.14 sha=0'")
    with pytest.raises(errors.EdgeRejected, match="was written by a newer server"):
        await EmbeddedStore(state, program=older).start()


async def test_every_server_reads_what_another_wrote(stores: contextlib.AsyncExitStack, state: Path) -> None:
    """Also after the log was rewritten; a PATH that changes must not cost the data."""
    programs = list(server_program.candidates())
    for number, path in enumerate([*programs, *reversed(programs)]):
        async with contextlib.AsyncExitStack() as stack:
            url = await started(stack, state, program=path)
            assert say(url, "INCR", "counter") == f":{number + 1}"
            say(url, "XADD", "work", "*", "number", str(number))
            say(url, "BGREWRITEAOF")
            assert await asyncio.to_thread(
                parts.wait_until, functools.partial(rewritten, url), seconds=WITHIN
            )
            assert say(url, "XLEN", "work") == f":{number + 1}"
