"""What this process costs: CPU time, memory, open files. Linux.

Source: proc_pid_statm(5)
"""

from __future__ import annotations

import os
import resource


def cpu_seconds() -> float:
    """User and system time since the start."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def resident_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def max_open_files() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
