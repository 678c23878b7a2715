"""Triage with a model: from an incident's opening to its verdict, with a server that takes a second for each answer.

Both moments are the store's. The baseline is the same bridge with rules only, one crashed container after the other
for each. Mode observe: everything is decided and nothing is done, so that one container costs no budget of the next.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bench import reaction, servers
from bench.figures import Figure, figure
from bridge.demo import parts
from tests.servers.anthropic import AnthropicServer

MODEL_SECONDS = 1.0
WAIT_SECONDS = 10.0
POLICY = {
    **reaction.POLICY,
    "mode": "observe",
    "actions": ["start", "restart"],
    "limits": {**reaction.POLICY["limits"], "fleet_share": 1, "project_share": 1},  # type: ignore[dict-item]
}


def measure(*, incidents: int) -> list[Figure]:
    """The decisions of so many incidents, with the model and without."""
    mine, base = [], []
    quiet: dict[str, Any] = {"policy": POLICY, "log": {"level": "error"}}
    with (
        AnthropicServer() as model,
        parts.DockerEngine() as engine,
        servers.redis() as redis,
        servers.redis() as other,
    ):
        model.delay_seconds = MODEL_SECONDS
        llm = {"provider": "anthropic", "api_key": "sk-of-the-bench", "base_url": model.url}
        budget = {"usd_per_hour": 100, "usd_per_day": 100}
        with (
            servers.bridge(
                docker=engine.url, redis=redis.url, llm={**llm, "budget": budget}, **quiet
            ) as asking,
            servers.bridge(docker=engine.url, redis=other.url, **quiet) as rules_only,
        ):
            for number in range(incidents):
                mine.append(_decision_ms(engine, asking, f"mine-{number}", source="two_keys"))
                base.append(_decision_ms(engine, rules_only, f"base-{number}", source="rules"))
        asked = len(model.asked)
    goal = "< 2200 ms"
    return [
        figure(
            f"p99 of {incidents} decisions, the model takes 1 s", "ms", [_p99(mine)], [_p99(base)], goal=goal
        ),
        figure("each of them", "ms", mine, base),
        figure("questions to the model", "", [asked]),
    ]


def _decision_ms(engine: parts.DockerEngine, server: parts.Process, name: str, *, source: str) -> float:
    container = engine.run(name, "exit 1", labels={"hemostat.enable": "true"})
    try:
        container.wait(timeout=WAIT_SECONDS)
        status, _ = parts.http_request(
            "POST", f"{server.url}/api/v1/alerts", reaction.webhook(name), seconds=WAIT_SECONDS
        )
        if status != 202:
            raise parts.PartFailed(server.name, f"answered {status}", server.log_tail())
        incident = _closed(server, name)
        decided_by = incident["decision"]["verdict"]["source"]
        if decided_by != source:
            raise parts.PartFailed(server.name, f"{name} was decided by {decided_by}, not {source}")
        judged = next(entry for entry in incident["timeline"] if entry["event"] == "judged")
        return (_at(judged["at"]) - _at(incident["opened_at"])) * 1000
    finally:
        container.remove(force=True, v=True)


def _closed(server: parts.Process, name: str) -> dict[str, Any]:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        listed = _asked(server, f"?target={servers.HOST}/{name}&state=closed")["incidents"]
        if listed:
            return _asked(server, f"/{listed[0]['id']}")
        time.sleep(0.05)
    raise parts.PartFailed(server.name, f"did not decide about {name}", server.log_tail())


def _asked(server: parts.Process, what: str) -> dict[str, Any]:
    _, answer = parts.http_request("GET", f"{server.url}/api/v1/incidents{what}", seconds=WAIT_SECONDS)
    found: dict[str, Any] = json.loads(answer)
    return found


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _p99(values: Sequence[float]) -> float:
    """Of 100 the 99th, not the worst."""
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]
