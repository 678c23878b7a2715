"""Who may do what over HTTP: each role what it is for, and no web page elsewhere operates a bridge on loopback."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.integration.serving import FIRING, JSON, TOKENS, Running

PATHS = {
    "webhook": ("POST", "/api/v1/alerts"),
    "read": ("GET", "/api/v1/incidents"),
    "operate": ("DELETE", "/api/v1/pause"),
    "reload": ("POST", "/-/reload"),
    "metrics": ("GET", "/metrics"),
    "healthy": ("GET", "/-/healthy"),
}


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        ("receiver", {"webhook", "metrics", "healthy"}),
        ("viewer", {"read", "metrics", "healthy"}),
        ("operator", {"webhook", "read", "operate", "reload", "metrics", "healthy"}),
        (None, {"metrics", "healthy"}),
        ("stranger", {"metrics", "healthy"}),
    ],
)
async def test_a_token_may_do_what_its_role_says(
    start: Callable[..., Awaitable[Running]], who: str | None, allowed: set[str]
) -> None:
    """401 without a valid token, 403 with the wrong role."""
    running = await start(tokens=TOKENS)
    headers = {**JSON, **({"Authorization": f"Bearer {who}-0123456789abcdef"} if who else {})}
    for name, (method, path) in PATHS.items():
        data = FIRING if name == "webhook" else None
        async with running.client.request(method, path, data=data, headers=headers) as answer:
            refused = 401 if who in (None, "stranger") else 403
            assert (answer.status < 400) == (name in allowed), (name, answer.status)
            assert answer.status < 400 or answer.status == refused


@pytest.mark.parametrize(
    "header",
    ["Basic eA==", "Bearer", "Bearer ", "bearer  x", "Bearer \u00e9\u00e9\u00e9", "Token x"],
    ids=repr,
)
async def test_odd_authorization_headers_are_401(
    start: Callable[..., Awaitable[Running]], header: str
) -> None:
    """Never a crash."""
    running = await start(tokens=TOKENS)
    async with running.client.get("/api/v1/incidents", headers={"Authorization": header}) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://evil.example", ""),
        ("null", ""),
        ("http://[", ""),
        ("http://evil.example:9095", "evil.example:9095"),  # its name now leads here: DNS rebinding
    ],
)
async def test_a_web_page_elsewhere_cannot_operate_a_bridge_on_loopback(
    running: Running, origin: str, host: str
) -> None:
    """A browser sends Origin; ours is the only one that may change anything."""
    headers = {"Origin": origin, **({"Host": host} if host else {})}
    async with running.client.delete("/api/v1/pause", headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (403, "cross_origin")


async def test_our_own_page_may_operate_it(
    running: Running, start: Callable[..., Awaitable[Running]]
) -> None:
    """On loopback without a token; by any name with one."""
    ours = {"Origin": f"http://127.0.0.1:{running.client.port}", "Host": f"127.0.0.1:{running.client.port}"}
    async with running.client.delete("/api/v1/pause", headers=ours) as answer:
        assert answer.status == 200
    named = {"Origin": "https://bridge.example", "Host": "bridge.example"}
    with_tokens = await start(tokens=TOKENS)
    async with with_tokens.client.delete("/api/v1/pause", headers=named) as answer:
        assert answer.status == 401
