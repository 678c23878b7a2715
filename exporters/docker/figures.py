"""What may be said of a container's resources: the families by name, and how a source lays out its numbers.

The names, units and labels are cAdvisor's, so that its dashboards and rules work. A number is the digits the kernel
wrote: where the unit differs, a power of ten is appended (`20650639e-9`), which the text format allows.
Pure; no file is read here.

Source: https://github.com/google/cadvisor/blob/master/docs/storage/prometheus.md
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

Row = tuple[bytes, ...]
"""The numbers of one container, each as it will stand on the page (but for the slot's power of ten)."""

Column = Sequence[bytes]
"""The same number of several containers."""


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    kind: str
    help: str
    labels: str = ""
    """What each of its series carries beside the container's labels, as text."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place in a row."""

    name: str
    """Of the `Figure`."""
    labels: str = ""
    """Labels of this place alone, as text: `interface="eth0"`."""
    scale: str = ""
    """Power of ten that makes the kernel's unit the family's, as text: `e-9`."""


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """What the places of a row mean. Compared by identity: get it from `layout`, which gives equals the same one."""

    slots: tuple[Slot, ...]


@lru_cache(maxsize=1024)
def layout(slots: tuple[Slot, ...]) -> Layout:
    return Layout(slots)


CPU_USAGE = "container_cpu_usage_seconds_total"
CPU_USER = "container_cpu_user_seconds_total"
CPU_SYSTEM = "container_cpu_system_seconds_total"
CFS_PERIODS = "container_cpu_cfs_periods_total"
CFS_THROTTLED_PERIODS = "container_cpu_cfs_throttled_periods_total"
CFS_THROTTLED_SECONDS = "container_cpu_cfs_throttled_seconds_total"
MEMORY_USAGE = "container_memory_usage_bytes"
MEMORY_WORKING_SET = "container_memory_working_set_bytes"
MEMORY_RSS = "container_memory_rss"
MEMORY_CACHE = "container_memory_cache"
MEMORY_FAILCNT = "container_memory_failcnt"
OOM_EVENTS = "container_oom_events_total"
THREADS = "container_threads"
FS_READS = "container_fs_reads_bytes_total"
FS_WRITES = "container_fs_writes_bytes_total"
FIGURES_AGE = "docker_container_figures_age_seconds"

RECEIVE = tuple(
    f"container_network_receive_{what}_total" for what in ("bytes", "packets", "errors", "packets_dropped")
)
TRANSMIT = tuple(
    f"container_network_transmit_{what}_total" for what in ("bytes", "packets", "errors", "packets_dropped")
)
PRESSURE = {
    resource: tuple(f"container_pressure_{resource}_{what}_seconds_total" for what in ("waiting", "stalled"))
    for resource in ("cpu", "memory", "io")
}

_NETWORK_HELP = {
    "bytes": "Bytes {} through the interface.",
    "packets": "Packets {} through the interface.",
    "errors": "Errors while packets were {} through the interface.",
    "packets_dropped": "Packets dropped while being {} through the interface.",
}


def _network() -> list[Figure]:
    return [
        Figure(f"container_network_{direction}_{what}_total", "counter", text.format(verb))
        for direction, verb in (("receive", "received"), ("transmit", "sent"))
        for what, text in _NETWORK_HELP.items()
    ]


def _pressure() -> list[Figure]:
    return [
        figure
        for resource, (waiting, stalled) in PRESSURE.items()
        for figure in (
            Figure(waiting, "counter", f"Time in which some task of the container waited for {resource}."),
            Figure(stalled, "counter", f"Time in which all tasks of the container waited for {resource}."),
        )
    ]


FIGURES = (
    Figure(CPU_USAGE, "counter", "CPU time used, on all CPUs together.", 'cpu="total"'),
    Figure(CPU_USER, "counter", "CPU time used in user mode."),
    Figure(CPU_SYSTEM, "counter", "CPU time used in kernel mode."),
    Figure(CFS_PERIODS, "counter", "Periods in which the CPU quota was enforced; only with a quota."),
    Figure(CFS_THROTTLED_PERIODS, "counter", "Periods in which the CPU quota ran out."),
    Figure(CFS_THROTTLED_SECONDS, "counter", "Time for which tasks were held up by the CPU quota."),
    Figure(MEMORY_USAGE, "gauge", "Memory charged to the container, file cache included."),
    Figure(MEMORY_WORKING_SET, "gauge", "Memory charged less the file cache that was not used lately."),
    Figure(MEMORY_RSS, "gauge", "Anonymous memory, in bytes."),
    Figure(MEMORY_CACHE, "gauge", "File cache, shared memory included, in bytes."),
    Figure(MEMORY_FAILCNT, "counter", "Times the memory limit was hit; only with a limit."),
    Figure(THREADS, "gauge", "Threads in the container."),
    Figure(FS_READS, "counter", "Bytes read from block devices, all devices together."),
    Figure(FS_WRITES, "counter", "Bytes written to block devices, all devices together."),
    *_network(),
    *_pressure(),
    Figure(
        OOM_EVENTS,
        "counter",
        "Out-of-memory kills: the Engine's events or, where there is a memory limit, the kernel's own count if higher.",
    ),
    Figure(
        FIGURES_AGE, "gauge", "Age of the figures where they come from the Engine; the kernel's have none."
    ),
)
