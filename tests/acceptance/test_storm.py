"""5,000 alerts about 500 containers at once: nothing lost, nobody flooded, and no more done than the caps allow.

The containers are synthetic (`tests/servers/docker_fleet.py`); everything else is real.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
import requests

from bridge.demo import parts
from tests.acceptance.conftest import StartBridge
from tests.acceptance.stack import AT_ONCE, TOKENS, Bridge, Json, closed, firing, webhook
from tests.servers.docker_fleet import DockerFleet

TARGETS, KINDS = 500, 10
SENDERS = 20
DRAINED_SECONDS = 150.0
"""For all of it; a machine that does other things as well takes a minute and a half."""

pytestmark = pytest.mark.timeout(DRAINED_SECONDS + 60)

NAMES = [f"c{n:03}" for n in range(TARGETS)]
NO_SHARES = {"project_share": 1, "fleet_share": 1}
NO_NEIGHBOURS = {"sick_neighbours": 1_000_000}
"""The rule that leaves a container with many sick siblings to a person, turned off."""


@pytest.fixture
def fleet() -> Iterator[DockerFleet]:
    """500 containers of 50 projects, all unhealthy."""
    with DockerFleet() as fleet:
        for n, name in enumerate(NAMES):
            fleet.run(name, healthy=False, com__docker__compose__project=f"p{n % 50}")
        yield fleet


def strike(bridge: Bridge, names: Sequence[str] = NAMES) -> Counter[int]:
    """One group for each kind of alert and 50 containers, all at once; each again while the answer is 503. The codes."""
    groups = [
        webhook(*(firing(name, alertname=f"Sick{kind}") for name in names[first : first + 50]))
        for kind in range(KINDS)
        for first in range(0, len(names), 50)
    ]
    codes: Counter[int] = Counter()

    def send(group: Json) -> None:
        for _ in range(100):
            code = requests.post(
                f"{bridge.url}/api/v1/alerts",
                json=group,
                headers={"Authorization": f"Bearer {TOKENS['receiver']}"},
                timeout=20,
            ).status_code
            codes[code] += 1
            if code != 503:
                return

    with ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(send, groups))
    return codes


def drained(bridge: Bridge) -> list[Json]:
    """Every incident, once none is open any more. The gauge alone is not asked: it is 0 before its first reading."""
    listed: list[Json] = []

    def done() -> bool:
        listed[:] = bridge.incidents(limit="1000")
        return bool(listed) and all(map(closed, listed))

    assert parts.wait_until(done, seconds=DRAINED_SECONDS, every=1), bridge.log_tail(30)
    return listed


def storms_told(redis_url: str) -> list[str]:
    """What the stream of events tells of storms."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        entries: Any = client.xrange("{hemostat}:events")
    told = [json.loads(fields["entry"])["event"] for _, fields in entries]
    return [event for event in told if event.startswith("storm_")]


def test_a_storm_is_refused_honestly_and_told_once(
    fleet: DockerFleet, start_bridge: StartBridge, redis_url: str
) -> None:
    """All of 500 are sick, so the monitor or the host is suspect: nothing is done, and every incident says so."""
    bridge = start_bridge(docker=fleet.url)
    codes = strike(bridge)
    incidents = drained(bridge)
    assert set(codes) <= {202, 503}
    assert codes[202] == TARGETS * KINDS // 50
    assert len(incidents) == TARGETS
    assert {incident["target"]["name"] for incident in incidents} == set(NAMES)
    assert Counter(incident["outcome"] for incident in incidents) == {"refused": TARGETS}
    assert {incident["refusals"][0]["reason"] for incident in incidents} <= {"project_share", "fleet_share"}
    assert fleet.restarts == []
    assert bridge.target(NAMES[0])["refusal"]["reason"] == "project_share"
    storm = bridge.get("/api/v1/storm")
    assert (storm["storm"], storm["incidents"], storm["outcomes"]) == (True, TARGETS, {"refused": TARGETS})
    assert storms_told(redis_url) == ["storm_began"]
    assert bridge.metric("hemostat_storm") == 1


@pytest.mark.parametrize(
    ("limits", "fits"),
    [
        pytest.param(
            {"fleet": {"max": 7, "per": "1h"}, "host": {"max": 100, "per": "1h"}}, lambda n: n == 7, id="cap"
        ),
        pytest.param(
            {"fleet": {"max": 1000, "per": "1h"}, "host": {"max": 1000, "per": "1h"}},
            lambda n: n > 50,
            id="control without a cap",
        ),
    ],
)
def test_with_the_shares_turned_off_a_storm_gets_no_more_than_the_fleet_cap(
    fleet: DockerFleet, start_bridge: StartBridge, limits: Json, fits: Callable[[int], bool]
) -> None:
    """Every other incident is refused for it. The control shows that only the caps stand in between."""
    bridge = start_bridge(
        docker=fleet.url,
        policy={"verify": AT_ONCE, "limits": {**limits, **NO_SHARES}},
        triage=NO_NEIGHBOURS,
        worker={"lease": "10s", "concurrency": 32},
    )
    some = NAMES[:200]
    assert set(strike(bridge, some)) <= {202, 503}
    if limits["fleet"]["max"] == 1000:
        assert parts.wait_until(lambda: fits(len(fleet.restarts)), seconds=DRAINED_SECONDS, every=0.1)
        print(f"control: {len(fleet.restarts)} restarts without a cap")
        return
    incidents = drained(bridge)
    outcomes = Counter(incident["outcome"] for incident in incidents)
    assert fits(len(fleet.restarts)), Counter((i["outcome"], i["reason"][:60]) for i in incidents)
    assert len(set(fleet.restarts)) == len(fleet.restarts)
    assert outcomes["refused"] == len(some) - len(fleet.restarts)
    assert {i["refusals"][0]["reason"] for i in incidents if i["outcome"] == "refused"} == {"fleet_cap"}
