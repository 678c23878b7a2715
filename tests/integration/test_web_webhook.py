"""Webhooks over HTTP: Alertmanager's retry contract, all of a batch or nothing, and no body that crashes anything."""

from __future__ import annotations

import json
import random
from collections.abc import Awaitable, Callable

import pytest

from bridge.demo import parts
from tests.integration.serving import FIRING, PAYLOADS, Running, page


@pytest.mark.parametrize(
    "path", ["/api/v1/alerts", "/alerts", "/webhook", "/", "/api/v1/alerts/", "/webhook/"]
)
async def test_every_path_of_the_contract_takes_webhooks(running: Running, path: str) -> None:
    """202 with the number and the incidents; never a redirect, which Alertmanager would take for a delivery."""
    status, answer, _ = await running.post(FIRING, path)
    assert (status, answer["accepted"], len(answer["incidents"])) == (202, 5, 5)


async def test_the_same_webhook_again_names_the_same_incidents(running: Running) -> None:
    """A repetition is accepted and changes nothing."""
    _, first, _ = await running.post(FIRING)
    assert (await running.post(FIRING))[1] == first


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"{",
        b'{"alerts": 1}',
        b"\xff",
        b"[" * 50_000,
        b'{"alerts": [{"labels": NaN}]}',
    ],
    ids=["empty", "null", "list", "object", "cut", "wrong type", "not UTF-8", "depth bomb", "NaN"],
)
async def test_a_malformed_body_is_400_in_one_line_and_stores_nothing(running: Running, body: bytes) -> None:
    """Final for Alertmanager, readable for whoever reads its log."""
    status, answer, _ = await running.post(body)
    assert (status, answer["error"]["code"]) == (400, "bad_payload")
    assert "\n" not in answer["error"]["message"]
    assert await running.stored() == 0


async def test_one_malformed_alert_refuses_the_whole_webhook(running: Running) -> None:
    """All or nothing: half a batch accepted would be half a batch lost."""
    body = json.loads(FIRING)
    del body["alerts"][3]["startsAt"]
    assert (await running.post(json.dumps(body).encode()))[0] == 400
    assert await running.stored() == 0


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
async def test_another_media_type_is_415_and_says_which_is_wanted(
    running: Running, content_type: str
) -> None:
    """Also what keeps a web form elsewhere from posting alerts."""
    status, answer, _ = await running.post(FIRING, **{"Content_Type": content_type})
    assert status == 415
    assert "application/json" in answer["error"]["message"]


async def test_a_body_over_the_limit_is_413(start: Callable[..., Awaitable[Running]]) -> None:
    """And one under it, however large, is read."""
    running = await start(max_body=4096)
    assert (await running.post(b" " * 5000))[0] == 413
    assert (await running.post(FIRING))[0] == 202


async def test_sixteen_mebibytes_are_accepted(running: Running) -> None:
    """Thousands of alerts in one group are real."""
    body = json.loads((PAYLOADS / "firing-single.json").read_text())
    body["alerts"][0]["annotations"]["long"] = "x" * (15 << 20)
    assert (await running.post(json.dumps(body).encode()))[0] == 202


async def test_over_the_backlog_limit_is_503_with_a_time_to_retry(running: Running) -> None:
    """Never 429, which Alertmanager does not retry."""
    await running.parts.store.command("XADD", "{hemostat}:work", "*", "i", "x")
    for _ in range(99):
        await running.parts.store.command("XADD", "{hemostat}:work", "*", "i", "x")
    status, answer, headers = await running.post(FIRING)
    assert (status, answer["error"]["code"], "Retry-After" in headers) == (503, "unavailable", True)
    assert await running.stored() == 1


async def test_with_the_store_away_is_503_and_later_the_same_is_accepted(
    start: Callable[..., Awaitable[Running]], start_redis: Callable[..., parts.RedisServer]
) -> None:
    """Nothing is called accepted that was not written; the metrics tell."""
    server = start_redis()
    running = await start(url=server.url)
    server.kill()
    status, _, headers = await running.post(FIRING)
    assert (status, "Retry-After" in headers) == (503, True)
    assert (await running.get("/api/v1/incidents"))[0] == 503
    assert 'hemostat_webhook_requests_total{code="503"} 1.0' in await page(running)
    assert "hemostat_store_up 0.0" in await page(running)
    server.start()
    assert (await running.post(FIRING))[0] == 202


async def test_a_webhook_shows_who_sent_it_and_that_the_way_is_open(running: Running) -> None:
    """The receiver's name is how missed alerts are told from those of others; the Watchdog, how a silence is."""
    body = json.loads((PAYLOADS / "firing-single.json").read_text())
    body["receiver"] = r"hemostat\.web-hook"
    assert (await running.post(json.dumps(body).encode()))[0] == 202
    heard = await running.parts.store.command("HKEYS", "{hemostat}:heard")
    assert heard == ["receiver:hemostat.web-hook"]
    assert "hemostat_watchdog_last_seen_timestamp_seconds 0.0" in await page(running)
    body["alerts"][0]["labels"] = {"alertname": "Watchdog", "severity": "none"}
    body["alerts"][0]["fingerprint"] = "0123456789abcdef"
    assert (await running.post(json.dumps(body).encode()))[0] == 202
    assert "hemostat_watchdog_last_seen_timestamp_seconds 0.0" not in await page(running)


async def test_fuzzed_bodies_never_crash_it_and_store_nothing(running: Running) -> None:
    """Mutations of a real webhook: cut, bytes changed, values replaced. Reproducible by its seed."""
    draw = random.Random(20261120)
    for _ in range(400):
        body = bytearray(FIRING)
        for _ in range(draw.randint(1, 8)):
            at = draw.randrange(len(body))
            body[at : at + draw.randint(0, 6)] = bytes(draw.randrange(256) for _ in range(draw.randint(0, 6)))
        mutated = bytes(body[: draw.randrange(len(body))] if draw.random() < 0.3 else body)
        status, _, _ = await running.post(mutated)
        assert status in (202, 400), mutated
    async with running.client.get("/-/healthy") as answer:
        assert answer.status == 200
