"""A Redis of our own, for whoever names none: started in a private directory, and gone when the bridge is.

One server per directory and one bridge per server, on a unix socket only. Speaks just enough of the protocol to
see that it is up; what is stored is none of its business. Source: ``redis.conf`` of 6.2 and 7.0, Valkey 9.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

from bridge import errors
from bridge.edges.store.server_program import EDGE, Server, checked, find_server

log = logging.getLogger(__name__)

LONGEST_SOCKET_PATH = 107
"""Bytes that fit into ``sockaddr_un``. Source: unix(7)."""

START_SECONDS = 20.0
STOP_SECONDS = 10.0
PREDECESSOR_SECONDS = 15.0
PREDECESSOR_GRACE_SECONDS = 1.0
PING_SECONDS = 1.0
POLL_SECONDS = 0.02
LAST_LINE_CHARACTERS = 256

BRIDGE_LOCK = "bridge.lock"
SERVER_LOCK = "server.lock"
SERVER_LOG = "server.log"
SOCKET = "store.sock"
LOG_FOLDER = "appendonlydir"

LAUNCH = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit("the bridge ended while its store was starting")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes the server; the kernel ends it with us. Not ``preexec_fn``, which is unsafe once there are threads.
1 is PR_SET_PDEATHSIG (prctl(2)), and the parent may have died before it was set."""


