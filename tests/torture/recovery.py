"""How long a held incident stands still: after kill -9 of its holder (a lease), and after SIGTERM (not at all).

The queue is quiet otherwise: nothing else wakes the other worker. The truth is the incident's claim in Redis, which
changes hands. SIGKILL is the control of SIGTERM: without giving back, nobody goes on before the lease is over.
"""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from tests.acceptance.stack import firing
from tests.torture.counting import Result, Tally, share
from tests.torture.ground import LEASE_SECONDS, Ground, Replica, both, post, until
from tests.torture.nursery import Nursery

HELD = 6
"""Incidents that one worker holds when it ends."""

LATEST_SECONDS = 30.0
"""By which every incident must have moved on, on a machine that does other things, too."""

DRAIN_LEASE_SECONDS = 8.0
DRAINS_WITHIN = 10.0
AT_ONCE_SECONDS = DRAIN_LEASE_SECONDS / 2
"""Nobody waited for a lease."""


def run(*, rounds: int) -> Result:
    """After kill -9."""
    with (
        Nursery() as nursery,
        deaf_docker(nursery.directory) as docker,
        Ground(nursery, docker=docker) as ground,
    ):
        waits: list[float] = []
        for _ in range(rounds):
            waits += _handed_over(ground, signal.SIGKILL, lease=LEASE_SECONDS)[0]
    return Result(
        name="recovery",
        product=Tally(
            did={
                "held when killed": len(waits),
                "lease s": LEASE_SECONDS,
                "p50 s": share(waits, 0.5),
                "p99 s": share(waits, 0.99),
                "longest s": max(waits),
                "later than lease + 1 s": sum(wait >= LEASE_SECONDS + 1 for wait in waits),
            },
            faults={"left alone": sum(wait > LATEST_SECONDS for wait in waits)},
        ),
    )


def drain(*, rounds: int) -> Result:
    """After SIGTERM, and after SIGKILL."""
    with Nursery() as nursery, deaf_docker(nursery.directory) as docker:
        product, control = both(
            lambda: _drained(nursery, docker, signal.SIGTERM, rounds),
            lambda: _drained(nursery, docker, signal.SIGKILL, 1),
        )
    return Result(name="drain", product=product, controls={"killed, so nothing is given back": control})


def _drained(nursery: Nursery, docker: str, number: signal.Signals, rounds: int) -> Tally:
    waits, ends = [], []
    with Ground(nursery, docker=docker) as ground:
        for _ in range(rounds):
            moved, ended = _handed_over(ground, number, lease=DRAIN_LEASE_SECONDS)
            waits += moved
            ends.append(ended)
    wanted = 0 if number is signal.SIGTERM else -number
    return Tally(
        did={
            "held when told": len(waits),
            "lease s": DRAIN_LEASE_SECONDS,
            "slowest exit s": max(seconds for _, seconds in ends),
            "next step p50 s": share(waits, 0.5),
            "longest s": max(waits),
        },
        faults={
            "exits later than 10 s": sum(seconds > DRAINS_WITHIN for _, seconds in ends),
            "ended badly": sum(status != wanted for status, _ in ends),
            "waited for the lease": sum(wait > AT_ONCE_SECONDS for wait in waits),
        },
    )


def _handed_over(
    ground: Ground, number: signal.Signals, *, lease: float
) -> tuple[list[float], tuple[int, float]]:
    """Seconds until each incident had another holder, and the end of the first: its status, and how long it took."""
    sections = {"worker": {"lease": f"{lease:g}s", "concurrency": 2 * HELD}}
    holder = Replica(ground, roles="web,worker", **sections).start().until_up()
    ids = []
    for _ in range(HELD):
        ids += post(holder.url, firing(f"held-{random.getrandbits(48):012x}"))[1]["incidents"]

    def claims() -> list[str | None]:
        return [claim for [claim] in ground.fields(["claim"], ids)]

    until(lambda: all(claims()), seconds=20, what="everything is held", every=0.01)
    before = claims()
    successor = Replica(ground, roles="worker", **sections).start().until_up()
    time.sleep(random.uniform(0, lease / 3 if lease < 5 else 1))  # somewhere between two heartbeats
    assert claims() == before, "somebody else holds them before the holder ended"
    assert holder.child is not None
    began = time.monotonic()
    holder.child.signal(number)
    ended_at: float | None = None
    moved = [0.0] * len(ids)
    while not all(moved) or ended_at is None:
        now = time.monotonic() - began
        assert now < LATEST_SECONDS + DRAIN_LEASE_SECONDS, f"not moved on: {moved}"
        for place, claim in enumerate(claims()):
            if not moved[place] and claim != before[place]:
                moved[place] = now
        if ended_at is None and not holder.child.running:
            ended_at = now
        time.sleep(0.005)
    assert successor.child is not None
    successor.child.kill()
    ground.redis.flushall()
    return moved, (holder.child.wait(0), ended_at)


@contextlib.contextmanager
def deaf_docker(directory: Path) -> Iterator[str]:
    """An Engine that accepts connections and answers nothing, so that whoever walks an incident holds it."""
    path = directory / "docker.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(1024)
        yield f"unix://{path}"
