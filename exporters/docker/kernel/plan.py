"""How the files of a container are read: the same for all containers whose files hold the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from exporters.docker import figures
from exporters.docker.container import Tally
from exporters.docker.figures import Column, Layout, layout
from exporters.docker.kernel.part import Parse, Part


class OomKills:
    """What to show for the kernel's count of kills, which begins at 0 with each run of the container."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.kills = 0
        """The kernel's count when it was last read."""

    def total(self, kills: int) -> bytes:
        self.kills = kills
        return b"%d" % (self.tally.oom_before + max(kills, self.tally.oom_this_run))


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """Compared by identity, because all containers are sorted by it: `plan_of` gives equals the same one."""

    layout: Layout
    steps: tuple[tuple[Parse, int, int], ...]
    """Each with the first of its files and the one behind its last."""

    def columns(self, contents: Sequence[Column], kills: Sequence[OomKills]) -> list[Column]:
        """A column for each slot of the layout, out of one for each file.

        Raises: LookupError, ValueError, Unreadable: one of the containers' is not as expected.
        """
        columns: list[Column] = []
        for parse, start, end in self.steps:
            columns += parse(*contents[start:end])
        for place, slot in enumerate(self.layout.slots):
            if slot.name == figures.OOM_EVENTS:
                counted = map(int, columns[place])
                columns[place] = [each.total(count) for each, count in zip(kills, counted, strict=True)]
        return columns


def plan_of(parts: Sequence[Part]) -> Plan:
    """Its files are the paths of `parts`, one after the other."""
    ends = list(accumulate(len(part.paths) for part in parts))
    steps = tuple((part.parse, end - len(part.paths), end) for part, end in zip(parts, ends, strict=True))
    return _plan(layout(tuple(slot for part in parts for slot in part.slots)), steps)


@lru_cache(maxsize=1024)
def _plan(layout: Layout, steps: tuple[tuple[Parse, int, int], ...]) -> Plan:
    return Plan(layout, steps)