class EmbeddedStore:
    """The server in one directory. The loop's thread must outlive it: the kernel ends it with the thread that
    started it, not just with the process."""

    def __init__(self, directory: Path, *, program: Path | None = None) -> None:
        """``program`` instead of the first server that is found."""
        self._directory = directory.absolute()
        self._program = program
        self._files = contextlib.ExitStack()
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> str:
        """The URL of a server that is up and holds all that was ever written here.

        Raises: StoreBusy: another bridge uses the directory. EdgeRejected: no server is installed, or it cannot
        read the directory. EdgeUnavailable: the server did not come up.
        """
        try:
            server = await asyncio.to_thread(self._enter)
            server_lock = await self._outlive_predecessor()
            socket = await asyncio.to_thread(self._clear)
            await self._spawn(server, socket, server_lock)
            await self._until_ready(socket)
        except BaseException:
            await self.stop()
            raise
        fields = {"server": str(server.path), "product": server.product, "directory": str(self._directory)}
        log.info("store_started", extra=fields)
        self._warn_if_truncated()
        return url_of(socket)

    async def stop(self) -> None:
        """End the server in good order, else by force, and let go of the directory. Doing it twice is fine."""
        child, self._child = self._child, None
        if child is not None and child.returncode is None:
            child.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await child.wait()
            except TimeoutError:
                child.kill()
                await child.wait()
        await asyncio.to_thread(self._files.close)

    async def until_exit(self) -> None:
        """Waits while the server runs. Raises: EdgeUnavailable: it ended by itself."""
        if self._child is None:
            return
        child = self._child
        status = await child.wait()
        if self._child is child:
            message = f"the embedded server ended with {status}: {self._last_line()}"
            raise errors.EdgeUnavailable(EDGE, message)

    def _enter(self) -> Server:
        private(self._directory)
        self._lock_out_others()
        server = checked(self._program) if self._program else find_server()
        self._refuse_to_lose_data(server)
        return server

    def _lock_out_others(self) -> None:
        lock = self._open(BRIDGE_LOCK)
        if not locked(lock):
            owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            message = (
                f"the store in {self._directory} is in use by process {owner}: stop that one, or give this one"
                " another state directory or a Redis of its own"
            )
            raise errors.StoreBusy(message)
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)

    def _refuse_to_lose_data(self, server: Server) -> None:
        """Two cases in which a server starts empty beside its data, and without a word."""
        folder = self._directory / LOG_FOLDER
        if not folder.is_dir():
            return
        if server.version < (7, 0):
            message = (
                f"{folder} was written by a newer server than {server.path} (version"
                f" {server.version[0]}.{server.version[1]}), which would ignore it: install Redis 7 or Valkey"
            )
            raise errors.EdgeRejected(EDGE, message)
        if any(folder.glob("*.aof")) and not any(folder.glob("*.manifest")):
            message = f"{folder} has lost its manifest: restore the directory from a backup, or move it away"
            raise errors.EdgeRejected(EDGE, message)

    async def _outlive_predecessor(self) -> int:
        """The lock that the server itself inherits and holds while any process of it lives.

        A server whose bridge was killed is on its way out; where the kernel does not see to that, it is asked.
        """
        lock = await asyncio.to_thread(self._open, SERVER_LOCK)
        loop = asyncio.get_running_loop()
        begun, asked = loop.time(), False
        while not locked(lock):
            if loop.time() - begun > PREDECESSOR_SECONDS:
                owner = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
                message = (
                    f"a server of an earlier bridge still runs in {self._directory}: end process {owner}"
                )
                raise errors.StoreBusy(message)
            if not asked and loop.time() - begun > PREDECESSOR_GRACE_SECONDS:
                await said(b"SHUTDOWN", self._directory / SOCKET)
                asked = True
            await asyncio.sleep(POLL_SECONDS)
        return lock

    def _clear(self) -> Path:
        """Remove what a crash left behind; gives the path for the socket, linked to where it would be too long."""
        plain = self._directory / SOCKET
        if plain.is_symlink():
            abandon(plain.readlink().parent)
        plain.unlink(missing_ok=True)
        if len(os.fsencode(plain)) <= LONGEST_SOCKET_PATH:
            self._files.callback(plain.unlink, missing_ok=True)
            return plain
        folder = Path(tempfile.mkdtemp(prefix="hemostat-", dir=runtime_directory()))
        self._files.callback(abandon, folder)
        plain.symlink_to(folder / SOCKET)
        self._files.callback(plain.unlink, missing_ok=True)
        return folder / SOCKET

    async def _spawn(self, server: Server, socket: Path, server_lock: int) -> None:
        output = await asyncio.to_thread(self._fresh_log)
        settings = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "600",
            "dir": str(self._directory),
            "daemonize": "no",
            "databases": "1",
            "save": "",
            "appendonly": "yes",
            "appendfsync": "always",
            "aof-use-rdb-preamble": "no",  # RDB does not go back a version, plain commands do
            "maxmemory-policy": "noeviction",
        }
        flags = [word for name, value in settings.items() for word in (f"--{name}", value)]
        try:
            self._child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", "-c", LAUNCH, str(os.getpid()), str(server.path), *flags),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._directory,
                env={"PATH": os.defpath, "LC_ALL": "C"},  # no secret of ours shows in /proc/PID/environ
                umask=0o077,
                process_group=0,  # Ctrl-C is for us; we end it when we are done with it
                pass_fds=(server_lock,),
            )
        finally:
            os.close(output)
        os.ftruncate(server_lock, 0)
        os.pwrite(server_lock, str(self._child.pid).encode(), 0)

    async def _until_ready(self, socket: Path) -> None:
        """A server that says it is loading is given all the time it wants."""
        loop = asyncio.get_running_loop()
        silent_since = loop.time()
        while (answer := await said(b"PING", socket)) != b"+PONG":
            if self._child is None or self._child.returncode is not None:
                raise await asyncio.to_thread(self._why_it_ended)
            if answer.startswith(b"-LOADING"):
                silent_since = loop.time()
            if loop.time() - silent_since > START_SECONDS:
                message = (
                    f"the embedded server does not answer after {START_SECONDS:g} s: {self._last_line()}"
                )
                raise errors.EdgeUnavailable(EDGE, message)
            await asyncio.sleep(POLL_SECONDS)

    def _why_it_ended(self) -> errors.EdgeError:
        line = self._last_line()
        if "RDB format version" in line or "DUMP payload version" in line:
            message = (
                f"{self._directory} was written by a newer server; install that one again. It said: {line}"
            )
            return errors.EdgeRejected(EDGE, message)
        if "append only file" in line or "AOF" in line:
            manifest = self._directory / LOG_FOLDER / "appendonly.aof.manifest"
            message = (
                f"the data in {self._directory} is damaged. Copy the directory, then either cut the damage off with"
                f" `redis-check-aof --fix {manifest}` (or valkey-check-aof), or move the directory away and run"
                f" `hemostat restore`. The server said: {line}"
            )
            return errors.EdgeRejected(EDGE, message)
        return errors.EdgeUnavailable(EDGE, f"the embedded server did not start: {line}")

    def _warn_if_truncated(self) -> None:
        """A crash may tear the last write, which nobody was told is safe; a disk may lose more than that."""
        if "Truncating the AOF" in self._log_text():
            log.warning("store_log_truncated", extra={"directory": str(self._directory)})

    def _log_text(self) -> str:
        with contextlib.suppress(OSError):
            return (self._directory / SERVER_LOG).read_text(errors="replace")
        return ""

    def _last_line(self) -> str:
        lines = [line for line in self._log_text().splitlines() if line.strip()]
        return lines[-1][:LAST_LINE_CHARACTERS] if lines else "it said nothing"

    def _fresh_log(self) -> int:
        path = self._directory / SERVER_LOG
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_suffix(".log.1"))
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def _open(self, name: str) -> int:
        """A file for a lock, closed by ``stop``. It is never removed: a lock on a removed file excludes nobody."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        file = os.open(self._directory / name, flags, 0o600)
        self._files.callback(os.close, file)
        return file


async def attach(directory: Path) -> str | None:
    """The URL of the server that runs in this directory now, ``None`` if none answers. For looking, not for keeping:
    it ends with its bridge."""
    socket = await asyncio.to_thread(real_socket, directory)
    if socket is None or await said(b"PING", socket) != b"+PONG":
        return None
    return url_of(socket)


def private(directory: Path) -> None:
    """Make the directory ours alone. Raises: EdgeRejected: it is a link, no directory, or somebody else's."""
    try:
        directory.mkdir(parents=True, mode=0o700, exist_ok=True)
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as failure:
        reason = "it is a link" if failure.errno == errno.ELOOP else failure.strerror
        raise errors.EdgeRejected(EDGE, f"cannot keep the store in {directory}: {reason}") from failure
    try:
        if os.fstat(opened).st_uid != os.geteuid():
            raise errors.EdgeRejected(
                EDGE, f"cannot keep the store in {directory}: it belongs to another user"
            )
        os.fchmod(opened, 0o700)
    finally:
        os.close(opened)


