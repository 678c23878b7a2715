"""What comes too slowly is not waited for: neither its head nor its body."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from bridge.demo import parts
from bridge.web import application, bodies, server
from tests.integration.serving import Running
from tests.waiting import until, until_true

Serve = Callable[..., Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A connection to a server as the bridge's; ``/slow`` takes a while."""

    async def at_once(_: web.Request) -> web.Response:
        return web.Response()

    async def slow(_: web.Request) -> web.Response:
        await asyncio.sleep(1.5)
        return web.Response()

    async with contextlib.AsyncExitStack() as stack:

        async def start(**options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            app = web.Application()
            app.add_routes([web.get("/-/healthy", at_once), web.get("/slow", slow)])
            runner = server.runner_of(app, **options)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, parts.LOOPBACK, 0).start()
            reader, writer = await asyncio.open_connection(*runner.addresses[0])
            stack.callback(writer.close)
            return reader, writer

        yield start


@pytest.mark.parametrize("request_line", ["POST /api/v1/alerts", "PUT /api/v1/pause"])
async def test_a_body_that_does_not_arrive_is_answered_408(
    running: Running, request_line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "DEADLINE_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection(running.client.host, running.client.port)
    head = (
        f"{request_line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    )
    writer.write(head.encode() + b"{")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    assert await running.stored() == 0


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /api/v1/alerts HTTP/1.1\r\n",
        b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\n",
    ],
    ids=["nothing", "half a head", "half of a second head"],
)
async def test_a_connection_whose_head_does_not_end_is_closed_however_it_drips(
    serve: Serve, sent: bytes
) -> None:
    reader, writer = await serve(idle_seconds=0.3)
    writer.write(sent)
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(10):
            while not reader.at_eof():
                if sent:
                    writer.write(b"X-Slow: yes\r\n")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1000), 0.02)


async def test_a_connection_whose_request_is_being_answered_is_not_idle(serve: Serve) -> None:
    reader, writer = await serve(idle_seconds=0.5)
    writer.write(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(10):
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
async def served(running: Running) -> AsyncIterator[web.AppRunner]:
    """The interface of a bridge, served as the bridge itself serves it."""
    runner = server.runner_of(application(running.bridge, tokens=lambda: (), max_body_bytes=16 << 20))
    await runner.setup()
    await web.TCPSite(runner, parts.LOOPBACK, 0).start()
    yield runner
    await runner.cleanup()


async def test_nothing_is_left_of_a_body_whose_sender_went_away(served: web.AppRunner) -> None:
    """Not even until the garbage collector comes by, which an idle process may never call."""
    piece, count = b"100000\r\n" + b"x" * 2**20 + b"\r\n", 8

    def traced() -> int:
        return tracemalloc.get_traced_memory()[0] - before

    tracemalloc.start()
    gc.disable()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(3):
            _, writer = await asyncio.open_connection(*served.addresses[0])
            writer.write(b"POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
            writer.write(b"Transfer-Encoding: chunked\r\n\r\n" + piece * count)
            await writer.drain()
            await until_true(lambda: traced() > (count - 1) * 2**20)
            writer.close()
            await until_true(lambda: traced() < 2 * 2**20, seconds=4)
    finally:
        gc.enable()
        tracemalloc.stop()


async def test_more_than_may_be_held_at_once_is_503(served: web.AppRunner) -> None:
    """Alertmanager tries it again; nothing of it is kept meanwhile."""
    held = served.app[bodies.HELD]
    held.most = 1000
    reader, writer = await asyncio.open_connection(*served.addresses[0])
    head = (
        "POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"
    )
    writer.write(head.encode() + b"x" * 2000)
    async with asyncio.timeout(10):
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: " in answer
    assert held.now == 0
    writer.close()


async def test_one_connection_too_many_is_turned_away_until_there_is_a_place(serve: Serve) -> None:
    _, first = await serve(most=2)
    address = first.get_extra_info("peername")

    async def asked(opened: list[asyncio.StreamWriter]) -> bytes:
        reader, writer = await asyncio.open_connection(*address)
        opened.append(writer)
        with contextlib.suppress(ConnectionError):
            writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n")
            return await reader.readline()
        return b""

    opened: list[asyncio.StreamWriter] = []
    assert [await asked(opened), await asked(opened)] == [b"HTTP/1.1 200 OK\r\n", b""]
    first.close()
    await until(lambda: asked(opened))
    for writer in opened:
        writer.close()
