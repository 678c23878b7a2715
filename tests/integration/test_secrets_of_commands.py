"""No secret of the corpus is printed by `simulate`, `doctor` or `explain --replay`, in either form of output."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web as http
from aiohttp.test_utils import TestClient

from bridge import app, cli, doctor, settings, simulation, web, wiring
from bridge.cli import offline, printing
from bridge.demo import parts as demo
from bridge.intake import read_webhook
from bridge.settings.sections import Upstream
from tests.in_memory_containers import InMemoryContainers
from tests.integration.serving import config_of
from tests.integration.test_secrets import LINES, PIECES, leaked, walked, webhook
from tests.integration.walking import pipeline_of

Connect = Callable[[http.Application], Awaitable[TestClient[http.Request, http.Application]]]
TEXTS = {f"n{n}": text for n, text in enumerate(LINES)}


@pytest.fixture
async def parts(redis_url: str) -> AsyncIterator[wiring.Parts]:
    async with wiring.parts_of(config_of(redis_url)) as parts:
        yield parts


def talkative() -> InMemoryContainers:
    """One container, which says every secret wherever it can say anything."""
    containers = InMemoryContainers()
    containers.run(
        error=" ".join(LINES[-10:]),
        labels={"hemostat.enable": "true", **{f"hemostat.{k}": v for k, v in TEXTS.items()}},
    )
    containers.said = [*LINES, "no space left on device, token=abcd1234efgh5678"]
    containers.checked = LINES
    return containers


@pytest.mark.parametrize("name", ["web", "nowhere", "alice@example.com", "password=abcd1234efgh5678"])
async def test_simulate_prints_none(
    parts: wiring.Parts, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither of the payload it was given, which may be somebody's attachment, nor of the container."""
    judge = pipeline_of(parts, talkative()).desk.judge
    body = webhook(
        labels={**TEXTS, "alertname": f"Down at {LINES[0]} alice@example.com", "name": name},
        annotations=TEXTS,
    )
    found = await simulation.simulate(judge, read_webhook(body), hosts=["local"])
    assert len(found) == 1
    printing.as_json(found)
    for one in found:
        offline.print_simulated(one)
    said = capsys.readouterr().out
    assert leaked(said, [*PIECES, "alice@example.com", "abcd1234efgh5678"]) == []


async def test_explain_replay_prints_none(
    parts: wiring.Parts, aiohttp_client: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    bridge = app.HemoStat(parts, load=lambda: parts.config)
    client = await aiohttp_client(web.application(bridge, tokens=bridge.tokens, max_body_bytes=1 << 20))
    body = webhook(labels=TEXTS, annotations=TEXTS)
    async with client.post("/alerts", data=body, headers={"Content-Type": "application/json"}) as answer:
        (incident_id,) = (await answer.json())["incidents"]
    await walked(parts, talkative(), incident_id)
    for output in ("text", "json"):
        options = ["explain", incident_id, "--replay", "--url", str(client.make_url("/")), "-o", output]
        await asyncio.to_thread(cli.main, options)
    said = capsys.readouterr().out
    assert "today  " in said
    assert leaked(said, PIECES) == []


@pytest.fixture
def echoing() -> Any:
    """`echoing(text)` gives the URL of a neighbour that answers every question with this, as an error."""

    class Answer(BaseHTTPRequestHandler):
        text = ""

        def do_GET(self) -> None:
            body = json.dumps(
                {"status": "error", "errorType": "x", "error": self.text, "message": self.text}
            ).encode()
            self.send_response(400)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing on the test's own output."""

    with ThreadingHTTPServer((demo.LOOPBACK, 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def saying(text: str) -> str:
            Answer.text = text
            return f"http://{demo.LOOPBACK}:{server.server_address[1]}"

        yield saying
        server.shutdown()


async def test_doctor_prints_none_that_a_neighbour_answered(
    redis_url: str, echoing: Callable[[str], str]
) -> None:
    """What is wrong is told all the same."""
    said = []
    for line in [*LINES[::25], "access denied to token=abcd1234efgh5678"]:
        config = replace(config_of(redis_url), prometheus=Upstream(url=echoing(line)))
        async with wiring.parts_of(config) as parts:
            said += [check for check in await doctor.examine(parts) if check.name == "prometheus"]
    assert not any(check.ok for check in said)
    told = msgspec.json.encode(said).decode()
    assert "access denied" in told
    assert leaked(told, [*PIECES, "abcd1234efgh5678"]) == []


async def test_doctor_prints_none_that_a_model_answered(
    redis_url: str, echoing: Callable[[str], str], tmp_path: Path
) -> None:
    """Some repeat the key that they refuse."""
    url = echoing("access denied to sk-proj-abcd1234efgh5678ijkl9012mnop3456, token=abcd1234efgh5678")
    config = {
        "redis": {"url": redis_url},
        "docker": {"hosts": [{"name": "local", "url": "unix:///nowhere/docker.sock"}]},
        "llm": {"provider": "openai", "model": "own", "base_url": url, "timeout": "20s"},
    }
    file = tmp_path / "hemostat.yml"
    file.write_text(json.dumps(config))
    async with wiring.parts_of(settings.load(file, environ={})) as parts:
        checks = await doctor.examine(parts, ask_model=True)
    [said] = [check for check in checks if check.name == "model"]
    assert not said.ok
    assert leaked(f"{said.found} {said.advice}", ["abcd1234efgh5678"]) == []