def runtime_directory() -> str | None:
    """A short place for a socket: the user's runtime directory if it is one, else the system's for temporary files."""
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    return named if 0 < len(named) < LONGEST_SOCKET_PATH // 2 and is_ours(Path(named)) else None


def real_socket(directory: Path) -> Path | None:
    """Where the socket of this directory really is; ``None`` where somebody else could have put it."""
    directory = directory.absolute()
    plain = directory / SOCKET
    if not is_ours(directory):
        return None
    if not plain.is_symlink():
        return plain if len(os.fsencode(plain)) <= LONGEST_SOCKET_PATH else None
    target = plain.readlink()
    return target if is_ours(target.parent) else None


def abandon(folder: Path) -> None:
    """Remove a folder that held nothing but a socket; leaves alone what is not exactly that."""
    if folder.name.startswith("hemostat-") and is_ours(folder):
        (folder / SOCKET).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            folder.rmdir()


def is_ours(directory: Path) -> bool:
    """Whether it is a directory, not a link to one, that only we can change."""
    try:
        known = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(known.st_mode) and known.st_uid == os.geteuid() and not known.st_mode & 0o022


def locked(file: int) -> bool:
    """Whether the lock is ours now."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def said(command: bytes, socket: Path) -> bytes:
    """First line of the server's reply to a command, empty if there is none. Raises nothing."""
    try:
        async with asyncio.timeout(PING_SECONDS):
            reader, writer = await asyncio.open_unix_connection(socket)
            try:
                writer.write(command + b"\r\n")
                return (await reader.readline()).strip()
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except (OSError, TimeoutError, ValueError):
        return b""


def url_of(socket: Path) -> str:
    """As Redis clients take it."""
    return f"unix://{quote(str(socket))}"
