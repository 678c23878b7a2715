"""One container's figures out of the kernel's files, from its start to its end."""

from __future__ import annotations

from collections.abc import Sequence

from exporters.docker.container import Container
from exporters.docker.figures import Layout, Row
from exporters.docker.kernel import network, v1, v2
from exporters.docker.kernel.cgroups import UNIFIED, CgroupTree
from exporters.docker.kernel.files import Descriptors, KeptFiles, OpenedFiles, files
from exporters.docker.kernel.part import Closed, Part, Unreadable
from exporters.docker.kernel.plan import OomKills, plan_of


class KernelSource:
    """Reads one run of one container. `read` and `close` never at the same time.

    `oom.tally`: what was counted before; set anew whenever the inventory counts.
    """

    def __init__(self, parts: list[Part], descriptors: Descriptors, oom: OomKills, *, kind: str) -> None:
        self.kind = kind
        self.broken = False
        """It could not be read, and is of no more use."""
        self.plan = plan_of(parts)
        self.oom = oom
        self._files = files([path for part in parts for path in part.paths], descriptors)

    @property
    def layout(self) -> Layout:
        return self.plan.layout

    @property
    def kept(self) -> Sequence[int]:
        """The descriptors of its files, in the plan's order; none if they are opened each time, or closed."""
        return self._files.descriptors if isinstance(self._files, KeptFiles) else ()

    def read(self) -> Row:
        """Raises: Unreadable: the container has ended, or one of its files changed its form. From then on: Closed."""
        if self.broken:
            raise Closed
        try:
            contents = [[content] for content in self._files.read()]
            return tuple(number for (number,) in self.plan.columns(contents, [self.oom]))
        except (OSError, LookupError, ValueError, Unreadable) as error:
            self.broken = True
            raise Unreadable(str(error)) from error

    def close(self) -> None:
        self.broken = True
        self._files.close()


def open_source(container: Container, tree: CgroupTree, descriptors: Descriptors) -> KernelSource | None:
    """`None`: its control groups cannot be seen from here, or it has just ended."""
    groups = tree.find(container.id, pid=container.pid, parent=container.cgroup_parent)
    if not groups:
        return None
    oom = OomKills(container.tally)
    quota, limit = container.cpu_quota > 0, container.memory_limit > 0
    if UNIFIED in groups:
        parts = v2.parts(groups[UNIFIED], quota=quota, limit=limit)
    else:
        parts = v1.parts(groups, quota=quota, limit=limit)
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
        part.parse(*([content] for content in OpenedFiles(part.paths).read()))
    except (OSError, LookupError, ValueError):
        return False
    return True
