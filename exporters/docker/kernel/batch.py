"""Containers whose files hold the same, read together: what is done with them is done to whole columns, because a call
of Python's for each container would take longer than the kernel takes for some of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, compress

from exporters.docker.figures import Column
from exporters.docker.kernel.parallel import ParallelReader
from exporters.docker.kernel.part import Closed, Unreadable
from exporters.docker.kernel.plan import OomKills
from exporters.docker.kernel.source import KernelSource


@dataclass(frozen=True, slots=True)
class Taken:
    columns: Sequence[Column]
    """One for each slot of the layout, of those that could be read; none if nobody could."""
    ended: frozenset[int] = frozenset()
    """Places in the batch of those whose files are gone. They are broken now."""


class Batch:
    """`sources`: of one plan, with their files kept open."""

    def __init__(self, sources: Sequence[KernelSource]) -> None:
        self.plan = sources[0].plan
        self._sources = sources
        self._kills = [source.oom for source in sources]
        self._descriptors = list(chain.from_iterable(zip(*(source.kept for source in sources), strict=True)))

    def read(self, reader: ParallelReader) -> Taken:
        """Those that have ended cost the others nothing: on a host where containers come and go, that is every other time.

        Raises: Unreadable: what one of them says cannot be made out, and `KernelSource.read` tells which.
        """
        # The number of a file that was closed may be another file's by now.
        if True in [source.broken for source in self._sources]:
            raise Closed
        contents, failed = reader.contents(self._descriptors)
        count = len(self._sources)
        columns: list[Column] = [contents[at : at + count] for at in range(0, len(contents), count)]
        ended = frozenset(place % count for place in failed)
        taken = Taken(self._numbers(columns, ended) if len(ended) < count else (), ended)
        for place in ended:
            self._sources[place].broken = True
        return taken

    def _numbers(self, columns: Sequence[Column], ended: frozenset[int]) -> list[Column]:
        kills: Sequence[OomKills] = self._kills
        if ended:
            left = [place not in ended for place in range(len(kills))]
            columns = [list(compress(column, left)) for column in columns]
            kills = list(compress(kills, left))
        try:
            return self.plan.columns(columns, kills)
        except (LookupError, ValueError) as error:
            raise Unreadable(str(error)) from error
