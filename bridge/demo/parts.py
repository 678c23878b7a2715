"""Real services on loopback, for the demo and for the tests: Docker Engine, Redis, Prometheus, Alertmanager, any process.

Each part lives in a private directory, is waited for until it answers, and leaves neither process, mount nor file.
Synchronous on purpose; nothing here knows what HemoStat does with the parts.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import http.client
import io
import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

IMAGE = "hemostat-part:latest"
INSTALL = "deploy/install-system-packages"
LOOPBACK = "127.0.0.1"

# Below the kernel's usual ephemeral range (32768-60999): there, a client that keeps knocking on a stopped
# part could be given the part's own port and end up connected to itself.
PORTS = range(20_000, 32_000)


class PartMissing(Exception):
    """This machine lacks what the part needs; `how_to_install` says what to do about it."""

    def __init__(self, name: str, how_to_install: str) -> None:
        super().__init__(f"{name} is not available: {how_to_install}")
        self.name = name
        self.how_to_install = how_to_install


class PartFailed(Exception):
    """The part did not come up, or did not do as asked; `log_tail` is the last it wrote."""

    def __init__(self, name: str, problem: str, log_tail: str = "") -> None:
        super().__init__(f"{name} {problem}" + (f"; its log ends:\n{log_tail}" if log_tail else ""))
        self.name = name
        self.log_tail = log_tail


_turn = itertools.count(random.randrange(len(PORTS)))
"""From somewhere on, one after the other: drawn at random, one would now and then be given twice before its first user
listens on it, in this process or another."""


def free_port() -> int:
    """A TCP port on loopback that nobody listens on now."""
    for number in itertools.islice(_turn, 200):
        port = PORTS[number % len(PORTS)]
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((LOOPBACK, port))
            return port
    raise PartFailed("loopback", f"has no free port among 200 tried in {PORTS.start}-{PORTS.stop}")


def wait_until(fact: Callable[[], object], *, seconds: float, every: float = 0.02) -> bool:
    """Whether `fact` came true before the deadline."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def http_request(method: str, url: str, body: object = None, *, seconds: float = 2) -> tuple[int, bytes]:
    """Status and body; a `body` goes out as JSON. Never through a proxy, which loopback traffic must not see.

    Raises: OSError, http.client.HTTPException: nobody there, too slow, or not HTTP.
    """
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or LOOPBACK, address.port, timeout=seconds)
    payload = None if body is None else json.dumps(body)
    path = f"{address.path or '/'}?{address.query}" if address.query else address.path or "/"
    with contextlib.closing(connection):
        connection.request(method, path, payload, {"Content-Type": "application/json"} if payload else {})
        response = connection.getresponse()
        return response.status, response.read()


def answers_200(url: str) -> bool:
    """Whether a GET of `url` is answered 200 right now."""
    try:
        return http_request("GET", url)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def find_program(*names: str, package: str) -> str:
    """Path of the first of `names` on PATH. Raises: PartMissing."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise PartMissing(names[0], f"install the package {package} (or run {INSTALL})")


def alert_rules() -> Path:
    """The folder of rule files that comes with HemoStat: of the checkout, else of the installed wheel."""
    checkout = Path(__file__).parents[2] / "alert-rules"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share/hemostat/alert-rules"


def shortened_rules(source: Path, target: Path, *, hold: str = "1s") -> list[Path]:
    """Copies of the `*.yml` rule files in `source`, each alert's `for:` replaced, so that it fires while one watches."""
    target.mkdir(parents=True, exist_ok=True)
    copies = []
    for rules in sorted(source.glob("*.yml")):
        copy = target / rules.name
        copy.write_text(re.sub(r"(?m)^(\s+for:).*$", rf"\1 {hold}", rules.read_text()))
        copies.append(copy)
    return copies


