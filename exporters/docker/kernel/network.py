"""The network devices of a container, through any of its processes: /proc/PID/net/dev.

Source: proc_pid_net(5)
"""

from __future__ import annotations

from collections.abc import Sequence

from exporters.docker import figures
from exporters.docker.exposition import escaped
from exporters.docker.figures import Slot
from exporters.docker.kernel.part import Part, Unreadable

HEAD_LINES = 2
LOOPBACK = b"lo:"


def part(path: str, content: bytes) -> Part | None:
    """For the devices that `content` names now; `None`: nothing but loopback, so nothing to tell."""
    lines = content.split(b"\n")
    devices = [(at, line.split()[0]) for at, line in enumerate(lines) if at >= HEAD_LINES and line]
    shown = [(at, name) for at, name in devices if name != LOOPBACK]
    if not shown:
        return None
    return Part((path,), _slots([name for _, name in shown]), _Reader(len(lines), shown))


class _Reader:
    def __init__(self, line_count: int, devices: Sequence[tuple[int, bytes]]) -> None:
        self._line_count = line_count
        self._devices = devices

    def __call__(self, content: bytes) -> list[bytes]:
        lines = content.split(b"\n")
        if len(lines) != self._line_count:
            raise Unreadable("a network device came or went")
        numbers: list[bytes] = []
        for at, name in self._devices:
            words = lines[at].split()
            if words[0] != name:
                raise Unreadable("another network device stands there")
            numbers += words[1:5]
            numbers += words[9:13]
        return numbers


def _slots(names: Sequence[bytes]) -> tuple[Slot, ...]:
    return tuple(
        Slot(figure, f'interface="{escaped(name[:-1].decode("utf-8", "replace"))}"')
        for name in names
        for figure in figures.RECEIVE + figures.TRANSMIT
    )
