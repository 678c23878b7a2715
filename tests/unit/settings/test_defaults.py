"""What nobody has written has its default, in the values as in the schema."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge.model.policy import PROTECTED_BY_DEFAULT, Cap, Mode, VerifyPolicy
from bridge.model.verdict import Action
from bridge.settings import (
    DockerHost,
    Provider,
    Redis,
    RedisTls,
    Secret,
    Settings,
    Slack,
    load,
    settings_schema,
)
from tests.unit.settings.loading import loaded


@pytest.mark.parametrize(
    "text", ["# nothing\n", "---\n", "null\n", "{}\n", "\ufeff{}", "web: {}\npolicy: {}\n"]
)
def test_a_file_that_says_nothing_means_the_defaults(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text) == Settings.defaults()


def test_no_file_means_the_defaults() -> None:
    assert load(None, environ={}) == Settings.defaults()


def test_the_defaults_named_by_the_contract() -> None:
    defaults = Settings.defaults()
    assert defaults.web.listen_address == "127.0.0.1:9095"
    assert defaults.web.max_body_bytes == 16 * 1024 * 1024
    assert defaults.redis is None
    assert defaults.docker.hosts == (DockerHost(name="local", url="unix:///var/run/docker.sock"),)
    assert defaults.llm.provider is Provider.NONE
    assert (defaults.worker.concurrency, defaults.worker.lease_seconds) == (16, 15.0)
    root = defaults.policy.root
    assert (root.mode, root.actions, root.cooldown_seconds) == (Mode.AUTO, (Action.RESTART,), 3600.0)
    assert root.caps == (Cap(max=3, per_seconds=3600.0),)
    assert root.verify == VerifyPolicy(
        within_seconds=180.0, stable_for_seconds=30.0, relapse_watch_seconds=600.0
    )
    assert defaults.policy.protected == PROTECTED_BY_DEFAULT


def defaults_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, below in schema["properties"].items():
        if "default" in below:
            found[key] = below["default"]
        elif below.get("type") == "object" and "required" not in below and key not in {"redis", "slack"}:
            found[key] = defaults_of(below)
    return {key: value for key, value in found.items() if value != {}}


def test_the_schema_names_the_defaults_of_the_values(tmp_path: Path) -> None:
    schema: Any = settings_schema()
    redis = {"url": "redis://h", **defaults_of(schema["properties"]["redis"])}
    assert redis.pop("tls") == {"check_hostname": RedisTls().check_hostname}  # with url, the scheme says TLS
    slack = {"webhook_url": "https://h", **defaults_of(schema["properties"]["slack"])}
    text = yaml.safe_dump({**defaults_of(schema), "redis": redis, "slack": slack})
    settings = loaded(tmp_path, text)
    assert settings.redis == Redis(url="redis://h")
    assert settings.slack == Slack(webhook_url=Secret("https://h"))
    assert dataclasses.replace(settings, redis=None, slack=None) == Settings.defaults()
