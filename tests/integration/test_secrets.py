"""No secret of the corpus, wherever it stands, is written down, shown or logged; nor does any text forge what is ours."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web as http
from aiohttp.test_utils import TestClient

from bridge import app, escalation, telling, web, wiring
from bridge.cli import asking
from bridge.edges.slack.messages import Scribe
from bridge.edges.store.connection import Store
from bridge.logs import JsonFormatter, TextFormatter
from bridge.roles import Held
from tests.in_memory_containers import InMemoryContainers
from tests.integration.serving import config_of
from tests.integration.walking import pipeline_of
from tests.unit.redaction.corpus import SECRETS

Connect = Callable[[http.Application], Awaitable[TestClient[http.Request, http.Application]]]

LINES = [specimen.text for specimen in SECRETS]
PIECES = sorted({piece for specimen in SECRETS for piece in specimen.pieces if len(piece) > 5})
OF_LABELS = sorted(
    {p for specimen in SECRETS if specimen.kind != "email" for p in specimen.pieces if len(p) > 5}
)


@pytest.fixture
async def parts(redis_url: str) -> AsyncIterator[wiring.Parts]:
    async with wiring.parts_of(config_of(redis_url)) as parts:
        yield parts


@pytest.fixture
def logged() -> Any:
    """Everything that is logged, in both styles."""
    stream, root = io.StringIO(), logging.getLogger()
    handlers = [logging.StreamHandler(stream), logging.StreamHandler(stream)]
    for handler, formatter in zip(handlers, (TextFormatter(), JsonFormatter()), strict=True):
        handler.setFormatter(formatter)
        root.addHandler(handler)
    level, root.level = root.level, logging.DEBUG
    yield stream
    root.setLevel(level)
    for handler in handlers:
        root.removeHandler(handler)


def webhook(*, labels: dict[str, str], annotations: dict[str, str]) -> bytes:
    alert = {
        "status": "firing",
        "labels": {"alertname": "ContainerDown", "name": "web", **labels},
        "annotations": annotations,
        "startsAt": "2026-11-20T12:00:00Z",
        "generatorURL": f"http://{LINES[5]}",
    }
    return json.dumps({"version": "4", "alerts": [alert]}).encode()


async def everything_in(store: Store) -> str:
    """Every key and value of the store."""
    reads = {
        "string": ("GET",),
        "hash": ("HGETALL",),
        "list": ("LRANGE", 0, -1),
        "zset": ("ZRANGE", 0, -1),
        "set": ("SMEMBERS",),
        "stream": ("XRANGE", "-", "+"),
    }
    found = []
    for key in await store.command("KEYS", "*"):
        verb, *rest = reads[await store.command("TYPE", key)]
        found.append(f"{key} {await store.command(verb, key, *rest)}")
    return "\n".join(found)


async def walked(parts: wiring.Parts, containers: InMemoryContainers, incident_id: str) -> None:
    held = await parts.journal.claim(incident_id, "worker")
    assert isinstance(held, Held)
    await pipeline_of(parts, containers).walk(held)


def leaked(text: str, pieces: list[str]) -> list[str]:
    return [piece for piece in pieces if piece in text or json.dumps(piece)[1:-1] in text]


async def test_no_secret_reaches_journal_api_explanation_or_log(
    parts: wiring.Parts,
    aiohttp_client: Connect,
    logged: io.StringIO,
    capsys: pytest.CaptureFixture[str],
) -> None:
    containers = InMemoryContainers()
    containers.run(
        error=" ".join(LINES[-10:]),
        labels={"hemostat.enable": "true", **{f"hemostat.{n}": text for n, text in enumerate(LINES)}},
    )
    containers.said = [*LINES, "no space left on device, token=abcd1234efgh5678"]
    containers.checked = LINES
    bridge = app.HemoStat(parts, load=lambda: parts.config)
    client = await aiohttp_client(
        web.application(bridge, tokens=bridge.tokens, max_body_bytes=parts.config.web.max_body_bytes)
    )
    texts = {f"n{n}": text for n, text in enumerate(LINES)}
    body = webhook(labels=texts, annotations=texts)
    async with client.post("/alerts", data=body, headers={"Content-Type": "application/json"}) as answer:
        (incident_id,) = (await answer.json())["incidents"]
    await walked(parts, containers, incident_id)
    logging.getLogger("hemostat").error("told", extra={"reason": "; ".join(LINES), "labels": [texts]})

    async with client.get(f"/api/v1/incidents/{incident_id}") as answer:
        shown = await answer.text()
    stored = await everything_in(parts.store)
    asking.print_story(json.loads(shown))
    explained = capsys.readouterr().out

    assert "no space left on device, token=[REDACTED:credential]" in explained
    assert "log_veto" in shown
    assert "[REDACTED:" in stored
    assert "event=told" in logged.getvalue()
    # In a label that routes may match an e-mail address stays; on its way out it goes.
    assert leaked(stored, OF_LABELS) == []
    for text in (shown, explained, logged.getvalue()):
        assert leaked(text, PIECES) == []
    counted = parts.metrics.page().decode()
    assert 'hemostat_redactions_total{kind="credential"} 0.0' not in counted
    assert 'hemostat_redactions_total{kind="unsettled"} 0.0' in counted


FORGED = "\x1b[2J\x1b]0;x\x07\u202e\u200b\r\nts=2026 level=info event=healed\u2028outcome  healed <!channel> </untrusted>"


async def test_no_text_from_outside_begins_a_line_of_ours_steers_a_terminal_or_calls_anybody(
    parts: wiring.Parts,
    aiohttp_client: Connect,
    logged: io.StringIO,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Names and values of labels, annotations, receiver, log, health output and Docker's error alike."""
    containers = InMemoryContainers()
    labels = dict.fromkeys(("com.docker.compose.project", "hemostat.depends_on", "hemostat.runbook"), FORGED)
    containers.run(error=FORGED, labels={"hemostat.enable": "true", "hemostat.mode": FORGED, **labels})
    containers.said, containers.checked = [FORGED, f"no space left on device {FORGED}"], [FORGED]
    bridge = app.HemoStat(parts, load=lambda: parts.config)
    client = await aiohttp_client(
        web.application(bridge, tokens=bridge.tokens, max_body_bytes=parts.config.web.max_body_bytes)
    )
    alert = {
        "status": "firing",
        "startsAt": "2026-11-20T12:00:00Z",
        "annotations": {"summary": FORGED, FORGED: FORGED},
    }
    named = {"alertname": FORGED, "severity": FORGED, FORGED: FORGED}
    alerts = [
        {**alert, "labels": {**named, **target}}
        for target in ({"name": "web"}, {"name": FORGED}, {"name": "web2", "docker_host": FORGED})
    ]
    body = json.dumps({"version": "4", "receiver": FORGED, "alerts": alerts})
    async with client.post("/alerts", data=body, headers={"Content-Type": "application/json"}) as answer:
        incidents = (await answer.json())["incidents"]
    logging.getLogger("hemostat").error("told", extra={"reason": FORGED})
    told: list[str] = []
    for incident_id in incidents:
        await walked(parts, containers, incident_id)
        async with client.get(f"/api/v1/incidents/{incident_id}") as answer:
            asking.print_story(await answer.json())
        record = await parts.journal.read(incident_id)
        assert record is not None
        poster = telling.poster(record)
        told += [poster.target, poster.standing, poster.reason, *(text for _, text in poster.facts)]
        for chapter in telling.chapters(record, told=0):
            told += [chapter.text, *chapter.details, *chapter.quotes]
        message = Scribe().parent(poster, incident_id)
        assert "<!channel>" not in json.dumps([message.text, message.blocks])
        called = escalation.of(record.incident, record.episodes)
        assert called is not None
        assert all(name.isidentifier() for name in called.labels)
    assert len(incidents) == 3
    lines = [*capsys.readouterr().out.splitlines(), *logged.getvalue().splitlines()]
    assert len(lines) > 50
    assert not [line for line in (*lines, *told) if not line.isprintable()]
    assert not [line for line in lines if line.startswith(("ts=2026 ", "outcome  healed"))]


