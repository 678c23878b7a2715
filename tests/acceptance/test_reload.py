"""A reload of a running process: SIGHUP and `/-/reload`. What it refuses leaves everything as it was."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.demo import parts
from tests.acceptance.stack import TOKENS, Bridge

NOWHERE = "unix:///nowhere/docker.sock"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Bridge]]:
    """`start(...)` takes the arguments of `Bridge`; on the embedded store, and its Docker is away."""
    running: list[Bridge] = []

    def start_one(**options: Any) -> Bridge:
        running.append(Bridge(docker=NOWHERE, storage=tmp_path / "store", **options))
        running[-1].start()
        return running[-1]

    yield start_one
    for bridge in running:
        bridge.stop()


def rewritten(bridge: Bridge, **sections: Any) -> None:
    """Its file, with these sections in place of those that were there."""
    bridge.config.write_text(json.dumps({**json.loads(bridge.config.read_text()), **sections}))


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_reload_that_takes_the_last_token_away_does_not_open_the_door(
    start: Callable[..., Bridge], method: str
) -> None:
    """As at the start: where other machines reach it, somebody must be asked who they are."""
    port = parts.free_port()
    address = f"0.0.0.0:{port}"
    tokens = [{"name": "operator", "role": "operator", "token": TOKENS["operator"]}]
    bridge = start(port=port, web={"listen_address": address, "tokens": tokens})
    rewritten(bridge, web={"listen_address": address})
    answer = bridge.request(method, "/-/reload")
    assert answer.status_code == 400
    [problem] = answer.json()["error"]["details"]
    assert "no token is configured" in problem
    assert bridge.request("GET", "/api/v1/incidents", role=None).status_code == 401
    assert bridge.metric("hemostat_config_last_reload_successful") == 0
    rewritten(bridge, web={"listen_address": address, "tokens": tokens})
    assert bridge.request(method, "/-/reload").status_code == 200
    assert bridge.metric("hemostat_config_last_reload_successful") == 1


def test_a_reload_changes_how_it_logs(start: Callable[..., Bridge]) -> None:
    """`log` is among what takes effect at once, its format as well as its level."""
    bridge = start()
    rewritten(bridge, log={"format": "json"})
    os.kill(bridge.pid, signal.SIGHUP)

    def told() -> list[str]:
        return [line for line in bridge.log_text().splitlines() if '"event": "reloaded"' in line]

    assert parts.wait_until(told, seconds=20), bridge.log_tail(20)
    assert json.loads(told()[0])["level"] == "info"


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("prometheus", {"url": "http://127.0.0.1:1"}),
        ("grafana", {"url": "http://127.0.0.1:1", "token": "t"}),
    ],
)
def test_a_reload_does_not_say_yes_to_what_it_would_not_do(
    start: Callable[..., Bridge], section: str, value: dict[str, str]
) -> None:
    """A neighbour is connected to at the start: a changed one is refused, not taken in silence and left unused."""
    bridge = start()
    rewritten(bridge, **{section: value})
    answer = bridge.request("POST", "/-/reload")
    assert answer.status_code == 400
    assert answer.json()["error"]["details"] == [f"can only change with a restart: {section}"]
