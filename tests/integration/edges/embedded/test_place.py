"""Where the store lies: nobody else's directory, no link, a socket whose path is not too long."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from bridge import errors
from bridge.edges.store import embedded
from bridge.edges.store.embedded import EmbeddedStore
from tests.integration.edges.embedded.stores import StartBridge, exists, made, path_of, say, started


async def test_too_long_a_directory_gets_a_short_socket(
    stores: contextlib.AsyncExitStack,
    tmp_path: Path,
    start_bridge: StartBridge,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    long = tmp_path / ("a directory with % and ö" * 4)
    short_enough = len(os.fsencode(runtime)) < embedded.LONGEST_SOCKET_PATH // 2
    bridge, url = await asyncio.to_thread(start_bridge, long)
    assert len(os.fsencode(path_of(url))) <= embedded.LONGEST_SOCKET_PATH
    assert (path_of(url).parents[1] == runtime) is short_enough
    say(url, "SET", "incident", "open")
    assert await embedded.attach(long) == url
    bridge.kill()
    bridge.wait()
    again = await started(stores, long)
    assert say(again, "GET", "incident") == "open"
    assert not path_of(url).parent.exists()
    await stores.aclose()
    assert not path_of(again).parent.exists()


async def test_a_link_to_somebody_elses_socket_is_not_followed(state: Path, tmp_path: Path) -> None:
    open_to_all = made(tmp_path / "hemostat-trap", 0o777)
    (made(state, 0o700) / "store.sock").symlink_to(open_to_all / "store.sock")
    assert await embedded.attach(state) is None
    embedded.abandon(open_to_all)
    assert exists(open_to_all)


async def test_a_directory_that_is_a_link_is_refused(state: Path, tmp_path: Path) -> None:
    elsewhere = made(tmp_path / "elsewhere", 0o755)
    os.symlink(elsewhere, state)
    with pytest.raises(errors.EdgeRejected, match=r"it is a link|Not a directory"):
        await EmbeddedStore(state).start()
    assert os.listdir(elsewhere) == []


async def test_somebody_elses_directory_is_refused(state: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    os.chown(made(state, 0o700), 65534, 65534)
    with pytest.raises(errors.EdgeRejected, match="belongs to another user"):
        await EmbeddedStore(state).start()


async def test_a_place_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.EdgeRejected, match="cannot keep the store in"):
        await EmbeddedStore(tmp_path / "file" / "state").start()
