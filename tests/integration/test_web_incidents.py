"""Incidents over HTTP: listed, shown and asked for; what cannot be answered is an error of one shape that says why."""

from __future__ import annotations

import json

import pytest

from tests.integration.serving import FIRING, Running


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
