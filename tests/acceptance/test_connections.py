"""Connections that say nothing: they keep neither Alertmanager out, nor the bridge from its neighbours."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Iterator
from pathlib import Path

from bridge.demo import parts
from tests.acceptance.stack import Bridge

NOWHERE = "unix:///nowhere/docker.sock"
FEW = 256
"""Open files, a quarter of what most systems let a process begin with."""
MANY = 4096
"""Enough for our own ends of the connections, which is more than that."""


@contextlib.contextmanager
def open_files(number: int) -> Iterator[None]:
    """So many may be opened here, and at first by whoever is started here."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, most), most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


def test_a_thousand_idle_connections_leave_room_for_a_webhook(tmp_path: Path) -> None:
    """Whatever number of files the bridge was allowed to open at first."""
    bridge = Bridge(docker=NOWHERE, storage=tmp_path / "store")
    with open_files(FEW):
        bridge.start()
    with open_files(MANY), contextlib.ExitStack() as idle:
        idle.callback(bridge.stop)
        for _ in range(1000):
            idle.enter_context(socket.create_connection((parts.LOOPBACK, bridge.port), timeout=5))
        assert bridge.post().status_code == 202
        assert bridge.request("GET", "/-/healthy").status_code == 200
        assert "Traceback" not in bridge.log_text()