class Process:
    """One service as a child process: started, waited for, paused, killed, restarted, stopped.

    It dies with this process, however this process dies. `directory` must be empty or absent; it belongs to the
    part, holds its log and is removed by `stop()`.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        name: str,
        directory: Path | None = None,
        files: Mapping[str, str] | None = None,
        url: str = "",
        ready_path: str = "/-/ready",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        start_seconds: float = 20,
        stop_seconds: float = 5,
    ) -> None:
        """With a `url`, `start()` returns once `url + ready_path` answers 200; without, at once.

        `files` (name to content) are put into the directory before the start, unless they are there.
        """
        self.argv = [str(word) for word in argv]
        self.name = name
        self.url = url
        self.directory = private_directory(name, directory)
        self.log = self.directory / f"{name}.log"
        self._files = {self.directory / file: content for file, content in (files or {}).items()}
        self._ready_path = ready_path
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._start_seconds = start_seconds
        self._stop_seconds = stop_seconds
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Raises: PartMissing, PartFailed."""
        if self._child and self._child.poll() is None:
            raise PartFailed(self.name, "is running already")
        self.directory.mkdir(parents=True, exist_ok=True)
        for path, content in self._files.items():
            if not path.exists():
                path.write_text(content)
        with self.log.open("ab") as log:
            self._child = spawn(self.argv, log=log, env=self._env, cwd=self._cwd)
        wait_until(lambda: self.answers() or not self.running, seconds=self._start_seconds)
        # Who answers on its address may be another process, on whose account it could not listen and ended.
        if self.answers() and (self.running or not self.url):
            return self
        problem = (
            f"did not answer within {self._start_seconds} s" if self.running else f"exited {self.returncode}"
        )
        error = PartFailed(self.name, problem, self.log_tail())
        self.stop()
        raise error

    def answers(self) -> bool:
        """Whether the service is ready for use now."""
        return not self.url or answers_200(self.url + self._ready_path)

    def stop(self) -> None:
        """Asks it to end, insists, and removes its directory. Doing it twice is fine."""
        self.terminate()
        shutil.rmtree(self.directory, ignore_errors=True)

    def terminate(self) -> int | None:
        """SIGTERM, then SIGKILL for it and whatever it started; gives the exit status. The directory stays."""
        if self._child is None:
            return None
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(self._stop_seconds)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        return self._child.wait()

    def kill(self) -> None:
        """SIGKILL to the process alone, as the kernel's OOM killer would; returns once it is gone."""
        self._signal(signal.SIGKILL)
        if self._child:
            self._child.wait()

    def restart(self) -> Self:
        """Stops it if it runs and starts it on the same directory and address."""
        self.terminate()
        return self.start()

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing. Returns once it stands still."""
        self._signal(signal.SIGSTOP)
        if not wait_until(lambda: process_state(self.pid) == "T", seconds=5):
            raise PartFailed(self.name, "did not stand still within 5 s of SIGSTOP", self.log_tail())

    def resume(self) -> None:
        """SIGCONT."""
        self._signal(signal.SIGCONT)

    def wait(self, seconds: float) -> int:
        """Its exit status. Raises: PartFailed: it still runs after `seconds`."""
        if self._child is None:
            raise PartFailed(self.name, "was never started")
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            raise PartFailed(self.name, f"still runs after {seconds} s", self.log_tail()) from None

    @property
    def pid(self) -> int:
        """Raises: PartFailed: it was never started."""
        if self._child is None:
            raise PartFailed(self.name, "was never started")
        return self._child.pid

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit status, negative for a signal; `None` while it runs or was never started."""
        return self._child.poll() if self._child else None

    def log_text(self) -> str:
        """Everything it wrote so far, over all its restarts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def log_tail(self, lines: int = 20) -> str:
        return last_lines(self.log_text(), lines)

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            os.kill(self.pid, number)

    def __enter__(self) -> Self:
        return self if self.running else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class RedisServer(Process):
    """Redis (or Valkey) with the durability HemoStat asks for by default: append-only file, flushed on every write."""

    def __init__(
        self,
        directory: Path | None = None,
        *,
        appendfsync: str = "always",
        maxmemory_policy: str = "noeviction",
        host: str = LOOPBACK,
        port: int | None = None,
        unixsocket: Path | None = None,
        program: str | Path | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        """`program` is another server than the one on PATH; `extra` are more of its flags."""
        program = program or find_program("redis-server", "valkey-server", package="redis-server")
        self.host = host
        self.port = port or free_port()
        directory = private_directory("redis", directory)
        settings = {
            "bind": host,
            "port": str(self.port),
            "dir": str(directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "maxmemory-policy": maxmemory_policy,
            **({"unixsocket": str(unixsocket), "unixsocketperm": "700"} if unixsocket else {}),
        }
        flags = [word for key, value in settings.items() for word in (f"--{key}", value)]
        super().__init__([program, *flags, *extra], name="redis", directory=directory)
        self.url = f"redis://{host}:{self.port}/0"

    def answers(self) -> bool:
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False

    def command(self, *words: str) -> str:
        """First line of the reply in Redis' protocol (`+OK`, `:3`, `-ERR ...`). Raises: OSError: nobody there.

        For starting and emptying; what needs more takes a client on `url`.
        """
        request = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.create_connection((self.host, self.port), timeout=2) as connection:
            connection.sendall(f"*{len(words)}\r\n{request}".encode())
            return connection.makefile().readline().rstrip()


class Prometheus(Process):
    """Prometheus with the given rule files; scrapes the exporter, alerts Alertmanager, both optional.

    `jobs` names further things to scrape: job name to address. `metric_relabel_configs` apply to every job.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        rules: Sequence[Path] = (),
        exporter_address: str | None = None,
        alertmanager_address: str | None = None,
        jobs: Mapping[str, str] | None = None,
        metric_relabel_configs: Sequence[Mapping[str, Any]] = (),
        scrape_interval: str = "1s",
        evaluation_interval: str = "1s",
        port: int | None = None,
    ) -> None:
        program = find_program("prometheus", package="prometheus")
        self.address = f"{LOOPBACK}:{port or free_port()}"
        directory = private_directory("prometheus", directory)
        scraped = {**({"docker": exporter_address} if exporter_address else {}), **(jobs or {})}
        timing = {"scrape_interval": scrape_interval, "evaluation_interval": evaluation_interval}
        relabelled = {"metric_relabel_configs": [*metric_relabel_configs]} if metric_relabel_configs else {}
        told = [alertmanager_address] if alertmanager_address else []
        config = {
            "global": {**timing, "scrape_timeout": scrape_interval},
            "rule_files": [str(path.resolve()) for path in rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [address]}], **relabelled}
                for job, address in scraped.items()
            ],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": told}]}]},
        }
        self.config = directory / "prometheus.yml"
        argv = [
            program,
            f"--config.file={self.config}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address={self.address}",
            "--web.enable-lifecycle",
        ]
        files = {self.config.name: json.dumps(config)}  # JSON is YAML
        super().__init__(
            argv, name="prometheus", directory=directory, files=files, url=f"http://{self.address}"
        )

    def reload(self) -> None:
        """Applies the configuration and rule files as they are now. Raises: PartFailed: they do not fit."""
        status, body = http_request("POST", f"{self.url}/-/reload", seconds=10)
        if status != 200:
            raise PartFailed(
                self.name, f"refused to reload: {body.decode(errors='replace')[:256]}", self.log_tail()
            )

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Result of an instant query, as in the HTTP API's `data.result`."""
        quoted = quote(expression)
        status, body = http_request("GET", f"{self.url}/api/v1/query?query={quoted}", seconds=10)
        if status != 200:
            raise PartFailed(
                self.name, f"refused the query {expression!r}: {body.decode(errors='replace')[:256]}"
            )
        result: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return result


