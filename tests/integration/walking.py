"""A walk in one process: the real pipeline on a real store, containers in memory, and nobody who pauses it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bridge import errors, wiring
from bridge.consulting import Consultant
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.storms import StoredStorms
from bridge.intake import subject_of
from bridge.judgement import Judge, Ruleset
from bridge.metrics import Metrics
from bridge.model.alert import Alert, AlertStatus
from bridge.model.incident import Incident, Intent, Repair, State
from bridge.model.policy import Policy, TargetPolicy, VerifyPolicy
from bridge.model.verdict import Action
from bridge.pipeline import Desk, Pipeline, deciding
from bridge.roles import AlertView, Containers, Held, ListedAlert
from tests.in_memory_containers import BOOT, InMemoryContainers

WALK_LEASE_SECONDS = 30.0
AT_ONCE = TargetPolicy(
    cooldown_seconds=3600,
    verify=VerifyPolicy(within_seconds=2, stable_for_seconds=0, relapse_watch_seconds=0),
    actions=(Action.START, Action.RESTART),
)
LABELS = {"alertname": "ContainerUnhealthy", "name": "web"}


class NoDeadman:
    """Nobody pauses these walks."""

    def arm(self, key: str, seconds: float) -> None:
        """Nothing."""

    def renew(self, key: str, seconds: float) -> None:
        """Nothing."""

    def disarm(self, key: str) -> None:
        """Nothing."""


def pipeline_on(
    store: Store,
    docker: Containers,
    *,
    ruleset: Ruleset,
    journal: StoredJournal | None = None,
    budgets: StoredBudgets | None = None,
    metrics: Metrics | None = None,
    consultant: Consultant | None = None,
    deadman: NoDeadman | None = None,
) -> Pipeline:
    """The walk on this store and these containers; what is not given is as it always is."""
    journal = journal or StoredJournal(store, lease_seconds=WALK_LEASE_SECONDS)
    budgets = budgets or StoredBudgets(store, lease_seconds=WALK_LEASE_SECONDS, trust_empty=True)
    metrics = metrics or Metrics()
    judge = Judge(
        journal=journal,
        budgets=budgets,
        storms=StoredStorms(store),
        containers=docker,
        metrics=metrics,
        ruleset=ruleset,
        consultant=consultant,
    )
    return Pipeline(
        Desk(
            journal=journal,
            budgets=budgets,
            containers=docker,
            alerts=None,
            metrics=metrics,
            judge=judge,
            deadman=deadman or NoDeadman(),
            lease_seconds=WALK_LEASE_SECONDS,
        )
    )


def pipeline_of(parts: wiring.Parts, docker: InMemoryContainers) -> Pipeline:
    """The walk of a bridge that is wired as configured, but for its containers, which are these."""
    return pipeline_on(
        parts.store,
        docker,
        ruleset=parts.judge.ruleset,
        journal=parts.journal,
        budgets=parts.budgets,
        metrics=parts.metrics,
        consultant=parts.judge.consultant,
    )


FIRES = AlertView(active=True, told_seconds_ago=-3600.0, up_since=BOOT)
"""Told of it whenever one asks, and told again since."""

HOLDS_NO_MORE = AlertView(active=False, up_since=BOOT)
"""The same Alertmanager, which does not list it."""

NEVER_HAD_IT = AlertView(active=False, up_since=BOOT + timedelta(seconds=1))
"""Another one, or the same after a restart."""


class ToldAlerts:
    """Alertmanager's view as a test says it is; ``None``: it does not answer."""

    def __init__(self) -> None:
        self.view: AlertView | None = FIRES

    async def active(self, fingerprint: str) -> AlertView:
        """The same for every alert."""
        if self.view is None:
            raise errors.EdgeUnavailable("alertmanager", "no answer")
        return self.view

    async def listed(self) -> Sequence[ListedAlert]:
        """None besides."""
        return ()


