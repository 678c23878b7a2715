"""All parts, built in order and taken down in reverse. Nothing runs yet, nothing is decided."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bridge import settings
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.deadman import Deadman
from bridge.edges.docker_engine import DockerEngine
from bridge.edges.slack.api import Signatures
from bridge.edges.slack.clicks import Clicks
from bridge.edges.store.approvals import StoredApprovals
from bridge.edges.store.backlog import StoredBacklog
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.connection import Store
from bridge.edges.store.embedded import EmbeddedStore
from bridge.edges.store.engine_events import StoredEngineEvents
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.storms import StoredStorms
from bridge.judgement import Judge
from bridge.metrics import Metrics
from bridge.pipeline import Desk, Pipeline
from bridge.sinks import Sink
from bridge.wiring.consulting import consultant_of, model_of
from bridge.wiring.deciding import ruleset_of
from bridge.wiring.neighbours import alertmanager_of, docker_of, prometheus_of
from bridge.wiring.storage import store_of
from bridge.wiring.telling import clicks_of, sinks_of, slack_of


@dataclass(slots=True)
class Parts:
    """Everything a running bridge, a doctor or a simulation is made of."""

    config: settings.Settings
    metrics: Metrics
    store: Store
    docker: DockerEngine
    alertmanager: AlertmanagerApi | None
    journal: StoredJournal
    backlog: StoredBacklog
    sinks: tuple[Sink, ...]
    approvals: StoredApprovals
    clicks: Clicks | None
    signatures: Signatures | None
    budgets: StoredBudgets
    storms: StoredStorms
    history: StoredEngineEvents
    judge: Judge
    pipeline: Pipeline
    deadman: Deadman
    server: EmbeddedStore | None


@contextlib.asynccontextmanager
async def parts_of(
    config: settings.Settings, *, embedded_url: str | None = None, with_model: bool = True
) -> AsyncIterator[Parts]:
    """Build the parts, the embedded store's server included if it is needed, and take them down in reverse.

    ``embedded_url``: a server of that directory that runs already. ``with_model`` false: nobody asks one, whatever is
    configured. Raises ``StoreBusy``: another bridge owns the directory; ``EdgeError``: no server is installed, or its
    data cannot be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        url, server = embedded_url or "", None
        if config.redis is None and embedded_url is None:
            server = EmbeddedStore(config.store.path)
            url = await server.start()
            stack.push_async_callback(server.stop)
        store = store_of(config, url)
        stack.push_async_callback(store.close)
        docker = docker_of(config)
        stack.push_async_callback(docker.close)
        alertmanager = None
        if (neighbour := alertmanager_of(config)) is not None:
            stack.push_async_callback(neighbour.close)
            alertmanager = AlertmanagerApi(neighbour)
            stack.push_async_callback(alertmanager.close)
        prometheus = prometheus_of(config)
        if prometheus is not None:
            stack.push_async_callback(prometheus.close)
        metrics, deadman = Metrics().with_process(), Deadman()
        model = model_of(config) if with_model else None
        journal = StoredJournal(store, lease_seconds=config.worker.lease_seconds)
        budgets = StoredBudgets(
            store, lease_seconds=config.worker.lease_seconds, trust_empty=config.store.trust_empty
        )
        storms = StoredStorms(store)
        history = StoredEngineEvents(store)
        judge = Judge(
            journal=journal,
            budgets=budgets,
            storms=storms,
            containers=docker,
            metrics=metrics,
            ruleset=ruleset_of(config),
            figures=prometheus,
            alerts=alertmanager,
            history=history,
            consultant=consultant_of(config, model, store=store, metrics=metrics),
        )
        stack.push_async_callback(judge.close)
        pipeline = Pipeline(
            Desk(
                journal=journal,
                budgets=budgets,
                containers=docker,
                alerts=alertmanager,
                metrics=metrics,
                judge=judge,
                deadman=deadman,
                lease_seconds=config.worker.lease_seconds,
            )
        )
        if (slack := slack_of(config)) is not None:
            stack.push_async_callback(slack.close)
        sinks = sinks_of(config, store, slack, neighbour, stack)
        approvals = StoredApprovals(store)
        if (clicks := clicks_of(config, slack, approvals)) is not None:
            stack.push_async_callback(clicks.close)
        secret = config.slack.signing_secret if config.slack else None
        yield Parts(
            config=config,
            metrics=metrics,
            store=store,
            docker=docker,
            alertmanager=alertmanager,
            journal=journal,
            backlog=StoredBacklog(store, journal, lease_seconds=config.worker.lease_seconds),
            sinks=sinks,
            approvals=approvals,
            clicks=clicks,
            signatures=Signatures(secret.reveal()) if secret else None,
            budgets=budgets,
            storms=storms,
            history=history,
            judge=judge,
            pipeline=pipeline,
            deadman=deadman,
            server=server,
        )
