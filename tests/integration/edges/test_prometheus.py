"""The Prometheus edge on the real thing, and on one that is away, slow, refuses or talks nonsense."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge import errors
from bridge.demo import parts
from bridge.edges.prometheus import PrometheusApi

Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[str]]

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """The URL of a server of one's own that answers everything with one handler."""
    servers = []

    async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> str:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        servers.append(TestServer(app))
        await servers[-1].start_server()
        return str(servers[-1].make_url("/prom/"))

    yield start
    for server in servers:
        await server.close()


async def test_asks_a_real_one(start_prometheus: Callable[..., parts.Prometheus]) -> None:
    prometheus = await asyncio.to_thread(start_prometheus)
    edge = PrometheusApi(f"{prometheus.url}/")
    assert await edge.ready()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", await edge.version())
    assert await edge.query("1 + 1") == [({}, 2.0)]
    assert await edge.query('label_replace(vector(7), "name", "web", "", "")') == [({"name": "web"}, 7.0)]
    assert await edge.query("absent_metric") == []
    assert [value for _, value in await edge.query("vector(1) / 0")] == [math.inf]
    assert math.isnan((await edge.query("0 / 0"))[0][1])
    with pytest.raises(errors.EdgeRejected) as refused:
        await edge.query("up{")
    assert refused.value.status == 400
    assert "parse error" in str(refused.value)
    with pytest.raises(errors.EdgeUnavailable, match="cannot be understood"):
        await edge.query('"text"')
    await edge.close()


async def test_away() -> None:
    edge = PrometheusApi(NOWHERE)
    for call in (edge.ready(), edge.version(), edge.query("up")):
        with pytest.raises(errors.EdgeUnavailable, match=r"^prometheus: GET /"):
            await call
    await edge.close()


async def test_slow_is_unavailable_at_the_deadline(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    url = await serve(handler)
    edge, patient = PrometheusApi(url, timeout_seconds=0.2), PrometheusApi(url, timeout_seconds=60)
    waiting = asyncio.create_task(patient.query("up"))
    with pytest.raises(errors.EdgeUnavailable, match="Timeout"):
        await edge.query("up")
    assert not waiting.done()
    waiting.cancel()
    await edge.close()
    await patient.close()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            {"status": "error", "error": "pass\u200bword=hunter2\nts=1 \u202e"},
            "password=[REDACTED:credential]",
        ),
        ({"message": 'token="s3cretValue"'}, "token="),
        ({"error": {"x": "password=hunter2"}}, "[REDACTED:credential]"),
        ([["password=hunter2"]], "[REDACTED:credential]"),
    ],
    ids=["error", "message", "another shape", "a list"],
)
async def test_what_a_refusal_says_is_read_before_it_is_redacted(
    serve: Serve, said: object, told: str
) -> None:
    """JSON escapes what would be taken out, and so would hide a secret."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(said, status=422)

    edge = PrometheusApi(await serve(handler))
    with pytest.raises(errors.EdgeRejected) as refused:
        await edge.query("up")
    await edge.close()
    assert told in str(refused.value)
    for hidden in ("hunter2", "s3cret", "\\u"):
        assert hidden not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, errors.EdgeUnavailable),
        (503, errors.EdgeUnavailable),
        (422, errors.EdgeRejected),
        (401, errors.EdgeRejected),
        (302, errors.EdgeRejected),
    ],
)
async def test_refusals_are_told_apart(serve: Serve, status: int, kind: type[errors.EdgeError]) -> None:
    sent = []

    async def handler(request: web.Request) -> web.Response:
        sent.append((request.path, request.headers.get("Authorization")))
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    edge = PrometheusApi(await serve(handler), authorization="Basic s3cret")
    with pytest.raises(kind) as refused:
        await edge.query("up")
    assert type(refused.value) is kind
    assert sent == [("/prom/api/v1/query", "Basic s3cret")]
    assert "s3cret" not in str(refused.value)
    assert await edge.ready() is False if status == 503 else True
    await edge.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"data": {"resultType": "vector", "result": [{"metric": {}}]}}',
        b'{"data": {"resultType": "vector", "result": [{"metric": {}, "value": [1, "many"]}]}}',
        b'{"data": {"resultType": "matrix", "result": []}}',
    ],
)
async def test_nonsense_is_unavailable(serve: Serve, body: bytes) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body)

    edge = PrometheusApi(await serve(handler))
    for call in (edge.query("up"), edge.version()):
        with pytest.raises(errors.EdgeUnavailable):
            await call
    await edge.close()
