"""Where a container's control groups lie: what /proc says if it can be believed, else by the container's id.

/proc/PID/cgroup does not tell when this process has a cgroup namespace of its own, as it has in a container on
cgroup v2; a pid does not tell when the Engine is on another machine or in another pid namespace. The id always does:
Docker names the directory after it.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from exporters.docker.kernel.v1 import CONTROLLERS

WALK_SECONDS = 10.0
"""At least so long between two walks of the whole tree, which takes some 10 ms for a thousand directories."""

UNIFIED = ""
"""In place of a controller's name: cgroup v2, where there is one directory for all."""

_GROUP = re.compile(r"(?:[a-z]+-)?([0-9a-f]{64})(?:\.scope)?")
"""`<id>` with Docker's cgroupfs driver, `docker-<id>.scope` with systemd's, `libpod-<id>.scope` with Podman."""


class CgroupTree:
    """`cgroupfs` and `procfs`: where the host's /sys/fs/cgroup and /proc are seen from here."""

    def __init__(self, cgroupfs: str, procfs: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._cgroupfs = cgroupfs
        self._procfs = procfs
        self._clock = clock
        self._walked: dict[str, str] = {}
        self._walked_at: float | None = None

    def find(self, container_id: str, *, pid: int, parent: str) -> Mapping[str, str]:
        """The container's directories by controller (v2: one, under `UNIFIED`); empty: not to be seen from here.

        `parent`: the cgroup parent it was given, or empty.
        """
        roots = self._roots()
        told = self._told(container_id, pid)
        groups = dict(
            _existing((controller, root, told.get(controller)) for controller, root in roots.items())
        )
        if groups:
            return groups
        for path in self._likely(container_id, parent):
            if groups := dict(_existing((controller, root, path) for controller, root in roots.items())):
                return groups
        found = self._by_walk(container_id, roots)
        return dict(_existing((controller, root, found) for controller, root in roots.items()))

    def process_is_its(self, container_id: str, pid: int) -> bool:
        """Whether `pid`, as seen from here, is a process of the container and not somebody else's of that number."""
        return container_id in self._cgroup_file(pid)

    def net_dev(self, pid: int) -> str:
        return f"{self._procfs}/{pid}/net/dev"

    def _roots(self) -> dict[str, str]:
        if os.path.exists(f"{self._cgroupfs}/cgroup.controllers"):
            return {UNIFIED: self._cgroupfs}
        roots = {}
        with suppress(OSError):
            # Controllers mounted together share a directory, `cpu,cpuacct`, whose links may not have been mounted.
            for name in sorted(os.listdir(self._cgroupfs), reverse=True):
                for controller in set(name.split(",")).intersection(CONTROLLERS):
                    roots[controller] = f"{self._cgroupfs}/{name}"
        return roots

    def _cgroup_file(self, pid: int) -> str:
        with suppress(OSError), open(f"{self._procfs}/{pid}/cgroup") as file:
            return file.read()
        return ""

    def _told(self, container_id: str, pid: int) -> dict[str, str]:
        """Paths by controller out of /proc/PID/cgroup, those that are this container's and lie below the root."""
        told = {}
        for line in self._cgroup_file(pid).splitlines():
            _, controllers, path = line.split(":", 2)
            if container_id in path and not path.startswith("/.."):
                told.update({controller: path.lstrip("/") for controller in controllers.split(",")})
        return told

    def _likely(self, container_id: str, parent: str) -> Iterator[str]:
        yield f"docker/{container_id}"
        yield f"system.slice/docker-{container_id}.scope"
        if parent.endswith(".slice"):
            yield f"{_slice_path(parent)}/docker-{container_id}.scope"
        elif parent:
            yield f"{parent.strip('/')}/{container_id}"

    def _by_walk(self, container_id: str, roots: Mapping[str, str]) -> str | None:
        now = self._clock()
        known = self._walked.get(container_id)
        if known is None and (self._walked_at is None or now - self._walked_at >= WALK_SECONDS):
            self._walked_at = now
            self._walked = {}
            for root in set(roots.values()):
                for found, path in _walk(root):
                    self._walked.setdefault(found, path)
            known = self._walked.get(container_id)
        return known


def _existing(candidates: Iterable[tuple[str, str, str | None]]) -> Iterator[tuple[str, str]]:
    for controller, root, path in candidates:
        if path is not None and os.path.isdir(directory := f"{root}/{path}"):
            yield controller, directory


def _walk(root: str) -> Iterator[tuple[str, str]]:
    """Ids of containers that have a directory somewhere below `root`, each with its path from there."""
    for directory, names, _ in os.walk(root):
        for name in names:
            if match := _GROUP.fullmatch(name):
                yield match[1], os.path.relpath(os.path.join(directory, name), root)


def _slice_path(name: str) -> str:
    """`a-b.slice` lies in `a.slice/a-b.slice`. Source: systemd.slice(5)."""
    words = name.removesuffix(".slice").split("-")
    return "/".join("-".join(words[: count + 1]) + ".slice" for count in range(len(words)))