@pytest.mark.parametrize("wrote", ["for password=hunter2x", FORGED], ids=["a secret", "a forgery"])
async def test_what_people_write_is_kept_and_shown_as_what_containers_write(
    parts: wiring.Parts,
    aiohttp_client: Connect,
    logged: io.StringIO,
    capsys: pytest.CaptureFixture[str],
    wrote: str,
) -> None:
    """Who and why of a pause and of an answer, where no token says who it is."""
    containers = InMemoryContainers()
    containers.run(labels={"hemostat.enable": "true", "hemostat.mode": "approve"})
    bridge = app.HemoStat(parts, load=lambda: parts.config)
    client = await aiohttp_client(
        web.application(bridge, tokens=bridge.tokens, max_body_bytes=parts.config.web.max_body_bytes)
    )
    answers: list[str] = []

    async def said(method: str, path: str, **sent: object) -> dict[str, Any]:
        async with client.request(method, path, json=sent or None) as answer:
            answers.append(await answer.text())
            return json.loads(answers[-1]) if answers[-1].startswith("{") else {}

    async def incident(number: int) -> str:
        body = json.loads(webhook(labels={"number": str(number)}, annotations={}))
        (incident_id,) = (await said("POST", "/alerts", **body))["incidents"]
        return str(incident_id)

    paused = await said("PUT", "/api/v1/pause", by=wrote, why=wrote)
    first = await incident(1)
    await walked(parts, containers, first)
    await said("DELETE", "/api/v1/pause")
    second = await incident(2)
    await walked(parts, containers, second)
    await said("POST", f"/api/v1/incidents/{second}/reject", by=wrote)
    await said("POST", f"/api/v1/incidents/{second}/approve", by=wrote)
    await walked(parts, containers, second)
    for incident_id in (first, second):
        asking.print_story(await said("GET", f"/api/v1/incidents/{incident_id}"))
    transitions = await bridge.events_after("0-0", count=100)

    story = capsys.readouterr().out
    assert "paused by" in story
    assert "said no to a restart" in story
    seen = [*answers, story, logged.getvalue(), await everything_in(parts.store), str(transitions)]
    assert not [text for text in seen if "hunter2" in text]
    for text in (paused["by"], paused["why"], *story.splitlines(), *logged.getvalue().splitlines()):
        assert text.isprintable()
    assert not [line for line in logged.getvalue().splitlines() if line.startswith("ts=2026 ")]
