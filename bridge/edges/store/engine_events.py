"""What Docker Engines told about their containers in the last hour, whoever heard it: told twice it is kept once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bridge.edges.store.connection import Store, key
from bridge.model.evidence import EngineEvent
from bridge.roles import ToldEvent

KEPT_SECONDS = 3600
MOST_EVENTS = 200
"""Of one container. A crash loop of a second a round fills it in some minutes, which is what a rule looks at."""


class StoredEngineEvents:
    """Implements ``roles.EngineHistory``: a sorted set for each container, by the Docker host's own clock."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def heard_until(self, host: str) -> datetime | None:
        """When the newest event that was kept happened, by the host's clock; ``None``: none was, for an hour."""
        text = await self._store.command("GET", key(f"engine-heard:{host}"))
        return _instant(int(text)) if text else None

    async def keep(self, host: str, told: Sequence[ToldEvent]) -> None:
        """Add these, and let go of what is older than KEPT_SECONDS or more than MOST_EVENTS."""
        if not told:
            return
        by_container: dict[str, list[EngineEvent]] = {}
        for each in told:
            by_container.setdefault(each.container_id, []).append(each.event)
        newest = max(_micros(each.event.at) for each in told)
        calls: list[tuple[str | int, ...]] = [
            ("SET", key(f"engine-heard:{host}"), newest, "EX", KEPT_SECONDS)
        ]
        for container_id, events in by_container.items():
            name = key(f"engine:{host}/{container_id}")
            scored = [word for event in events for word in (_micros(event.at), _member(event))]
            oldest = max(_micros(event.at) for event in events) - KEPT_SECONDS * 1_000_000
            calls += [
                ("ZADD", name, *scored),
                ("ZREMRANGEBYSCORE", name, "-inf", oldest),
                ("ZREMRANGEBYRANK", name, 0, -MOST_EVENTS - 1),
                ("EXPIRE", name, KEPT_SECONDS),
            ]
        await self._store.commands(*calls)

    async def events(self, host: str, container_id: str) -> Sequence[EngineEvent]:
        """What is kept of a container, oldest first."""
        members = await self._store.command("ZRANGE", key(f"engine:{host}/{container_id}"), 0, -1)
        return [_event(str(member), f"E{number}") for number, member in enumerate(members, start=1)]


def _member(event: EngineEvent) -> str:
    """The event itself: the same one heard by two replicas is one member."""
    exit_code = "" if event.exit_code is None else event.exit_code
    signal = "" if event.signal is None else event.signal
    return f"{_micros(event.at)} {event.action} {exit_code} {signal}"


def _event(member: str, event_id: str) -> EngineEvent:
    micros, _, rest = member.partition(" ")
    action, exit_code, signal = rest.rsplit(" ", 2)
    return EngineEvent(
        id=event_id,
        at=_instant(int(micros)),
        action=action,
        exit_code=int(exit_code) if exit_code else None,
        signal=int(signal) if signal else None,
    )


def _micros(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // timedelta(microseconds=1)


def _instant(micros: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=micros)
