"""The parts of cgroup v1: a directory for each controller, numbers in nanoseconds, ticks and bytes.

Source: https://docs.kernel.org/admin-guide/cgroup-v1/ (cpuacct, memory, blkio-controller, pids)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exporters.docker import figures
from exporters.docker.figures import Slot
from exporters.docker.kernel.part import Part, after, less

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


def parts(
    groups: Mapping[str, str], *, quota: bool, limit: bool, oom_total: Callable[[int], bytes]
) -> list[Part]:
    """`groups`: the container's directory by controller. `oom_total`: what to show for so many kills in this run.

    Throttling only with a CPU `quota`, failures only with a memory `limit`: else they are 0, and cost a read each.
    """

    def limited(failcnt: bytes, oom_control: bytes) -> tuple[bytes, ...]:
        return failcnt[:-1], oom_total(int(after(oom_control, b"oom_kill ")))

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
        found.append(Part((f"{memory}/memory.failcnt", f"{memory}/memory.oom_control"), _LIMIT, limited))
    if pids:
        found.append(Part((f"{pids}/pids.current",), _THREADS, _number))
    if blkio:
        found.append(Part((f"{blkio}/blkio.throttle.io_service_bytes_recursive",), _IO, _io))
    return found


def _cpu(usage: bytes, stat: bytes) -> tuple[bytes, ...]:
    return usage[:-1], after(stat, b"user "), after(stat, b"system ")


def _throttling(stat: bytes) -> tuple[bytes, ...]:
    return after(stat, b"nr_periods "), after(stat, b"nr_throttled "), after(stat, b"throttled_time ")


def _memory(usage: bytes, stat: bytes) -> tuple[bytes, ...]:
    used = usage[:-1]
    # The totals include the groups that a container may have made below its own.
    return (
        used,
        less(used, after(stat, b"\ntotal_inactive_file ")),
        after(stat, b"\ntotal_rss "),
        after(stat, b"\ntotal_cache "),
    )


def _number(content: bytes) -> tuple[bytes, ...]:
    return (content[:-1],)


def _io(service_bytes: bytes) -> tuple[bytes, ...]:
    """Lines of `8:0 Read 4096`, and a `Total 4096` at the end, which is all there is before the first of them."""
    read = written = 0
    words = service_bytes.split()
    for at in range(1, len(words) - 1, 3):
        if words[at] == b"Read":
            read += int(words[at + 1])
        elif words[at] == b"Write":
            written += int(words[at + 1])
    return b"%d" % read, b"%d" % written
