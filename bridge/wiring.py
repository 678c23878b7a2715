"""Wiring, told in order: settings become edges, edges fill the roles of the walk. Nothing runs yet, nothing is decided."""

from __future__ import annotations

import base64
import contextlib
import importlib.util
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bridge import errors, settings
from bridge.consulting import Consultant, Terms
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.alertmanager_alerts import AlertmanagerAlerts
from bridge.edges.alertmanager_silences import AlertmanagerSilences
from bridge.edges.deadman import Deadman
from bridge.edges.docker_engine import DockerEngine, DockerHost, DockerTLS
from bridge.edges.grafana import GrafanaAnnotations
from bridge.edges.http_neighbour import HttpNeighbour
from bridge.edges.prometheus import PrometheusApi
from bridge.edges.slack.api import Signatures, SlackApi, SlackWebhook
from bridge.edges.slack.clicks import Clicks
from bridge.edges.slack.folding import Folding
from bridge.edges.slack.messages import Scribe
from bridge.edges.slack.sink import SlackSink, SlackWebhookSink
from bridge.edges.store.approvals import StoredApprovals
from bridge.edges.store.backlog import StoredBacklog
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.client import Access, Tls
from bridge.edges.store.connection import NAMESPACE, OneServer, Store, Topology
from bridge.edges.store.discovery import ClusterNodes, Sentinels
from bridge.edges.store.embedded import EmbeddedStore
from bridge.edges.store.engine_events import StoredEngineEvents
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.mirror import Mirror
from bridge.edges.store.spending import StoredSpending
from bridge.edges.store.storms import StoredStorms
from bridge.edges.store.tally import StoredTally
from bridge.judgement import Judge, Ruleset
from bridge.metrics import Metrics
from bridge.model.channel import Channel
from bridge.model.consultation import SpendingLimits
from bridge.model.evidence import Measured
from bridge.pipeline import Pipeline
from bridge.redaction import OwnPattern, Redactor
from bridge.roles import Model
from bridge.sinks import Sink
from bridge.triage import phrases
from bridge.triage.case import DEFAULTS, Thresholds


def ruleset_of(config: settings.Settings) -> Ruleset:
    """The part of the settings that decides, and that a reload replaces whole."""
    own: dict[str, list[str]] = {}
    for phrase in config.triage.phrases:
        own.setdefault(phrase.kind, []).append(phrase.pattern)
    triage = config.triage
    thresholds = Thresholds(
        crash_loop_restarts=triage.crash_loop_restarts,
        crash_exit_codes=triage.crash_exit_codes,
        deploy_seconds=triage.deploy_window_seconds,
        memory_share=triage.memory_share,
        cpu_share=triage.cpu_share,
        load_share=triage.load_share,
        errors_share=triage.errors_share,
        host_pressure=(
            (Measured.HOST_CPU_PRESSURE, triage.host_cpu_pressure),
            (Measured.HOST_MEMORY_PRESSURE, triage.host_memory_pressure),
            (Measured.HOST_IO_PRESSURE, triage.host_io_pressure),
        ),
        host_disk_share=triage.host_disk_share,
        traffic_factor=triage.traffic_factor,
        sick_neighbours=triage.sick_neighbours,
        project_share=config.policy.limits.project_share,
        flapping_fires=triage.flapping_fires,
        stateful_images=DEFAULTS.stateful_images
        if triage.stateful_images is None
        else triage.stateful_images,
        outside_alerts=(*DEFAULTS.outside_alerts, *triage.outside_alerts),
        always_firing=(*DEFAULTS.always_firing, *triage.always_firing),
        over_when_running=(*DEFAULTS.over_when_running, *triage.over_when_running),
        phrases=phrases.extended(DEFAULTS.phrases, own),
    )
    return Ruleset(
        policy=config.policy,
        thresholds=thresholds,
        redactor=redactor_of(config),
        on_failure=config.llm.on_failure,
        people_are_asked=config.slack is not None and config.slack.asks,
    )


def redactor_of(config: settings.Settings) -> Redactor:
    """What takes secrets out of text, the configuration's own patterns among them."""
    return Redactor(
        [OwnPattern(name=own.name, pattern=re.compile(own.pattern)) for own in config.redaction.patterns]
    )


def check_extras(config: settings.Settings) -> None:
    """Raises SettingsError: the configuration needs a package that is not installed."""
    wanted = config.llm.active and config.llm.provider is settings.Provider.OPENAI
    if wanted and importlib.util.find_spec("openai") is None:
        told = "openai needs a package that is not installed: pip install 'hemostat[openai]'"
        raise errors.SettingsError([errors.Problem("llm.provider", 0, told)])


