"""An incident that moves, and Slack, which is told so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bridge import errors
from bridge.edges.store.backlog import StoredBacklog
from bridge.model.alert import Alert
from bridge.model.incident import Entry, Outcome
from bridge.model.policy import BreakerPolicy
from bridge.roles import Held
from bridge.sinks import Delivery, Sink
from tests.integration.desk import START, Desk, alert

TIMEOUT_SECONDS = 2.0
DEADLINE_SECONDS = 15.0


@dataclass
class Told:
    """An incident that moves, and a sink that is told so."""

    desk: Desk
    backlog: StoredBacklog
    sink: Sink
    held: Held

    @property
    def id(self) -> str:
        """Of the incident."""
        return self.held.incident.id

    async def deliver(self) -> Delivery:
        """One delivery of what is due, as the loop does it; what the sink raises comes through."""
        await self.desk.store.command("ZADD", f"{{hemostat}}:due:{self.sink.channel.value}", 0, self.id)
        (due,) = (await self.backlog.claim(self.sink, at_most=1)).due
        found = await self.backlog.read(due)
        assert found is not None
        try:
            record, notes = found
            delivery = await self.sink.deliver(record, notes, now=await self.backlog.now())
        except errors.EdgeError:
            # As if the process had died: nothing is settled, the lease runs out.
            await self.desk.store.command("ZREM", "{hemostat}:leased:slack", self.id)
            raise
        await self.backlog.settled(due, delivery)
        return delivery

    async def moves(self, event: str = "judged", **fields: str) -> None:
        """The next line of its story."""
        await self.desk.journal.save(self.held, Entry(event=event, fields=fields))

    async def ends(self, outcome: Outcome, reason: str = "so it is") -> None:
        """It closes."""
        closing = self.held.incident.closing(outcome, reason, now=START, reconsider_at=START)
        await self.desk.journal.close(
            replace(self.held, incident=closing),
            Entry(event="closed", fields={"outcome": outcome.value, "reason": reason}),
            healed=None,
            breaker=BreakerPolicy(),
        )


def sick(**annotations: str) -> Alert:
    """The alert that opens it."""
    return replace(alert("web"), annotations=annotations)
