"""Containers whose files hold the same, read together: what is done with them is done to whole columns, because a call
of Python's for each container would take longer than the kernel takes for some of its files."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from exporters.docker.figures import Column
from exporters.docker.kernel.parallel import ParallelReader
from exporters.docker.kernel.part import Closed, Unreadable
from exporters.docker.kernel.source import KernelSource


class Batch:
    """`sources`: of one plan, with their files kept open."""

    def __init__(self, sources: Sequence[KernelSource]) -> None:
        self.plan = sources[0].plan
        self._sources = sources
        self._kills = [source.oom for source in sources]
        self._descriptors = list(chain.from_iterable(zip(*(source.kept for source in sources), strict=True)))

    def read(self, reader: ParallelReader) -> list[Column]:
        """A column for each slot of the layout.

        Raises: Unreadable: one of them cannot be read, and `KernelSource.read` tells which.
        """
        # The number of a file that was closed may be another file's by now.
        if True in [source.broken for source in self._sources]:
            raise Closed
        try:
            contents = reader.contents(self._descriptors)
            count = len(self._sources)
            columns = [contents[at : at + count] for at in range(0, len(contents), count)]
            return self.plan.columns(columns, self._kills)
        except (OSError, LookupError, ValueError) as error:
            raise Unreadable(str(error)) from error
