"""The mirrored events on a real Redis: heard by subscribers, kept in lists, said once."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from bridge.edges.store.connection import Store
from bridge.edges.store.mirror import Mirror
from bridge.model.incident import Incident, Outcome
from bridge.roles import Record
from bridge.sinks import Delivery
from tests.integration.desk import START
from tests.kept_notes import KeptNotes
from tests.unit.test_annotation import acting, closed
from tests.unit.test_mirror import STORY

HEALED = closed(acting(), Outcome.HEALED)
IN_ORDER = ["hemostat:health_alert", "hemostat:remediation_needed", "hemostat:remediation_complete"]


@pytest.fixture
async def heard(redis_url: str) -> AsyncIterator[PubSub]:
    """Everything that is published under our names."""
    client = Redis.from_url(redis_url, decode_responses=True)
    pubsub = client.pubsub()
    await pubsub.psubscribe("hemostat:*")
    await pubsub.get_message(timeout=5)
    yield pubsub
    await pubsub.aclose()  # type: ignore[no-untyped-call]
    await client.aclose()


async def tell(store: Store, incident: Incident, notes: KeptNotes) -> Delivery:
    record = Record(incident=incident, episodes=(), timeline=STORY)
    return await Mirror(store).deliver(record, notes, now=START)


async def next_message(heard: PubSub) -> tuple[str, dict[str, Any]]:
    message = await heard.get_message(ignore_subscribe_messages=True, timeout=5)
    assert message is not None
    return message["channel"], json.loads(message["data"])


async def test_subscribers_hear_a_repair_from_its_alert_to_its_end(store: Store, heard: PubSub) -> None:
    assert (await tell(store, HEALED, KeptNotes())).sent
    messages = [await next_message(heard) for _ in range(3)]
    assert [channel for channel, _ in messages] == IN_ORDER
    assert messages[-1][1]["data"]["result"]["status"] == "success"


async def test_each_event_is_said_once_however_often_the_incident_moves(store: Store, heard: PubSub) -> None:
    notes = KeptNotes()
    await tell(store, acting(), notes)
    assert not (await tell(store, acting(), notes)).sent
    await tell(store, HEALED, notes)
    assert [(await next_message(heard))[0] for _ in range(3)] == IN_ORDER
    assert await heard.get_message(ignore_subscribe_messages=True, timeout=0.1) is None


async def test_the_read_models_hold_what_was_said_and_each_once_even_after_a_crash(store: Store) -> None:
    await tell(store, HEALED, KeptNotes())
    await tell(store, HEALED, KeptNotes())  # died before it was noted
    assert await store.command("LLEN", "hemostat:events:all") == 3
    [complete] = await store.command("LRANGE", "hemostat:remediation:web", 0, -1)
    assert json.loads(complete)["event_type"] == "remediation_complete"
    stats = json.loads(await store.command("GET", "hemostat:stats:web"))
    assert (stats["container"], stats["outcome"]) == ("web", "healed")
    assert 0 < await store.command("TTL", "hemostat:stats:web") <= 3600


async def test_a_list_keeps_its_newest_hundred(store: Store) -> None:
    await store.command("RPUSH", "hemostat:events:all", *(str(n) for n in range(150)))
    await tell(store, acting(), KeptNotes())
    assert await store.command("LLEN", "hemostat:events:all") == 100
