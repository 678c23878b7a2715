"""The settings as values, one class per section of ``hemostat.yml``. Defaults live here, and in ``redis_values`` and ``llm_values``.

Durations are seconds. What the policy is made of lives in ``bridge.model.policy``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bridge.model.incident import Outcome
from bridge.model.policy import PROTECTED_BY_DEFAULT, Policy
from bridge.model.secret import Secret
from bridge.settings.llm_values import Llm
from bridge.settings.notation import parse_listen_address
from bridge.settings.redis_values import Redis


class Role(StrEnum):
    """What a token is good for; an operator may do all of it."""

    RECEIVER = "receiver"
    VIEWER = "viewer"
    OPERATOR = "operator"


class ClientAuth(StrEnum):
    """Whether a client must show a certificate. Source: Prometheus' web configuration, ``client_auth_type``."""

    NONE = "NoClientCert"
    VERIFY_IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRE_AND_VERIFY = "RequireAndVerifyClientCert"


class Durability(StrEnum):
    """What an accepted alert has survived when it is acknowledged."""

    LOCAL = "local"
    REPLICATED = "replicated"


class LogLevel(StrEnum):
    """As in Prometheus."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class LogFormat(StrEnum):
    """One line per event, for people or for machines."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """One bearer token of the HTTP interface."""

    name: str
    """Who uses it; written to the audit beside every decision. Unique."""
    role: Role
    """What it may do."""
    token: Secret
    """At least 16 printable characters: it is the only thing between the network and a restart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebTls:
    """``web.tls_server_config``: key names of Prometheus' web configuration file."""

    cert_file: Path
    """PEM, the server's certificate with its chain. Relative to the configuration file, as is every path. Read anew, as
    the other two are, on a reload and once they changed."""
    key_file: Path
    """PEM, its private key, not encrypted."""
    client_ca_file: Path | None = None
    """PEM, who may sign client certificates. Default none: tokens suffice."""
    client_auth_type: ClientAuth = ClientAuth.NONE
    """Default ``NoClientCert``, as in Prometheus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """The HTTP interface."""

    listen_address: str = "127.0.0.1:9095"
    """``host:port`` or ``:port``. Default loopback: nothing is open to the network unasked."""
    tokens: tuple[AccessToken, ...] = ()
    """Default none, which is allowed on loopback only."""
    tls: WebTls | None = None
    """Default none: plain HTTP, right for loopback."""
    max_body_bytes: int = 16 * 1024 * 1024
    """Bytes of one request. Default 16 MiB: a webhook of thousands of alerts fits, memory stays bounded."""
    external_url: str | None = None
    """Under which URL people reach it, for links. Default none: messages carry no links."""

    @property
    def address(self) -> tuple[str, int]:
        """Host (empty: every address) and port of ``listen_address``."""
        return parse_listen_address(self.listen_address)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """How what happened is kept."""

    path: Path = Path("/var/lib/hemostat")
    """Directory of the embedded store. Default ``$XDG_STATE_HOME/hemostat``, else ``~/.local/state/hemostat``,
    else this: it must outlive a reboot, so never a temporary directory."""
    trust_empty: bool = False
    """Whether an empty store is taken as the truth. Default false: young containers are left alone until it is
    known again what was done to them."""
    durability: Durability = Durability.LOCAL
    """Default ``local``: safe on this machine's disk. ``replicated`` waits for a replica and needs ``redis``."""
    backlog_limit: int = 20_000
    """Open work items before new alerts are answered 503. Default 20,000: minutes of work, megabytes of memory."""
    retention_seconds: float = 30 * 86_400.0
    """How long closed incidents are kept. Default 30 days: a month's review finds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerTls:
    """Certificates for a ``tcp://`` Docker host, PEM files."""

    ca_file: Path | None = None
    """Who signed the host's certificate. Default: the system's authorities."""
    cert_file: Path | None = None
    """Our certificate. Default none."""
    key_file: Path | None = None
    """Its key. Given exactly when ``cert_file`` is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerHost:
    """One Docker Engine."""

    name: str = "local"
    """What alerts call it in ``docker_host``, and what targets are filed under. Unique."""
    url: str = "unix:///var/run/docker.sock"
    """``unix://``, ``tcp://`` or ``ssh://``. Default the local socket. Unique: one Engine is one host."""
    tls: DockerTls | None = None
    """For ``tcp://`` only. Default none."""
    timeout_seconds: float = 10.0
    """For one call; stopping a container has its own stop timeout on top. Default 10: a busy engine takes seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """Where containers are."""

    hosts: tuple[DockerHost, ...] = (DockerHost(),)
    """Default one host ``local`` at ``$DOCKER_HOST`` or the local socket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """A name and a password for HTTP basic authentication."""

    username: str
    """Not secret."""
    password: Secret
    """Secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """The ``Authorization`` header."""

    token: Secret
    """What follows the type."""
    type: str = "Bearer"
    """Default ``Bearer``, as in Prometheus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A Prometheus or an Alertmanager that is asked; at most one way to log in."""

    url: str
    """Base URL, without a slash at its end."""
    timeout_seconds: float = 10.0
    """For one request. Default 10: evidence that takes longer comes too late."""
    basic_auth: BasicAuth | None = None
    """Default none."""
    authorization: Authorization | None = None
    """Default none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alertmanager(Upstream):
    """The Alertmanager that is asked, and may be told."""

    post_alerts: bool = True
    """Whether HemoStatEscalated and HemoStatRepairFailed are posted to it. Default true: existing routing calls the
    right people."""
    receiver: str | None = None
    """Which of its receivers lead here: an anchored regular expression over their names. Default: those in the webhooks
    that came."""
    reconcile_interval_seconds: float = 300.0
    """Between two comparisons of its alerts with ours. 0: never. Default 5 m: its default ``group_interval``."""
    silence_repairs: bool = False
    """Whether an alert is silenced while its target is repaired and verified. Default false: hiding is opt-in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slack:
    """Where people are told. A bot can keep a thread and take approvals, a webhook can only post."""

    bot_token: Secret | None = None
    """``xoxb-…``. Needs ``channel``."""
    app_token: Secret | None = None
    """``xapp-…``, for approvals without an open port (Socket Mode). Needs ``bot_token``."""
    channel: str | None = None
    """Id or name of the channel."""
    webhook_url: Secret | None = None
    """An incoming webhook; its URL is its password."""
    signing_secret: Secret | None = None
    """For approvals over HTTP instead of Socket Mode."""
    approvers: tuple[str, ...] = ()
    """Slack user ids that may approve. Default none: proposals are shown without buttons."""
    api_url: str = "https://slack.com/api"
    """Base URL of the Web API. GovSlack has another."""

    @property
    def asks(self) -> bool:
        """Whether people can decide there: a bot shows the buttons, somebody may click, and a click reaches us."""
        reaches_us = self.app_token is not None or self.signing_secret is not None
        return self.bot_token is not None and bool(self.approvers) and reaches_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Grafana:
    """Where repairs are drawn as annotations."""

    url: str
    """Base URL, without a slash at its end."""
    token: Secret | None = None
    """Of a service account that may write annotations."""
    basic_auth: BasicAuth | None = None
    """A user instead. Default none; at most one of the two."""
    dashboard_uid: str | None = None
    """One dashboard. Default none: an annotation of the whole organisation."""
    points: tuple[Outcome, ...] = (Outcome.ESCALATED, Outcome.REFUSED)
    """Outcomes without an action that are drawn as a point. Default escalated and refused; a repair is always drawn."""
    timeout_seconds: float = 10.0
    """For one request. Default 10: a Grafana on SQLite takes seconds where many annotations come at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VetoPhrase:
    """A log line that matches says: a restart will not help."""

    kind: str
    """The key ``class``: what it is a sign of, such as ``disk_full``."""
    pattern: str
    """A regular expression of at least four characters, searched anywhere in a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Triage:
    """What the rules take as a sign of what."""

    crash_loop_restarts: int = 5
    """Restarts by the restart policy since the last start above which it is a crash loop. Default 5."""
    crash_exit_codes: tuple[int, ...] = (1, 2, 132, 133, 134, 135, 136, 139)
    """Exit codes of a crash that a restart may cure. Default 1 and 2 (an uncaught error, a Go panic) and death by
    SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE and SIGSEGV. 137 and 143 are absent: that is how a container dies that a person stops."""
    deploy_window_seconds: float = 600.0
    """For so long after it changed or was replaced somebody is probably still at it. Default 10 min."""
    memory_share: float = 0.9
    """Of its memory limit: from here on a steady rise is a leak about to end. Default 0.9."""
    cpu_share: float = 0.9
    """Of its CPU quota: from here on it uses all it was given. Default 0.9."""
    load_share: float = 0.8
    """Below this share an alert about CPU or memory is over. Default 0.8, below which no rule of ours fires."""
    errors_share: float = 0.1
    """Of its requests that may fail. Default 0.1: beyond, visitors see it whatever the health check says."""
    host_cpu_pressure: float = 0.5
    """Share of time in which something on the host waits for CPU, from which the host is to blame. Default 0.5."""
    host_memory_pressure: float = 0.2
    """The same for memory. Default 0.2: waiting for memory hurts soonest."""
    host_io_pressure: float = 0.4
    """The same for I/O. Default 0.4."""
    host_disk_share: float = 0.95
    """How full a disk of the host may be. Default 0.95, where file systems keep their reserve."""
    traffic_factor: float = 2.0
    """So many times the usual requests are a surge. Default 2."""
    sick_neighbours: int = 3
    """So many sick siblings of its project have one cause. Default 3: two unlucky ones are two repairs."""
    flapping_fires: int = 4
    """An alert that began so often within an hour comes and goes. Default 4."""
    stateful_images: tuple[str, ...] | None = None
    """Globs of images that keep state. Default the built-in ones (``bridge.triage.case.STATEFUL_IMAGES``)."""
    outside_alerts: tuple[str, ...] = ()
    """Globs of the names of alerts that name a cause outside the container, in addition to the built-in ones
    (``bridge.triage.case.OUTSIDE_ALERTS``). Default none."""
    always_firing: tuple[str, ...] = ()
    """Names of alerts that fire on purpose, in addition to the built-in ones. Default none."""
    over_when_running: tuple[str, ...] = ()
    """Names of alerts that are over once the container runs, in addition to the built-in ones. Default none."""
    phrases: tuple[VetoPhrase, ...] = ()
    """In addition to the built-in ones. Default none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretPattern:
    """What this operator's own secrets look like."""

    name: str
    """What stands where one was: ``[REDACTED:name]``."""
    pattern: str
    """A regular expression of at least four characters; its group ``secret``, else all of it, is the secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """What is taken out of text before anybody sees it."""

    patterns: tuple[SecretPattern, ...] = ()
    """In addition to the built-in kinds. Default none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """How work is carried."""

    concurrency: int = 16
    """Incidents walked at once. Default 16: most of a walk is waiting."""
    lease_seconds: float = 15.0
    """After which another worker takes over from a silent one. Default 15: a pause of some seconds is survived."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What the process writes to stderr."""

    level: LogLevel = LogLevel.INFO
    """Default ``info``: one line per transition."""
    format: LogFormat = LogFormat.TEXT
    """Default ``text``: the first reader is a person at a terminal."""


