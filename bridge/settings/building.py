"""From a checked document to settings, section by section: meaning of texts, secrets, and what must fit together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bridge.model.incident import Outcome
from bridge.model.secret import Secret
from bridge.settings.environment import Overrides
from bridge.settings.llm_section import build_llm
from bridge.settings.notation import (
    parse_docker_url,
    parse_glob,
    parse_http_url,
    parse_listen_address,
    parse_name_glob,
    parse_phrase,
    parse_regex,
)
from bridge.settings.policy_section import build_policy
from bridge.settings.reading import Section
from bridge.settings.redis_section import build_redis
from bridge.settings.sections import (
    AccessToken,
    Alertmanager,
    Authorization,
    BasicAuth,
    ClientAuth,
    Docker,
    DockerHost,
    DockerTls,
    Durability,
    Grafana,
    Log,
    LogFormat,
    LogLevel,
    Redaction,
    Role,
    SecretPattern,
    Settings,
    Slack,
    Store,
    Triage,
    Upstream,
    VetoPhrase,
    Web,
    WebTls,
    Worker,
)

LEAST_TOKEN_LENGTH = 16
"""Sixteen random characters cannot be guessed over a network; shorter ones are usually words."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", re.ASCII)


def build(top: Section, overrides: Overrides, environ: Mapping[str, str]) -> Settings:
    """The settings; whether they may be used, ``top.findings`` says."""
    redis = build_redis(top.section("redis"), overrides, given=top.gives("redis"))
    return Settings(
        web=_web(top.section("web")),
        redis=redis,
        store=_store(top.section("store"), environ, embedded=redis is None and not top.has("redis")),
        docker=_docker(top.section("docker"), overrides),
        prometheus=_upstream(top.section("prometheus")) if top.gives("prometheus") else None,
        alertmanager=_alertmanager(top.section("alertmanager")) if top.gives("alertmanager") else None,
        llm=build_llm(top.section("llm"), overrides),
        slack=_slack(top.section("slack"), overrides)
        if top.gives("slack") or overrides.slack_webhook_url
        else None,
        grafana=_grafana(top.section("grafana")) if top.gives("grafana") else None,
        policy=build_policy(top.section("policy"), overrides),
        triage=_triage(top.section("triage")),
        redaction=_redaction(top.section("redaction")),
        worker=_worker(top.section("worker")),
        log=_log(top.section("log"), overrides),
    )


def _web(section: Section) -> Web:
    default = Web()
    address = section.text("listen_address", default.listen_address)
    section.parsed("listen_address", parse_listen_address, None)
    return Web(
        listen_address=address,
        tokens=_tokens(section),
        tls=_web_tls(section.section("tls_server_config")) if section.gives("tls_server_config") else None,
        max_body_bytes=section.whole("max_body_bytes", default.max_body_bytes),
        external_url=section.parsed("external_url", parse_http_url, default.external_url),
    )


def _tokens(section: Section) -> tuple[AccessToken, ...]:
    tokens: list[AccessToken] = []
    for node in section.sections("tokens"):
        name = node.text("name", "")
        if any(other.name == name for other in tokens):
            node.note("name", "another token has the same name")
        secret = node.required_secret("token")
        if secret is None:
            continue
        given = "token_file" if node.has("token_file") else "token"
        if not re.fullmatch(r"[!-~]+", secret.reveal()):
            node.note(given, "must be printable ASCII without white space: it travels in an HTTP header")
        elif len(secret.reveal()) < LEAST_TOKEN_LENGTH:
            node.note(
                given, f"must have at least {LEAST_TOKEN_LENGTH} characters: a shorter one can be guessed"
            )
        elif any(other.token == secret for other in tokens):
            node.note(given, "another token has the same value, so nobody could tell who it is")
        tokens.append(AccessToken(name=name, role=node.parsed("role", Role, Role.RECEIVER), token=secret))
    return tuple(tokens)


def _web_tls(section: Section) -> WebTls:
    client_ca = section.file("client_ca_file")
    client_auth = section.parsed("client_auth_type", _client_auth, ClientAuth.NONE)
    if section.has("client_ca_file") and not section.has("client_auth_type"):
        section.note("client_ca_file", "has no effect without client_auth_type: RequireAndVerifyClientCert")
    if client_auth is not ClientAuth.NONE and not section.has("client_ca_file"):
        section.note("client_auth_type", "needs client_ca_file, else there is nothing to verify against")
    return WebTls(
        cert_file=section.file("cert_file") or Path(),
        key_file=section.file("key_file") or Path(),
        client_ca_file=client_ca,
        client_auth_type=client_auth,
    )


def _client_auth(text: str) -> ClientAuth:
    if text not in set(ClientAuth):
        raise ValueError(
            f"{text} accepts certificates nobody has verified and is not supported; use VerifyClientCertIfGiven"
        )
    return ClientAuth(text)


