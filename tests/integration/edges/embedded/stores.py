"""Embedded stores of a test's own: how they are started, spoken to, and looked at from outside."""

from __future__ import annotations

import contextlib
import socket
import stat
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote

from bridge.demo import parts
from bridge.edges.store import embedded, server_program
from bridge.edges.store.embedded import EmbeddedStore

ROOT = Path(__file__).parents[4]
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


async def filled(state: Path) -> Path:
    """A directory with data in it; gives the newest file of the log."""
    store = EmbeddedStore(state)
    url = await store.start()
    for number in range(10):
        say(url, "SET", f"key{number}", "x" * 100)
    await store.stop()
    return next((state / embedded.LOG_FOLDER).glob("*.incr.aof"))


def info(url: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(WITHIN)
        connection.connect(str(path_of(url)))
        connection.sendall(b"INFO persistence\r\nQUIT\r\n")
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{textwrap.dedent(script)}\n")
    path.chmod(0o755)
    return path
