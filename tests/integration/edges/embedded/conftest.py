"""A place for a store, stores that end with the test, and bridges that are processes of their own."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bridge import errors
from bridge.edges.store import server_program
from tests.integration.edges.embedded.stores import BRIDGE, ROOT, WITHIN, StartBridge


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture(autouse=True)
def server_is_installed() -> None:
    try:
        server_program.find_server()
    except errors.EdgeRejected as missing:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture
async def stores() -> AsyncIterator[contextlib.AsyncExitStack]:
    """Stores pushed here are stopped after the test."""
    async with contextlib.AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def start_bridge() -> Iterator[StartBridge]:
    """A process of its own that starts the store and waits; with the store's URL."""
    running: list[subprocess.Popen[bytes]] = []

    def start(directory: Path) -> tuple[subprocess.Popen[bytes], str]:
        child = subprocess.Popen([sys.executable, "-c", BRIDGE, directory], stdout=subprocess.PIPE, cwd=ROOT)
        running.append(child)
        assert child.stdout is not None
        assert select.select([child.stdout], [], [], WITHIN)[0], "the store did not come up"
        url = child.stdout.readline().decode().strip()
        assert url.startswith("unix://"), "the store did not come up"
        return child, url

    yield start
    for child in running:
        child.kill()
        child.communicate()
