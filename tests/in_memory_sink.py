"""A sink that keeps what it is told, and fails as a test wants."""

from __future__ import annotations

import asyncio
from collections import deque
from datetime import datetime

from bridge.model.channel import Channel
from bridge.roles import Record
from bridge.sinks import Delivery, Notes, Pace

AT_ONCE = Pace(at_once=4, gather_seconds=0.0)


class InMemorySink:
    """Tells one line for each line of the story that its notes do not count yet.

    ``failures`` are raised one after the other, in place of telling; ``gate`` holds every delivery until it is set.
    """

    def __init__(self, channel: Channel = Channel.SLACK, *, pace: Pace = AT_ONCE) -> None:
        self.channel, self.pace = channel, pace
        self.told: list[tuple[str, list[str]]] = []
        self.calls = 0
        self.failures: deque[Exception] = deque()
        self.refused: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.again: deque[float] = deque()

    async def deliver(self, record: Record, notes: Notes, *, now: datetime) -> Delivery:
        """Say the lines that are new."""
        self.calls += 1
        await self.gate.wait()
        if self.failures:
            raise self.failures.popleft()
        lines = [entry.event for entry in record.timeline]
        news = lines[int(notes.get("lines") or 0) :]
        again = self.again.popleft() if self.again else None
        if not news:
            return Delivery(sent=False, again_seconds=again)
        self.told.append((record.incident.id, news))
        await notes.write({"lines": str(len(lines))})
        return Delivery(sent=True, again_seconds=again)

    def lines(self, incident_id: str) -> list[str]:
        """Everything that was said of an incident, in order."""
        return [line for told, lines in self.told if told == incident_id for line in lines]
