"""The bridge as a process, seen from outside only: its signals, its HTTP interface, its command line, its log.

Nothing here imports what it tests; `bridge.demo.parts` only starts processes.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from bridge.demo import parts

ROOT = Path(__file__).parents[2]
HOST = "local"
TOKENS = {role: f"{role}-token-of-the-tests" for role in ("receiver", "viewer", "operator")}
LEASE = "3s"
"""How long an incident of a killed bridge stays claimed."""

AT_ONCE = {"within": "20s", "stable_for": "0s", "relapse_watch": "0s"}
STEADY = {"within": "20s", "stable_for": "1s", "relapse_watch": "0s"}
LONG = {"within": "40s", "stable_for": "4s", "relapse_watch": "0s"}
"""When a repair counts as healed: at the first good look, or after a while of nothing but good looks; a long one is for
a test that does something meanwhile."""

Json = dict[str, Any]
Fact = Callable[[Json], object]

# Whoever runs the tests may have them set, and they would override the files of the tests.
FOREIGN_SETTINGS = (
    *("REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_PASSWORD", "DOCKER_HOST", "LOG_LEVEL", "LOG_FORMAT"),
    *("RESPONDER_COOLDOWN_SECONDS", "RESPONDER_MAX_RETRIES_PER_HOUR", "RESPONDER_DRY_RUN"),
    *(
        "ANALYZER_CONFIDENCE_THRESHOLD",
        "ANTHROPIC_API_KEY",
        "OPENAI_API_KEY",
        "AI_MODEL",
        "SLACK_WEBHOOK_URL",
    ),
    *("HEMOSTAT_URL", "HEMOSTAT_TOKEN"),
)
ENVIRONMENT = dict.fromkeys(FOREIGN_SETTINGS, "")


def closed(incident: Json) -> bool:
    """Whether it has an outcome."""
    return bool(incident["state"] == "closed")


def in_state(state: str) -> Fact:
    """Whether it stands there."""
    return lambda incident: incident["state"] == state


def firing(name: str, *, alertname: str = "ContainerUnhealthy", started: datetime | None = None) -> Json:
    """One alert about a container as Alertmanager's webhook has it; `started` is now unless told."""
    labels = {"alertname": alertname, "docker_host": HOST, "name": name, "severity": "warning"}
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": f"Container {name} is sick"},
        "startsAt": (started or datetime.now(UTC)).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example/graph",
        "fingerprint": hashlib.sha256(json.dumps(labels, sort_keys=True).encode()).hexdigest()[:16],
    }


def resolved(alert: Json) -> Json:
    """The same alert, ended now."""
    return {**alert, "status": "resolved", "endsAt": datetime.now(UTC).isoformat()}


def webhook(*alerts: Json) -> Json:
    """The body in which Alertmanager sends them. Source: Alertmanager webhook, version 4."""
    status = "firing" if any(alert["status"] == "firing" for alert in alerts) else "resolved"
    return {
        "version": "4",
        "groupKey": '{}:{alertname="ContainerUnhealthy"}',
        "truncatedAlerts": 0,
        "status": status,
        "receiver": "hemostat",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example",
        "alerts": list(alerts),
    }


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def hemostat(*words: str | Path, stdin: str = "", env: Mapping[str, str] | None = None) -> Said:
    """One run of the command line."""
    argv = [sys.executable, "-m", "bridge", *map(str, words)]
    environment = {**os.environ, **ENVIRONMENT, **(env or {})}
    ended = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=60, check=False
    )
    return Said(ended.returncode, ended.stdout, ended.stderr)


