"""The network devices of a container, through any of its processes: /proc/PID/net/dev.

Source: proc_pid_net(5)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporters.docker import figures
from exporters.docker.exposition import escaped
from exporters.docker.figures import Column, Slot
from exporters.docker.kernel.part import Part, Unreadable

HEAD_LINES = 2
LOOPBACK = b"lo:"


def part(path: str, content: bytes) -> Part | None:
    """For the devices that `content` names now; `None`: nothing but loopback, so nothing to tell."""
    lines = content.split(b"\n")
    devices = [(at, line.split()[0]) for at, line in enumerate(lines) if at >= HEAD_LINES and line]
    shown = tuple((at, name) for at, name in devices if name != LOOPBACK)
    if not shown:
        return None
    return Part((path,), _slots([name for _, name in shown]), _Reader(len(lines) - 1, shown))


@dataclass(frozen=True, slots=True)
class _Reader:
    line_count: int
    devices: tuple[tuple[int, bytes], ...]
    """Each with the number of its line."""

    def __call__(self, contents: Column) -> Sequence[Column]:
        if {content.count(b"\n") for content in contents} != {self.line_count}:
            raise Unreadable("a network device came or went")
        numbers: list[Column] = []
        for at, name in self.devices:
            rows = [content.split(b"\n", at + 1)[at].split() for content in contents]
            if {row[0] for row in rows} != {name}:
                raise Unreadable("another network device stands there")
            columns = list(zip(*rows, strict=True))
            numbers += columns[1:5]
            numbers += columns[9:13]
        return numbers


def _slots(names: Sequence[bytes]) -> tuple[Slot, ...]:
    return tuple(
        Slot(figure, f'interface="{escaped(name[:-1].decode("utf-8", "replace"))}"')
        for name in names
        for figure in figures.RECEIVE + figures.TRANSMIT
    )
