"""The sink that mirrors incidents as events on Redis' pub/sub and as read models, under the names of an earlier design.

These keys stand outside our namespace and hold nothing that HemoStat reads: whoever changes them changes nothing here.
Not for a Redis Cluster, whose nodes would each hold some of them.
"""

from __future__ import annotations

import json
from datetime import datetime

from bridge import mirror
from bridge.edges.store.connection import Store
from bridge.mirror import Mirrored
from bridge.model.channel import Channel
from bridge.model.incident import Incident
from bridge.roles import Record
from bridge.sinks import Delivery, Notes, Pace

PREFIX = "hemostat:"
KEPT = 100
"""Newest entries of each list."""

EVENTS_SECONDS = 3600
STATS_SECONDS = 3600
REMEDIATION_SECONDS = 7 * 86_400

SAID = "said"
"""Note: the keys of the events that were published."""

Call = tuple[str | int, ...]


class Mirror:
    """Implements ``sinks.Sink``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def channel(self) -> Channel:
        """``pubsub``."""
        return Channel.PUBSUB

    @property
    def pace(self) -> Pace:
        """As they come: Redis is next door."""
        return Pace(at_once=4, gather_seconds=0.0)

    async def deliver(self, record: Record, notes: Notes, *, now: datetime) -> Delivery:
        """Publish what is new, then note it: subscribers may hear an event twice after a crash, never not at all."""
        said = notes.get(SAID).split()
        news = [event for event in mirror.events(record.incident, record.timeline) if event.key not in said]
        calls = [call for event in news for call in _calls(event)]
        if not news:
            return Delivery(sent=False)
        await self._store.commands(*calls, *_read_models(record.incident))
        await notes.write({SAID: " ".join([*said, *(event.key for event in news)])})
        return Delivery(sent=True)


def _calls(event: Mirrored) -> list[Call]:
    text = json.dumps(event.envelope)
    calls: list[Call] = [("PUBLISH", f"{PREFIX}{event.channel}", text)]
    for kind in (event.channel, "all"):
        calls += _kept(f"{PREFIX}events:{kind}", text, EVENTS_SECONDS)
    if event.channel == "remediation_complete":
        data = event.envelope["data"]
        container = data["container"] if isinstance(data, dict) else ""
        calls += _kept(f"{PREFIX}remediation:{container}", text, REMEDIATION_SECONDS)
    return calls


def _kept(key: str, text: str, seconds: int) -> list[Call]:
    """On top of a list, once: what is said again after a crash takes its old place's entry away."""
    return [
        ("LREM", key, 0, text),
        ("LPUSH", key, text),
        ("LTRIM", key, 0, KEPT - 1),
        ("EXPIRE", key, seconds),
    ]


def _read_models(incident: Incident) -> list[Call]:
    look = mirror.last_look(incident)
    if look is None:
        return []
    return [("SET", f"{PREFIX}stats:{look['container']}", json.dumps(look), "EX", STATS_SECONDS)]
