"""Trees of files that look like /sys/fs/cgroup and /proc, with what a kernel has written there.

Contents as Linux 6.18 gave them for a busybox container (v1), and as its documentation describes them (v2).
"""

from collections.abc import Mapping
from pathlib import Path

V1 = {
    "cpuacct/cpuacct.usage": "20650639\n",
    "cpuacct/cpuacct.stat": "user 120\nsystem 7\n",
    "cpu/cpu.stat": "nr_periods 30\nnr_throttled 4\nthrottled_time 5000\nnr_bursts 0\nburst_time 0\n",
    "memory/memory.usage_in_bytes": "483328\n",
    "memory/memory.stat": (
        "cache 1\nrss 2\ninactive_file 3\nhierarchical_memory_limit 67108864\n"
        "total_cache 135168\ntotal_rss 49152\ntotal_inactive_anon 45056\ntotal_inactive_file 8192\n"
        "total_active_file 0\n"
    ),
    "memory/memory.failcnt": "9\n",
    "memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    "pids/pids.current": "3\n",
    "blkio/blkio.throttle.io_service_bytes_recursive": (
        "8:0 Read 4096\n8:0 Write 100\n8:0 Sync 1\n8:0 Async 2\n8:0 Discard 0\n8:0 Total 4196\n"
        "8:16 Read 4\n8:16 Write 10\n8:16 Sync 1\n8:16 Async 2\n8:16 Discard 0\n8:16 Total 14\nTotal 4210\n"
    ),
}
PRESSURE = (
    "some avg10=0.00 avg60=0.00 avg300=0.00 total=6435\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=2517\n"
)
V2 = {
    "cpu.stat": (
        "usage_usec 20650\nuser_usec 12000\nsystem_usec 8650\nnice_usec 0\ncore_sched.force_idle_usec 0\n"
        "nr_periods 30\nnr_throttled 4\nthrottled_usec 5000\nnr_bursts 0\nburst_usec 0\n"
    ),
    "memory.current": "483328\n",
    "memory.stat": (
        "anon 49152\nfile 135168\nkernel 4096\nshmem 0\nfile_mapped 0\n"
        "inactive_anon 45056\nactive_anon 4096\ninactive_file 8192\nactive_file 0\n"
    ),
    "memory.events": "low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\noom_group_kill 0\n",
    "pids.current": "3\n",
    "io.stat": (
        "8:0 rbytes=4096 wbytes=100 rios=1 wios=1 dbytes=0 dios=0\n"
        "8:16 rbytes=4 wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n"
    ),
    "cpu.pressure": PRESSURE,
    "memory.pressure": PRESSURE,
    "io.pressure": PRESSURE,
}
NET_DEV = (
    "Inter-|   Receive                                                |  Transmit\n"
    " face |bytes    packets errs drop fifo frame compressed multicast"
    "|bytes    packets errs drop fifo colls carrier compressed\n"
    "    lo:      55       1    0    0    0     0          0         0       55       1    0    0    0     0"
    "       0          0\n"
    "  eth0:     200       2    3    4    0     0          0         0      300       5    6    7    0     0"
    "       0          0\n"
)


class KernelTree:
    """`version` 1 or 2; `cgroupfs` and `procfs` are where the exporter is told to look."""

    def __init__(self, root: Path, version: int) -> None:
        self.cgroupfs = root / "cgroup"
        self.procfs = root / "proc"
        self.version = version
        self.cgroupfs.mkdir(parents=True)
        self.procfs.mkdir(parents=True)
        if version == 2:
            (self.cgroupfs / "cgroup.controllers").write_text("cpu io memory pids\n")

    def add(
        self,
        container_id: str,
        *,
        at: str = "docker/{}",
        pid: int | None = None,
        told: str | None = None,
        net_dev: str = NET_DEV,
        changes: Mapping[str, str] | None = None,
    ) -> None:
        """Its group at the path `at` (`{}`: the id). With a `pid` also a process, whose cgroup file says `told`."""
        path = at.format(container_id)
        for name, content in {**(V1 if self.version == 1 else V2), **(changes or {})}.items():
            file = self.file(container_id, name, at=at)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        if pid is not None:
            process = self.procfs / str(pid)
            (process / "net").mkdir(parents=True)
            (process / "net/dev").write_text(net_dev)
            said = told or f"/{path}"
            controllers = ["cpu,cpuacct", "memory", "pids", "blkio"] if self.version == 1 else [""]
            lines = [f"{number}:{name}:{said}\n" for number, name in enumerate(controllers)]
            (process / "cgroup").write_text("".join(lines))

    def file(self, container_id: str, name: str, *, at: str = "docker/{}") -> Path:
        """A file of the container's, by its key in `V1` or `V2`."""
        path = at.format(container_id)
        if self.version == 2:
            return self.cgroupfs / path / name
        controller, _, base = name.partition("/")
        return self.cgroupfs / controller / path / base

    def remove(self, container_id: str) -> None:
        """As far as one can without a kernel: emptied, so that what is kept open reads as nothing."""
        for name in V1 if self.version == 1 else V2:
            file = self.file(container_id, name)
            file.write_text("")
            file.unlink()
