"""One container's figures out of the kernel's files, from its start to its end."""

from __future__ import annotations

from itertools import accumulate

from exporters.docker.container import Container, Tally
from exporters.docker.figures import Layout, Row, layout
from exporters.docker.kernel import network, v1, v2
from exporters.docker.kernel.cgroups import UNIFIED, CgroupTree
from exporters.docker.kernel.files import Descriptors, OpenedFiles, files
from exporters.docker.kernel.part import Closed, Part, Unreadable


class KernelSource:
    """Reads one run of one container. `read` and `close` never at the same time.

    `tally`: what was counted before; set anew whenever the inventory counts.
    """

    def __init__(self, parts: list[Part], descriptors: Descriptors, oom: OomKills, *, kind: str) -> None:
        self.kind = kind
        self.broken = False
        """It could not be read, and is of no more use."""
        self.layout: Layout = layout(tuple(slot for part in parts for slot in part.slots))
        self.oom = oom
        ends = list(accumulate(len(part.paths) for part in parts))
        self._plan = [(part.parse, end - len(part.paths), end) for part, end in zip(parts, ends, strict=True)]
        self._files = files([path for part in parts for path in part.paths], descriptors)

    def read(self) -> Row:
        """Raises: Unreadable: the container has ended, or one of its files changed its form. From then on: Closed."""
        if self.broken:
            raise Closed
        try:
            contents = self._files.read()
            row: list[bytes] = []
            for parse, start, end in self._plan:
                row += parse(*contents[start:end])
        except (OSError, LookupError, ValueError, Unreadable) as error:
            self.broken = True
            raise Unreadable(str(error)) from error
        return tuple(row)

    def close(self) -> None:
        self.broken = True
        self._files.close()


class OomKills:
    """What to show for the kernel's count of kills, which begins at 0 with each run of the container."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.kills = 0
        """The kernel's count when it was last read."""

    def total(self, kills: int) -> bytes:
        self.kills = kills
        return b"%d" % (self.tally.oom_before + max(kills, self.tally.oom_this_run))


def open_source(container: Container, tree: CgroupTree, descriptors: Descriptors) -> KernelSource | None:
    """`None`: its control groups cannot be seen from here, or it has just ended."""
    groups = tree.find(container.id, pid=container.pid, parent=container.cgroup_parent)
    if not groups:
        return None
    oom = OomKills(container.tally)
    quota, limit = container.cpu_quota > 0, container.memory_limit > 0
    if UNIFIED in groups:
        parts = v2.parts(groups[UNIFIED], quota=quota, limit=limit, oom_total=oom.total)
    else:
        parts = v1.parts(groups, quota=quota, limit=limit, oom_total=oom.total)
    parts = [part for part in parts if _readable(part)]
    if not parts:
        return None
    kind = "kernel"
    if container.own_network:
        net_dev = tree.net_dev(container.pid)
        try:
            content = _network_content(container, tree, net_dev)
            devices = network.part(net_dev, content)
        except (OSError, LookupError):
            kind, devices = "kernel_without_network", None
        parts += [devices] if devices else []
    try:
        return KernelSource(parts, descriptors, oom, kind=kind)
    except OSError:
        return None


def _network_content(container: Container, tree: CgroupTree, net_dev: str) -> bytes:
    """Raises: OSError: it may not be read, or the process is not the container's."""
    if not tree.process_is_its(container.id, container.pid):
        raise ProcessLookupError(container.pid)
    return OpenedFiles([net_dev]).read()[0]


def _readable(part: Part) -> bool:
    """Controllers may be absent (no memory controller, no pressure): what is there is shown."""
    try:
        part.parse(*OpenedFiles(part.paths).read())
    except (OSError, LookupError, ValueError):
        return False
    return True
