"""``/api/openapi.json`` says what there is: every path, no other, and answers look as it says."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

import bridge
from bridge.metrics import VERSION
from bridge.model.incident import Outcome, State
from bridge.model.refusal import Reason
from bridge.model.verdict import ModelResult, VerdictKind
from bridge.web import events
from tests.in_memory_sink import InMemorySink
from tests.integration.desk import Desk
from tests.integration.serving import FIRING, TOKENS, Running

DESCRIPTION = json.loads((Path(bridge.__file__).parent / "schemas/openapi.json").read_text())
SCHEMAS = DESCRIPTION["components"]["schemas"]


def described() -> set[tuple[str, str]]:
    """Every method and path of the description."""
    return {
        (method.upper(), path)
        for path, item in DESCRIPTION["paths"].items()
        for method in item
        if method != "parameters"
    }


def operations() -> Iterator[tuple[str, dict[str, Any]]]:
    """What is said of each."""
    for path, item in DESCRIPTION["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                yield f"{method} {path}", operation


def fits(value: object, schema: dict[str, Any]) -> None:
    """Fails where the value is not as the schema of an answer says."""
    whole = {**schema, "components": DESCRIPTION["components"]}
    Draft202012Validator.check_schema(whole)
    problems = [
        f"{error.json_path}: {error.message}" for error in Draft202012Validator(whole).iter_errors(value)
    ]
    assert not problems


def answer_of(method: str, path: str, status: int) -> dict[str, Any]:
    """The schema of an answer."""
    response = DESCRIPTION["paths"][path][method]["responses"][str(status)]
    if "$ref" in response:
        response = DESCRIPTION["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema: dict[str, Any] = response["content"]["application/json"]["schema"]
    return schema


async def test_it_names_every_route_and_no_other(running: Running) -> None:
    """With its methods; HEAD comes with GET."""
    assert running.client.app is not None
    routes = {
        (route.method, route.resource.canonical)
        for route in running.client.app.router.routes()
        if route.method != "HEAD" and route.resource is not None
    }
    assert described() == routes


async def test_it_is_served_with_the_version_that_runs(running: Running) -> None:
    """And is otherwise the file."""
    status, served = await running.get("/api/openapi.json")
    assert (status, served["info"]["version"]) == (200, VERSION)
    assert {**served, "info": {**served["info"], "version": ""}} == DESCRIPTION


async def test_the_live_page_leads_to_it(running: Running) -> None:
    """It is where somebody who tries an API begins."""
    async with running.client.get("/") as answer:
        page = await answer.text()
    assert 'href="api/openapi.json"' in page
    assert 'href="api/v1/events"' in page


def test_every_reference_leads_somewhere_and_every_name_is_used_once() -> None:
    """Generators of clients stop at anything else."""

    def references(node: Any) -> Iterator[str]:
        for name, value in node.items() if isinstance(node, dict) else enumerate(node):
            if name == "$ref":
                yield value
            elif isinstance(value, dict | list):
                yield from references(value)

    for reference in references(DESCRIPTION):
        node = DESCRIPTION
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
    names = [operation["operationId"] for _, operation in operations()]
    assert len(names) == len(set(names))


async def test_the_role_it_names_is_the_one_that_is_needed(
    start: Callable[..., Awaitable[Running]],
) -> None:
    """Without a token: 401, or open where it says so."""
    running = await start(tokens=TOKENS)
    for name, operation in operations():
        method, path = name.split(" ")
        path = path.format(id="i", host="local", name="web", channel="slack")
        opened = operation.get("security") == []
        if opened and path != "/slack/interactions":
            async with running.client.request(method, path) as answer:
                assert answer.status != 401, name
        for role in () if opened else ("receiver", "viewer"):
            if f"`{role}`" in operation["description"]:
                continue
            headers = {"Authorization": f"Bearer {role}-0123456789abcdef"}
            async with running.client.request(method, path, headers=headers) as answer:
                assert answer.status == 403, (name, role)


async def test_answers_are_as_it_says(running: Running) -> None:
    """A judged incident with all that belongs to it, lists, the kill switch, a storm."""
    store, parts = running.parts.store, running.parts
    await parts.backlog.register([InMemorySink()], retire=False)
    status, accepted, _ = await running.post(FIRING)
    fits(accepted, answer_of("post", "/api/v1/alerts", status))
    held = await Desk(store, parts.journal, running.bridge._acceptor).judged()
    incident = (await parts.journal.save(held, None)).incident
    assert incident.target is not None
    assert incident.evidence is not None
    assert incident.evidence.container is not None
    await parts.journal.saw_container(incident.target, incident.evidence.container)
    fits((await running.get(f"/api/v1/incidents/{incident.id}"))[1], SCHEMAS["Incident"])
    await store.command("HSET", "{hemostat}:shares", "project/local/shop", "1000 0 2000 5 8")
    async with running.client.put("/api/v1/pause", json={"why": "deploy", "for": "2h"}) as answer:
        fits(await answer.json(), SCHEMAS["Pause"])
    for path in ("incidents", "targets", "deliveries", "pause", "storm", "status"):
        status, shown = await running.get(f"/api/v1/{path}")
        fits(shown, answer_of("get", f"/api/v1/{path}", status))
        assert status == 200


async def test_errors_are_as_it_says(running: Running) -> None:
    """One shape for all of them."""
    for method, path, real in (
        ("post", "/api/v1/alerts", "/api/v1/alerts"),
        ("get", "/api/v1/incidents/{id}", "/api/v1/incidents/none"),
        ("get", "/api/v1/events", "/api/v1/events?last_event_id=x"),
    ):
        headers = {"Content-Type": "application/json"} if method == "post" else {}
        async with running.client.request(method, real, headers=headers) as answer:
            fits(await answer.json(), answer_of(method, path, answer.status))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (SCHEMAS["IncidentLine"]["properties"]["state"], State),
        (SCHEMAS["Incident"]["properties"]["outcome"], Outcome),
        (SCHEMAS["Refusal"]["properties"]["reason"], Reason),
        (SCHEMAS["Verdict"]["properties"]["kind"], VerdictKind),
        (SCHEMAS["Verdict"]["properties"]["model"], ModelResult),
    ],
    ids=["state", "outcome", "reason", "verdict", "model"],
)
def test_its_closed_lists_are_those_of_the_model(place: dict[str, Any], words: type[StrEnum]) -> None:
    """A client that was generated from it refuses any other word."""
    assert {word for word in place["enum"] if word is not None} == set(words)


def test_the_form_of_an_events_id_is_the_one_that_is_taken() -> None:
    """The pattern stands in two places."""
    assert SCHEMAS["EventId"]["pattern"] == f"^{events.ID.pattern}$"
