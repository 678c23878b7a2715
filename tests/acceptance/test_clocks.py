"""A worker whose own clock is off by hours decides nothing by it: only Redis' clock counts."""

from __future__ import annotations

import subprocess
import sys
import time
from functools import partial

from redis import Redis

from bridge.demo import parts
from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import LEASE, ROOT, at, events, firing, refusals
from tests.servers.docker_engine import DockerEngineProxy, is_inspect

HOUR = 3600.0
OFF = {"5 hours ahead": 5 * HOUR, "5 hours behind": -5 * HOUR, "40 days ahead": 40 * 24 * HOUR}
WITHIN = 20.0


def believed_time(off: float) -> float:
    """What a process whose clock is off takes for the time, Unix seconds."""
    asked = [sys.executable, "-m", "tests.servers.shifted_clock", str(off)]
    return float(
        subprocess.run(asked, capture_output=True, text=True, check=True, cwd=ROOT).stdout.split()[0]
    )


def test_a_cooldown_holds_for_workers_whose_clocks_are_off(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """Repaired by one, refused by each of the others until the same moment; nobody is paused for an hour by mistake."""
    shop = start_service().fall_sick()
    first = start_bridge()
    assert first.repair(firing(shop.name))["outcome"] == "healed"
    repaired_at = time.time()
    first.terminate()
    shop.fall_sick()
    until: set[str] = set()
    naive: list[bool] = []
    for name, off in OFF.items():
        bridge = start_bridge(clock_off=off)
        refused = bridge.repair(firing(shop.name, alertname=f"Sick{len(until)}{len(naive)}"))
        assert refusals(refused) == ["cooldown"], name
        assert abs(at(refused["opened_at"]) - time.time()) < 60, name
        until.add(refused["decision"]["refusals"][0]["until"])
        paused = bridge.request("PUT", "/api/v1/pause", {"for": "1h"}).json()
        assert abs(at(paused["until"]) - time.time() - HOUR) < 60, name
        assert bridge.get("/api/v1/pause")["paused"], name
        bridge.request("DELETE", "/api/v1/pause")
        naive.append(believed_time(off) - repaired_at > HOUR)
        bridge.terminate()
    print(
        f"{len(OFF)} workers with clocks off: {shop.boots - 2} repairs within the cooldown, free {len(until)} moment(s)"
    )
    print(f"control: by their own clocks {sum(naive)} of {len(OFF)} would have repaired again")
    assert shop.boots == 2
    assert len(until) == 1
    assert sum(naive) == 2


def test_a_lease_holds_against_workers_whose_clocks_are_ahead(
    start_bridge: StartBridge, start_service: StartService, docker_proxy: DockerEngineProxy, redis_url: str
) -> None:
    """The holder waits for Docker longer than a lease; to the other's clock it ran out days ago, and yet it holds."""
    shop = start_service().fall_sick()
    holder = start_bridge(docker=docker_proxy.url, docker_timeout="60s")
    held = docker_proxy.hold_before(is_inspect)
    [incident_id] = holder.accept(firing(shop.name))
    held.wait_until_reached(seconds=WITHIN)
    thieves = [start_bridge(clock_off=off) for off in OFF.values()]
    for thief in thieves:
        thief.until_ready()
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        lease = partial(redis.hget, f"{{hemostat}}:incident:{incident_id}", "lease")
        first, whole = int(str(lease())), 1000 * (float(LEASE.removesuffix("s")) + 1)
        assert parts.wait_until(lambda: int(str(lease())) > first + whole, seconds=WITHIN), (
            "it was not renewed"
        )
    assert holder.incident(incident_id)["state"] == "open"
    held.release()
    incident = holder.await_incident(incident_id)
    print(
        f"{events(incident).count('acting')} action beside {len(thieves)} workers with clocks off, {shop.boots} boots"
    )
    assert (incident["outcome"], events(incident).count("acting"), shop.boots) == ("healed", 1, 2)
    assert all("acting" not in thief.log_text() for thief in thieves)
