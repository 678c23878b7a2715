"""The parts of cgroup v1: a directory for each controller, numbers in nanoseconds, ticks and bytes.

Source: https://docs.kernel.org/admin-guide/cgroup-v1/ (cpuacct, memory, blkio-controller, pids)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporters.docker import figures
from exporters.docker.figures import Column, Slot
from exporters.docker.kernel.part import Part, after, less, whole

CONTROLLERS = ("cpuacct", "cpu", "memory", "pids", "blkio")

_TICKS = "e-2"
"""USER_HZ is 100 on every architecture that Docker runs on."""

_CPU = (
    Slot(figures.CPU_USAGE, figures.FIGURES[0].labels, "e-9"),
    Slot(figures.CPU_USER, scale=_TICKS),
    Slot(figures.CPU_SYSTEM, scale=_TICKS),
)
_THROTTLING = (
    Slot(figures.CFS_PERIODS),
    Slot(figures.CFS_THROTTLED_PERIODS),
    Slot(figures.CFS_THROTTLED_SECONDS, scale="e-9"),
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


def parts(groups: Mapping[str, str], *, quota: bool, limit: bool) -> list[Part]:
    """`groups`: the container's directory by controller.

    Throttling only with a CPU `quota`, failures only with a memory `limit`: else they are 0, and cost a read each.
    """
    cpuacct, cpu, memory = groups.get("cpuacct"), groups.get("cpu"), groups.get("memory")
    pids, blkio = groups.get("pids"), groups.get("blkio")
    found = []
    if cpuacct:
        found.append(Part((f"{cpuacct}/cpuacct.usage", f"{cpuacct}/cpuacct.stat"), _CPU, _cpu))
    if cpu and quota:
        found.append(Part((f"{cpu}/cpu.stat",), _THROTTLING, _throttling))
    if memory:
        found.append(Part((f"{memory}/memory.usage_in_bytes", f"{memory}/memory.stat"), _MEMORY, _memory))
    if memory and limit:
        found.append(Part((f"{memory}/memory.failcnt", f"{memory}/memory.oom_control"), _LIMIT, _limit))
    if pids:
        found.append(Part((f"{pids}/pids.current",), _THREADS, _threads))
    if blkio:
        found.append(Part((f"{blkio}/blkio.throttle.io_service_bytes_recursive",), _IO, _io))
    return found


def _cpu(usages: Column, stats: Column) -> Sequence[Column]:
    return whole(usages), after(stats, b"user "), after(stats, b"system ")


def _throttling(stats: Column) -> Sequence[Column]:
    return after(stats, b"nr_periods "), after(stats, b"nr_throttled "), after(stats, b"throttled_time ")


def _memory(usages: Column, stats: Column) -> Sequence[Column]:
    used = whole(usages)
    # The totals include the groups that a container may have made below its own.
    return (
        used,
        less(used, after(stats, b"\ntotal_inactive_file ")),
        after(stats, b"\ntotal_rss "),
        after(stats, b"\ntotal_cache "),
    )


def _limit(failcnts: Column, oom_controls: Column) -> Sequence[Column]:
    return whole(failcnts), after(oom_controls, b"oom_kill ")


def _threads(currents: Column) -> Sequence[Column]:
    return (whole(currents),)


def _io(service_bytes: Column) -> Sequence[Column]:
    read, written = zip(*map(_summed, service_bytes), strict=True)
    return read, written


def _summed(service_bytes: bytes) -> tuple[bytes, bytes]:
    """Lines of `8:0 Read 4096`, and a `Total 4096` at the end, which is all there is before the first of them."""
    read = written = 0
    words = service_bytes.split()
    for at in range(1, len(words) - 1, 3):
        if words[at] == b"Read":
            read += int(words[at + 1])
        elif words[at] == b"Write":
            written += int(words[at + 1])
    return b"%d" % read, b"%d" % written
