"""What sinks did not take: listed with why, counted, told by the doctor, and tried again on request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge import doctor
from tests.in_memory_sink import InMemorySink
from tests.integration.serving import FIRING, Running


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
