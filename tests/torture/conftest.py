"""Where a service is missing, the experiments are skipped, or in CI fail."""

from __future__ import annotations

import pytest

from bridge.demo import parts
from tests.conftest import started


@pytest.fixture(scope="session")
def torture_ground(redis_server: parts.RedisServer) -> None:
    """Redis and a Docker Engine can be had; each experiment starts its own."""
    started(parts.DockerEngine).stop()
