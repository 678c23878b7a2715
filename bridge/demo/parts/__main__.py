"""All parts at once, for use by hand: ``python -m bridge.demo.parts``, until Ctrl-C."""

from __future__ import annotations

import contextlib
import signal

from bridge.demo.parts.engine import DockerEngine
from bridge.demo.parts.machine import LOOPBACK
from bridge.demo.parts.servers import Alertmanager, Prometheus, RedisServer


def main() -> None:
    """Start them, and stop them in reverse."""
    with DockerEngine() as engine, RedisServer() as redis:
        webhook_url = f"http://{LOOPBACK}:9095/api/v1/alerts"
        with Alertmanager(webhook_url=webhook_url) as alertmanager:
            with Prometheus(alertmanager_address=alertmanager.address) as prometheus:
                for part in (engine, redis, alertmanager, prometheus):
                    print(f"{part.name:<13} {part.url}")
                print(f"alerts go to {webhook_url}; Ctrl-C stops everything")
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()


main()
