"""The Docker edge on a real Engine: straight, and with a proxy between that can be away, slow, or talk nonsense."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from blockbuster import blockbuster_ctx

from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine, DockerHost
from tests.integration.edges.docker_engine.containers import TIMEOUT_SECONDS
from tests.servers.docker_engine import DockerEngineProxy


@pytest.fixture
async def docker(engine: parts.DockerEngine) -> AsyncIterator[DockerEngine]:
    """The edge on the shared Engine, under the name `here`; a blocking call on the loop raises."""
    edge = DockerEngine([DockerHost(name="here", url=engine.url)])
    with blockbuster_ctx("bridge.edges"):
        yield edge
    await edge.close()


@pytest.fixture
def proxy(engine: parts.DockerEngine) -> Iterator[DockerEngineProxy]:
    """Before the shared Engine; lets everything through until told otherwise."""
    with DockerEngineProxy(engine.url) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: DockerEngineProxy) -> AsyncIterator[DockerEngine]:
    """The edge behind the proxy, with a short timeout."""
    edge = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=TIMEOUT_SECONDS)])
    yield edge
    await edge.close()
