"""kill -9 of receivers and workers under load: what was answered 202 is in the journal, and every incident ends.

Clients send webhooks round robin and repeat the same body until it is accepted, as Alertmanager does. The control is
a receiver that answers before it writes.
"""

from __future__ import annotations

import itertools
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPException

from bridge.demo import parts
from tests.acceptance.stack import Json, firing
from tests.torture.counting import Result, Tally
from tests.torture.ground import Ground, Replica, both, post, until
from tests.torture.nursery import Nursery

ROLES = ("web", "web", "worker", "worker", "web,worker")
CLIENTS = 3
BETWEEN_WEBHOOKS = 0.04
BETWEEN_KILLS = (0.15, 0.5)
DRAIN_SECONDS = 120.0


def run(*, kills: int, control_kills: int) -> Result:
    """The product and the control."""
    with parts.DockerEngine() as engine, Nursery() as nursery:
        product, control = both(
            lambda: _siege(nursery, engine, kills=kills),
            lambda: _siege(nursery, engine, kills=control_kills, without=["write before the answer"]),
        )
    return Result(name="accept", product=product, controls={"answers before it writes": control})


class _Client(threading.Thread):
    """Sends until told to stop, and repeats each webhook until it is accepted."""

    def __init__(self, urls: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self._urls = itertools.cycle(urls)
        self.enough = threading.Event()
        self.accepted: set[str] = set()
        self.repeated = 0
        self.wrong: Counter[int] = Counter()

    def run(self) -> None:
        while not self.enough.is_set():
            alerts = [firing(f"ghost-{random.getrandbits(48):012x}") for _ in range(random.randint(1, 3))]
            while not self._sent(alerts):
                self.repeated += 1
                time.sleep(0.02)
            self.accepted.update(str(alert["fingerprint"]) for alert in alerts)
            time.sleep(random.uniform(0, 2 * BETWEEN_WEBHOOKS))

    def _sent(self, alerts: Sequence[Json]) -> bool:
        try:
            status, _ = post(next(self._urls), *alerts)
        except (OSError, HTTPException):
            return False
        if status not in (202, 503):
            self.wrong[status] += 1
        return status == 202


def _siege(nursery: Nursery, engine: parts.DockerEngine, *, kills: int, without: Sequence[str] = ()) -> Tally:
    with Ground(nursery, docker=engine.url) as ground:
        replicas = [Replica(ground, roles=roles).start(without=without) for roles in ROLES]
        for replica in replicas:
            replica.until_up()
        receivers = [replica.url for replica in replicas if "web" in replica.roles]
        clients = [_Client(random.sample(receivers, len(receivers))) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        killed: Counter[str] = Counter()
        doomed = [replica for replica in replicas if "web" in replica.roles] if without else replicas
        while sum(killed.values()) < kills:
            time.sleep(random.uniform(*BETWEEN_KILLS))
            victim = random.choice(doomed)
            assert victim.child is not None
            victim.child.kill()
            killed[victim.roles] += 1
            victim.start(without=without)
        for client in clients:
            client.enough.set()
        for client in clients:
            client.join(60)
            assert not client.is_alive(), "a webhook was never accepted"
        began = time.monotonic()
        if without:
            time.sleep(1.0)  # what this receiver still means to write
        until(lambda: ground.open() == 0, seconds=DRAIN_SECONDS, what="every incident closed")
        drained = time.monotonic() - began
        for replica in replicas:
            if replica.child is not None:
                replica.child.signal(signal.SIGKILL)
        return _counted(ground, clients, killed, drained)


def _counted(ground: Ground, clients: Sequence[_Client], killed: Counter[str], drained: float) -> Tally:
    ids = ground.incidents()
    with ground.redis.pipeline(transaction=False) as pipe:
        for incident_id in ids:
            pipe.hkeys(f"{{hemostat}}:incident:{incident_id}:alerts")
        known = Counter(fingerprint for fingerprints in pipe.execute() for fingerprint in fingerprints)
    accepted = set().union(*(client.accepted for client in clients))
    states = ground.fields(["state"], ids)
    return Tally(
        did={
            "kills": sum(killed.values()),
            "of receivers": sum(count for roles, count in killed.items() if "web" in roles),
            "of workers": sum(count for roles, count in killed.items() if "worker" in roles),
            "alerts accepted": len(accepted),
            "webhooks repeated": sum(client.repeated for client in clients),
            "seconds to drain": drained,
        },
        faults={
            "lost": len(accepted - set(known)),
            "in two incidents": sum(count > 1 for count in known.values()),
            "never closed": sum(state != "closed" for [state] in states),
            "neither 202 nor 503": sum(sum(client.wrong.values()) for client in clients),
        },
    )
