"""A Docker Engine of its own, and an image to run in it."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from bridge.demo.parts import keeper
from bridge.demo.parts.machine import (
    PartFailed,
    PartMissing,
    find_program,
    last_lines,
    private_directory,
    process_state,
    wait_until,
)

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

IMAGE = "hemostat-part:latest"
START_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Healthcheck:
    """A container's health check as Docker runs it; `command` goes to `sh -c`. The Engine takes nothing below 1 ms."""

    command: str
    interval_seconds: float = 0.5
    timeout_seconds: float = 5
    start_period_seconds: float = 0
    retries: int = 1

    def as_engine_json(self) -> dict[str, Any]:
        """Source: Docker Engine API, HealthConfig: durations in nanoseconds."""
        return {
            "test": ["CMD-SHELL", self.command],
            "interval": int(self.interval_seconds * 1e9),
            "timeout": int(self.timeout_seconds * 1e9),
            "start_period": int(self.start_period_seconds * 1e9),
            "retries": self.retries,
        }


class DockerEngine:
    """A Docker Engine of its own, unknown to the one this machine may run; root only.

    Its private network namespace keeps `--bridge=none` from deleting the host's docker0, its private mount
    namespace keeps its mounts from view. Between it and us stands a keeper (`keep_engine`): a live-restored
    container outlives dockerd and would outlive us too. Process ids in `inspect` are this machine's.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        networks: bool = False,
        swarm: bool = False,
    ) -> None:
        """`networks` gives containers bridges and published ports, which takes iptables. All of it lies in the Engine's
        own network namespace: from there 127.0.0.1 is reached, and neither this machine nor the world. `swarm` makes it
        a Swarm of one node, whose containers do not outlive dockerd.
        """
        self.name = "dockerd"
        self.directory = private_directory("docker", directory)
        self.log = self.directory / "dockerd.log"
        self.socket = self.directory / "docker.sock"
        if len(str(self.socket)) > 100:
            raise PartFailed(self.name, f"cannot listen on a path of more than 107 bytes: {self.socket}")
        self.url = f"unix://{self.socket}"
        self.image = IMAGE
        self._networks = networks
        self._swarm = swarm
        self._keeper: subprocess.Popen[bytes] | None = None
        self._dockerd: int | None = None

    def start(self) -> Self:
        """Raises: PartMissing: no dockerd, unshare or static busybox, or we are not root. PartFailed."""
        if self._keeper:
            raise PartFailed(self.name, "is running already")
        try:
            argv = self._keeper_argv()
            busybox = static_busybox()
            self.directory.mkdir(parents=True, exist_ok=True)
            # A containerd that dies while it starts leaves its stacks in the directory for temporary files.
            surroundings = {**os.environ, "TMPDIR": str(self.directory)}
            with self.log.open("ab") as log:
                self._keeper = subprocess.Popen(
                    argv,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=surroundings,
                    process_group=0,
                )
            self.restart_daemon()
            self.client.api.import_image_from_data(busybox_image(busybox), repository=IMAGE)
            if self._swarm:
                self.client.swarm.init(advertise_addr="127.0.0.1", listen_addr="127.0.0.1")
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Kills dockerd, containerd and every container, and removes all of it. Doing it twice is fine."""
        if "client" in self.__dict__:
            self.__dict__.pop("client").close()
        if self._keeper:
            self._keeper.communicate()
        self._keeper = self._dockerd = None
        shutil.rmtree(self.directory, ignore_errors=True)

    @functools.cached_property
    def client(self) -> docker.DockerClient:
        """The SDK's client on this Engine; gives up on a request after 10 s."""
        import docker

        return docker.DockerClient(base_url=self.url, timeout=10)

    def run(
        self,
        name: str,
        script: str,
        *,
        labels: Mapping[str, str] | None = None,
        healthcheck: str | Healthcheck | None = None,
        restart: str | None = None,
        **options: Any,
    ) -> Container:
        """Starts `sh -c script` in a container without network; `options` go to the SDK's `containers.run`.

        `name` needs two characters or more. `restart` is Docker's word: `always`, `unless-stopped`, `on-failure:3`.
        A script that sets no trap for TERM takes the whole stop timeout to stop, as in life; `stop_signal="KILL"`
        spares the wait.
        """
        if isinstance(healthcheck, str):
            healthcheck = Healthcheck(command=healthcheck)
        if healthcheck:
            options["healthcheck"] = healthcheck.as_engine_json()
        if restart:
            policy, _, attempts = restart.partition(":")
            options["restart_policy"] = {"Name": policy, "MaximumRetryCount": int(attempts or 0)}
        options.setdefault("network_mode", "none")
        command = ["sh", "-c", script]
        return self.client.containers.run(
            IMAGE, command, name=name, labels=dict(labels or {}), detach=True, **options
        )

    def answers(self) -> bool:
        """Whether dockerd answers a ping now."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(1)
                connection.connect(str(self.socket))
                connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
                return b" 200 " in connection.recv(64)
        except OSError:
            return False

    def pause_daemon(self) -> None:
        """SIGSTOP: requests are accepted by the kernel and never answered. Containers go on."""
        os.kill(self.daemon_pid, signal.SIGSTOP)
        if not wait_until(lambda: process_state(self.daemon_pid) == "T", seconds=5):
            raise PartFailed(self.name, "did not stand still within 5 s of SIGSTOP", self.log_tail())

    def resume_daemon(self) -> None:
        """SIGCONT."""
        os.kill(self.daemon_pid, signal.SIGCONT)

    def kill_daemon(self) -> None:
        """SIGKILL to dockerd and its containerd; containers go on, nobody answers on the socket."""
        if self._dockerd is None:
            return
        doomed = [self._dockerd, *keeper.children(self._dockerd)]
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._dockerd = None
        if not wait_until(lambda: not any(map(process_state, doomed)), seconds=10):
            raise PartFailed(self.name, "did not die within 10 s of SIGKILL", self.log_tail())

    def restart_daemon(self) -> None:
        """A new dockerd on the same directory and socket, in place of the old one if that still runs.

        Docker 20.10 does not take up the health checks of the containers that lived on: their state stays as it was.
        """
        self.kill_daemon()
        if self._keeper is None or self._keeper.stdin is None or self._keeper.stdout is None:
            raise PartFailed(self.name, "was never started")
        with contextlib.suppress(BrokenPipeError):
            self._keeper.stdin.write(b"start\n")
            self._keeper.stdin.flush()
        reply = self._keeper.stdout.readline()
        if not reply:
            raise PartFailed(self.name, "could not be started by its keeper", self.log_tail())
        self._dockerd = pid = int(reply)
        wait_until(lambda: self.answers() or not process_state(pid), seconds=START_SECONDS)
        if not self.answers():
            raise PartFailed(self.name, f"did not answer within {START_SECONDS} s", self.log_tail())

    @property
    def daemon_pid(self) -> int:
        """Raises: PartFailed: dockerd does not run."""
        if self._dockerd is None:
            raise PartFailed(self.name, "does not run")
        return self._dockerd

    def log_tail(self, lines: int = 20) -> str:
        return last_lines(self.log.read_text(errors="replace") if self.log.exists() else "", lines)

    def _keeper_argv(self) -> list[str]:
        dockerd = find_program("dockerd", package="docker.io")
        unshare = find_program("unshare", package="util-linux")
        if os.geteuid() != 0:
            raise PartMissing(self.name, "a Docker Engine of one's own needs root; run the same with sudo")
        namespaces = [unshare, "--net", "--mount", "--propagation", "private"]
        keeping = [sys.executable, "-I", "-S", keeper.__file__, str(self.directory)]
        flags = {
            "data-root": self.directory / "data",
            "exec-root": self.directory / "exec",
            "pidfile": self.directory / "pid",
            "host": self.url,
            # Without it, a systemd host would be asked to run the containers and keep what is left of them.
            "exec-opt": "native.cgroupdriver=cgroupfs",
            "ip6tables": "false",
            # Containers survive dockerd; in a Swarm dockerd refuses that.
            "live-restore": "false" if self._swarm else "true",
        }
        if self._networks:
            find_program("iptables", package="iptables")
        else:
            flags |= {"bridge": "none", "iptables": "false"}
        return [*namespaces, *keeping, dockerd, *(f"--{flag}={value}" for flag, value in flags.items())]

    def __enter__(self) -> Self:
        return self if self._keeper else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def static_busybox() -> Path:
    """A busybox that runs in an otherwise empty image. Raises: PartMissing."""
    path = Path(find_program("busybox", package="busybox-static"))
    if b"/ld-" in path.read_bytes()[:4096]:
        raise PartMissing(
            "busybox", "the one found needs shared libraries; install the package busybox-static"
        )
    return path


def busybox_image(busybox: Path) -> bytes:
    """A root file system as tar: busybox under all its names, and a /tmp for everyone."""
    applets = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    image = io.BytesIO()
    with tarfile.open(fileobj=image, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("tmp", 0o1777)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            tar.addfile(entry)
        program = tarfile.TarInfo("bin/busybox")
        program.size, program.mode = busybox.stat().st_size, 0o755
        with busybox.open("rb") as content:
            tar.addfile(program, content)
        for applet in set(applets) - {"busybox"}:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return image.getvalue()
