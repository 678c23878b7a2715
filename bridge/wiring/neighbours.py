"""The edges to Docker, Alertmanager and Prometheus."""

from __future__ import annotations

import base64

from bridge import settings
from bridge.edges.docker_engine import DockerEngine, DockerHost, DockerTLS
from bridge.edges.http_neighbour import HttpNeighbour
from bridge.edges.prometheus import PrometheusApi
from bridge.wiring.extras import check_ssh


def docker_of(config: settings.Settings) -> DockerEngine:
    """The edge to the configured Docker hosts. Raises SettingsError: one is behind ssh, whose package is missing."""
    check_ssh(config)
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
    return basic_credentials(upstream.basic_auth)


def basic_credentials(given: settings.BasicAuth | None) -> str:
    if given is None:
        return ""
    pair = f"{given.username}:{given.password.reveal()}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def alertmanager_of(config: settings.Settings) -> HttpNeighbour | None:
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
