"""Every metric HemoStat exports, in one place, in a registry that is passed in.

Base units; labels come from closed lists only, never a container or a message; every series is there at zero from
the start, so that a rate works from the first event.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from bridge.model.alert import AlertStatus
from bridge.model.channel import Channel
from bridge.model.consultation import PROVIDERS, Usage
from bridge.model.incident import Outcome
from bridge.model.refusal import Reason
from bridge.model.share import ShareScope
from bridge.model.verdict import Action, ModelResult, Source, VerdictKind
from bridge.redaction import CUSTOM, KINDS

WEBHOOK_CODES = ("202", "400", "401", "403", "408", "413", "415", "503")
REPAIR_RESULTS = ("done", "failed", "in_doubt", "settled")
STAGES = ("intake", "queued", "evidence", "triage", "reserve", "act", "verify")
QUEUES = ("work", "later", *(f"deliver_{channel.value}" for channel in Channel))
DELIVERY_RESULTS = ("delivered", "failed", "dropped")
TOKEN_KINDS = ("input", "output", "cache_read", "cache_write")
RECONCILED = ("taken_in", "ended")
EDGES = ("redis", "docker", "alertmanager")

_STAGE_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600)
_MODEL_BUCKETS = (0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 5)
_MINUTES = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 45, 60, 120, 180, 300, 600, 1800)


def _version() -> str:
    try:
        return metadata.version("hemostat")
    except metadata.PackageNotFoundError:
        return "unknown"


VERSION = _version()
"""The installed version of HemoStat."""


class Metrics:
    """The metrics of one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry
        self.webhook_requests = Counter(
            "hemostat_webhook_requests", "Webhook requests by the HTTP status they got.", ["code"], registry=r
        )
        self.alerts_received = Counter(
            "hemostat_alerts_received", "Alerts accepted, by their status.", ["status"], registry=r
        )
        self.incidents_open = Gauge(
            "hemostat_incidents_open", "Incidents that have no outcome yet.", registry=r
        )
        self.incidents_closed = Counter(
            "hemostat_incidents_closed", "Incidents closed, by outcome.", ["outcome"], registry=r
        )
        self.refusals = Counter(
            "hemostat_refusals", "Repairs that were refused, by the first reason.", ["reason"], registry=r
        )
        self.repairs = Counter(
            "hemostat_repairs", "Actions carried out, by result.", ["action", "result"], registry=r
        )
        self.stage_duration = Histogram(
            "hemostat_stage_duration_seconds",
            "Time spent in a stage.",
            ["stage"],
            buckets=_STAGE_BUCKETS,
            registry=r,
        )
        self.time_to_repair = Histogram(
            "hemostat_time_to_repair_seconds",
            "From the webhook to the action's end.",
            buckets=_MINUTES,
            registry=r,
        )
        self.time_to_heal = Histogram(
            "hemostat_time_to_heal_seconds",
            "From the webhook to a verified healing.",
            buckets=_MINUTES,
            registry=r,
        )
        self.triage = Counter(
            "hemostat_triage", "Verdicts, by who decided and what.", ["source", "verdict"], registry=r
        )
        self.model_requests = Counter(
            "hemostat_llm_requests",
            "Questions to the model, by what became of them; some of them were never sent.",
            ["provider", "result"],
            registry=r,
        )
        self.model_tokens = Counter(
            "hemostat_llm_tokens", "Tokens the provider counted, by kind.", ["kind"], registry=r
        )
        self.model_cost = Counter(
            "hemostat_llm_cost_usd", "What the model cost in US dollars, by the price table.", registry=r
        )
        self.model_duration = Histogram(
            "hemostat_llm_request_duration_seconds",
            "From the request to the whole answer, of those that came.",
            ["provider"],
            buckets=_MODEL_BUCKETS,
            registry=r,
        )
        self.model_breaker_open = Gauge(
            "hemostat_llm_breaker_open",
            "1 while the model is not asked because it failed.",
            ["provider"],
            registry=r,
        )
        self.disagreements = Counter(
            "hemostat_llm_disagreements",
            "Opinions of the model that differ from the rules' verdict.",
            ["rules", "model"],
            registry=r,
        )
        self.backlog = Gauge("hemostat_backlog", "Entries in a queue.", ["queue"], registry=r)
        self.deliveries = Counter(
            "hemostat_deliveries",
            "Incidents told to a channel. failed: to be tried again; dropped: given up until the incident moves again.",
            ["channel", "result"],
            registry=r,
        )
        self.redactions = Counter(
            "hemostat_redactions",
            "Secrets taken out of evidence, by kind; custom: found by the configuration's own patterns.",
            ["kind"],
            registry=r,
        )
        self.posts_alerts = Gauge(
            "hemostat_posts_alerts",
            "1 if escalations and failed repairs are posted to Alertmanager as alerts.",
            registry=r,
        )
        self.fleet_actions = Gauge(
            "hemostat_fleet_actions", "Actions granted within the window of limits.fleet.", registry=r
        )
        self.fleet_actions_allowed = Gauge(
            "hemostat_fleet_actions_allowed",
            "Actions that limits.fleet allows within its window.",
            registry=r,
        )
        self.paused = Gauge("hemostat_paused", "1 while the kill switch is pulled.", registry=r)
        self.storm = Gauge("hemostat_storm", "1 while a storm of incidents is on.", registry=r)
        self.shares_suspect = Gauge(
            "hemostat_shares_suspect",
            "Populations in which nothing is repaired because too many are sick at once.",
            ["scope"],
            registry=r,
        )
        self.reconciled_alerts = Counter(
            "hemostat_reconciled_alerts",
            "Alerts taken in, and ended, by comparison with Alertmanager.",
            ["what"],
            registry=r,
        )
        self.watchdog_last_seen = Gauge(
            "hemostat_watchdog_last_seen_timestamp_seconds",
            "When a webhook last brought an alert that always fires; 0: never.",
            registry=r,
        )
        self.watchdog_interval = Gauge(
            "hemostat_watchdog_interval_seconds",
            "Time between the last two times that one came; 0: not known yet.",
            registry=r,
        )
        self.store_up = Gauge("hemostat_store_up", "1 if the store answered at this scrape.", registry=r)
        self.store_clock_behind = Gauge(
            "hemostat_store_clock_behind_seconds",
            "How far the store's own clock is behind the time that is known; with it behind, time goes slowly.",
            registry=r,
        )
        self.backup_success = Gauge(
            "hemostat_backup_last_success_timestamp_seconds",
            "When `hemostat backup` last worked, by the store's clock; 0 for never.",
            registry=r,
        )
        self.drill_success = Gauge(
            "hemostat_backup_drill_last_success_timestamp_seconds",
            "When `hemostat drill` last worked, by the store's clock; 0 for never.",
            registry=r,
        )
        self.edge_errors = Counter(
            "hemostat_edge_errors",
            "Failed requests to a neighbour, as seen by the walk.",
            ["edge"],
            registry=r,
        )
        self.walk_crashes = Counter(
            "hemostat_walk_crashes",
            "Walks that ended in an unexpected error (a bug; see the log).",
            registry=r,
        )
        self.unreadable = Counter(
            "hemostat_incidents_unreadable",
            "Turns of incidents that this version cannot read, each left to a worker that can.",
            registry=r,
        )
        self.reload_successful = Gauge(
            "hemostat_config_last_reload_successful", "1 if the last configuration load worked.", registry=r
        )
        self.reload_timestamp = Gauge(
            "hemostat_config_last_reload_success_timestamp_seconds", "When a load last worked.", registry=r
        )
        self.build_info = Gauge(
            "hemostat_build_info", "Always 1; the version is the label.", ["version"], registry=r
        )
        self.build_info.labels(VERSION).set(1)
        self._zero()

    def _zero(self) -> None:
        for code in WEBHOOK_CODES:
            self.webhook_requests.labels(code)
        for status in AlertStatus:
            self.alerts_received.labels(status.value)
        for outcome in Outcome:
            self.incidents_closed.labels(outcome.value)
        for reason in Reason:
            self.refusals.labels(reason.value)
        for action in Action:
            for result in REPAIR_RESULTS:
                self.repairs.labels(action.value, result)
        for stage in STAGES:
            self.stage_duration.labels(stage)
        for source in Source:
            for verdict in VerdictKind:
                self.triage.labels(source.value, verdict.value)
        for what in RECONCILED:
            self.reconciled_alerts.labels(what)
        for scope in ShareScope:
            self.shares_suspect.labels(scope.value)
        for provider in PROVIDERS:
            self.model_duration.labels(provider)
            self.model_breaker_open.labels(provider)
            for outcome_of_asking in ModelResult:
                self.model_requests.labels(provider, outcome_of_asking.value)
        for kind in TOKEN_KINDS:
            self.model_tokens.labels(kind)
        for rules in VerdictKind:
            for model in VerdictKind:
                if rules is not model:
                    self.disagreements.labels(rules.value, model.value)
        for queue in QUEUES:
            self.backlog.labels(queue)
        for channel in Channel:
            for result in DELIVERY_RESULTS:
                self.deliveries.labels(channel.value, result)
        for edge in EDGES:
            self.edge_errors.labels(edge)

        for kind in KINDS:
            self.redactions.labels(kind)

    def redacted(self, counts: Mapping[str, int]) -> None:
        """Count what was taken out; the names of an operator's own patterns are no closed list."""
        for kind, count in counts.items():
            self.redactions.labels(kind if kind in KINDS else CUSTOM).inc(count)

    def model_spent(self, usage: Usage, cost_usd: float) -> None:
        """Count what one answer took."""
        used = (
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_tokens,
            usage.cache_write_tokens,
        )
        for kind, tokens in zip(TOKEN_KINDS, used, strict=True):
            self.model_tokens.labels(kind).inc(tokens)
        self.model_cost.inc(cost_usd)

    def with_process(self) -> Metrics:
        """The same with what the kernel says of this process (``process_*``)."""
        ProcessCollector(registry=self.registry)
        return self

    def page(self) -> bytes:
        """The text exposition, version 0.0.4."""
        return generate_latest(self.registry)
