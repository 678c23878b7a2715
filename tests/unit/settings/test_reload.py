"""What a reload can change, and what only a restart can."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bridge.settings import Settings
from tests.unit.settings.loading import loaded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web: {listen_address: ':1'}", ["web.listen_address"]),
        ("redis: {url: 'redis://h'}", ["redis"]),
        ("store: {backlog_limit: 1}\nworker: {concurrency: 1}", ["store", "worker"]),
        ("docker: {hosts: [{name: a, url: 'unix:///a'}]}", ["docker"]),
        ("web: {max_body_bytes: 2048, external_url: 'http://h'}", ["web.max_body_bytes", "web.external_url"]),
        ("prometheus: {url: 'http://p'}\nalertmanager: {url: 'http://a'}", ["prometheus", "alertmanager"]),
        ("slack: {webhook_url: 'http://s'}\ngrafana: {url: 'http://g', token: t}", ["slack", "grafana"]),
        (
            "policy: {cooldown: 1s}\nlog: {level: debug, format: json}\nllm: {enabled: false}\n"
            "triage: {deploy_window: 1s}\nweb: {tokens: [{name: a, role: viewer, token: 0123456789abcdefg}]}",
            [],
        ),
    ],
)
def test_what_only_a_restart_can_change(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert Settings.defaults().restart_only_differences(loaded(tmp_path, text)) == expected


def test_https_is_turned_on_or_off_only_with_a_restart(full: Settings) -> None:
    """Which files it takes, and what is in them, a reload changes."""
    assert "web.tls_server_config" in full.restart_only_differences(Settings.defaults())
    assert full.restart_only_differences(full) == []
    assert full.web.tls is not None
    others = dataclasses.replace(full.web.tls, cert_file=full.web.tls.key_file)
    assert (
        full.restart_only_differences(
            dataclasses.replace(full, web=dataclasses.replace(full.web, tls=others))
        )
        == []
    )