class Alertmanager(Process):
    """Alertmanager with one webhook receiver that is told of firing and of resolved alerts.

    Source: https://prometheus.io/docs/alerting/latest/configuration/
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        webhook_url: str,
        token: str | None = None,
        group_by: Sequence[str] = ("alertname", "name"),
        group_wait: str = "0s",
        group_interval: str = "1s",
        repeat_interval: str = "1h",
        max_alerts: int = 0,
        port: int | None = None,
    ) -> None:
        """`group_by=("...",)` gives one notification per alert; `max_alerts` 0 sends groups whole."""
        program = find_program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
        self.address = f"{LOOPBACK}:{port or free_port()}"
        directory = private_directory("alertmanager", directory)
        webhook: dict[str, Any] = {"url": webhook_url, "send_resolved": True, "max_alerts": max_alerts}
        if token is not None:
            webhook["http_config"] = {"authorization": {"type": "Bearer", "credentials": token}}
        timing = {
            "group_wait": group_wait,
            "group_interval": group_interval,
            "repeat_interval": repeat_interval,
        }
        config = {
            "route": {"receiver": "hemostat", "group_by": list(group_by), **timing},
            "receivers": [{"name": "hemostat", "webhook_configs": [webhook]}],
        }
        self.config = directory / "alertmanager.yml"
        argv = [
            program,
            f"--config.file={self.config}",
            f"--storage.path={directory / 'state'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]
        files = {self.config.name: json.dumps(config)}  # JSON is YAML
        super().__init__(
            argv, name="alertmanager", directory=directory, files=files, url=f"http://{self.address}"
        )

    def post_alerts(self, *alerts: Mapping[str, Any]) -> None:
        """Hands it alerts of API v2: `labels`, and as needed `annotations`, `startsAt`, `endsAt`."""
        status, body = http_request("POST", f"{self.url}/api/v2/alerts", list(alerts), seconds=10)
        if status != 200:
            raise PartFailed(
                self.name, f"refused the alerts: {body.decode(errors='replace')[:256]}", self.log_tail()
            )

    def fire(self, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> None:
        """One alert, firing from now."""
        self.post_alerts({"labels": dict(labels), "annotations": dict(annotations or {})})

    def resolve(self, labels: Mapping[str, str]) -> None:
        """The alert with these labels ended now."""
        self.post_alerts({"labels": dict(labels), "endsAt": datetime.now(UTC).isoformat()})


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
        live_restore: bool = True,
        networks: bool = False,
        start_seconds: float = 30,
    ) -> None:
        """`live_restore` lets containers survive dockerd; the Engine cannot be a Swarm manager with it.

        `networks` gives containers bridges and published ports, which takes iptables. All of it lies in the Engine's
        own network namespace: from there 127.0.0.1 is reached, and neither this machine nor the world.
        """
        self.name = "dockerd"
        self.directory = private_directory("docker", directory)
        self.log = self.directory / "dockerd.log"
        self.socket = self.directory / "docker.sock"
        if len(str(self.socket)) > 100:
            raise PartFailed(self.name, f"cannot listen on a path of more than 107 bytes: {self.socket}")
        self.url = f"unix://{self.socket}"
        self.image = IMAGE
        self._live_restore = live_restore
        self._networks = networks
        self._start_seconds = start_seconds
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
        doomed = [self._dockerd, *children(self._dockerd)]
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
        wait_until(lambda: self.answers() or not process_state(pid), seconds=self._start_seconds)
        if not self.answers():
            raise PartFailed(self.name, f"did not answer within {self._start_seconds} s", self.log_tail())

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
        keeper = [sys.executable, "-I", "-S", __file__, "keep-engine", str(self.directory)]
        flags = {
            "data-root": self.directory / "data",
            "exec-root": self.directory / "exec",
            "pidfile": self.directory / "pid",
            "host": self.url,
            # Without it, a systemd host would be asked to run the containers and keep what is left of them.
            "exec-opt": "native.cgroupdriver=cgroupfs",
            "ip6tables": "false",
            "live-restore": str(self._live_restore).lower(),
        }
        if self._networks:
            find_program("iptables", package="iptables")
        else:
            flags |= {"bridge": "none", "iptables": "false"}
        return [*namespaces, *keeper, dockerd, *(f"--{flag}={value}" for flag, value in flags.items())]

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


# What follows runs inside the keeper, a process of its own started with `-I -S`: the standard library, no SDK.

PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
MNT_DETACH = 2  # sys/mount.h
SIOCSIFFLAGS = 0x8914  # linux/sockios.h
IFF_UP = 1  # linux/if.h


def keep_engine(directory: Path, dockerd: list[str]) -> None:
    """Starts one dockerd per line on stdin and answers with its pid; when stdin ends, leaves nothing of it behind.

    stdin also ends when the process that asked is killed, which no clean-up code of its own would survive.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(
        PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0
    )  # a container outlives its dockerd and then becomes our child
    hide_machine_settings(libc)
    raise_loopback()
    signal.signal(signal.SIGCHLD, lambda *_: reap())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    quiet = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, 2, 1)]
    try:
        for _ in sys.stdin:
            pid = os.posix_spawn(
                dockerd[0], dockerd, os.environ, file_actions=quiet, setsigdef=[signal.SIGPIPE]
            )
            print(pid, flush=True)
    finally:
        while orphans := children(os.getpid()):
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
        containers = (
            os.listdir(directory / "data/containers") if (directory / "data/containers").exists() else []
        )
        remove_cgroups(containers)
        unmount_below(directory, libc)
        shutil.rmtree(directory, ignore_errors=True)


