"""The servers of the tests themselves: what one leaves behind would be found in, and held against, some later test."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections.abc import Callable

import pytest

from bridge.demo import parts
from tests.servers.anthropic import AnthropicServer
from tests.servers.docker_engine import DockerEngineProxy
from tests.servers.docker_fleet import DockerFleet
from tests.servers.grafana import Grafana
from tests.servers.slack import SlackServer
from tests.servers.slow_proxy import SlowProxy
from tests.servers.threaded import ThreadedServer


def connected_before_it_closes(server: ThreadedServer, turns: int) -> None:
    """Starts and stops it; a connection comes these turns of its loop before it winds up."""
    wind_up = server._wind_up

    async def connect_and_wind_up() -> None:
        with socket.socket(server._listening.family) as client:
            client.connect(server._listening.getsockname())
            for _ in range(turns):
                await asyncio.sleep(0)
            await wind_up()

    server.start()
    server._wind_up = connect_and_wind_up  # type: ignore[method-assign]
    server.stop()


@pytest.mark.parametrize(
    "kind",
    [
        AnthropicServer,
        DockerEngineProxy,
        DockerFleet,
        lambda: Grafana(parts.free_port()),
        SlackServer,
        lambda: SlowProxy(parts.free_port()),
    ],
)
def test_whenever_a_connection_comes_it_is_closed_with_the_server(kind: Callable[[], ThreadedServer]) -> None:
    gc.collect()

    with warnings.catch_warnings(record=True) as unclosed:
        warnings.simplefilter("always")
        for turns in range(7):
            connected_before_it_closes(kind(), turns)
        gc.collect()

    assert [str(warning.message) for warning in unclosed] == []
