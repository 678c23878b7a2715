"""The HTTP interface of a bridge on a real store, for tests to ask; its Docker does not exist, its worker does not run."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web as http
from aiohttp.test_utils import TestClient

from bridge import app, settings, web, wiring
from bridge.model.secret import Secret
from bridge.settings.redis_values import Redis
from bridge.settings.sections import AccessToken, DockerHost, Role, Store, Web

PAYLOADS = Path(__file__).parents[1] / "payloads"
FIRING = (PAYLOADS / "firing-group-5.json").read_bytes()
JSON = {"Content-Type": "application/json"}
TOKENS = tuple(
    AccessToken(name=role.value, role=role, token=Secret(f"{role.value}-0123456789abcdef")) for role in Role
)
Client = TestClient[http.Request, http.Application]
Connect = Callable[[http.Application], Awaitable[Client]]


@dataclass
class Running:
    """The interface of one bridge, without its worker."""

    client: Client
    parts: wiring.Parts
    bridge: app.HemoStat

    async def post(
        self, body: bytes, path: str = "/api/v1/alerts", **headers: str
    ) -> tuple[int, dict[str, Any], Any]:
        """A webhook; status, JSON, headers."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post(path, data=io.BytesIO(body), headers={**JSON, **named}) as answer:
            return answer.status, await answer.json(), answer.headers

    async def get(self, path: str, **headers: str) -> tuple[int, Any]:
        """Status and JSON."""
        async with self.client.get(path, headers=headers) as answer:
            return answer.status, await answer.json()

    async def stored(self) -> int:
        """How many keys the store has beside its own birth."""
        births = ("{hemostat}:born", "{hemostat}:born_empty")
        return len([key for key in await self.parts.store.command("KEYS", "*") if key not in births])


async def page(running: Running) -> str:
    """The metrics page."""
    async with running.client.get("/metrics") as answer:
        assert answer.status == 200
        return await answer.text()


def config_of(
    redis_url: str,
    *,
    tokens: tuple[AccessToken, ...] = (),
    max_body: int = 16 << 20,
    docker_url: str = "unix:///nonexistent/docker.sock",
) -> settings.Settings:
    """A bridge on this Redis, whose Docker does not exist unless one is named."""
    return replace(
        settings.Settings.defaults(),
        redis=Redis(url=redis_url.removesuffix("/0")),
        docker=settings.Docker(hosts=(DockerHost(name="local", url=docker_url),)),
        store=Store(backlog_limit=100, trust_empty=True),
        web=Web(tokens=tokens, max_body_bytes=max_body),
    )


@pytest.fixture
async def start(redis_url: str, aiohttp_client: Connect) -> AsyncIterator[Callable[..., Awaitable[Running]]]:
    """Takes the arguments of ``config_of``."""
    contexts = []

    async def start_one(url: str = redis_url, **changes: Any) -> Running:
        config = config_of(url, **changes)
        context = wiring.parts_of(config)
        built = await context.__aenter__()
        contexts.append(context)
        bridge = app.HemoStat(built, load=lambda: config)
        served = web.application(bridge, tokens=bridge.tokens, max_body_bytes=config.web.max_body_bytes)
        return Running(await aiohttp_client(served), built, bridge)

    yield start_one
    for context in contexts:
        await context.__aexit__(None, None, None)


@pytest.fixture
async def running(start: Callable[..., Awaitable[Running]]) -> Running:
    """A bridge without tokens."""
    return await start()
