"""The HTTP interface on a real store: Alertmanager's retry contract, roles, errors as one shape, nothing that crashes."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bridge import doctor, errors, logs, settings
from bridge.demo import parts
from tests.in_memory_sink import InMemorySink
from tests.integration.serving import FIRING, JSON, TOKENS, Running, config_of

PAYLOADS = Path(__file__).parents[1] / "payloads"


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


async def page(running: Running) -> str:
    """The metrics page."""
    async with running.client.get("/metrics") as answer:
        assert answer.status == 200
        return await answer.text()


async def test_every_metric_of_the_contract_is_there_at_zero(running: Running) -> None:
    """A rate works from the first event only if the series was there before it."""
    text = await page(running)
    for series in (
        'hemostat_webhook_requests_total{code="202"} 0.0',
        'hemostat_alerts_received_total{status="firing"} 0.0',
        "hemostat_incidents_open 0.0",
        'hemostat_incidents_closed_total{outcome="healed"} 0.0',
        'hemostat_refusals_total{reason="cooldown"} 0.0',
        'hemostat_repairs_total{action="restart",result="done"} 0.0',
        'hemostat_stage_duration_seconds_count{stage="act"} 0.0',
        "hemostat_time_to_repair_seconds_count 0.0",
        "hemostat_time_to_heal_seconds_count 0.0",
        'hemostat_triage_total{source="rules",verdict="repair"} 0.0',
        'hemostat_backlog{queue="work"} 0.0',
        "hemostat_paused 0.0",
        "hemostat_store_clock_behind_seconds 0.0",
        "hemostat_storm 0.0",
        'hemostat_reconciled_alerts_total{what="taken_in"} 0.0',
        'hemostat_reconciled_alerts_total{what="ended"} 0.0',
        "hemostat_watchdog_last_seen_timestamp_seconds 0.0",
        "hemostat_watchdog_interval_seconds 0.0",
        'hemostat_shares_suspect{scope="project"} 0.0',
        'hemostat_refusals_total{reason="project_share"} 0.0',
        'hemostat_refusals_total{reason="fleet_share"} 0.0',
        "hemostat_config_last_reload_successful 1.0",
    ):
        assert series in text, series


async def test_incidents_are_listed_and_shown(running: Running) -> None:
    """With a cursor to the next page; one whole by its id."""
    await running.post(FIRING)
    status, answer = await running.get("/api/v1/incidents?limit=2&state=open")
    assert (status, len(answer["incidents"])) == (200, 2)
    _, rest = await running.get(f"/api/v1/incidents?limit=10&cursor={answer['cursor']}")
    ids = {incident["id"] for incident in answer["incidents"] + rest["incidents"]}
    assert len(ids) == 5
    names = {name for row in answer["incidents"] + rest["incidents"] for name in row["alert_names"]}
    assert names == {alert["labels"]["alertname"] for alert in json.loads(FIRING)["alerts"]}, "not judged yet"
    status, whole = await running.get(f"/api/v1/incidents/{ids.pop()}")
    assert (status, len(whole["alerts"]), whole["timeline"][0]["event"]) == (200, 1, "opened")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/incidents/nothing", 404, "not_found"),
        ("GET", "/api/v1/incidents/nothing/replay", 404, "not_found"),
        ("GET", "/api/v1/incidents?state=asleep", 400, "bad_query"),
        ("GET", "/api/v1/incidents?outcome=fine", 400, "bad_query"),
        ("GET", "/api/v1/incidents?limit=0", 400, "bad_query"),
        ("GET", "/api/v1/incidents?limit=x", 400, "bad_query"),
        ("GET", "/api/v1/incidents?limit=0000019999999", 400, "bad_query"),
        ("GET", "/api/v1/incidents?since=yesterday", 400, "bad_query"),
        ("GET", "/api/v1/incidents?since=99999999999999999999", 400, "bad_query"),
        ("GET", "/api/v1/incidents?since=9999999y", 400, "bad_query"),
        ("GET", "/api/v1/incidents?since=9999-12-31T23:59:59-12:00", 400, "bad_query"),
        ("GET", "/api/v1/incidents?cursor=x", 400, "bad_query"),
        ("GET", "/api/v1/incidents?cursor=1-99999999999999999999", 400, "bad_query"),
        ("GET", "/api/v1/targets/local/nothing", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/api/v1/incidents", 405, "method_not_allowed"),
        ("GET", "/api/v1/alerts", 405, "method_not_allowed"),
    ],
)
async def test_errors_are_json_of_one_shape(
    running: Running, method: str, path: str, status: int, code: str
) -> None:
    """``{"error": {"code", "message", "details"}}``, whatever went wrong."""
    async with running.client.request(method, path) as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (status, code)
    assert set(error) == {"code", "message", "details"}


async def test_a_wrong_word_is_answered_with_the_right_ones(running: Running) -> None:
    _, state = await running.get("/api/v1/incidents?state=asleep")
    assert state["error"]["message"].startswith("state is not one of open, waiting, ")
    _, outcome = await running.get("/api/v1/incidents?outcome=fine")
    assert outcome["error"]["message"].startswith("outcome is not one of healed, not_healed, ")


async def test_an_incident_of_another_version_is_listed_and_shown_as_such(running: Running) -> None:
    """One of them was a 503 for the whole list, in the middle of an upgrade."""
    _, told, _ = await running.post(FIRING)
    theirs = told["incidents"][0]
    await running.parts.store.command("HSET", f"{{hemostat}}:incident:{theirs}", "doc", '{"of": "another"}')
    status, listed = await running.get("/api/v1/incidents")
    assert status == 200
    assert sorted(one["id"] for one in listed["incidents"]) == sorted(told["incidents"])
    assert [one["id"] for one in listed["incidents"] if one["unreadable"]] == [theirs]
    status, shown = await running.get(f"/api/v1/incidents/{theirs}")
    assert (status, shown["state"], bool(shown["alerts"])) == (200, "open", True)
    assert "cannot be read by this version" in shown["reason"]
    assert (await running.get(f"/api/v1/incidents/{theirs}/replay"))[0] == 409


async def test_incidents_may_be_asked_for_by_age(running: Running) -> None:
    """Prometheus' durations, back from the store's clock."""
    await running.post(FIRING)
    assert len((await running.get("/api/v1/incidents?since=2h"))[1]["incidents"]) == 5


@pytest.mark.parametrize("part", ["alerts", "timeline", "told"])
async def test_what_is_kept_beside_an_incident_is_no_incident(running: Running, part: str) -> None:
    """Whoever knows how the store names things can ask for nothing but incidents."""
    _, taken, _ = await running.post(FIRING)
    key = f"{taken['incidents'][0]}:{part}"
    await running.parts.store.command("RPUSH", f"{{hemostat}}:incident:{taken['incidents'][0]}:timeline", "x")
    await running.parts.store.command("HSET", f"{{hemostat}}:incident:{taken['incidents'][0]}:told", "x", "y")
    assert (await running.get(f"/api/v1/incidents/{key}"))[0] == 404
    assert (await running.get(f"/api/v1/incidents/{key}/replay"))[0] == 404
    async with running.client.post(f"/api/v1/incidents/{key}/approve") as answer:
        assert answer.status == 404


async def test_a_pause_beyond_the_last_day_of_the_calendar_is_refused(running: Running) -> None:
    """Its end in UTC would be a time that nobody can read any more, and every look at the pause would fail."""
    async with running.client.put("/api/v1/pause", json={"until": "9999-12-31T23:59:59-12:00"}) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, "bad_request")
    assert await running.get("/api/v1/pause") == (200, {"paused": False})


async def test_probes_that_come_at_once_share_one_look(running: Running) -> None:
    """A load balancer with many heads must not become a load of its own."""

    async def looks() -> int:
        stats = await running.parts.store.info("commandstats")
        return int(stats.get("cmdstat_setrange", "calls=0").partition("calls=")[2].partition(",")[0])

    before = await looks()
    seen = await asyncio.gather(*(running.bridge.readiness() for _ in range(10)))
    assert (await looks() - before, len({id(one) for one in seen})) == (1, 1)


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


async def test_a_storm_is_shown_with_its_counts(running: Running) -> None:
    """And on the metrics page; before it there is none."""
    assert (await running.get("/api/v1/storm"))[1] == {"storm": False, "suspect": []}
    body = json.loads((PAYLOADS / "firing-group-60.json").read_text())
    for n, alert in enumerate(body["alerts"]):
        alert["labels"] = {"alertname": "ContainerUnhealthy", "name": f"c{n}"}
    await running.post(json.dumps(body).encode())
    _, storm = await running.get("/api/v1/storm")
    assert (storm["storm"], storm["incidents"], storm["scope"], storm["outcomes"]) == (True, 60, "fleet", {})
    assert storm["since"] < storm["until"]
    assert "hemostat_storm 1.0" in await page(running)


async def test_what_is_suspect_is_shown_and_counted_by_scope(running: Running) -> None:
    """With the numbers of the last look."""
    await running.parts.store.command("HSET", "{hemostat}:shares", "project/local/shop", "1000 0 2000 5 8")
    _, shown = await running.get("/api/v1/storm")
    assert shown["suspect"] == [
        {
            "scope": "project",
            "host": "local",
            "name": "shop",
            "since": "1970-01-01T00:00:01Z",
            "sick": 5,
            "known": 8,
        }
    ]
    assert 'hemostat_shares_suspect{scope="project"} 1.0' in await page(running)


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


async def test_ready_says_what_is_not(running: Running) -> None:
    """Docker does not exist here and no worker runs; the store is well."""
    async with running.client.get("/-/ready") as answer:
        text = await answer.text()
    assert answer.status == 503
    assert "docker/local:" in text
    assert "worker:" in text
    assert "store:" not in text
    async with running.client.get("/-/healthy") as answer:
        assert answer.status == 200


PATHS = {
    "webhook": ("POST", "/api/v1/alerts"),
    "read": ("GET", "/api/v1/incidents"),
    "operate": ("DELETE", "/api/v1/pause"),
    "reload": ("POST", "/-/reload"),
    "metrics": ("GET", "/metrics"),
    "healthy": ("GET", "/-/healthy"),
}


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("receiver", {"webhook", "metrics", "healthy"}),
        ("viewer", {"read", "metrics", "healthy"}),
        ("operator", {"webhook", "read", "operate", "reload", "metrics", "healthy"}),
        (None, {"metrics", "healthy"}),
        ("stranger", {"metrics", "healthy"}),
    ],
)
async def test_a_token_may_do_what_its_role_says(
    start: Callable[..., Awaitable[Running]], who: str | None, allowed: set[str]
) -> None:
    """401 without a valid token, 403 with the wrong role."""
    running = await start(tokens=TOKENS)
    headers = {**JSON, **({"Authorization": f"Bearer {who}-0123456789abcdef"} if who else {})}
    for name, (method, path) in PATHS.items():
        data = FIRING if name == "webhook" else None
        async with running.client.request(method, path, data=data, headers=headers) as answer:
            refused = 401 if who in (None, "stranger") else 403
            assert (answer.status < 400) == (name in allowed), (name, answer.status)
            assert answer.status < 400 or answer.status == refused


@pytest.mark.parametrize(
    "header",
    ["Basic eA==", "Bearer", "Bearer ", "bearer  x", "Bearer \u00e9\u00e9\u00e9", "Token x"],
    ids=repr,
)
async def test_odd_authorization_headers_are_401(
    start: Callable[..., Awaitable[Running]], header: str
) -> None:
    """Never a crash."""
    running = await start(tokens=TOKENS)
    async with running.client.get("/api/v1/incidents", headers={"Authorization": header}) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", ""),
        ("null", ""),
        ("http://[", ""),
        ("http://evil.example:9095", "evil.example:9095"),  # its name now leads here: DNS rebinding
    ],
)
async def test_a_web_page_elsewhere_cannot_operate_a_bridge_on_loopback(
    running: Running, origin: str, host: str
) -> None:
    """A browser sends Origin; ours is the only one that may change anything."""
    headers = {"Origin": origin, **({"Host": host} if host else {})}
    async with running.client.delete("/api/v1/pause", headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (403, "cross_origin")


async def test_our_own_page_may_operate_it(
    running: Running, start: Callable[..., Awaitable[Running]]
) -> None:
    """On loopback without a token; by any name with one."""
    ours = {"Origin": f"http://127.0.0.1:{running.client.port}", "Host": f"127.0.0.1:{running.client.port}"}
    async with running.client.delete("/api/v1/pause", headers=ours) as answer:
        assert answer.status == 200
    named = {"Origin": "https://bridge.example", "Host": "bridge.example"}
    with_tokens = await start(tokens=TOKENS)
    async with with_tokens.client.delete("/api/v1/pause", headers=named) as answer:
        assert answer.status == 401


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


async def test_what_a_sink_did_not_take_is_listed_and_tried_again_on_request(running: Running) -> None:
    """With the incident, what the sink said, and why the sink is held back."""
    sink = InMemorySink()
    await running.parts.backlog.register([sink], retire=False)
    ids = (await running.post(FIRING))[1]["incidents"]
    taken = await running.parts.backlog.claim(sink, at_most=2)
    while not await running.parts.backlog.refused(taken.due[0], "invalid_blocks"):
        await running.parts.store.command("ZADD", "{hemostat}:due:slack", 0, taken.due[0].incident_id)
        taken = replace(taken, due=(await running.parts.backlog.claim(sink, at_most=1)).due)
    status, answer = await running.get("/api/v1/deliveries")
    (slack,) = answer["deliveries"]
    assert (status, slack["channel"], slack["waiting"] + slack["under_way"], slack["dead"]) == (
        200,
        "slack",
        4,
        1,
    )
    assert slack["given_up"][0]["incident_id"] in ids
    assert slack["given_up"][0]["error"] == "invalid_blocks"
    async with running.client.post("/api/v1/deliveries/slack/retry") as answered:
        assert (answered.status, await answered.json()) == (202, {"channel": "slack", "retried": 1})


@pytest.mark.parametrize("channel", ["grafana", "nobody"])
async def test_a_channel_that_is_not_configured_cannot_be_tried_again(running: Running, channel: str) -> None:
    """404, rather than "0 retried"."""
    async with running.client.post(f"/api/v1/deliveries/{channel}/retry") as answered:
        assert (answered.status, (await answered.json())["error"]["code"]) == (404, "not_found")


async def test_the_backlogs_of_sinks_are_on_the_metrics_page(running: Running) -> None:
    """Zero for those that are not configured."""
    await running.parts.backlog.register([InMemorySink()], retire=False)
    await running.post(FIRING)
    async with running.client.get("/metrics") as answered:
        page = await answered.text()
    assert 'hemostat_backlog{queue="deliver_slack"} 5.0' in page
    assert 'hemostat_backlog{queue="deliver_grafana"} 0.0' in page
    assert 'hemostat_deliveries_total{channel="slack",result="dropped"} 0.0' in page


async def test_the_doctor_says_which_sink_takes_nothing_and_why(running: Running) -> None:
    """What an operator asks first when Slack is silent."""
    sink = InMemorySink()
    await running.parts.backlog.register([sink], retire=False)
    await running.post(FIRING)
    (due,) = (await running.parts.backlog.claim(sink, at_most=1)).due
    await running.parts.backlog.held(due, "slack: channel_not_found", rejected=True, retry_after_seconds=None)
    (check,) = [c for c in await doctor.examine(running.parts) if c.name == "deliveries/slack"]
    assert not check.ok
    assert "5 waiting: slack: channel_not_found" in check.found
