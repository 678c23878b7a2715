"""The parts of cgroup v2: one directory for all controllers, numbers in microseconds and bytes, and pressure.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

from collections.abc import Sequence

from exporters.docker import figures
from exporters.docker.figures import Column, Slot
from exporters.docker.kernel.part import Part, after, less, whole

_MICRO = "e-6"
_CPU = (
    Slot(figures.CPU_USAGE, figures.FIGURES[0].labels, _MICRO),
    Slot(figures.CPU_USER, scale=_MICRO),
    Slot(figures.CPU_SYSTEM, scale=_MICRO),
)
_THROTTLING = (
    Slot(figures.CFS_PERIODS),
    Slot(figures.CFS_THROTTLED_PERIODS),
    Slot(figures.CFS_THROTTLED_SECONDS, scale=_MICRO),
)
_MEMORY = (
    Slot(figures.MEMORY_USAGE),
    Slot(figures.MEMORY_WORKING_SET),
    Slot(figures.MEMORY_RSS),
    Slot(figures.MEMORY_CACHE),
)
_LIMIT = (Slot(figures.MEMORY_FAILCNT), Slot(figures.OOM_EVENTS))
_THREADS = (Slot(figures.THREADS),)
_IO = (Slot(figures.FS_READS), Slot(figures.FS_WRITES))


def parts(group: str, *, quota: bool, limit: bool) -> list[Part]:
    """`group`: the container's directory.

    Throttling only with a CPU `quota`, failures only with a memory `limit`.
    """
    cpu = Part((f"{group}/cpu.stat",), _CPU + _THROTTLING, _cpu_throttled)
    if not quota:
        cpu = Part((f"{group}/cpu.stat",), _CPU, _cpu)
    memory = Part((f"{group}/memory.current", f"{group}/memory.stat"), _MEMORY, _memory)
    found = [
        cpu,
        memory,
        Part((f"{group}/pids.current",), _THREADS, _threads),
        Part((f"{group}/io.stat",), _IO, _io),
    ]
    if limit:
        found.append(Part((f"{group}/memory.events",), _LIMIT, _limit))
    for resource, names in figures.PRESSURE.items():
        slots = tuple(Slot(name, scale=_MICRO) for name in names)
        found.append(Part((f"{group}/{resource}.pressure",), slots, _pressure))
    return found


def _cpu(stats: Column) -> Sequence[Column]:
    return after(stats, b"usage_usec "), after(stats, b"user_usec "), after(stats, b"system_usec ")


def _cpu_throttled(stats: Column) -> Sequence[Column]:
    return (
        *_cpu(stats),
        after(stats, b"nr_periods "),
        after(stats, b"nr_throttled "),
        after(stats, b"throttled_usec "),
    )


def _memory(currents: Column, stats: Column) -> Sequence[Column]:
    used = whole(currents)
    # `anon` is the first line of the file.
    return (
        used,
        less(used, after(stats, b"\ninactive_file ")),
        after(stats, b"anon "),
        after(stats, b"\nfile "),
    )


def _limit(events: Column) -> Sequence[Column]:
    return after(events, b"\nmax "), after(events, b"\noom_kill ")


def _threads(currents: Column) -> Sequence[Column]:
    return (whole(currents),)


def _io(stats: Column) -> Sequence[Column]:
    read, written = zip(*map(_summed, stats), strict=True)
    return read, written


def _summed(stat: bytes) -> tuple[bytes, bytes]:
    """Lines of `8:0 rbytes=4096 wbytes=0 rios=1 ...`; none before the first of them."""
    read = written = 0
    for word in stat.split():
        if word.startswith(b"rbytes="):
            read += int(word[7:])
        elif word.startswith(b"wbytes="):
            written += int(word[7:])
    return b"%d" % read, b"%d" % written


def _pressure(contents: Column) -> Sequence[Column]:
    """`some avg10=0.00 avg60=0.00 avg300=0.00 total=17`, then the same for `full`."""
    halves = [content.partition(b"\nfull ") for content in contents]
    return (
        after([some + b"\n" for some, _, _ in halves], b"total="),
        after([full for _, _, full in halves], b"total="),
    )
