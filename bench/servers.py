"""What is measured, as processes of their own: the bridge as it is run, the baselines, a Docker that never answers."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bridge.demo import parts

ROOT = Path(__file__).parents[1]
HOST = "local"

# Whoever measures may have them set, and they would override the configuration.
UNSET = dict.fromkeys(
    (
        *("REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_PASSWORD", "DOCKER_HOST", "LOG_LEVEL", "LOG_FORMAT"),
        *("RESPONDER_COOLDOWN_SECONDS", "RESPONDER_MAX_RETRIES_PER_HOUR", "RESPONDER_DRY_RUN"),
        *("ANALYZER_CONFIDENCE_THRESHOLD", "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "AI_MODEL"),
        "SLACK_WEBHOOK_URL",
    ),
    "",
)


def bridge(*, docker: str, redis: str, **sections: Mapping[str, Any]) -> parts.Process:
    """`hemostat serve`, its defaults but for addresses and `sections` of `hemostat.yml`."""
    port = parts.free_port()
    config = {
        "web": {"listen_address": f"{parts.LOOPBACK}:{port}"},
        "redis": {"url": redis.removesuffix("/0")},
        "docker": {"hosts": [{"name": HOST, "url": docker}]},
        "store": {"trust_empty": True},
        **sections,
    }
    directory = parts.private_directory("bridge", None)
    file = directory / "hemostat.yml"
    argv: list[str | Path] = [sys.executable, "-m", "bridge", "serve", "--config.file", file]
    return _served(argv, "bridge", port, directory=directory, files={file.name: json.dumps(config)})


def bare(what: str, url: str = "") -> parts.Process:
    """One of the baselines of `bench.bare`."""
    port = parts.free_port()
    return _served([sys.executable, "-m", "bench.bare", what, str(port), url], f"bare-{what}", port)


def port_of(server: parts.Process) -> int:
    """Where it listens."""
    return int(server.url.rpartition(":")[2])


def _served(argv: list[str | Path], name: str, port: int, **options: Any) -> parts.Process:
    return parts.Process(
        argv,
        name=name,
        url=f"http://{parts.LOOPBACK}:{port}",
        ready_path="/-/healthy",
        env=UNSET,
        cwd=ROOT,
        **options,
    )


def redis() -> parts.RedisServer:
    """AOF flushed at every write. Without rewrites of it: they would fall into one round and not into another."""
    return parts.RedisServer(appendfsync="always", extra=["--auto-aof-rewrite-percentage", "0"])


@contextlib.contextmanager
def deaf_docker() -> Iterator[str]:
    """URL of a Docker Engine that accepts connections and answers nothing, so that no walk gets far."""
    with tempfile.TemporaryDirectory(prefix="hs-") as folder, socket.socket(socket.AF_UNIX) as listener:
        path = Path(folder) / "docker.sock"
        listener.bind(str(path))
        listener.listen(1024)
        yield f"unix://{path}"


class Watch:
    """The CPU time of some processes, and of everything else on this machine, from now on."""

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._began = time.monotonic()
        self._before = [cpu_seconds(pid) for pid in pids]
        self._machine_before = _machine_seconds()

    def cpu_seconds(self) -> list[float]:
        """Of each process, in the order given."""
        return [cpu_seconds(pid) - was for pid, was in zip(self._pids, self._before, strict=True)]

    def cores_elsewhere(self) -> float:
        """How many cores were busy with anything but these processes, on average."""
        others = _machine_seconds() - self._machine_before - sum(self.cpu_seconds())
        return others / (time.monotonic() - self._began)


def await_quiet(*, cores: float = 0.2, seconds: float = 30.0) -> None:
    """Returns once others have left the machine alone for half a second, or at the latest after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        watch = Watch()
        time.sleep(0.5)
        if watch.cores_elsewhere() < cores:
            return


def _machine_seconds() -> float:
    """Busy time of all cores, kernel and hypervisor included. Source: proc(5), /proc/stat, the line `cpu`."""
    user, nice, system, _, _, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far. Source: proc(5), /proc/pid/stat, fields 14 and 15."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now. Source: proc(5), VmRSS."""
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024