@dataclass
class Walk:
    """One bridge, and the words to speak about it."""

    store: Store
    journal: StoredJournal
    pipeline: Pipeline
    docker: InMemoryContainers
    alerts: ToldAlerts
    workers: int = 0

    @property
    def budgets(self) -> StoredBudgets:
        """As an operator's command speaks to them."""
        return StoredBudgets(self.store, lease_seconds=WALK_LEASE_SECONDS, trust_empty=True)

    async def alert(self, *, fingerprint: str = "aa", at: float = 0, ended: float | None = None) -> str:
        """One webhook; the id of its incident."""
        alert = Alert(
            fingerprint=fingerprint,
            status=AlertStatus.FIRING if ended is None else AlertStatus.RESOLVED,
            labels=LABELS,
            annotations={},
            starts_at=BOOT + timedelta(seconds=at),
            ends_at=None if ended is None else BOOT + timedelta(seconds=ended),
        )
        acceptor = Acceptor(self.store, backlog_limit=1000)
        ids = (await acceptor.accept([(alert, subject_of(LABELS, hosts=["local"]))])).incidents
        return ids[0] if ids else ""

    async def claim(self, incident_id: str) -> Held:
        """By a new worker, after the old one's death."""
        self.workers += 1
        await self.store.command("HSET", f"{{hemostat}}:incident:{incident_id}", "lease", 0)
        held = await self.journal.claim(incident_id, f"worker-{self.workers}")
        assert isinstance(held, Held)
        return held

    async def turn(self, incident_id: str) -> Incident:
        """One turn of work; the incident as it was written."""
        await self.pipeline.walk(await self.claim(incident_id))
        return await self.written(incident_id)

    async def until_closed(self, incident_id: str) -> Incident:
        """Turn after turn; the delays between them are another test's."""
        for _ in range(3000):
            incident = await self.turn(incident_id)
            if incident.closed:
                return incident
        raise AssertionError(f"not closed: {incident.state} {incident.reason}")

    async def much_later(self, incident_id: str) -> None:
        """Docker has answered for longer than any stop timeout, and nothing has changed since the intent."""
        held = await self.claim(incident_id)
        if held.incident.intent is not None:
            intent = replace(held.incident.intent, unchanged_since=BOOT)
            await self.journal.save(replace(held, incident=replace(held.incident, intent=intent)), None)

    async def written(self, incident_id: str) -> Incident:
        """What the journal holds."""
        record = await self.journal.read(incident_id)
        assert record is not None
        return record.incident

    async def events(self, incident_id: str) -> list[str]:
        """Its story in words."""
        record = await self.journal.read(incident_id)
        assert record is not None
        return [entry.event for entry in record.timeline]

    def policy(self, **changes: object) -> None:
        """A reload."""
        root = replace(self.pipeline.desk.judge.ruleset.policy.root, **changes)  # type: ignore[arg-type]
        self.pipeline.desk.judge.ruleset = Ruleset(policy=Policy(root=root))

    async def dies_while(self, state: State, incident_id: str) -> Incident:
        """An incident that was left in this state by a worker that died."""
        held = await self.claim(incident_id)
        found = await self.docker.inspect("local", "web")
        assert found is not None
        if state in (State.JUDGED, State.RESERVED, State.ACTING, State.VERIFYING):
            self.docker.away, away = False, self.docker.away
            held = await self._judged(held)
            self.docker.away = away
        now = await self.journal.now()
        if state is State.RESERVED:
            return await self.written(incident_id)
        intent = Intent(
            action=Action.RESTART,
            container_id=found.id,
            was_running=found.running,
            started_at=found.started_at,
            restart_count=0,
            stop_timeout_seconds=0.0,
            token=held.incident.token or 0,
            at=now - timedelta(seconds=60),
            unchanged_since=now - timedelta(seconds=60),
        )
        held = replace(held, incident=held.incident.acting(intent, now=now))
        await self.journal.save(held, None)
        if state is State.VERIFYING:
            repair = Repair(action=Action.RESTART, container_id=found.id, at=now)
            await self.journal.save(replace(held, incident=held.incident.verifying(repair, now=now)), None)
        return await self.written(incident_id)

    async def _judged(self, held: Held) -> Held:
        """Evidence, verdict, guards and the grant; then the worker dies."""
        after = await deciding.decide(self.pipeline.desk, held)
        assert after.incident.state is State.RESERVED, after.incident.reason
        return after


def walk_on(store: Store, docker: InMemoryContainers) -> Walk:
    """A bridge on this store, an unhealthy container ``web``, a policy that wants to restart it at once."""
    docker.run("web")
    journal = StoredJournal(store, lease_seconds=WALK_LEASE_SECONDS)
    pipeline = pipeline_on(store, docker, ruleset=Ruleset(policy=Policy(root=AT_ONCE)), journal=journal)
    return Walk(store, journal, pipeline, docker, ToldAlerts())
