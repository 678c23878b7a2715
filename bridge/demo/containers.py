"""The demo's containers, on the Docker Engine that answers here if it will have them, else on one of the demo's own.

On somebody else's Engine everything carries a label with the run's id; by that, and by nothing else, it is removed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import docker
from docker.errors import DockerException, NotFound
from docker.types import LogConfig

from bridge.demo import parts
from bridge.demo.story import Boots, Promise
from bridge.model.incident import Outcome

LABEL = "hemostat.demo"
DEFAULT_HOST = "unix:///var/run/docker.sock"
TIMEOUT_SECONDS = 10
ASKING_SECONDS = 3
"""For the first question to an Engine that may not be there."""

SKEW_SECONDS = 1.0
"""An Engine whose clock is further off than this would make the measured seconds wrong."""

BOOT = "boot:"
"""How the line begins that each script prints first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One container of the demo. `fault` is run inside it to make it sick; empty: it is so from its start."""

    promise: Promise
    script: str
    healthcheck: parts.Healthcheck | None = None
    restart: str = ""
    fault: str = ""
    told: str = ""
    """What the fault is, for the timeline."""

    @property
    def name(self) -> str:
        """What the story calls it."""
        return self.promise.container


WEB = Patient(
    promise=Promise(
        container="web",
        trouble="server hangs, its health check fails",
        outcome=Outcome.HEALED,
        starts=1,
    ),
    script=(
        f"echo '{BOOT} web server'; trap 'exit 0' TERM; mkdir -p /srv; echo ok > /srv/healthz;"
        " httpd -f -p 127.0.0.1:8080 -h /srv & echo $! > /tmp/pid; wait"
    ),
    healthcheck=parts.Healthcheck(
        command="wget -q -O - http://127.0.0.1:8080/healthz", interval_seconds=1, timeout_seconds=1, retries=2
    ),
    fault="kill -STOP $(cat /tmp/pid)",
    told="its server process is frozen (SIGSTOP)",
)

WORKER = Patient(
    promise=Promise(
        container="worker",
        trouble="crashes once, no restart policy",
        outcome=Outcome.HEALED,
        starts=1,
    ),
    script=(
        f"echo '{BOOT} worker'; trap 'exit 0' TERM;"
        " trap 'echo \"panic: index out of range in job 7\"; exit 2' USR1; while :; do sleep 1000 & wait; done"
    ),
    fault="kill -USR1 1",
    told="is given a job that it cannot do",
)

MAILER = Patient(
    promise=Promise(
        container="mailer",
        trouble="crashes at every start, restart policy always",
        outcome=Outcome.ESCALATED,
        starts=0,
    ),
    script=f"echo '{BOOT} mailer'; sleep 0.3; echo 'mailer: no template for en_GB'; exit 1",
    restart="always",
    told="is deployed with a bug: it cannot start",
)

PATIENTS = (WEB, WORKER, MAILER)


class Containers:
    """The demo's containers on one Engine. Synchronous, each call bounded by the client's timeout.

    Raises, in every method: DockerException, OSError.
    """

    def __init__(
        self, client: docker.DockerClient, *, url: str, image: str, run_id: str, shared: bool
    ) -> None:
        """`shared`: the Engine is not ours alone, so names get the run's id."""
        self._client = client
        self._run_id = run_id
        self._shared = shared
        self._imported = False
        self.url = url
        self.image = image
        self.began = datetime.now(UTC)

    def admitted(self) -> str | None:
        """Imports the image and runs a container of it; why that does not work, `None` if it does.

        Raises: PartMissing: no busybox to make the image of.
        """
        image = parts.busybox_image(parts.static_busybox())
        repository, _, tag = self.image.partition(":")
        labels = {LABEL: self._run_id}
        try:
            self._client.api.import_image_from_data(image, repository=repository, tag=tag)
            self._imported = True
            trial = self._client.containers.run(
                self.image, ["sh", "-c", "exit 42"], labels=labels, network_mode="none", detach=True
            )
            code = trial.wait(timeout=TIMEOUT_SECONDS)["StatusCode"]
            trial.remove(force=True, v=True)
        except (DockerException, OSError) as error:
            return one_line(error)
        return None if code == 42 else f"a container that was to end with 42 ended with {code}"

    def named(self, patient: Patient) -> str:
        """What Docker calls it."""
        return f"{patient.name}-{self._run_id}" if self._shared else patient.name

    def start(self, patient: Patient) -> None:
        """Creates and starts it."""
        policy, options = patient.restart, dict[str, Any]()
        if patient.healthcheck:
            options["healthcheck"] = patient.healthcheck.as_engine_json()
        if policy:
            options["restart_policy"] = {"Name": policy}
        self._client.containers.run(
            self.image,
            ["sh", "-c", patient.script],
            name=self.named(patient),
            labels={LABEL: self._run_id, "hemostat.enable": "true"},
            network_mode="none",
            log_config=LogConfig(type=LogConfig.types.JSON),
            detach=True,
            **options,
        )

    def well(self, patient: Patient) -> bool:
        """Whether it runs, and its health check, if it has one, passes."""
        state = self.state(patient)
        return bool(state["Running"]) and state.get("Health", {}).get("Status", "healthy") == "healthy"

    def make_sick(self, patient: Patient) -> None:
        """Runs its fault inside it."""
        self._client.containers.get(self.named(patient)).exec_run(["sh", "-c", patient.fault], detach=True)

    def state(self, patient: Patient) -> Mapping[str, Any]:
        """`State` of its inspect document."""
        state: Mapping[str, Any] = self._inspect(patient)["State"]
        return state

    def _inspect(self, patient: Patient) -> Mapping[str, Any]:
        document: Mapping[str, Any] = self._client.api.inspect_container(self.named(patient))
        return document

    def events(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """All ends, starts and changes of health since the demo began, by the container's name in Docker."""
        wanted = {
            "type": "container",
            "label": f"{LABEL}={self._run_id}",
            "event": ["die", "start", "health_status"],
        }
        found: dict[str, list[Mapping[str, Any]]] = {}
        since, until = self.began.timestamp() - 1, datetime.now(UTC).timestamp()
        # Given an end, the Engine answers with what it remembers and is done.
        told = self._client.api.events(  # type: ignore[call-overload]  # the API takes fractions of a second
            f"{since:.6f}", f"{until:.6f}", filters=wanted, decode=True
        )
        for event in told:
            found.setdefault(event["Actor"]["Attributes"]["name"], []).append(event)
        return found

    def boots(self, patient: Patient) -> Boots | None:
        """Counted while nothing moves; `None` if it moved in between, or is just being started.

        A restart policy counts a restart when the container ends, which is before it starts again.
        """
        before = self._inspect(patient)
        if patient.restart and before["State"]["Status"] != "restarting":
            return None
        log = self._client.containers.get(self.named(patient)).logs(tail="all").decode(errors="replace")
        after = self._inspect(patient)
        if before["RestartCount"] != after["RestartCount"] or before["State"] != after["State"]:
            return None
        pending = 1 if before["State"]["Status"] == "restarting" else 0
        lines = [line for line in log.splitlines() if line.startswith(BOOT)]
        return Boots(counted=len(lines), by_policy=before["RestartCount"] - pending)

    def remove(self) -> None:
        """Every container with our label, and the image if it was imported for this run."""
        for container in self._client.containers.list(all=True, filters={"label": f"{LABEL}={self._run_id}"}):
            with contextlib.suppress(NotFound):
                container.remove(force=True, v=True)
        if self._imported:
            with contextlib.suppress(NotFound):
                self._client.images.remove(self.image, force=True)

    def close(self) -> None:
        """Lets go of the connections."""
        self._client.close()


def of_own_engine(engine: parts.DockerEngine, run_id: str) -> Containers:
    """On the demo's own Engine, which is removed whole."""
    client = docker.DockerClient(base_url=engine.url, timeout=TIMEOUT_SECONDS)
    return Containers(client, url=engine.url, image=engine.image, run_id=run_id, shared=False)


def found_engine() -> str | None:
    """The address of an Engine that answers at `DOCKER_HOST`, else at the default socket.

    One behind TLS or ssh is on another machine; it is not asked.
    """
    address = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
    if not address.startswith(("unix://", "tcp://")) or os.environ.get("DOCKER_TLS_VERIFY"):
        return None
    try:
        with contextlib.closing(docker.DockerClient(base_url=address, timeout=ASKING_SECONDS)) as client:
            client.ping()
    except (DockerException, OSError):
        return None
    return address


def why_not(address: str) -> str | None:
    """What keeps the demo from an Engine that answers; `None` if nothing does. Only looks."""
    try:
        with contextlib.closing(docker.DockerClient(base_url=address, timeout=TIMEOUT_SECONDS)) as client:
            components = client.version().get("Components") or []
            if any("podman" in str(component.get("Name", "")).lower() for component in components):
                return "it is Podman, not Docker"
            skew = (datetime.fromisoformat(client.info()["SystemTime"]) - datetime.now(UTC)).total_seconds()
            return f"its clock is {skew:+.1f} s off" if abs(skew) > SKEW_SECONDS else None
    except (DockerException, OSError, KeyError, ValueError) as error:
        return one_line(error)


def of_found_engine(address: str, run_id: str) -> Containers:
    """On an Engine that is there already; nothing is on it yet, so that whatever follows can be removed."""
    client = docker.DockerClient(base_url=address, timeout=TIMEOUT_SECONDS)
    return Containers(client, url=address, image=f"hemostat-demo:{run_id}", run_id=run_id, shared=True)


def one_line(error: Exception) -> str:
    """An error of the SDK, which may be long, as one short line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
