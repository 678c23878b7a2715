"""An environment variable wins over the file, or is a problem with its name."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import SettingsError
from bridge.model.policy import Cap, Mode
from bridge.settings import LogFormat, LogLevel, Provider, Redis, Secret, Settings, load
from tests.unit.settings.loading import loaded


@pytest.mark.parametrize(
    ("environ", "read", "expected"),
    [
        pytest.param({"LOG_LEVEL": "WARNING"}, lambda s: s.log.level, LogLevel.WARN, id="log-level"),
        pytest.param({"LOG_FORMAT": "json"}, lambda s: s.log.format, LogFormat.JSON, id="log-format"),
        pytest.param({"REDIS_HOST": "r"}, lambda s: s.redis.url, "redis://r:6379", id="redis-host"),
        pytest.param(
            {"REDIS_HOST": "::1", "REDIS_PORT": "7"},
            lambda s: s.redis.url,
            "redis://[::1]:7",
            id="redis-port",
        ),
        pytest.param({"REDIS_HOST": "r", "REDIS_DB": "4"}, lambda s: s.redis.db, 4, id="redis-db"),
        pytest.param(
            {"REDIS_HOST": "r", "REDIS_PASSWORD": "p"},
            lambda s: s.redis.password,
            Secret("p"),
            id="redis-password",
        ),
        pytest.param(
            {"RESPONDER_COOLDOWN_SECONDS": "90"},
            lambda s: s.policy.root.cooldown_seconds,
            90.0,
            id="cooldown",
        ),
        pytest.param(
            {"RESPONDER_MAX_RETRIES_PER_HOUR": "5"},
            lambda s: s.policy.root.caps,
            (Cap(max=5, per_seconds=3600.0),),
            id="retries",
        ),
        pytest.param({"RESPONDER_DRY_RUN": "true"}, lambda s: s.policy.root.mode, Mode.OBSERVE, id="dry-run"),
        pytest.param(
            {"RESPONDER_DRY_RUN": "False"}, lambda s: s.policy.root.mode, Mode.AUTO, id="no-dry-run"
        ),
        pytest.param(
            {"ANALYZER_CONFIDENCE_THRESHOLD": "0.85"},
            lambda s: s.llm.confidence_threshold,
            0.85,
            id="confidence",
        ),
        pytest.param(
            {"ANTHROPIC_API_KEY": "k"}, lambda s: s.llm.provider, Provider.ANTHROPIC, id="anthropic"
        ),
        pytest.param(
            {"ANTHROPIC_API_KEY": "k"}, lambda s: s.llm.model, "claude-haiku-5-5", id="anthropic-model"
        ),
        pytest.param({"OPENAI_API_KEY": "k"}, lambda s: s.llm.provider, Provider.NONE, id="openai-alone"),
        pytest.param(
            {"OPENAI_API_KEY": "k", "AI_MODEL": "m"},
            lambda s: s.llm.provider,
            Provider.OPENAI,
            id="openai-model",
        ),
        pytest.param(
            {"SLACK_WEBHOOK_URL": "https://h/x"},
            lambda s: s.slack.webhook_url,
            Secret("https://h/x"),
            id="slack",
        ),
        pytest.param(
            {"DOCKER_HOST": "tcp://d:2375"}, lambda s: s.docker.hosts[0].url, "tcp://d:2375", id="docker"
        ),
        pytest.param(
            {"DOCKER_HOST": ""}, lambda s: s.docker.hosts[0].url, "unix:///var/run/docker.sock", id="empty"
        ),
        pytest.param(
            {"HOME": "/home/a"}, lambda s: s.store.path, Path("/home/a/.local/state/hemostat"), id="home"
        ),
        pytest.param(
            {"HOME": "/h", "XDG_STATE_HOME": "/x"}, lambda s: s.store.path, Path("/x/hemostat"), id="xdg"
        ),
        pytest.param(
            {"HOME": "/h", "XDG_STATE_HOME": "x"},
            lambda s: s.store.path,
            Path("/h/.local/state/hemostat"),
            id="xdg-relative",
        ),
        pytest.param({"HOME": "h"}, lambda s: s.store.path, Path("/var/lib/hemostat"), id="home-relative"),
    ],
)
def test_an_environment_variable_overrides(environ: dict[str, str], read: Any, expected: object) -> None:
    assert read(load(None, environ=environ)) == expected


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        pytest.param({"REDIS_PORT": "tcp://10.0.0.1:6379"}, "Kubernetes", id="service-link"),
        pytest.param({"REDIS_HOST": "r", "REDIS_PORT": "0"}, "is not a port", id="port"),
        pytest.param({"REDIS_HOST": "r:6379"}, "the port belongs into $REDIS_PORT", id="port-in-host"),
        pytest.param({"REDIS_HOST": "::1:x"}, "a host name or an address", id="no-address"),
        pytest.param(
            {"REDIS_PASSWORD": "HIDDEN"}, "has no effect without $REDIS_HOST", id="password-without-host"
        ),
        pytest.param({"REDIS_DB": "-1"}, "is not a whole number", id="db"),
        pytest.param({"LOG_LEVEL": "loud"}, "is not one of debug, info", id="level"),
        pytest.param({"RESPONDER_COOLDOWN_SECONDS": "1h"}, "is not a number of seconds", id="cooldown"),
        pytest.param({"RESPONDER_COOLDOWN_SECONDS": "nan"}, "is not a number of seconds", id="cooldown-nan"),
        pytest.param({"RESPONDER_MAX_RETRIES_PER_HOUR": "0"}, "RESPONDER_DRY_RUN=true", id="retries"),
        pytest.param({"RESPONDER_DRY_RUN": "maybe"}, "is not one of true", id="dry-run"),
        pytest.param({"ANALYZER_CONFIDENCE_THRESHOLD": "1.5"}, "from 0 to 1", id="confidence"),
        pytest.param({"SLACK_WEBHOOK_URL": "HIDDEN"}, "must be a URL", id="slack"),
        pytest.param({"DOCKER_HOST": "npipe:////./pipe/docker"}, "must be unix:///", id="docker"),
    ],
)
def test_a_bad_environment_variable_is_a_problem_with_its_name(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, environ=environ)
    [problem] = caught.value.problems
    assert problem.path.removeprefix("$") in environ
    assert problem.line == 0
    assert message in problem.message
    assert "HIDDEN" not in str(problem)


def test_the_environment_wins_over_the_file(full: Settings, tmp_path: Path) -> None:
    environ = {
        "REDIS_HOST": "other",
        "REDIS_PASSWORD": "from-env",
        "REDIS_DB": "9",
        "OPENAI_API_KEY": "env-key",
        "ANTHROPIC_API_KEY": "not for openai",
        "AI_MODEL": "env-model",
        "LOG_LEVEL": "error",
        "RESPONDER_COOLDOWN_SECONDS": "5",
    }
    settings = load(tmp_path / "hemostat.yml", environ=environ)
    assert full.redis is not None
    assert settings.redis == dataclasses.replace(
        full.redis, url="rediss://other:6380", password=Secret("from-env"), db=9
    )  # fmt: skip
    assert (settings.llm.provider, settings.llm.model) == (Provider.OPENAI, "env-model")
    assert settings.llm.api_key == Secret("env-key")
    assert settings.log.level is LogLevel.ERROR
    assert settings.policy.root.cooldown_seconds == 5.0
    assert settings.policy.routes[0].policy.cooldown_seconds == 600.0


def test_a_dry_run_observes_everywhere(full: Settings, tmp_path: Path) -> None:
    policy = load(tmp_path / "hemostat.yml", environ={"RESPONDER_DRY_RUN": "1"}).policy
    assert full.policy.routes[0].policy.mode is Mode.AUTO
    assert {policy.root.mode, policy.routes[0].policy.mode, policy.routes[0].routes[0].policy.mode} == {
        Mode.OBSERVE
    }


def test_docker_host_counts_only_where_the_file_has_no_hosts(tmp_path: Path) -> None:
    text = "docker: {hosts: [{name: a, url: 'unix:///a'}]}"
    for elsewhere in ("tcp://b:1", "fd://"):
        settings = loaded(tmp_path, text, {"DOCKER_HOST": elsewhere})
        assert [host.url for host in settings.docker.hosts] == ["unix:///a"]


def test_a_redis_port_alone_changes_the_files_url(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "redis: {url: 'redis://h:1/2'}", {"REDIS_PORT": "7"})
    assert settings.redis == Redis(url="redis://h:7", db=2)