def hide_machine_settings(libc: ctypes.CDLL) -> None:
    """dockerd reads /etc/docker/daemon.json and writes key.json there: it gets an empty one, in its own mounts."""
    settings = Path("/etc/docker")
    settings.mkdir(exist_ok=True)
    libc.mount(b"none", bytes(settings), b"tmpfs", 0, None)


def raise_loopback() -> None:
    """A new network namespace has its loopback down, and what Docker publishes on 127.0.0.1 would not be reached."""
    request = struct.pack("16sh22x", b"lo", IFF_UP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, request)


def reap() -> None:
    """Lets go of every child that has ended, so that its pid does not look alive."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


def remove_cgroups(container_ids: Iterable[str]) -> None:
    """Killed containers leave their control groups; an empty one goes by rmdir, on cgroup v1 one per controller."""
    root = Path("/sys/fs/cgroup")
    parents = [root / "docker", *root.glob("*/docker")]
    for group in (parent / container_id for parent in parents for container_id in container_ids):
        for path, _, _ in os.walk(group, topdown=False):
            wait_until(functools.partial(removed, path), seconds=1)


def removed(directory: str) -> bool:
    """Whether the directory is gone, having tried."""
    with contextlib.suppress(OSError):
        os.rmdir(directory)
    return not os.path.exists(directory)


def unmount_below(directory: Path, libc: ctypes.CDLL) -> None:
    """Source: proc(5), mountinfo: field 5 is the mount point, later mounts come later."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in reversed(points):
        if point.startswith(f"{directory}/"):
            libc.umount2(point.encode(), MNT_DETACH)


