"""Every incident on record judged again by the rules of today, from what was known then. Nothing is asked or done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bridge.judgement import NothingToReplay, Ruleset, replay
from bridge.model.incident import Incident, IncidentQuery, Outcome
from bridge.model.verdict import Verdict, VerdictKind
from bridge.roles import Record

PAGE = 100


class Past(Protocol):
    """The journal, as far as it is read here."""

    async def newest(self, query: IncidentQuery) -> tuple[list[Incident], str | None]:
        """A page of incidents, and the cursor of the next one."""
        ...

    async def read(self, incident_id: str) -> Record | None:
        """One incident whole."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """An incident that would be judged otherwise today. ``target`` is ``""`` where none was found."""

    id: str
    opened_at: datetime
    target: str
    outcome: Outcome | None
    then: Verdict
    today: Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Backtest:
    """What came of it. ``unjudged``: incidents that ended before anything was judged.

    ``repairs_then`` and ``repairs_today`` count verdicts, before guards and budgets, which belong to their moment.
    """

    judged: int
    unjudged: int
    repairs_then: int
    repairs_today: int
    changed: tuple[Changed, ...]


async def backtest(past: Past, ruleset: Ruleset, *, since: datetime | None, limit: int) -> Backtest:
    """The newest ``limit`` incidents, those opened since then. Raises EdgeUnavailable: the store does not answer."""
    judged, unjudged, repairs_then, repairs_today = 0, 0, 0, 0
    changed: list[Changed] = []
    for incident in await _incidents(past, since=since, limit=limit):
        record = await past.read(incident.id)
        try:
            replayed = replay(record, ruleset) if record is not None else None
        except NothingToReplay:
            replayed = None
        if replayed is None:
            unjudged += 1
            continue
        judged += 1
        repairs_then += replayed.recorded.kind is VerdictKind.REPAIR
        repairs_today += replayed.verdict.kind is VerdictKind.REPAIR
        if replayed.differs:
            changed.append(
                Changed(
                    id=incident.id,
                    opened_at=incident.opened_at,
                    target=incident.target.key if incident.target else "",
                    outcome=incident.outcome,
                    then=replayed.recorded,
                    today=replayed.verdict,
                )
            )
    return Backtest(
        judged=judged,
        unjudged=unjudged,
        repairs_then=repairs_then,
        repairs_today=repairs_today,
        changed=tuple(changed),
    )


async def _incidents(past: Past, *, since: datetime | None, limit: int) -> Sequence[Incident]:
    found: list[Incident] = []
    cursor: str | None = None
    while len(found) < limit:
        query = IncidentQuery(since=since, limit=min(PAGE, limit - len(found)), cursor=cursor)
        page, cursor = await past.newest(query)
        found += page
        if cursor is None:
            break
    return found
