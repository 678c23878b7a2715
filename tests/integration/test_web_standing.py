"""What a bridge says over HTTP of how it stands: ready or not, in a storm or not, and in numbers."""

from __future__ import annotations

import asyncio
import json

from tests.integration.serving import PAYLOADS, Running, page


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


async def test_probes_that_come_at_once_share_one_look(running: Running) -> None:
    """A load balancer with many heads must not become a load of its own."""

    async def looks() -> int:
        stats = await running.parts.store.info("commandstats")
        return int(stats.get("cmdstat_setrange", "calls=0").partition("calls=")[2].partition(",")[0])

    before = await looks()
    seen = await asyncio.gather(*(running.bridge.readiness() for _ in range(10)))
    assert (await looks() - before, len({id(one) for one in seen})) == (1, 1)


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
