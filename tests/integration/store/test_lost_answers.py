"""Redis carried a command out and its answer was lost: the client's repetition changes nothing that people read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.model.incident import Entry, Intent, Outcome
from bridge.model.policy import BreakerPolicy
from bridge.model.verdict import Action
from bridge.roles import Grant
from tests.integration.desk import LEASE_SECONDS, Desk, alert
from tests.servers.cutting_proxy import CuttingProxy
from tests.unit.triage.builders import ID

NOTE = Entry(event="noted", fields={})


@pytest.fixture
def proxy(redis_url: str) -> Iterator[CuttingProxy]:
    """Before the shared Redis, which is empty."""
    with CuttingProxy(int(redis_url.rpartition(":")[2].removesuffix("/0"))) as proxy:
        yield proxy


@pytest.fixture
async def desk(proxy: CuttingProxy) -> AsyncIterator[Desk]:
    """Everything it says goes through the proxy."""
    store = Store(proxy.url)
    journal = StoredJournal(store, lease_seconds=LEASE_SECONDS)
    yield Desk(store, journal, Acceptor(store, backlog_limit=1000))
    await store.close()


async def story(desk: Desk, incident_id: str) -> list[str]:
    """The events of an incident, as readers see them."""
    record = await desk.journal.read(incident_id)
    assert record is not None
    return [entry.event for entry in record.timeline]


async def test_each_transition_is_told_once(desk: Desk, proxy: CuttingProxy) -> None:
    """From alert to end, the answer to every script lost once."""
    proxy.next_of = {"accept", "claim", "acquire", "save", "begin", "close"}
    held = await desk.judged()
    await desk.journal.save(held, NOTE)
    grant = await desk.acquire(held)
    assert isinstance(grant, Grant)
    now = await desk.journal.now()
    intent = Intent(
        action=Action.RESTART,
        container_id=ID,
        was_running=True,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        restart_count=0,
        stop_timeout_seconds=0,
        token=grant.token,
        at=now,
    )
    reserved = held.incident.reserved(grant.token, now=now)
    held = replace(held, incident=reserved.acting(intent, now=now))
    assert await desk.begin(held) is None
    closed = held.incident.closing(Outcome.FAILED, "for the test", now=now, reconsider_at=now)
    await desk.journal.close(
        replace(held, incident=closed),
        Entry(event="closed", fields={}),
        healed=False,
        breaker=BreakerPolicy(failures=2),
    )
    assert proxy.next_of == set()
    assert await story(desk, held.incident.id) == ["opened", "noted", "reserved", "acting", "closed"]
    assert await desk.store.command("XLEN", "{hemostat}:events") == 5
    assert await desk.store.command("ZCARD", "{hemostat}:window:fleet") == 1
    assert await desk.store.command("HGET", "{hemostat}:breaker:local/web", "fails") == "1"


async def test_what_happens_twice_is_told_twice(desk: Desk) -> None:
    """Only the repetition of one call is silent, not a second event that looks the same."""
    held = await desk.judged()
    for _ in range(2):
        await desk.journal.save(held, NOTE)
    assert await story(desk, held.incident.id) == ["opened", "noted", "noted"]


async def test_an_alert_accepted_twice_is_one_incident(desk: Desk, proxy: CuttingProxy) -> None:
    """Whoever sent it hears of the incident that the lost answer named."""
    proxy.next_of = {"accept"}
    incident_id = await desk.incident_for(alert())
    assert await desk.store.command("ZRANGE", "{hemostat}:incidents", 0, -1) == [incident_id]