def _default_policy() -> Policy:
    return Policy(protected=PROTECTED_BY_DEFAULT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration. ``None`` means that the section is not given and its neighbour is not used."""

    web: Web = field(default_factory=Web)
    redis: Redis | None = None
    store: Store = field(default_factory=Store)
    docker: Docker = field(default_factory=Docker)
    prometheus: Upstream | None = None
    alertmanager: Alertmanager | None = None
    llm: Llm = field(default_factory=Llm)
    slack: Slack | None = None
    grafana: Grafana | None = None
    policy: Policy = field(default_factory=_default_policy)
    triage: Triage = field(default_factory=Triage)
    redaction: Redaction = field(default_factory=Redaction)
    worker: Worker = field(default_factory=Worker)
    log: Log = field(default_factory=Log)

    @classmethod
    def defaults(cls) -> Settings:
        """What holds without a file and without environment variables."""
        return cls()

    def restart_only_differences(self, other: Settings) -> list[str]:
        """The parts in which ``other`` differs and that only a restart of the process can change."""
        parts = {
            "web.listen_address": (self.web.listen_address, other.web.listen_address),
            "web.tls_server_config": (self.web.tls is None, other.web.tls is None),
            "web.max_body_bytes": (self.web.max_body_bytes, other.web.max_body_bytes),
            "web.external_url": (self.web.external_url, other.web.external_url),
            "redis": (self.redis, other.redis),
            "store": (self.store, other.store),
            "docker": (self.docker, other.docker),
            "prometheus": (self.prometheus, other.prometheus),
            "alertmanager": (self.alertmanager, other.alertmanager),
            "slack": (self.slack, other.slack),
            "grafana": (self.grafana, other.grafana),
            "worker": (self.worker, other.worker),
        }
        return [name for name, (mine, theirs) in parts.items() if mine != theirs]