def model_of(config: settings.Settings) -> Model | None:
    """The edge to the configured model. Its SDK takes most of a second and tens of megabytes: only who asks pays.

    Raises SettingsError: the SDK is not installed.
    """
    check_extras(config)
    llm = config.llm
    if not llm.active:
        return None
    if llm.provider is settings.Provider.ANTHROPIC:
        from bridge.edges.anthropic_claude import AnthropicClaude

        return AnthropicClaude(api_key=llm.api_key or settings.Secret(""), base_url=llm.base_url)
    from bridge.edges.openai_compatible import OpenAiCompatible

    return OpenAiCompatible(api_key=llm.api_key, base_url=llm.base_url, limit_name=llm.max_tokens_parameter)


def terms_of(config: settings.Settings) -> Terms:
    """How the model is asked."""
    llm = config.llm
    return Terms(
        model=llm.model,
        hard_model=llm.hard_model,
        confidence_threshold=llm.confidence_threshold,
        deadline_seconds=llm.timeout_seconds,
        send_logs=llm.send_logs,
        keep_prompts=llm.audit_prompts,
        own_server=llm.base_url is not None,
        traits=llm.models,
    )


def consultant_of(
    config: settings.Settings, model: Model | None, *, store: Store, metrics: Metrics
) -> Consultant | None:
    """Who asks the model, within its budget; ``None`` where there is none to ask."""
    if model is None:
        return None
    llm, redactor = config.llm, redactor_of(config)
    limits = SpendingLimits(
        usd_per_hour=llm.budget.usd_per_hour,
        usd_per_day=llm.budget.usd_per_day,
        tokens_per_hour=llm.budget.tokens_per_hour,
        tokens_per_day=llm.budget.tokens_per_day,
    )
    return Consultant(
        model=model,
        spending=StoredSpending(store, limits),
        metrics=metrics,
        terms=terms_of(config),
        redact=lambda text: redactor.text(text).text,
    )


def docker_of(config: settings.Settings) -> DockerEngine:
    """The edge to the configured Docker hosts."""
    return DockerEngine(
        [
            DockerHost(
                name=host.name,
                url=host.url,
                timeout_seconds=host.timeout_seconds,
                tls=None
                if host.tls is None
                else DockerTLS(
                    ca_file=str(host.tls.ca_file) if host.tls.ca_file else None,
                    cert_file=str(host.tls.cert_file) if host.tls.cert_file else None,
                    key_file=str(host.tls.key_file) if host.tls.key_file else None,
                ),
            )
            for host in config.docker.hosts
        ]
    )


def _authorization_of(upstream: settings.Upstream) -> str:
    if upstream.authorization is not None:
        return f"{upstream.authorization.type} {upstream.authorization.token.reveal()}"
    return _basic(upstream.basic_auth)


def _basic(given: settings.BasicAuth | None) -> str:
    if given is None:
        return ""
    pair = f"{given.username}:{given.password.reveal()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _alertmanager_of(config: settings.Settings) -> HttpNeighbour | None:
    """The connections to Alertmanager, shared by all that ask and tell it."""
    upstream = config.alertmanager
    if upstream is None:
        return None
    return HttpNeighbour(
        "alertmanager",
        upstream.url,
        authorization=_authorization_of(upstream),
        timeout_seconds=upstream.timeout_seconds,
    )


def prometheus_of(config: settings.Settings) -> PrometheusApi | None:
    """The edge to Prometheus, if one is configured."""
    if config.prometheus is None:
        return None
    upstream = config.prometheus
    return PrometheusApi(
        upstream.url,
        authorization=_authorization_of(upstream),
        timeout_seconds=upstream.timeout_seconds,
        only_host=len(config.docker.hosts) == 1,
    )


def store_of(config: settings.Settings, embedded_url: str) -> Store:
    """The connection to the configured store; ``embedded_url`` where none is."""
    replicas = 1 if config.store.durability is settings.Durability.REPLICATED else 0
    redis = config.redis
    if redis is None:
        return Store(embedded_url, replicas=replicas)
    access = Access(
        username=redis.username,
        password=redis.password.reveal() if redis.password else None,
        database=redis.db,
        tls=_tls_of(redis.tls),
        connect_seconds=redis.connect_timeout_seconds,
        timeout_seconds=redis.timeout_seconds,
    )
    return Store(_topology_of(redis, access), access, replicas=replicas)


