"""Answers of Redis lost after it carried the command out: no alert, grant, action or line of a story is doubled.

Everything the bridges say to Redis goes through a proxy that drops answers together with their connection, so the
client's own repetition runs each of those commands twice. The control is a command that is not made to be repeated.
"""

from __future__ import annotations

import contextlib
import random
import time
from collections import Counter
from itertools import pairwise

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bridge.demo import parts
from bridge.verification import SETTLE_GRACE_SECONDS
from tests.acceptance.stack import Json, firing
from tests.servers.cutting_proxy import CuttingProxy
from tests.torture.counting import Result, Tally
from tests.torture.ground import Ground, Patient, Replica, Ward, post, until
from tests.torture.nursery import Nursery

SHARE = 0.15
"""Of all answers to scripts. Two in a row are also seen: the client repeats once, then the walk is interrupted."""

TRANSITIONS = ("accept", "claim", "acquire", "begin", "save", "close", "later", "due")
PATIENTS_AT_ONCE, GHOSTS_AT_ONCE = 4, 4
DRAIN_SECONDS = 120.0


def run(*, cuts: int, control_cuts: int) -> Result:
    """The product and the control."""
    with parts.DockerEngine() as engine, Nursery() as nursery:
        product = _walks(nursery, engine, cuts=cuts)
    return Result(
        name="cut", product=product, controls={"repeats what must not be repeated": _appends(control_cuts)}
    )


def _walks(nursery: Nursery, engine: parts.DockerEngine, *, cuts: int) -> Tally:
    with (
        Ground(nursery, docker=engine.url) as ground,
        Ward(engine, hanging=0.0) as ward,
        CuttingProxy(ground.server.port, share=0.0) as proxy,
    ):
        through = {"redis_url": proxy.url}
        door = Replica(ground, roles="web", **through).start().until_up()
        for _ in range(2):
            Replica(ground, roles="worker", **through).start().until_up()
        proxy.share, proxy.more = SHARE, {"acquire": 4.0, "begin": 4.0}  # rare, and what all this is about
        patients: list[Patient] = []
        fingerprints: set[str] = set()
        deadline = time.monotonic() + 60 + cuts
        while proxy.cuts < cuts:
            assert time.monotonic() < deadline, f"only {proxy.cuts} cuts"
            room = PATIENTS_AT_ONCE + GHOSTS_AT_ONCE - ground.open()
            alerts = []
            if room > 0 and random.random() < 0.5 and (patient := ward.next(within=0)):
                patients.append(patient)
                alerts.append(firing(patient.name))
            elif room > 0:
                alerts.append(firing(f"ghost-{random.getrandbits(48):012x}"))
            if alerts:
                _insist(door.url, alerts)
                fingerprints.update(alert["fingerprint"] for alert in alerts)
            else:
                time.sleep(0.02)
        proxy.share = 0.0
        until(lambda: ground.open() == 0, seconds=DRAIN_SECONDS, what="every incident closed")
        boots = [patient.boots for patient in patients]
        return Tally(
            did={
                "cuts": proxy.cuts,
                "of scripts": proxy.cuts_of_scripts,
                **{name: proxy.cut[name] for name in TRANSITIONS},
                "incidents": len(fingerprints),
                "repairs": len(patients),
            },
            faults={
                **_doubles(ground, fingerprints),
                "restarts doubled": sum(max(0, count - 2) for count in boots),
                "restarts missing": sum(count < 2 for count in boots),
            },
        )


def _insist(url: str, alerts: list[Json]) -> None:
    """Until it is accepted, as Alertmanager does."""
    while True:
        with contextlib.suppress(OSError):
            if post(url, *alerts)[0] == 202:
                return


def _doubles(ground: Ground, fingerprints: set[str]) -> dict[str, int]:
    ids = ground.incidents()
    with ground.redis.pipeline(transaction=False) as pipe:
        for incident_id in ids:
            pipe.hkeys(f"{{hemostat}}:incident:{incident_id}:alerts")
        known = Counter(fingerprint for found in pipe.execute() for fingerprint in found)
    grants: Counter[str] = Counter(i for i, line in ground.transitions() if line["event"] == "reserved")
    told = Counter(
        (incident_id, line["event"])
        for incident_id in ids
        for line in ground.story(incident_id)
        if line["event"] in ("reserved", "acted", "closed")
    )
    audited = Counter(
        (incident, line["event"])
        for incident, line in ground.transitions()
        if line["event"] in ("opened", "acted", "closed")
    )
    began = [
        [line["at_ms"] for line in ground.story(incident_id) if line["event"] == "acting"]
        for incident_id in ids
    ]
    # A second intent is right where the first came to nothing; to find that out takes the settlement's patience.
    at_once = sum(b - a < 1000 * SETTLE_GRACE_SECONDS for times in began for a, b in pairwise(times))
    return {
        "alerts lost": len(fingerprints - set(known)),
        "alerts in two incidents": sum(count > 1 for count in known.values()),
        "granted twice": sum(count > 1 for count in grants.values()),
        "budget counted twice": max(0, ground.redis.zcard("{hemostat}:window:fleet") - len(grants)),
        "lines told twice": sum(count > 1 for count in (told | audited).values()) + at_once,
    }


def _appends(cuts: int) -> Tally:
    """A client that repeats an XADD and an INCR whose answers were lost."""
    with parts.RedisServer() as server, CuttingProxy(server.port, share=1.0) as proxy:
        client = redis.Redis(port=proxy.port, retry=Retry(NoBackoff(), 10), protocol=2)
        wanted = 0
        while proxy.cuts < cuts:
            client.xadd("incidents", {"n": wanted})
            client.incr("grants")
            wanted += 1
        proxy.share = 0.0
        appended, counted = client.xlen("incidents"), int(client.get("grants") or 0)
        client.close()
        return Tally(
            did={"cuts": proxy.cuts, "wanted": wanted},
            faults={"incidents doubled": appended - wanted, "grants doubled": counted - wanted},
        )
