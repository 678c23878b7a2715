"""What was acknowledged outlives kill -9 of the bridge, and no two bridges share a directory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store import embedded
from bridge.edges.store.embedded import EmbeddedStore
from tests.integration.edges.embedded.stores import (
    WITHIN,
    StartBridge,
    environment_of,
    exists,
    filled,
    open_to_others,
    orphan,
    say,
    server_pid,
    setting,
    started,
)


async def test_comes_up_private_durable_and_off_the_network(
    stores: contextlib.AsyncExitStack, state: Path
) -> None:
    url = await started(stores, state)
    assert url == f"unix://{state}/store.sock"
    assert await asyncio.to_thread(say, url, "PING") == "+PONG"
    wanted = {
        "port": "0",
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    assert {name: setting(url, name) for name in wanted} == wanted
    assert open_to_others(state) == []
    assert os.getpgid(server_pid(state)) != os.getpgid(0)


async def test_the_server_inherits_no_secret(
    stores: contextlib.AsyncExitStack, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "s3cret")
    await started(stores, state)
    assert b"s3cret" not in environment_of(server_pid(state))


async def test_data_outlives_a_stop(stores: contextlib.AsyncExitStack, state: Path) -> None:
    store = EmbeddedStore(state)
    url = await store.start()
    assert say(url, "SET", "incident", "open") == "+OK"
    pid = server_pid(state)
    await store.stop()
    await store.stop()
    assert not parts.process_state(pid)
    assert not (state / "store.sock").exists()
    assert await embedded.attach(state) is None
    assert say(await started(stores, state), "GET", "incident") == "open"


async def test_what_was_acknowledged_outlives_kill_9_of_the_bridge(
    stores: contextlib.AsyncExitStack, state: Path, start_bridge: StartBridge
) -> None:
    for round_number in range(3):
        bridge, url = await asyncio.to_thread(start_bridge, state)
        for number in range(100):
            assert say(url, "INCR", "counter") == f":{round_number * 100 + number + 1}"
        bridge.kill()
        bridge.wait()
    assert say(await started(stores, state), "GET", "counter") == "300"


async def test_the_server_ends_with_the_bridge(state: Path, start_bridge: StartBridge) -> None:
    bridge, _ = await asyncio.to_thread(start_bridge, state)
    pid = server_pid(state)
    bridge.kill()
    assert await asyncio.to_thread(
        parts.wait_until, lambda: parts.process_state(pid) in ("", "Z"), seconds=WITHIN
    )


async def test_a_second_bridge_is_refused_and_told_who_is_there(
    state: Path, start_bridge: StartBridge
) -> None:
    bridge, url = await asyncio.to_thread(start_bridge, state)
    with pytest.raises(errors.StoreBusy, match=f"in use by process {bridge.pid}:"):
        await EmbeddedStore(state).start()
    assert say(url, "PING") == "+PONG"


async def test_a_server_on_its_way_out_is_waited_for(stores: contextlib.AsyncExitStack, state: Path) -> None:
    await filled(state)
    old = await asyncio.to_thread(orphan, state)
    os.kill(old.pid, signal.SIGSTOP)
    store = EmbeddedStore(state)
    stores.push_async_callback(store.stop)
    starting = asyncio.create_task(store.start())
    await asyncio.wait([starting], timeout=0.3)
    assert not starting.done()
    old.terminate()
    os.kill(old.pid, signal.SIGCONT)
    assert say(await starting, "DBSIZE") == ":10"
    assert old.wait(WITHIN) == 0


async def test_a_server_that_nobody_told_to_end_is_asked_to(
    stores: contextlib.AsyncExitStack, state: Path
) -> None:
    await filled(state)
    old = await asyncio.to_thread(orphan, state)
    assert say(await started(stores, state), "DBSIZE") == ":10"
    assert old.wait(WITHIN) == 0


async def test_a_server_that_does_not_end_is_named(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(state)
    old = await asyncio.to_thread(orphan, state)
    monkeypatch.setattr(embedded, "PREDECESSOR_SECONDS", 0.2)
    (state / embedded.SERVER_LOCK).write_text(str(old.pid))
    with pytest.raises(errors.StoreBusy, match=f"end process {old.pid}$"):
        await EmbeddedStore(state).start()
    old.terminate()
    assert old.wait(WITHIN) == 0


async def test_attach_finds_a_running_server_and_disturbs_nothing(
    stores: contextlib.AsyncExitStack, state: Path
) -> None:
    assert await embedded.attach(state) is None
    assert not exists(state)
    url = await started(stores, state)
    assert await embedded.attach(state) == url
    assert say(url, "PING") == "+PONG"


async def test_its_sudden_end_is_noticed(state: Path) -> None:
    store = EmbeddedStore(state)
    await store.start()
    watching = asyncio.create_task(store.until_exit())
    os.kill(server_pid(state), signal.SIGKILL)
    with pytest.raises(errors.EdgeUnavailable, match="the embedded server ended with -9"):
        await asyncio.wait_for(watching, WITHIN)
    await store.stop()


async def test_an_ordinary_stop_is_no_sudden_end(state: Path) -> None:
    store = EmbeddedStore(state)
    await store.start()
    watching = asyncio.create_task(store.until_exit())
    await asyncio.sleep(0)
    await store.stop()
    await asyncio.wait_for(watching, WITHIN)


async def test_a_cancelled_start_leaves_nothing(state: Path) -> None:
    store = EmbeddedStore(state)
    starting = asyncio.create_task(store.start())
    deadline = time.monotonic() + WITHIN
    while not (state / embedded.SERVER_LOCK).exists() or not (state / embedded.SERVER_LOCK).read_text():
        assert time.monotonic() < deadline
        await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not parts.process_state(server_pid(state))
    await filled(state)
