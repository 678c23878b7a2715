"""What a part needs of this machine: a free port, a directory, a program, an answer."""

from __future__ import annotations

import contextlib
import functools
import http.client
import itertools
import json
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

INSTALL = "deploy/install-system-packages"
LOOPBACK = "127.0.0.1"

# Below the kernel's usual ephemeral range (32768-60999): there, a client that keeps knocking on a stopped
# part could be given the part's own port and end up connected to itself.
PORTS = range(20_000, 32_000)


class PartMissing(Exception):
    """This machine lacks what the part needs; `how_to_install` says what to do about it."""

    def __init__(self, name: str, how_to_install: str) -> None:
        super().__init__(f"{name} is not available: {how_to_install}")
        self.name = name
        self.how_to_install = how_to_install


class PartFailed(Exception):
    """The part did not come up, or did not do as asked; `log_tail` is the last it wrote."""

    def __init__(self, name: str, problem: str, log_tail: str = "") -> None:
        super().__init__(f"{name} {problem}" + (f"; its log ends:\n{log_tail}" if log_tail else ""))
        self.name = name
        self.log_tail = log_tail


LANES = 12
"""Of the ports, so many parts of equal length: no two processes of this machine draw from one."""


def _own_lane() -> range:
    """Ports that no other process draws from while this one lives; all of them, where every lane is taken.

    Without it two processes that draw at once would now and then be given one port before either listens on it, or one
    of them a port whose server the other has stopped and will start again. The claim is an abstract unix socket, which
    the kernel lets go of with the process.
    """
    length = len(PORTS) // LANES
    first = random.randrange(LANES)
    for lane in ((first + number) % LANES for number in range(LANES)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0hemostat-ports-{PORTS[lane * length]}")
        except OSError:
            claim.close()
            continue
        claim.detach()  # it stays open until the process ends
        return PORTS[lane * length : (lane + 1) * length]
    return PORTS


@functools.cache
def _draw() -> Iterator[int]:
    """From somewhere on, one after the other and round again: drawn at random, one would now and then be given twice
    before its first user listens on it."""
    lane = _own_lane()
    start = random.randrange(len(lane))
    return itertools.cycle([*lane[start:], *lane[:start]])


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    for port in itertools.islice(_draw(), 200):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise PartFailed("loopback", f"has no free port among 200 tried in {PORTS.start}-{PORTS.stop}")


def wait_until(fact: Callable[[], object], *, seconds: float, every: float = 0.02) -> bool:
    """Whether `fact` came true before the deadline."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def http_request(method: str, url: str, body: object = None, *, seconds: float = 2) -> tuple[int, bytes]:
    """Status and body; a `body` goes out as JSON. Never through a proxy, which loopback traffic must not see.

    Raises: OSError, http.client.HTTPException: nobody there, too slow, or not HTTP.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or LOOPBACK, address.port, timeout=seconds)
    payload = None if body is None else json.dumps(body)
    path = f"{address.path or '/'}?{address.query}" if address.query else address.path or "/"
    with contextlib.closing(connection):
        connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
        response = connection.getresponse()
        return response.status, response.read()


def answers_200(url: str) -> bool:
    """Whether a GET of `url` is answered 200 right now."""
    try:
        return http_request("GET", url)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def find_program(*names: str, package: str) -> str:
    """Path of the first of `names` on PATH. Raises: PartMissing."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise PartMissing(names[0], f"install the package {package} (or run {INSTALL})")


def private_directory(name: str, directory: Path | None) -> Path:
    """`directory`, or a new short one; short because a unix socket's path ends at 107 bytes.

    Raises: PartFailed: it holds something, and the part would delete it when it stops.
    """
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="hs-"))
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise PartFailed(name, f"wants a directory to itself, and this one is not empty: {directory}")
    return directory


def process_state(pid: int) -> str:
    """The kernel's letter: `S` sleeping, `T` stopped, `Z` ended but not reaped; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def last_lines(text: str, lines: int) -> str:
    return "\n".join(text.splitlines()[-lines:])
