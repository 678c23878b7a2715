"""Containers as tests of the Docker edge run them and look at them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from docker.models.containers import Container

from bridge.edges.docker_engine import DockerEngine
from bridge.model.evidence import ContainerFacts

RunContainer = Callable[..., Container]

TIMEOUT_SECONDS = 2.0
"""Of the edge behind the proxy: some tests wait for it, in others a busy machine must answer within it."""

IDLE = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
DEAF = "trap '' TERM; while :; do sleep 0.05; done"


async def inspected(edge: DockerEngine, ref: str) -> ContainerFacts:
    """Its facts; it must be there."""
    facts = await edge.inspect("here", ref)
    assert facts is not None
    return facts


def health_of(container: Container) -> dict[str, Any]:
    """What Docker itself says of its health check by now."""
    container.reload()
    health: dict[str, Any] = container.attrs["State"]["Health"]
    return health


def full_id(container: Container) -> str:
    """All 64 digits of it."""
    assert container.id is not None
    return container.id
