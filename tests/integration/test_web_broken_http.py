"""What is no HTTP, or HTTP that nobody understands, is answered as everything else: as JSON of one shape, and briefly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus

import pytest
from aiohttp import web

from bridge.demo import parts
from bridge.web import application, server
from tests.integration.serving import Running

SECRET = b"a-token-that-nobody-may-see"
AUTHORIZED = b"Authorization: Bearer " + SECRET + b"\r\n"
JSON_BODY = b"Host: x\r\nContent-Type: application/json\r\n"

Answer = tuple[int, dict[str, str], dict[str, object]]
Send = Callable[[bytes], Awaitable[Answer]]


@pytest.fixture
async def send(running: Running) -> AsyncIterator[Send]:
    """The status, the head and the error of what the bridge's own server answers to these bytes."""
    app = application(running.bridge, tokens=lambda: (), max_body_bytes=1000)
    runner = server.runner_of(app)
    await runner.setup()
    await web.TCPSite(runner, parts.LOOPBACK, 0).start()

    async def sent(wire: bytes) -> Answer:
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(wire)
        async with asyncio.timeout(10):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        status, *lines = head.decode().split("\r\n")
        named = dict(line.lower().split(": ", 1) for line in lines)
        return int(status.split()[1]), named, json.loads(body)["error"]

    yield sent
    await runner.cleanup()


@pytest.mark.parametrize(
    ("wire", "told"),
    [
        pytest.param(
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "not a valid HTTP request", id="TLS"
        ),
        pytest.param(b"FETCH / HTTP/1.1\r\nHost: x\r\n\r\n", "not a valid HTTP request", id="method"),
        pytest.param(b"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "not a valid HTTP request", id="target"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", "Missing 'Host' header in request", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n" + AUTHORIZED[:-2] + b"\x00\r\n\r\n", "", id="NUL"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: x\r\nX" + AUTHORIZED.replace(b":", b"") + b"\r\n", "", id="no colon"
        ),
        pytest.param(
            b"GET /" + SECRET * 500 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            "a line of its head is too long",
            id="long URL",
        ),
        pytest.param(
            b"POST /alerts HTTP/1.1\r\n"
            + JSON_BODY
            + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
            "",
            id="two lengths",
        ),
    ],
)
async def test_broken_http_is_400_as_json_in_one_line_that_repeats_nothing(
    send: Send, wire: bytes, told: str
) -> None:
    status, head, error = await send(wire)
    assert (status, head["content-type"], error["code"]) == (400, "application/json", "bad_request")
    message = str(error["message"])
    assert told in message
    assert "\n" not in message
    assert SECRET.decode() not in message
    assert len(message) < 200


@pytest.mark.parametrize("path", ["/api/v1/alerts", "/nowhere"])
async def test_an_expectation_that_nobody_knows_is_417(send: Send, path: str) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: tea\r\nContent-Length: 2\r\n\r\n{{}}"
    status, named, error = await send(head.encode())
    assert (status, named["content-type"]) == (HTTPStatus.EXPECTATION_FAILED, "application/json")
    assert error["code"] == "expectation_failed"
