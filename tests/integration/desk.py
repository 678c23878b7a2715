"""A store as tests of it speak: alerts taken in, incidents claimed, budgets asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.intake import subject_of
from bridge.model.alert import Alert, AlertStatus
from bridge.model.evidence import Evidence
from bridge.model.incident import Decision, Entry, Incident, Intent, Target
from bridge.model.policy import Cap, Limits, TargetPolicy
from bridge.model.refusal import Refusal
from bridge.model.share import Population
from bridge.model.verdict import Action, Verdict, VerdictKind
from bridge.roles import Acceptance, Grant, Held
from tests.unit.triage.builders import running

LEASE_SECONDS = 60.0
"""Nobody here renews a claim: it must outlive a machine that is busy with something else."""

START = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
OPEN_LIMITS = Limits(fleet=Cap(max=1000, per_seconds=3600), host=Cap(max=1000, per_seconds=3600))
FREE = TargetPolicy(cooldown_seconds=0.0, caps=())


def alert(name: str = "web", *, at: float = 0, ended: float | None = None, fingerprint: str = "aa") -> Alert:
    """An alert about a container; times in seconds after START."""
    return Alert(
        fingerprint=fingerprint,
        status=AlertStatus.FIRING if ended is None else AlertStatus.RESOLVED,
        labels={"alertname": "ContainerUnhealthy", "name": name},
        annotations={},
        starts_at=START + timedelta(seconds=at),
        ends_at=None if ended is None else START + timedelta(seconds=ended),
    )


class Desk:
    """A store as a test speaks to it."""

    def __init__(self, store: Store, journal: StoredJournal, acceptor: Acceptor) -> None:
        self.store, self.journal, self.acceptor = store, journal, acceptor
        self.budgets = StoredBudgets(store, lease_seconds=LEASE_SECONDS, trust_empty=True)
        self._owners = 0

    async def take(self, *alerts: Alert) -> Acceptance:
        """One webhook with these alerts."""
        return await self.acceptor.accept([(a, subject_of(a.labels, hosts=["local"])) for a in alerts])

    async def incident_for(self, *alerts: Alert) -> str:
        """The id of the only incident that these alerts concern."""
        (incident_id,) = (await self.take(*alerts)).incidents
        return incident_id

    async def claim(self, incident_id: str) -> Held:
        """Claimed by a worker of its own."""
        self._owners += 1
        held = await self.journal.claim(incident_id, f"worker-{self._owners}")
        assert isinstance(held, Held)
        return held

    async def judged(self, name: str = "web", **of_alert: Any) -> Held:
        """A new claimed incident about this container with the verdict "restart"."""
        of_alert.setdefault("fingerprint", name)
        held = await self.claim(await self.incident_for(alert(name, **of_alert)))
        return as_judged(held, name)

    async def acquire(
        self,
        held: Held,
        *,
        policy: TargetPolicy = FREE,
        limits: Limits = OPEN_LIMITS,
        up: float | None = 86400.0,
    ) -> Grant | Refusal:
        """Ask for the budget."""
        return await self.budgets.acquire(
            held, policy=policy, limits=limits, facts=running(up=up), entry=Entry(event="reserved", fields={})
        )

    async def begin(
        self,
        held: Held,
        *,
        policy: TargetPolicy = FREE,
        limits: Limits = OPEN_LIMITS,
        populations: Sequence[Population] = (),
    ) -> Refusal | None:
        """Write its intent."""
        return await self.budgets.begin(
            held,
            Entry(event="acting", fields={}),
            policy=policy,
            limits=limits,
            facts=running(),
            populations=populations,
        )


def as_judged(held: Held, name: str = "web", host: str = "local") -> Held:
    """The same incident with a target and the verdict "restart"."""
    verdict = Verdict(kind=VerdictKind.REPAIR, rule="unhealthy", reason="sick", action=Action.RESTART)
    incident: Incident = held.incident.found(Target(host=host, name=name))
    evidence = Evidence(collected_at=START, container=running(name=name))
    return replace(held, incident=incident.judged(evidence, Decision(verdict=verdict, guards=()), now=START))


def acting(held: Held, granted: Grant) -> Held:
    """The same incident with its intent."""
    facts = running()
    now = held.incident.opened_at
    intent = Intent(
        action=Action.RESTART,
        container_id=facts.id,
        was_running=True,
        started_at=facts.started_at,
        restart_count=0,
        stop_timeout_seconds=10,
        token=granted.token,
        at=now,
    )
    return replace(held, incident=held.incident.reserved(granted.token, now=now).acting(intent, now=now))