class Bridge(parts.Process):
    """`hemostat serve` with a configuration of its own."""

    def __init__(
        self,
        *,
        docker: str,
        redis: str | Mapping[str, Any] | None = None,
        port: int | None = None,
        storage: Path | None = None,
        roles: str = "web,worker",
        policy: Mapping[str, Any] | None = None,
        clock_off: float = 0.0,
        docker_timeout: str = "10s",
        **sections: Any,
    ) -> None:
        """`policy` and `sections` are keys of `hemostat.yml`, on top of small times. `redis` is a URL or
        that section; none: the embedded store. `clock_off`: seconds by which its wall clock is ahead."""
        self.port = port or parts.free_port()
        tokens = [{"name": role, "role": role, "token": token} for role, token in TOKENS.items()]
        config = {
            "web": {"listen_address": f"{parts.LOOPBACK}:{self.port}", "tokens": tokens},
            "docker": {"hosts": [{"name": HOST, "url": docker, "timeout": docker_timeout}]},
            "store": {"trust_empty": True, **({"path": str(storage)} if storage else {})},
            "worker": {"lease": LEASE},
            "policy": {"actions": ["restart", "start"], "verify": AT_ONCE, **(policy or {})},
            **({"redis": {"url": redis} if isinstance(redis, str) else dict(redis)} if redis else {}),
            **sections,
        }
        directory = parts.private_directory("bridge", None)
        self.config = directory / "hemostat.yml"
        program = ["tests.servers.shifted_clock", str(clock_off)] if clock_off else ["bridge"]
        super().__init__(
            [sys.executable, "-m", *program, "serve", "--roles", roles, "--config.file", self.config],
            name="bridge",
            directory=directory,
            files={self.config.name: json.dumps(config)},  # JSON is YAML
            url=f"http://{parts.LOOPBACK}:{self.port}",
            ready_path="/-/healthy",
            env=ENVIRONMENT,
            cwd=ROOT,
            start_seconds=60,
            stop_seconds=12,
        )

    # ---- its interface ---------------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, body: object = None, *, role: str | None = "operator", **options: Any
    ) -> requests.Response:
        """One request, as the holder of a role's token; a `body` goes out as JSON. Raises: RequestException."""
        with requests.Session() as session:
            session.trust_env = False  # no proxy between us and loopback
            if role is not None:
                session.headers["Authorization"] = f"Bearer {TOKENS[role]}"
            if body is not None:
                options["json"] = body
            return session.request(method, self.url + path, timeout=10, **options)

    def get(self, path: str, **query: str) -> Json:
        """What a GET answers, which must be 200."""
        answer = self.request("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def post(self, *alerts: Json) -> requests.Response:
        """A webhook with these alerts, as Alertmanager would send it."""
        return self.request("POST", "/api/v1/alerts", webhook(*alerts), role="receiver")

    def accept(self, *alerts: Json) -> list[str]:
        """A webhook that must be accepted; gives the incidents it concerns."""
        answer = self.post(*alerts)
        assert answer.status_code == 202, answer.text
        incidents: list[str] = answer.json()["incidents"]
        return incidents

    def incidents(self, **query: str) -> list[Json]:
        """What `GET /api/v1/incidents` lists, newest first."""
        listed: list[Json] = self.get("/api/v1/incidents", **query)["incidents"]
        return listed

    def incident(self, incident_id: str) -> Json:
        """One incident whole."""
        return self.get(f"/api/v1/incidents/{incident_id}")

    def target(self, name: str) -> Json:
        """What is left of a target's budget."""
        return self.get(f"/api/v1/targets/{HOST}/{name}")

    def counts(self, name: str, **labels: str) -> None:
        """Returns once this series is above zero: what happened is seen elsewhere before it is counted."""
        assert parts.wait_until(lambda: self.metric(name, **labels) > 0, seconds=15), (name, labels)

    def metric(self, name: str, **labels: str) -> float:
        """The value of one of its series; a series that is absent is an error."""
        wanted = name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else "")
        page = self.request("GET", "/metrics").text
        return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(f"{wanted} "))

    # ---- waiting for facts -----------------------------------------------------------------------------------

    def await_incident(self, incident_id: str, *, until: Fact = closed, within: float = 25) -> Json:
        """The incident once `until` is true of it. Raises: AssertionError: it did not come true in time."""
        last: Json = {}

        def came_true() -> bool:
            last.update(self.incident(incident_id))
            return bool(until(last))

        if not parts.wait_until(came_true, seconds=within, every=0.05):
            raise AssertionError(
                f"within {within} s it got no further than {story(last)}\n{self.log_tail(30)}"
            )
        return last

    def await_incident_about(self, name: str, *, until: Fact = closed, within: float = 40) -> Json:
        """The oldest incident about a container, once there is one and `until` is true of it."""
        if not parts.wait_until(lambda: self.incidents(target=name), seconds=within, every=0.1):
            raise AssertionError(f"no incident about {name} within {within} s\n{self.log_tail(30)}")
        return self.await_incident(self.incidents(target=name)[-1]["id"], until=until, within=within)

    def repair(self, alert: Json, *, within: float = 25) -> Json:
        """Post an alert and see the incident to its end."""
        [incident_id] = self.accept(alert)
        return self.await_incident(incident_id, within=within)

    def until_ready(self, *, ready: bool = True, within: float = 15) -> None:
        """Returns once `/-/ready` says so, or, if told, says the opposite."""

        def answered() -> bool:
            with suppress(requests.RequestException):
                return (self.request("GET", "/-/ready").status_code == 200) is ready
            return False

        assert parts.wait_until(answered, seconds=within, every=0.05), self.log_tail(30)


def events(incident: Json) -> list[str]:
    """The names of what happened to it, in order."""
    return [entry["event"] for entry in incident["timeline"]]


def refusals(incident: Json) -> list[str]:
    """Why it was refused."""
    return [refusal["reason"] for refusal in incident["decision"]["refusals"]]


def at(text: str) -> float:
    """Unix seconds of a time in an answer."""
    return datetime.fromisoformat(text).timestamp()


def story(incident: Json) -> str:
    """Enough of it to see from a failed test what went wrong."""
    kept = {key: incident.get(key) for key in ("id", "state", "outcome", "reason", "finding")}
    lines: Sequence[Json] = incident.get("timeline", [])
    return "\n  ".join([str(kept), *(f"{line['at']} {line['event']} {line['fields']}" for line in lines)])
