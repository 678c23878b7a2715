"""What an operator changes over HTTP: the kill switch and the configuration; what is wrong with it changes nothing."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import replace

import pytest

from bridge import errors, logs, settings
from tests.integration.serving import FIRING, JSON, Running, config_of, page


async def test_a_pause_beyond_the_last_day_of_the_calendar_is_refused(running: Running) -> None:
    """Its end in UTC would be a time that nobody can read any more, and every look at the pause would fail."""
    async with running.client.put("/api/v1/pause", json={"until": "9999-12-31T23:59:59-12:00"}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "bad_request")
    assert await running.get("/api/v1/pause") == (200, {"paused": False})


async def test_the_kill_switch_is_pulled_seen_and_released(running: Running) -> None:
    """With who, why and until; a duration as Prometheus writes it."""
    async with running.client.put(
        "/api/v1/pause", json={"by": "ann", "why": "deploy", "for": "2h"}
    ) as answer:
        assert answer.status == 200
    _, seen = await running.get("/api/v1/pause")
    assert (seen["paused"], seen["by"], seen["why"], seen["until"] is not None) == (
        True,
        "ann",
        "deploy",
        True,
    )
    assert "hemostat_paused 1.0" in await page(running)
    async with running.client.delete("/api/v1/pause") as answer:
        assert await answer.json() == {"paused": False}
    assert (await running.get("/api/v1/pause"))[1] == {"paused": False}


@pytest.mark.parametrize(
    "asked",
    [
        '{"for": "soon"}',
        '{"for": "2"}',
        '{"until": "yesterday"}',
        '{"until": "2001-01-01T00:00:00Z"}',
        '{"who": "x"}',
        "[]",
        "{",
        '{"why": 1}',
        '{"for":"1h","until":"2100-01-01T00:00:00Z"}',
    ],
)
async def test_a_pause_that_cannot_be_understood_is_refused(running: Running, asked: str) -> None:
    """An operator must not believe in a pause that is none."""
    async with running.client.put("/api/v1/pause", data=asked, headers=JSON) as answer:
        assert answer.status == 400
    assert (await running.get("/api/v1/pause"))[1] == {"paused": False}


async def test_a_reload_keeps_the_old_configuration_when_the_new_one_is_bad(running: Running) -> None:
    """And the metric says so."""

    def broken() -> settings.Settings:
        raise errors.SettingsError([errors.Problem("policy.mode", 3, "is not a mode")])

    running.bridge._load = broken
    async with running.client.post("/-/reload") as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["details"]) == (400, ["line 3: policy.mode: is not a mode"])
    assert "hemostat_config_last_reload_successful 0.0" in await page(running)
    assert (await running.post(FIRING))[0] == 202


async def test_a_reload_takes_new_patterns_for_secrets_at_once(running: Running, redis_url: str) -> None:
    """For what comes in from now on, and for what is logged."""
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logs.TextFormatter())
    logging.getLogger().addHandler(handler)
    own = settings.Redaction(patterns=(settings.SecretPattern(name="customer", pattern="CUST-[0-9]{6}"),))
    running.bridge._load = lambda: replace(config_of(redis_url), redaction=own)
    try:
        async with running.client.post("/-/reload") as answer:
            assert answer.status == 200
        logging.getLogger("hemostat").error("told", extra={"who": "CUST-123456"})
    finally:
        logging.getLogger().removeHandler(handler)
    assert "who=[REDACTED:customer]" in handler.stream.getvalue()
    told = json.loads(FIRING)
    told["alerts"][0]["annotations"]["who"] = "CUST-123456"
    _, accepted, _ = await running.post(json.dumps(told).encode())
    _, incident = await running.get(f"/api/v1/incidents/{accepted['incidents'][0]}")
    assert incident["alerts"][0]["annotations"]["who"] == "[REDACTED:customer]"


async def test_a_reload_that_needs_a_restart_is_refused_whole(running: Running, redis_url: str) -> None:
    """Half a configuration in force would be a third one that nobody wrote."""
    other = replace(config_of(redis_url), worker=settings.Worker(concurrency=1))
    running.bridge._load = lambda: other
    async with running.client.post("/-/reload") as answer:
        assert (answer.status, "worker" in (await answer.json())["error"]["details"][0]) == (400, True)
