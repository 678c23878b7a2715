"""What the experiments stand on: one Redis, one Docker Engine, bridges from the nursery, containers that count their boots."""

from __future__ import annotations

import contextlib
import json
import queue
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import redis
from docker.errors import NotFound
from docker.types import Healthcheck

from bridge.demo import parts
from tests.acceptance.stack import HOST, Json, webhook
from tests.torture.counting import Tally
from tests.torture.nursery import Child, Nursery

LEASE_SECONDS = 2.0
"""The shortest that the settings allow: what an experiment waits for most."""

STOP_SECONDS = 1
SECOND = 1_000_000_000
FREE = {
    "actions": ["restart"],
    "cooldown": "1h",  # each target is repaired once; and within it a repeated alert opens no second incident
    "caps": [{"max": 1_000_000, "per": "1h"}],
    "breaker": {"failures": 1000, "open_for": "1m"},
    "verify": {"within": "60s", "stable_for": "0s", "relapse_watch": "0s"},
    "limits": {
        "fleet": {"max": 1_000_000, "per": "1h"},
        "host": {"max": 1_000_000, "per": "1h"},
        "project_share": 1,
        "storm": {"incidents": 1_000_000, "per": "1m"},
    },
}
"""A policy that stands in nobody's way: budgets have an experiment of their own."""

FIRST_BOOT = "echo boot; echo boot >> /boots; "
CRASHES_ONCE = FIRST_BOOT + "[ $(wc -l < /boots) -gt 1 ] || exit 1; sleep 100000 & wait"
HANGS_ONCE = FIRST_BOOT + "sleep 100000 & wait"
CURED = "test $(wc -l < /boots) -gt 1"


def until(fact: Callable[[], object], *, seconds: float, what: str, every: float = 0.05) -> None:
    """Returns once it is so. Raises: AssertionError: it did not come true in time."""
    assert parts.wait_until(fact, seconds=seconds, every=every), f"not within {seconds} s: {what}"


def both(product: Callable[[], Tally], control: Callable[[], Tally]) -> tuple[Tally, Tally]:
    """At the same time: most of either is waiting."""
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="experiment") as pool:
        one, other = pool.submit(product), pool.submit(control)
        return one.result(), other.result()


class Patient:
    """A container that is sick until it has been restarted once, and writes a line at each boot: two are right."""

    def __init__(self, engine: parts.DockerEngine, name: str, *, hangs: bool) -> None:
        """`hangs`: it runs and fails its health check until restarted; else it ends with 1 at its first boot."""
        self.name = name
        self._api = engine.client.api
        check = Healthcheck(test=["CMD-SHELL", CURED], interval=SECOND, timeout=5 * SECOND, retries=1)
        self.id: str = self._api.create_container(
            engine.image,
            ["sh", "-c", f"trap 'exit 143' TERM; {HANGS_ONCE if hangs else CRASHES_ONCE}"],
            name=name,
            labels={"hemostat.enable": "true"},
            healthcheck=check if hangs else None,
            stop_timeout=STOP_SECONDS,
            host_config=self._api.create_host_config(network_mode="none"),
        )["Id"]
        self._api.start(self.id)
        self._hangs = hangs

    @property
    def sick(self) -> bool:
        """Whether Docker knows it."""
        state = self._api.inspect_container(self.id)["State"]
        if self._hangs:
            return bool(state["Health"]["Status"] == "unhealthy")
        return bool(state["Status"] == "exited")

    @property
    def boots(self) -> int:
        """By its own account."""
        return int(self._api.logs(self.id).split().count(b"boot"))

    def remove(self) -> None:
        """As if it had never been."""
        with contextlib.suppress(NotFound):
            self._api.remove_container(self.id, force=True, v=True)


class Ward:
    """Patients made ahead of time by threads of their own, as fast as they are asked for."""

    def __init__(self, engine: parts.DockerEngine, *, hanging: float = 0.3, ahead: int = 3) -> None:
        self._engine = engine
        self._hanging = hanging
        self._ready: queue.Queue[Patient] = queue.Queue(ahead)
        self._pool = ThreadPoolExecutor(max_workers=3, thread_name_prefix="ward")
        self._open = True
        self._made = 0

    def __enter__(self) -> Self:
        for _ in range(2):
            self._pool.submit(self._make)
        return self

    def __exit__(self, *_: object) -> None:
        self._open = False
        with contextlib.suppress(queue.Empty):
            while True:
                self._ready.get_nowait()
        self._pool.shutdown(cancel_futures=True)

    def next(self, *, within: float = 60) -> Patient | None:
        """One that is sick; `None` if there is none in time."""
        with contextlib.suppress(queue.Empty):
            return self._ready.get(timeout=within) if within else self._ready.get_nowait()
        return None

    def _make(self) -> None:
        while self._open:
            self._made += 1
            name = f"patient-{random.getrandbits(40):010x}"
            patient = Patient(self._engine, name, hangs=random.random() < self._hanging)
            if parts.wait_until(lambda patient=patient: patient.sick, seconds=30):  # type: ignore[misc]
                while self._open:
                    with contextlib.suppress(queue.Full):
                        self._ready.put(patient, timeout=0.2)
                        break

    def remove(self, patient: Patient) -> None:
        """In the background."""
        self._pool.submit(patient.remove)


