"""``GET /api/openapi.json``: what this interface is, in OpenAPI's words. The words stand in ``schemas/openapi.json``."""

from __future__ import annotations

import functools
from importlib import resources

import msgspec
from aiohttp import web

from bridge.metrics import VERSION
from bridge.web.answers import JSON


async def show(_: web.Request) -> web.Response:
    """The description, for this version."""
    return web.Response(body=_described(), content_type=JSON)


@functools.cache
def _described() -> bytes:
    text = resources.files("bridge").joinpath("schemas/openapi.json").read_bytes()
    described = msgspec.json.decode(text)
    described["info"]["version"] = VERSION
    return msgspec.json.encode(described) + b"\n"
