"""An alert whose webhook somebody else answered with 200 and forgot: the bridge finds it in Alertmanager by itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from bridge.demo import parts
from tests.acceptance.conftest import StartBridge
from tests.servers.docker_fleet import DockerFleet


class Swallower(ThreadingHTTPServer):
    """Takes every webhook, says 200, and forgets it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.swallowed = 0
        super().__init__((parts.LOOPBACK, 0), Handler)

    @property
    def url(self) -> str:
        return f"http://{parts.LOOPBACK}:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Swallower

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.server.swallowed += 1

    def log_message(self, *_: Any) -> None:
        """Not to stderr."""


@pytest.fixture
def swallower() -> Iterator[Swallower]:
    """It listens until the test ends it."""
    with Swallower() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_alert_that_was_swallowed_while_the_bridge_was_down_is_taken_in_at_its_start(
    swallower: Swallower, start_alertmanager: Callable[..., parts.Alertmanager], start_bridge: StartBridge
) -> None:
    """Alertmanager takes it for delivered and will not repeat it for an hour; the container is repaired all the same."""
    alertmanager = start_alertmanager(webhook_url=swallower.url)
    with DockerFleet() as fleet:
        fleet.run("web", healthy=False)
        labels = {"alertname": "ContainerUnhealthy", "name": "web", "docker_host": "local"}
        began = (datetime.now(UTC) - timedelta(minutes=10)).isoformat()
        alertmanager.post_alerts({"labels": labels, "startsAt": began})
        assert parts.wait_until(lambda: swallower.swallowed >= 1, seconds=20, every=0.05)
        bridge = start_bridge(
            docker=fleet.url,
            alertmanager={"url": alertmanager.url, "receiver": "hemostat", "reconcile_interval": "1m"},
        )
        incident = bridge.await_incident_about("web", until=lambda incident: incident["repair"])
        assert fleet.restarts == ["web"]
        assert [alert["labels"] for alert in incident["alerts"]] == [labels]
        assert bridge.metric("hemostat_reconciled_alerts_total", what="taken_in") == 1
        alertmanager.resolve(labels)
        assert bridge.await_incident(incident["id"])["outcome"] == "healed"
        bridge.terminate()
