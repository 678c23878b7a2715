"""The stack of `docker-compose.yml` on a private Docker Engine, brought up by a real Compose from a copy of this checkout."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import docker
from docker.models.containers import Container

from bridge.demo import parts
from tests.compose import images

ROOT = Path(__file__).parents[2]
NEEDED = (
    *("docker-compose.yml", ".env.example", ".dockerignore", "LICENSE", "README.md", "pyproject.toml"),
    *("constraints.txt", "alert-rules", "bridge", "exporters", "grafana", "deploy"),
)
"""Of the checkout, what a person who uses the file has need of."""

IMAGE = re.compile(r"\$\{(\w+)_IMAGE:-([^}]+)\}")
PROJECT = "hemostat"
PORTS = {"bridge": 9095, "prometheus": 9090, "alertmanager": 9093, "grafana": 3000}
BUILD_SECONDS = 300
UP_SECONDS = 120
NEVER = 1_000_000
"""Seconds after which the demo's containers fall sick by themselves: a test makes them so."""

CLONE_NEWNET = 0x40000000  # linux/sched.h
Json = Any


def compose_command() -> list[str]:
    """Compose v2 if this machine has it, else Debian's 1.29. Raises: PartMissing."""
    if shutil.which("docker"):
        asked = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if asked.returncode == 0:
            return ["docker", "compose"]
    return [parts.find_program("docker-compose", package="docker-compose")]


def default_images(compose_file: Path) -> dict[str, str]:
    """`REDIS` to `redis:7.4-alpine`, and so on: what is run where .env says nothing else."""
    return dict(IMAGE.findall(compose_file.read_text()))


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> Json:
        return json.loads(self.body)


