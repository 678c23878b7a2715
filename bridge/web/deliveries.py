"""What sinks must still be told."""

from __future__ import annotations

from aiohttp import web

from bridge.model.channel import Channel
from bridge.web.answers import Refused, as_json
from bridge.web.interface import BRIDGE, CALLER


async def show(request: web.Request) -> web.Response:
    """``GET /api/v1/deliveries``: each sink's backlog, why it is held back, and what it did not take."""
    return as_json({"deliveries": await request.app[BRIDGE].deliveries()})


async def retry(request: web.Request) -> web.Response:
    """``POST /api/v1/deliveries/{channel}/retry``: what was given up is due again, and the sink is tried at once."""
    name = request.match_info["channel"]
    known = name in set(Channel)
    count = await request.app[BRIDGE].retry_deliveries(Channel(name), by=request[CALLER]) if known else None
    if count is None:
        raise Refused(404, "not_found", "no such channel is configured")
    return as_json({"channel": name, "retried": count}, status=202)