# Small things the parts share.


@functools.cache
def spawner() -> ThreadPoolExecutor:
    """The one thread that starts children: PR_SET_PDEATHSIG means the death of the *thread*, so it must be a lasting one."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="part-spawner")


def spawn(
    argv: Sequence[str], *, log: IO[bytes], env: Mapping[str, str], cwd: Path | None
) -> subprocess.Popen[bytes]:
    """A child in its own process group (Ctrl-C is ours to handle) that the kernel kills when we die."""
    setpriv = shutil.which("setpriv")
    dies_with_us = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*dies_with_us, *argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            process_group=0,
        )

    return spawner().submit(start).result()


def private_directory(name: str, directory: Path | None) -> Path:
    """`directory`, or a new short one; short because a unix socket's path ends at 107 bytes.

    Raises: PartFailed: it holds something, and the part would delete it when it stops.
    """
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="hs-"))
    directory = directory.absolute()
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise PartFailed(name, f"wants a directory to itself, and this one is not empty: {directory}")
    return directory


def process_state(pid: int) -> str:
    """The kernel's letter: `S` sleeping, `T` stopped, `Z` ended but not reaped; empty when there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    """Process ids of its direct children."""
    found = []
    for threads in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in threads.read_text().split()]
    return found


def last_lines(text: str, lines: int) -> str:
    return "\n".join(text.splitlines()[-lines:])


def main() -> None:
    """All parts at once, for use by hand, until Ctrl-C."""
    with DockerEngine() as engine, RedisServer() as redis:
        webhook_url = f"http://{LOOPBACK}:9095/api/v1/alerts"
        with Alertmanager(webhook_url=webhook_url) as alertmanager:
            with Prometheus(alertmanager_address=alertmanager.address) as prometheus:
                for part in (engine, redis, alertmanager, prometheus):
                    print(f"{part.name:<13} {part.url}")
                print(f"alerts go to {webhook_url}; Ctrl-C stops everything")
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()


if __name__ == "__main__":
    if sys.argv[1:2] == ["keep-engine"]:
        keep_engine(Path(sys.argv[2]), sys.argv[3:])
    else:
        main()