def _topology_of(redis: settings.Redis, servers: Access) -> Topology:
    if redis.sentinel is not None:
        sentinels = Access(
            username=redis.sentinel.username,
            password=redis.sentinel.password.reveal() if redis.sentinel.password else None,
            tls=_tls_of(redis.sentinel.tls),
            connect_seconds=redis.connect_timeout_seconds,
        )
        return Sentinels(redis.sentinel.master, redis.sentinel.nodes, access=sentinels, servers=servers)
    if redis.cluster is not None:
        return ClusterNodes(redis.cluster.nodes, key=NAMESPACE, access=servers)
    return OneServer(redis.url)


def _tls_of(tls: settings.RedisTls | None) -> Tls | None:
    if tls is None:
        return None
    return Tls(
        ca_file=str(tls.ca_file) if tls.ca_file else None,
        cert_file=str(tls.cert_file) if tls.cert_file else None,
        key_file=str(tls.key_file) if tls.key_file else None,
        check_hostname=tls.check_hostname,
    )


def _sinks_of(
    config: settings.Settings,
    store: Store,
    slack: SlackApi | None,
    alertmanager: HttpNeighbour | None,
    stack: contextlib.AsyncExitStack,
) -> tuple[Sink, ...]:
    """Whom incidents are told, as configured; each closed with the stack. A new sink gets its line here."""
    sinks: list[Sink] = []
    if config.redis is not None and config.redis.mirror:
        sinks.append(Mirror(store))
    if config.alertmanager is not None and alertmanager is not None:
        if config.alertmanager.silence_repairs:
            sinks.append(AlertmanagerSilences(alertmanager))
        if config.alertmanager.post_alerts:
            sinks.append(AlertmanagerAlerts(alertmanager, external_url=config.web.external_url or ""))
    if (grafana := grafana_of(config)) is not None:
        stack.push_async_callback(grafana.close)
        sinks.append(grafana)
    if (told := slack_sink_of(config, store, slack)) is not None:
        sinks.append(told)
    return tuple(sinks)


def slack_of(config: settings.Settings) -> SlackApi | None:
    """The edge to Slack as a bot, if one is configured."""
    given = config.slack
    if given is None or given.bot_token is None:
        return None
    return SlackApi(
        bot_token=given.bot_token.reveal(),
        app_token=given.app_token.reveal() if given.app_token else "",
        base_url=given.api_url,
    )


def slack_sink_of(config: settings.Settings, store: Store, api: SlackApi | None) -> Sink | None:
    """Who tells Slack: the bot, else the incoming webhook, else nobody."""
    given = config.slack
    if given is None:
        return None
    scribe = Scribe(external_url=config.web.external_url or "", buttons=given.asks)
    folding = Folding(StoredStorms(store), StoredTally(store, Channel.SLACK))
    if api is not None and given.channel:
        return SlackSink(api, channel_name=given.channel, scribe=scribe, folding=folding)
    if given.webhook_url is not None:
        return SlackWebhookSink(SlackWebhook(given.webhook_url.reveal()), scribe=scribe, folding=folding)
    return None


def clicks_of(config: settings.Settings, api: SlackApi | None, approvals: StoredApprovals) -> Clicks | None:
    """Who answers clicks in Slack, if a bot is configured."""
    if config.slack is None or api is None:
        return None
    return Clicks(api, approvals=approvals, approvers=config.slack.approvers)


def grafana_of(config: settings.Settings) -> GrafanaAnnotations | None:
    """The sink that draws annotations, if Grafana is configured."""
    given = config.grafana
    if given is None:
        return None
    return GrafanaAnnotations(
        given.url,
        authorization=f"Bearer {given.token.reveal()}" if given.token else _basic(given.basic_auth),
        dashboard_uid=given.dashboard_uid or "",
        points=given.points,
        external_url=config.web.external_url or "",
        timeout_seconds=given.timeout_seconds,
    )


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
    configured. Raises ``StoreBusy``: another bridge owns the
    directory; ``EdgeError``: no server is installed, or its data cannot be used.
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
        if (neighbour := _alertmanager_of(config)) is not None:
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
            journal=journal,
            budgets=budgets,
            containers=docker,
            alerts=alertmanager,
            metrics=metrics,
            judge=judge,
            deadman=deadman,
            lease_seconds=config.worker.lease_seconds,
        )
        if (slack := slack_of(config)) is not None:
            stack.push_async_callback(slack.close)
        sinks = _sinks_of(config, store, slack, neighbour, stack)
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
