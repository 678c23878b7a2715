"""What comes too slowly is not waited for: neither its head nor its body."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from bridge.demo import parts
from bridge.web import answers, server
from tests.integration.serving import Running
from tests.waiting import until

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
    monkeypatch.setattr(answers, "BODY_DEADLINE_SECONDS", 0.1)
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
