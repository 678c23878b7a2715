"""A real Redis with our scripts on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bridge.edges.http_neighbour import HttpNeighbour
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from tests.in_memory_containers import InMemoryContainers
from tests.integration.desk import LEASE_SECONDS, Desk
from tests.integration.serving import running, start
from tests.integration.walking import Walk, walk_on

__all__ = ["running", "start"]


@pytest.fixture
async def alertmanager_at() -> AsyncIterator[Callable[..., HttpNeighbour]]:
    """Connections to an Alertmanager; takes the arguments of ``HttpNeighbour`` after its name."""
    made = []

    def at(url: str, **options: Any) -> HttpNeighbour:
        made.append(HttpNeighbour("alertmanager", url, **options))
        return made[-1]

    yield at
    for one in made:
        await one.close()


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """Our connection to an empty Redis."""
    store = Store(redis_url)
    yield store
    await store.close()


@pytest.fixture
def journal(store: Store) -> StoredJournal:
    """Claims of it live LEASE_SECONDS."""
    return StoredJournal(store, lease_seconds=LEASE_SECONDS)


@pytest.fixture
def acceptor(store: Store) -> Acceptor:
    """Refuses nothing for its backlog."""
    return Acceptor(store, backlog_limit=1000)


@pytest.fixture
def desk(store: Store, journal: StoredJournal, acceptor: Acceptor) -> Desk:
    """Everything at once."""
    return Desk(store, journal, acceptor)


@pytest.fixture
def walk(store: Store) -> Walk:
    """An unhealthy container ``web``, a policy that wants to restart it at once."""
    return walk_on(store, InMemoryContainers())
