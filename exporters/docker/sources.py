"""Where each container's figures come from: the kernel's files, else the Engine's statistics.

`follow`, `count` and `close` are the inventory's thread's; the scrape reads under `lock`, and `lock` is never
held over anything slower than closing a file or reading the kernel's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from exporters.docker.container import Container
from exporters.docker.figures import Layout, Row
from exporters.docker.kernel.cgroups import CgroupTree
from exporters.docker.kernel.files import Descriptors
from exporters.docker.kernel.source import KernelSource, open_source

KINDS = ("kernel", "kernel_without_network", "api")


class Source(Protocol):
    @property
    def kind(self) -> str:
        """One of `KINDS`."""

    @property
    def layout(self) -> Layout:
        """What the row means that was read last."""

    def read(self) -> Row:
        """Raises: NoFigures: there are none now. Unreadable: nor will there be from this source."""

    def close(self) -> None: ...


class Sources:
    """`of_engine` gives a source of the Engine's statistics for the container of that id."""

    def __init__(
        self, tree: CgroupTree, descriptors: Descriptors, of_engine: Callable[[str], Source]
    ) -> None:
        self.lock = threading.Lock()
        self.descriptors = descriptors
        self._tree = tree
        self._of_engine = of_engine
        self._followed: dict[str, tuple[tuple[object, ...], Source]] = {}
        self._mapping: Mapping[str, Source] | None = None

    @property
    def by_container(self) -> Mapping[str, Source]:
        """By id. Another object after each change."""
        if self._mapping is None:
            self._mapping = {container_id: source for container_id, (_, source) in self._followed.items()}
        return self._mapping

    def lacks(self, container_id: str) -> bool:
        """Whether not all of its figures come from the kernel's files. From any thread."""
        _, source = self._followed.get(container_id, (None, None))
        return not isinstance(source, KernelSource) or source.broken or source.kind != KINDS[0]

    def follow(self, container: Container) -> None:
        """Have a source for this run of the container if it lives, none if it does not."""
        run, source = self._followed.get(container.id, (None, None))
        if isinstance(source, KernelSource) and run == container.run and not source.broken:
            source.oom.tally = container.tally
        elif not container.alive:
            self.close(container.id)
        elif (kernel := open_source(container, self._tree, self.descriptors)) is not None:
            self._replace(container, kernel)
        elif run != container.run:
            self._replace(container, self._of_engine(container.id))

    def close(self, container_id: str) -> int:
        """Let go of its files; gives the kills that the kernel had counted in this run when last read."""
        _, source = self._followed.pop(container_id, (None, None))
        if source is None:
            return 0
        with self.lock:
            source.close()
        self._mapping = None
        return source.oom.kills if isinstance(source, KernelSource) else 0

    def count(self, container: Container) -> None:
        """Its tally has changed, and nothing else."""
        _, source = self._followed.get(container.id, (None, None))
        if isinstance(source, KernelSource):
            source.oom.tally = container.tally

    def _replace(self, container: Container, source: Source) -> None:
        self.close(container.id)
        self._followed[container.id] = (container.run, source)
        self._mapping = None
