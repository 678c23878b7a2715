"""Desks on any server, for tests that need more than one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from bridge.demo import parts
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from tests.integration.desk import Desk

StartRedis = Callable[..., parts.RedisServer]
StartDesk = Callable[[str], Desk]


@pytest.fixture
async def desk_at() -> AsyncIterator[StartDesk]:
    """A desk on the store at this URL."""
    async with contextlib.AsyncExitStack() as opened:

        def build(url: str) -> Desk:
            store = Store(url)
            opened.push_async_callback(store.close)
            journal = StoredJournal(store, lease_seconds=60)
            return Desk(store, journal, Acceptor(store, backlog_limit=10_000))

        yield build


@pytest.fixture
def other(start_redis: StartRedis) -> str:
    """Another Redis, empty."""
    return start_redis().url