def _store(section: Section, environ: Mapping[str, str], *, embedded: bool) -> Store:
    default = Store()
    durability = section.parsed("durability", Durability, default.durability)
    if durability is Durability.REPLICATED and embedded:
        section.note("durability", "replicated needs a redis section: the embedded store has no replica")
    path = section.text("path", None)
    return Store(
        path=section.folder / path if path is not None else _state_directory(environ, default.path),
        trust_empty=section.flag("trust_empty", default=default.trust_empty),
        durability=durability,
        backlog_limit=section.whole("backlog_limit", default.backlog_limit),
        retention_seconds=section.seconds("retention", default.retention_seconds, least=3600.0),
    )


def _state_directory(environ: Mapping[str, str], otherwise: Path) -> Path:
    """A relative one counts as not set: it would be another store for whoever starts elsewhere.

    Source: XDG Base Directory Specification.
    """
    state, home = Path(environ.get("XDG_STATE_HOME", "")), Path(environ.get("HOME", ""))
    if state.is_absolute():
        return state / "hemostat"
    return home / ".local/state/hemostat" if home.is_absolute() and home != Path("/") else otherwise


def _docker(section: Section, overrides: Overrides) -> Docker:
    if not section.has("hosts"):
        return Docker(hosts=(DockerHost(url=_default_docker_url(section, overrides.docker_host)),))
    hosts: dict[str, DockerHost] = {}
    for node in section.sections("hosts"):
        name = node.parsed("name", _host_name, "")
        if name in hosts:
            node.note("name", "another host has the same name")
        host = _docker_host(node, name)
        if other := next((each for each in hosts if hosts[each].url == host.url), None):
            # Each of its containers would be two targets, with two budgets.
            node.note("url", f"host {other} has the same url: one Engine is one host")
        hosts[name] = host
    return Docker(hosts=tuple(hosts.values()))


def _default_docker_url(section: Section, from_environment: str | None) -> str:
    try:
        return parse_docker_url(from_environment or DockerHost().url)
    except ValueError as error:
        section.findings.add_environment("DOCKER_HOST", str(error))
        return DockerHost().url


def _docker_host(section: Section, name: str) -> DockerHost:
    url = section.parsed("url", parse_docker_url, DockerHost().url)
    if section.has("tls") and not url.startswith("tcp://"):
        section.note("tls", "is for tcp:// only")
    return DockerHost(
        name=name,
        url=url,
        tls=_docker_tls(section.section("tls")) if section.gives("tls") else None,
        timeout_seconds=section.seconds("timeout", DockerHost().timeout_seconds, least=0.1),
    )


def _docker_tls(section: Section) -> DockerTls:
    for key, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if section.has(key) and not section.has(other):
            section.note(other, f"is missing: {key} needs it")
    return DockerTls(
        ca_file=section.file("ca_file"),
        cert_file=section.file("cert_file"),
        key_file=section.file("key_file"),
    )


def _host_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            "must begin with a letter or digit and have only letters, digits, '.', '_' and '-', at most 63"
        )
    return text


def _upstream(section: Section) -> Upstream:
    timeout, basic_auth, authorization = _access(section)
    return Upstream(
        url=section.parsed("url", parse_http_url, ""),
        timeout_seconds=timeout,
        basic_auth=basic_auth,
        authorization=authorization,
    )


def _alertmanager(section: Section) -> Alertmanager:
    default = Alertmanager(url="")
    timeout, basic_auth, authorization = _access(section)
    return Alertmanager(
        url=section.parsed("url", parse_http_url, ""),
        timeout_seconds=timeout,
        basic_auth=basic_auth,
        authorization=authorization,
        post_alerts=section.flag("post_alerts", default=default.post_alerts),
        receiver=section.parsed("receiver", parse_regex, default.receiver),
        reconcile_interval_seconds=section.seconds("reconcile_interval", default.reconcile_interval_seconds),
        silence_repairs=section.flag("silence_repairs", default=default.silence_repairs),
    )


def _access(section: Section) -> tuple[float, BasicAuth | None, Authorization | None]:
    """How a neighbour is asked: how long it may take, and at most one way to log in."""
    if section.has("basic_auth") and section.has("authorization"):
        section.note("authorization", "only one of basic_auth and authorization may be given")
    return (
        section.seconds("timeout", Upstream(url="").timeout_seconds, least=0.1),
        _basic_auth(section.section("basic_auth")) if section.gives("basic_auth") else None,
        _authorization(section.section("authorization")) if section.gives("authorization") else None,
    )


def _basic_auth(section: Section) -> BasicAuth:
    password = section.required_secret("password")
    return BasicAuth(username=section.text("username", ""), password=password or Secret(""))


def _authorization(section: Section) -> Authorization:
    token = section.required_secret("token")
    return Authorization(token=token or Secret(""), type=section.text("type", "Bearer"))


