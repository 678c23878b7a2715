"""Stands between us and a Docker Engine, as a process of its own.

Started by its path with ``-I -S``: the standard library, no SDK, nothing of ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import sys
import time
from collections.abc import Iterable
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
MNT_DETACH = 2  # sys/mount.h
SIOCSIFFLAGS = 0x8914  # linux/sockios.h
IFF_UP = 1  # linux/if.h


def keep_engine(directory: Path, dockerd: list[str]) -> None:
    """Starts one dockerd per line on stdin and answers with its pid; when stdin ends, leaves nothing of it behind.

    stdin also ends when the process that asked is killed, which no clean-up code of its own would survive.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(
        PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0
    )  # a container outlives its dockerd and then becomes our child
    hide_machine_settings(libc)
    raise_loopback()
    signal.signal(signal.SIGCHLD, lambda *_: reap())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    quiet = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 2, 1)]
    try:
        for _ in sys.stdin:
            pid = os.posix_spawn(
                dockerd[0], dockerd, os.environ, file_actions=quiet, setsigdef=[signal.SIGPIPE]
            )
            print(pid, flush=True)
    finally:
        while orphans := children(os.getpid()):
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            thaw(groups_of(directory))
            time.sleep(0.005)
        remove_cgroups(groups_of(directory))
        unmount_below(directory, libc)
        shutil.rmtree(directory, ignore_errors=True)


def hide_machine_settings(libc: ctypes.CDLL) -> None:
    """dockerd reads /etc/docker/daemon.json and writes key.json there: it gets an empty one, in its own mounts."""
    settings = Path("/etc/docker")
    settings.mkdir(exist_ok=True)
    libc.mount(b"none", bytes(settings), b"tmpfs", 0, None)


def raise_loopback() -> None:
    """A new network namespace has its loopback down, and what Docker publishes on 127.0.0.1 would not be reached."""
    request = struct.pack("16sh22x", b"lo", IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


def reap() -> None:
    """Lets go of every child that has ended, so that its pid does not look alive."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def groups_of(directory: Path) -> list[Path]:
    """The control groups of this Engine's containers, on cgroup v1 one per controller."""
    root, kept = Path("/sys/fs/cgroup"), directory / "data/containers"
    parents = [root / "docker", *root.glob("*/docker")]
    containers = os.listdir(kept) if kept.exists() else []
    groups = [parent / container_id for parent in parents for container_id in containers]
    return [group for group in groups if group.exists()]


def thaw(groups: Iterable[Path]) -> None:
    """On cgroup v1 a paused container does not die before it goes on."""
    for state in (group / "freezer.state" for group in groups):
        if state.exists():
            with contextlib.suppress(OSError):
                state.write_text("THAWED")


def remove_cgroups(groups: Iterable[Path]) -> None:
    """Killed containers leave theirs; an empty one goes by rmdir."""
    for group in groups:
        for path, _, _ in os.walk(group, topdown=False):
            deadline = time.monotonic() + 1
            while not removed(path) and time.monotonic() < deadline:
                time.sleep(0.02)


def removed(directory: str) -> bool:
    """Whether the directory is gone, having tried."""
    with contextlib.suppress(OSError):
        os.rmdir(directory)
    return not os.path.exists(directory)


def unmount_below(directory: Path, libc: ctypes.CDLL) -> None:
    """Source: proc(5), mountinfo: field 5 is the mount point, later mounts come later."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if point.startswith(f"{directory}/"):
            libc.umount2(point.encode(), MNT_DETACH)


def children(pid: int) -> list[int]:
    """Process ids of its direct children."""
    found = []
    for threads in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in threads.read_text().split()]
    return found


if __name__ == "__main__":
    keep_engine(Path(sys.argv[1]), sys.argv[2:])