class Ground:
    """One Redis (flushed to disk at every write) and the bridges on it."""

    def __init__(self, nursery: Nursery, *, docker: str) -> None:
        self.nursery = nursery
        self.server = parts.RedisServer()
        self._docker = docker
        self._children: list[Child] = []

    def __enter__(self) -> Self:
        self.server.start()
        self.redis = redis.Redis(port=self.server.port, decode_responses=True, protocol=2)
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._children:
            child.kill()
        self.redis.close()
        self.server.stop()

    def configure(self, port: int, *, redis_url: str | None = None, **sections: Any) -> Path:
        """The configuration of a bridge on this port; `sections` on top of what all have in common."""
        config = {
            "web": {"listen_address": f"{parts.LOOPBACK}:{port}"},
            "redis": {"url": redis_url or self.server.url.removesuffix("/0")},
            "docker": {"hosts": [{"name": HOST, "url": self._docker}]},
            "store": {"trust_empty": True, "backlog_limit": 1_000_000},
            "worker": {"lease": f"{LEASE_SECONDS:g}s", "concurrency": 8},
            "policy": FREE,
            "log": {"level": "warn"},
            **sections,
        }
        path = self.nursery.directory / f"{port}.yml"
        path.write_text(json.dumps(config))  # JSON is YAML
        return path

    def fork(self, call: str, **arguments: Any) -> Child:
        """A process that ends with this ground at the latest."""
        self._children = [child for child in self._children if child.running]
        self._children.append(self.nursery.fork(call, **arguments))
        return self._children[-1]

    # ---- the truth, from Redis itself ------------------------------------------------------------------------

    def incidents(self) -> list[str]:
        """Every incident there is."""
        return [str(incident) for incident in self.redis.zrange("{hemostat}:incidents", 0, -1)]

    def fields(self, names: list[str], ids: list[str]) -> list[list[str | None]]:
        """These fields of these incidents."""
        with self.redis.pipeline(transaction=False) as pipe:
            for incident_id in ids:
                pipe.hmget(f"{{hemostat}}:incident:{incident_id}", names)
            return pipe.execute()

    def document(self, incident_id: str) -> Json:
        """An incident as its worker wrote it."""
        found: Json = json.loads(self.redis.hget(f"{{hemostat}}:incident:{incident_id}", "doc") or "{}")
        return found

    def open(self) -> int:
        """How many are not closed."""
        return sum(state != "closed" for [state] in self.fields(["state"], self.incidents()))

    def story(self, incident_id: str) -> list[Json]:
        """Its lines."""
        key = f"{{hemostat}}:incident:{incident_id}:timeline"
        return [json.loads(line) for line in self.redis.lrange(key, 0, -1)]

    def transitions(self) -> Iterator[tuple[str, Json]]:
        """The audit of everything, oldest first: incident, line."""
        entries: Any = self.redis.xrange("{hemostat}:events")
        for _, fields in entries:
            yield fields["incident"], json.loads(fields["entry"])


class Replica:
    """One bridge of several, which may be killed and started again at the same address."""

    def __init__(self, ground: Ground, *, roles: str, **sections: Any) -> None:
        self.port = parts.free_port()
        self.roles = roles
        self._ground = ground
        self._config = ground.configure(self.port, **sections)
        self.child: Child | None = None

    def start(self, **doom: Any) -> Self:
        """Does not wait for it. `doom` goes to `doomed.serve`."""
        call = "tests.torture.doomed:serve"
        self.child = self._ground.fork(call, config=str(self._config), roles=self.roles, **doom)
        return self

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{parts.LOOPBACK}:{self.port}"

    def answers(self) -> bool:
        """Whether it is up."""
        return parts.answers_200(f"{self.url}/-/healthy")

    def until_up(self, seconds: float = 30) -> Self:
        """Returns once it answers."""
        assert self.child is not None, "it was never started"
        child = self.child
        until(
            lambda: self.answers() or not child.running, seconds=seconds, what="a bridge answers", every=0.02
        )
        assert child.running, f"it ended at once\n{child.tail()}"
        return self


def post(url: str, *alerts: Json) -> tuple[int, Json]:
    """One webhook; its status and answer. Raises: OSError."""
    status, body = parts.http_request("POST", f"{url}/api/v1/alerts", webhook(*alerts), seconds=5)
    return status, json.loads(body) if status == 202 else {}
