"""By which names a bridge may be read that asks for no token: a web page cannot borrow one (DNS rebinding)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web as http
from aiohttp.test_utils import TestClient

from bridge import web
from bridge.web.names import is_nobodys_to_give
from tests.integration.serving import FIRING, JSON, TOKENS, Running

Client = TestClient[http.Request, http.Application]
Connect = Callable[[http.Application], Awaitable[Client]]
EVIL = {"Host": "evil.example:9095"}
READING = ["/api/v1/incidents", "/api/v1/status", "/api/v1/events", "/api/openapi.json", "/api/v1/nowhere"]


@pytest.fixture
async def client(running: Running, aiohttp_client: Connect) -> Client:
    """The interface as it is on loopback, where ``web.external_url`` names ``hemostat.example.org``."""
    served = web.application(
        running.bridge, tokens=lambda: (), max_body_bytes=1 << 20, names={"hemostat.example.org"}
    )
    return await aiohttp_client(served)


@pytest.mark.parametrize("path", READING)
async def test_a_name_of_somebody_elses_reads_nothing(client: Client, path: str) -> None:
    """And whoever meant it well is told what to do."""
    async with client.get(path, headers=EVIL) as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (421, "unknown_host")
    assert "web.external_url" in error["message"]
    assert "web.tokens" in error["message"]
    assert "evil" not in str(error)


@pytest.mark.parametrize(
    "host",
    [
        "",  # a browser always has one
        "127.0.0.1:9095",
        "127.0.0.1",
        "[::1]:9095",
        "192.0.2.7:9095",
        "localhost:9095",
        "LocalHost.",
        "hemostat.localhost",
        "bridge:9095",
        "host.docker.internal:9095",
        "hemostat.example.org",
        "HemoStat.example.org:443",
    ],
)
async def test_it_is_read_under_addresses_its_own_name_and_names_that_nobody_can_be_given(
    client: Client, host: str
) -> None:
    async with client.get("/api/v1/incidents", headers={"Host": host}) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "[::1",
        "a b",
        ":9095",
        "internal.example.",
    ],
)
def test_what_is_no_address_and_may_be_somebodys_is_not_ours(host: str) -> None:
    assert not is_nobodys_to_give(host)


async def test_machines_that_bring_alerts_or_scrape_may_call_it_what_they_like(client: Client) -> None:
    """An alert that is answered 421 is a lost one. A browser says Origin where it changes something."""
    async with client.post("/api/v1/alerts", data=FIRING, headers={**JSON, **EVIL}) as answer:
        assert answer.status == 202
    for path in ("/metrics", "/-/healthy", "/"):
        async with client.get(path, headers=EVIL) as answer:
            assert answer.status == 200


async def test_where_a_token_is_asked_for_the_name_does_not_matter(
    running: Running, aiohttp_client: Connect
) -> None:
    """A page elsewhere has none."""
    tokens = [
        web.Token(name=token.name, access=web.Access(token.role.value), secret=token.token)
        for token in TOKENS
    ]
    client = await aiohttp_client(
        web.application(running.bridge, tokens=lambda: tokens, max_body_bytes=1 << 20, names=())
    )
    viewer = next(token.secret.reveal() for token in tokens if token.access is web.Access.VIEWER)
    async with client.get("/api/v1/status", headers={**EVIL, "Authorization": f"Bearer {viewer}"}) as answer:
        assert answer.status == 200