class Stack:
    """Start it, ask it, stop it; `seconds` says what took how long."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="hs-compose-"))
        self.checkout = self.root / "checkout"
        self.engine = parts.DockerEngine(networks=True)
        self.seconds: dict[str, float] = {}
        self._compose = compose_command()
        self._caller = ThreadPoolExecutor(1)

    def start(self) -> Self:
        """Raises: PartMissing, PartFailed."""
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def _start(self) -> None:
        copy_checkout(self.checkout)
        with ThreadPoolExecutor(2) as threads:
            began = time.monotonic()
            base = threads.submit(images.debian, self.root)
            fetched = threads.submit(images.wheels, self.checkout)
            self.engine.start()
            self._make_secrets()
            fetched.result()
            self._load_images(base.result())
            self._took("images", began)
        began = time.monotonic()
        self.compose("build", seconds=BUILD_SECONDS)
        self._took("build", began)
        began = time.monotonic()
        self.compose("--profile", "demo", "up", "--detach", "--no-build", seconds=UP_SECONDS)
        self._caller.submit(enter_network_of, self.engine.daemon_pid).result()
        self._wait_until_well()
        self._took("up", began)

    def stop(self) -> None:
        """Leaves nothing. Doing it twice is fine."""
        self._caller.shutdown()
        self.engine.stop()
        shutil.rmtree(self.root, ignore_errors=True)

    def compose(self, *words: str, seconds: float = 60) -> str:
        """What it wrote to stdout. Raises: PartFailed."""
        argv = [*self._compose, *words]
        made = subprocess.run(
            argv,
            cwd=self.checkout,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if made.returncode:
            said = parts.last_lines(made.stdout + made.stderr, 40)
            raise parts.PartFailed(" ".join(argv), f"exited {made.returncode}", said)
        return made.stdout

    def containers(self) -> dict[str, Container]:
        """By service."""
        wanted: dict[str, str | list[str] | bool] = {"label": f"com.docker.compose.project={PROJECT}"}
        found = self.engine.client.containers.list(all=True, filters=wanted)
        return {container.labels["com.docker.compose.service"]: container for container in found}

    def run_in(self, service: str, *argv: str, seconds: int = 30) -> tuple[int | None, str]:
        """Exit code and output of a command inside."""
        client = docker.DockerClient(base_url=self.engine.url, timeout=seconds)
        try:
            container = client.containers.get(str(self.containers()[service].id))
            code, said = container.exec_run(list(argv))
            assert isinstance(said, bytes)  # no stream was asked for
            return code, said.decode(errors="replace")
        finally:
            client.close()

    def secret(self, name: str) -> str:
        return (self.checkout / "deploy/compose/secrets" / name).read_text().strip()

    def ask(
        self, service: str, path: str, body: Json = None, *, method: str = "", token: str = "", user: str = ""
    ) -> Answer:
        """From this host's loopback, as the Engine sees it: the published port. `token`, `user`: names of secrets.

        Raises: OSError: nobody there.
        """
        url = f"http://127.0.0.1:{PORTS[service]}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method or None)
        request.add_header("Content-Type", "application/json")
        if token:
            request.add_header("Authorization", f"Bearer {self.secret(token)}")
        if user:
            name = f"admin:{self.secret(user)}".encode()
            request.add_header("Authorization", f"Basic {base64.b64encode(name).decode()}")
        return self._caller.submit(answered, request).result()

    def incidents(self, service: str) -> list[Json]:
        """About the container of a service, newest first."""
        path = f"/api/v1/incidents?target={self.containers()[service].name}"
        found: list[Json] = self.ask("bridge", path, token="hemostat_operator").json()["incidents"]
        return found

    def incident(self, incident_id: str) -> Json:
        """One of them whole."""
        return self.ask("bridge", f"/api/v1/incidents/{incident_id}", token="hemostat_operator").json()

    def configuration(self) -> Path:
        """The bridge's, its secrets where this process finds them."""
        text = (self.checkout / "deploy/compose/hemostat.yml").read_text()
        copy = self.root / "hemostat.yml"
        copy.write_text(text.replace("/run/secrets", str(self.checkout / "deploy/compose/secrets")))
        return copy

    def logs(self, service: str) -> str:
        return str(self.containers()[service].logs().decode(errors="replace"))

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        settings = {"DOCKER_HOST": self.engine.url, "PIP_NO_INDEX": "1", "DEMO_SICK_AFTER": str(NEVER)}
        return kept | settings

    def _make_secrets(self) -> None:
        script = self.checkout / "deploy/compose/make-secrets"
        environment = {**self._environment(), "DOCKER_SOCKET": str(self.engine.socket)}
        subprocess.run([script], env=environment, check=True, capture_output=True)

    def _load_images(self, base: Path) -> None:
        client = docker.DockerClient(base_url=self.engine.url, timeout=BUILD_SECONDS)
        try:
            images.load(client, base, default_images(self.checkout / "docker-compose.yml"))
        finally:
            client.close()

    def _wait_until_well(self) -> None:
        if not parts.wait_until(lambda: not self.unwell(), seconds=UP_SECONDS, every=0.5):
            tails = [f"--- {name}\n{parts.last_lines(self.logs(name), 20)}" for name in self.unwell()]
            raise parts.PartFailed("the stack", f"is not well: {self.unwell()}", "\n".join(tails))

    def unwell(self) -> list[str]:
        """Services whose container does not run or is not healthy; all but the one that is sick by design."""
        states = {
            name: one.attrs["State"] for name, one in self.containers().items() if name != "demo-mailer"
        }
        return [
            name
            for name, state in states.items()
            if not state["Running"] or state.get("Health", {}).get("Status", "healthy") != "healthy"
        ]

    def _took(self, what: str, began: float) -> None:
        self.seconds[what] = time.monotonic() - began
        print(f"{what}: {self.seconds[what]:.1f} s")


def copy_checkout(target: Path) -> None:
    """Without what a build or a run has left there, secrets above all."""
    target.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "secrets", "wheels", "*.pyc")
    for name in NEEDED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=ignored)
        else:
            shutil.copy2(source, target / name)
    for name in ("secrets", "wheels"):
        (target / "deploy/compose" / name).mkdir()


def enter_network_of(pid: int) -> None:
    """This thread alone: what it connects to from now on lies in the network namespace of `pid`."""
    libc = ctypes.CDLL(None, use_errno=True)
    namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if libc.setns(namespace, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(namespace)


def answered(request: urllib.request.Request) -> Answer:
    """Errors of HTTP are answers, too. Never through a proxy."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=10) as answer:
            return Answer(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.read())
