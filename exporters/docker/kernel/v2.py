"""The parts of cgroup v2: one directory for all controllers, numbers in microseconds and bytes, and pressure.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

from __future__ import annotations

from collections.abc import Callable

from exporters.docker import figures
from exporters.docker.figures import Slot
from exporters.docker.kernel.part import Part, after, less

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


def parts(group: str, *, quota: bool, limit: bool, oom_total: Callable[[int], bytes]) -> list[Part]:
    """`group`: the container's directory. `oom_total`: what to show for so many kills in this run.

    Throttling only with a CPU `quota`, failures only with a memory `limit`.
    """

    def limited(events: bytes) -> tuple[bytes, ...]:
        return after(events, b"\nmax "), oom_total(int(after(events, b"\noom_kill ")))

    cpu = Part((f"{group}/cpu.stat",), _CPU + _THROTTLING, _cpu_throttled)
    if not quota:
        cpu = Part((f"{group}/cpu.stat",), _CPU, _cpu)
    memory = Part((f"{group}/memory.current", f"{group}/memory.stat"), _MEMORY, _memory)
    found = [
        cpu,
        memory,
        Part((f"{group}/pids.current",), _THREADS, _number),
        Part((f"{group}/io.stat",), _IO, _io),
    ]
    if limit:
        found.append(Part((f"{group}/memory.events",), _LIMIT, limited))
    for resource, names in figures.PRESSURE.items():
        slots = tuple(Slot(name, scale=_MICRO) for name in names)
        found.append(Part((f"{group}/{resource}.pressure",), slots, _pressure))
    return found


def _cpu(stat: bytes) -> tuple[bytes, ...]:
    return after(stat, b"usage_usec "), after(stat, b"user_usec "), after(stat, b"system_usec ")


def _cpu_throttled(stat: bytes) -> tuple[bytes, ...]:
    return (
        *_cpu(stat),
        after(stat, b"nr_periods "),
        after(stat, b"nr_throttled "),
        after(stat, b"throttled_usec "),
    )


def _memory(current: bytes, stat: bytes) -> tuple[bytes, ...]:
    used = current[:-1]
    # `anon` is the first line of the file.
    return (
        used,
        less(used, after(stat, b"\ninactive_file ")),
        after(stat, b"anon "),
        after(stat, b"\nfile "),
    )


def _number(content: bytes) -> tuple[bytes, ...]:
    return (content[:-1],)


def _io(stat: bytes) -> tuple[bytes, ...]:
    """Lines of `8:0 rbytes=4096 wbytes=0 rios=1 ...`; none before the first of them."""
    read = written = 0
    for word in stat.split():
        if word.startswith(b"rbytes="):
            read += int(word[7:])
        elif word.startswith(b"wbytes="):
            written += int(word[7:])
    return b"%d" % read, b"%d" % written


def _pressure(content: bytes) -> tuple[bytes, ...]:
    """`some avg10=0.00 avg60=0.00 avg300=0.00 total=17`, then the same for `full`."""
    some, _, full = content.partition(b"\nfull ")
    return after(some + b"\n", b"total="), after(full, b"total=")
