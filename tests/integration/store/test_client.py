"""Many calls on few connections: none fails for their number, and one that cannot have its turn says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store.client import MAX_CONNECTIONS, Access, Client
from tests.waiting import until

NOTHING = "a list that stays empty"
PATIENT = Access(connect_seconds=15.0)
"""Where connecting is not what a test is about: however busy the machine is."""


@pytest.fixture
async def client(redis_server: parts.RedisServer) -> AsyncIterator[Client]:
    """It waits for a free connection for a moment only, in which a busy machine must connect."""
    client = Client(redis_server.url, Access(connect_seconds=2.0, timeout_seconds=30.0))
    yield client
    await client.close()


async def connections(client: Client) -> int:
    """How many the server counts of ours, and of whoever else is there."""
    return int((await client.info("clients"))["connected_clients"])


async def blocked(redis_server: parts.RedisServer) -> int:
    """How many wait at the server for something to come."""
    other = Client(redis_server.url, PATIENT)
    try:
        return int((await other.info("clients"))["blocked_clients"])
    finally:
        await other.close()


async def test_more_calls_at_once_than_connections_are_all_answered(redis_server: parts.RedisServer) -> None:
    client = Client(redis_server.url, PATIENT)
    try:
        before = await connections(client)
        calls = [client.execute("ECHO", number) for number in range(5 * MAX_CONNECTIONS)]
        assert await asyncio.gather(*calls) == [str(number) for number in range(5 * MAX_CONNECTIONS)]
        assert await connections(client) < before + MAX_CONNECTIONS
    finally:
        await client.close()


async def test_a_call_for_which_no_connection_comes_free_is_not_made(
    client: Client, redis_server: parts.RedisServer
) -> None:
    """All of them wait for what does not come; the error says what is in the way."""
    waiting = [asyncio.create_task(client.execute("BLPOP", NOTHING, 30)) for _ in range(MAX_CONNECTIONS)]
    try:
        await until(lambda: blocked(redis_server), lambda number: number == MAX_CONNECTIONS)
        with pytest.raises(errors.EdgeUnavailable, match=f"GET: {MAX_CONNECTIONS} calls are under way"):
            await client.execute("GET", "anything")
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    assert await client.execute("ECHO", "again") == "again"


async def test_a_call_given_up_while_it_waits_takes_no_place(
    client: Client, redis_server: parts.RedisServer
) -> None:
    """Half of them wait at the server, and half for a place."""
    waiting = [asyncio.create_task(client.execute("BLPOP", NOTHING, 30)) for _ in range(2 * MAX_CONNECTIONS)]
    await until(lambda: blocked(redis_server), lambda number: number == MAX_CONNECTIONS)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    answers = await asyncio.gather(*(client.execute("ECHO", 1) for _ in range(MAX_CONNECTIONS)))
    assert answers == ["1"] * MAX_CONNECTIONS