def _slack(section: Section, overrides: Overrides) -> Slack:
    has_bot = section.has("bot_token") or section.has("bot_token_file")
    has_webhook = section.has("webhook_url") or section.has("webhook_url_file") or overrides.slack_webhook_url
    if not has_bot and not has_webhook:
        section.note("", "needs bot_token or webhook_url (or their _file), else nothing can be sent")
    if has_bot and not section.has("channel"):
        section.note("channel", "is missing: bot_token needs to know where to post")
    if not has_bot and (section.has("app_token") or section.has("app_token_file")):
        section.note("app_token", "needs bot_token, too")
    signing = section.secret("signing_secret")
    if signing is not None and not signing.reveal().strip():
        section.note("signing_secret", "is empty")
        signing = None
    webhook = section.secret("webhook_url")
    if webhook is not None:
        webhook = _checked_webhook(section, webhook)
    return Slack(
        bot_token=section.secret("bot_token"),
        app_token=section.secret("app_token"),
        channel=section.text("channel", None),
        webhook_url=overrides.slack_webhook_url or webhook,
        signing_secret=signing,
        approvers=section.parsed_items("approvers", str),
        api_url=section.parsed("api_url", parse_http_url, Slack().api_url),
    )


def _checked_webhook(section: Section, webhook: Secret) -> Secret | None:
    try:
        return Secret(parse_http_url(webhook.reveal()))
    except ValueError as error:
        section.note("webhook_url_file" if section.has("webhook_url_file") else "webhook_url", str(error))
        return None


def _grafana(section: Section) -> Grafana:
    default = Grafana(url="")
    if section.has("basic_auth") and (section.has("token") or section.has("token_file")):
        section.note("basic_auth", "only one of token and basic_auth may be given")
    return Grafana(
        url=section.parsed("url", parse_http_url, ""),
        token=section.secret("token"),
        basic_auth=_basic_auth(section.section("basic_auth")) if section.gives("basic_auth") else None,
        dashboard_uid=section.text("dashboard_uid", None),
        points=section.parsed_items("points", Outcome) if section.has("points") else default.points,
        timeout_seconds=section.seconds("timeout", default.timeout_seconds, least=0.1),
    )


def _triage(section: Section) -> Triage:
    default = Triage()
    codes = section.parsed_items("crash_exit_codes", int)
    return Triage(
        crash_loop_restarts=section.whole("crash_loop_restarts", default.crash_loop_restarts),
        crash_exit_codes=codes if section.has("crash_exit_codes") else default.crash_exit_codes,
        deploy_window_seconds=section.seconds("deploy_window", default.deploy_window_seconds),
        memory_share=section.number("memory_share", default.memory_share),
        cpu_share=section.number("cpu_share", default.cpu_share),
        load_share=section.number("load_share", default.load_share),
        errors_share=section.number("errors_share", default.errors_share),
        host_cpu_pressure=section.number("host_cpu_pressure", default.host_cpu_pressure),
        host_memory_pressure=section.number("host_memory_pressure", default.host_memory_pressure),
        host_io_pressure=section.number("host_io_pressure", default.host_io_pressure),
        host_disk_share=section.number("host_disk_share", default.host_disk_share),
        traffic_factor=section.number("traffic_factor", default.traffic_factor),
        sick_neighbours=section.whole("sick_neighbours", default.sick_neighbours),
        flapping_fires=section.whole("flapping_fires", default.flapping_fires),
        stateful_images=section.parsed_items("stateful_images", parse_name_glob)
        if section.has("stateful_images")
        else None,
        outside_alerts=section.parsed_items("outside_alerts", parse_glob),
        always_firing=section.parsed_items("always_firing", str),
        over_when_running=section.parsed_items("over_when_running", str),
        phrases=tuple(
            VetoPhrase(
                kind=node.parsed("class", _class_name, ""), pattern=node.parsed("pattern", parse_phrase, "")
            )
            for node in section.sections("phrases")
        ),
    )


def _redaction(section: Section) -> Redaction:
    return Redaction(
        patterns=tuple(
            SecretPattern(
                name=node.parsed("name", _class_name, ""), pattern=node.parsed("pattern", parse_phrase, "")
            )
            for node in section.sections("patterns")
        )
    )


def _class_name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", text, re.ASCII):
        raise ValueError("must be lower-case letters, digits and '_', at most 40, such as disk_full")
    return text


def _worker(section: Section) -> Worker:
    default = Worker()
    return Worker(
        concurrency=section.whole("concurrency", default.concurrency),
        lease_seconds=section.seconds("lease", default.lease_seconds, least=2.0),
    )


def _log(section: Section, overrides: Overrides) -> Log:
    default = Log()
    return Log(
        level=overrides.log_level or section.parsed("level", LogLevel, default.level),
        format=overrides.log_format or section.parsed("format", LogFormat, default.format),
    )
