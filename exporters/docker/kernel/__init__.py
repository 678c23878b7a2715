"""Figures of containers out of the kernel's own files: control groups (v1 and v2) and network devices.

Only reads, needs no privilege beyond seeing `/sys/fs/cgroup` and, for networks, `/proc`. Knows nothing of the Engine.
"""
