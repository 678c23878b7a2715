"""Redis behind Sentinels: the bridge repairs, refuses while there is no master, and repairs again with the next one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from bridge.demo import parts
from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import firing
from tests.conftest import started
from tests.servers.redis_topology import MASTER, Watched


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A master, two replicas, three Sentinels."""
    started(parts.RedisServer).stop()  # where there is none, this says so
    watched = Watched().start()
    yield watched
    watched.stop()


def test_a_repair_survives_the_death_of_the_master_and_nothing_acts_while_there_is_none(
    watched: Watched, start_bridge: StartBridge, start_service: StartService
) -> None:
    """Webhooks are 503 with Retry-After meanwhile; within ten seconds of the death the next repair begins."""
    first, second = start_service(), start_service()
    section = {"sentinel": {"master": MASTER, "nodes": watched.nodes}}
    bridge = start_bridge(redis=section, store={"trust_empty": True, "durability": "replicated"})
    bridge.until_ready()
    assert bridge.repair(firing(first.fall_sick().name))["outcome"] == "healed"

    second.fall_sick()
    old = watched.servers[0]
    old.kill()
    died = time.monotonic()
    alert, answers = firing(second.name), []

    def accepted() -> bool:
        answers.append(bridge.post(alert))
        if answers[-1].status_code != 202:
            assert second.boots == 1, "it acted without a master"
        return answers[-1].status_code == 202

    assert parts.wait_until(accepted, seconds=20, every=0.1), bridge.log_tail(30)
    *refused, _ = answers
    assert {answer.status_code for answer in refused} == {503}
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in refused)
    [incident_id] = answers[-1].json()["incidents"]
    second.await_boots(2)
    acting = time.monotonic() - died
    print(f"\nacting again {acting:.1f} s after the master died; {len(refused)} webhooks refused meanwhile")
    assert acting < 10
    assert bridge.await_incident(incident_id)["outcome"] == "healed"
    assert (first.boots, second.boots) == (2, 2)
    assert watched.master() is not old
