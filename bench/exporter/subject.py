"""The exporter as it is measured: a process of its own, scraped over one kept connection."""

from __future__ import annotations

import http.client
import math
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from bridge.demo import parts

SPACING_SECONDS = 0.25
"""Between scrapes: longer than the time within which the exporter gives the same figures again."""

ROOT = Path(__file__).parents[2]


class Exporter(parts.Process):
    """`python -m exporters.docker` of a checkout, scraped over one kept connection."""

    def __init__(self, docker_host: str, *flags: str, checkout: Path = ROOT) -> None:
        port = parts.free_port()
        argv = [sys.executable, "-m", "exporters.docker", f"--web.listen-address=127.0.0.1:{port}"]
        argv += [f"--docker.host={docker_host}", "--docker.timeout=2s", *flags]
        super().__init__(
            argv, name="exporter", url=f"http://127.0.0.1:{port}", ready_path="/-/healthy", cwd=checkout
        )
        address = urlsplit(self.url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def scrape(self, *, gzip: bool = False) -> tuple[float, bytes]:
        """Seconds from the request to the last byte, and the body as sent. Raises: AssertionError: not 200."""
        begun = time.perf_counter()
        self._connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"} if gzip else {})
        response = self._connection.getresponse()
        body = response.read()
        taken = time.perf_counter() - begun
        assert response.status == 200, response.status
        return taken, body

    def value(self, name: str) -> float:
        """Of the one series of that name without labels, or with these."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.scrape()[1].decode(), re.MULTILINE)
        assert found, name
        return float(found[1])

    def wait_for(self, count: int, *, seconds: float = 120) -> None:
        """Until so many containers' figures are shown."""
        name = 'docker_exporter_containers{source="kernel"}'
        assert parts.wait_until(lambda: self.value(name) >= count, seconds=seconds, every=0.2)

    def rss(self) -> float:
        """MiB."""
        return memory_kib(self.pid, "VmRSS") / 1024

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def spaced(exporter: Exporter, *, gzip: bool = False) -> float:
    """Milliseconds of a scrape after a pause."""
    time.sleep(SPACING_SECONDS)
    return exporter.scrape(gzip=gzip)[0] * 1e3


def p99(values: Sequence[float]) -> float:
    """What 99 of 100 do not exceed."""
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that a process has used, to the hundredth. Source: proc_pid_stat(5), utime and stime."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def scheduled(pid: int) -> float:
    """Seconds for which threads of a process have run: finer than the hundredths that /proc/PID/stat counts.

    Source: Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat
    """
    threads = (Path(f"/proc/{pid}/task/{thread}/schedstat") for thread in os.listdir(f"/proc/{pid}/task"))
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


def memory_kib(pid: int, key: str) -> float:
    """KiB."""
    found = re.search(rf"{key}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return float(found[1]) if found else 0.0
