"""Reaction: from the answer to a webhook until Docker is told to restart the container; rules only, idle machine.

Measured at Docker: the `kill` event with which a restart begins carries dockerd's own time, on the same clock as the
202 before it. So the figure holds everything up to Docker's having begun, which is a little more than "call issued".
The baseline restarts whatever it is told to at once, in a thread, without asking anybody.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import Any

from docker.models.containers import Container

from bench import servers
from bench.figures import Figure, figure
from bridge.demo import parts

WAIT_SECONDS = 8.0
"""Less than the SDK's own deadline, which is 10 s."""

SETTLE_SECONDS = 0.2
"""After Docker's own health check, so that its process is not what is measured."""

POLICY = {
    "caps": [{"max": 1000, "per": "1h"}],
    "limits": {
        "fleet": {"max": 1000, "per": "1h"},
        "host": {"max": 1000, "per": "1h"},
        "storm": {"incidents": 1000},
    },
    "verify": {"within": "5s", "stable_for": "1s", "relapse_watch": "0s"},
}
"""Budgets out of the way, no storm of what comes one by one, and verifications that are over soon, so that the machine
is idle again."""


def measure(*, incidents: int) -> list[Figure]:
    """One container after the other falls sick, repaired in turn by the bridge and by the baseline."""
    mine, base = [], []
    with (
        parts.DockerEngine() as engine,
        servers.redis() as redis,
        servers.bare("restart", engine.url) as bare,
    ):
        with servers.bridge(
            docker=engine.url, redis=redis.url, policy=POLICY, log={"level": "error"}
        ) as bridge:
            for number in range(incidents):
                mine.append(_reaction_ms(engine, bridge, f"mine-{number}"))
                base.append(_reaction_ms(engine, bare, f"base-{number}"))
    return [figure("202 until Docker restarts", "ms", mine, base, goal="< 100 ms")]


def _reaction_ms(engine: parts.DockerEngine, server: parts.Process, name: str) -> float:
    sick = parts.Healthcheck(command="exit 1", interval_seconds=1.0, retries=1)
    container = engine.run(
        name,
        "sleep 100000",
        labels={"hemostat.enable": "true"},
        healthcheck=sick,
        stop_signal="KILL",
    )
    try:
        if not parts.wait_until(lambda: health(engine, name) == "unhealthy", seconds=WAIT_SECONDS):
            raise parts.PartFailed(engine.name, f"did not find {name} unhealthy within {WAIT_SECONDS:g} s")
        time.sleep(SETTLE_SECONDS)
        servers.await_quiet(cores=0.5, seconds=WAIT_SECONDS)
        before = time.time()
        status, answer = parts.http_request("POST", f"{server.url}/api/v1/alerts", webhook(name), seconds=5)
        answered = time.time()
        if status != 202:
            raise parts.PartFailed(
                server.name, f"answered {status}: {answer.decode()[:200]}", server.log_tail()
            )
        return (_restart_began(engine, container, since=before) - answered) * 1000
    finally:
        container.remove(force=True, v=True)


def health(engine: parts.DockerEngine, name: str) -> str:
    """What Docker calls it."""
    state: dict[str, Any] = engine.client.api.inspect_container(name)["State"]
    return str(state["Health"]["Status"])


def _restart_began(engine: parts.DockerEngine, container: Container, *, since: float) -> float:
    """When Docker began to restart it: Unix seconds by dockerd's clock. Raises: PartFailed: it never did."""
    wanted = {"container": container.id, "event": "kill"}
    until = int(time.time() + WAIT_SECONDS)
    for event in engine.client.api.events(since=int(since), until=until, filters=wanted, decode=True):
        return int(event["timeNano"]) / 1e9
    raise parts.PartFailed(engine.name, f"was not told to restart {container.name} within {WAIT_SECONDS:g} s")


def webhook(name: str) -> dict[str, Any]:
    """One alert about a container. Source: Alertmanager webhook, version 4."""
    alert = {
        "status": "firing",
        "labels": {"alertname": "ContainerUnhealthy", "docker_host": servers.HOST, "name": name},
        "annotations": {},
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": hashlib.sha256(name.encode()).hexdigest()[:16],
    }
    return {"version": "4", "status": "firing", "receiver": "bench", "truncatedAlerts": 0, "alerts": [alert]}
