"""What machines ask: a load balancer, Prometheus, and whoever changed the configuration."""

from __future__ import annotations

from aiohttp import web

from bridge.web.answers import Refused
from bridge.web.interface import BRIDGE


async def healthy(_: web.Request) -> web.Response:
    """``GET /-/healthy``: the process answers."""
    return web.Response(text="HemoStat is Healthy.\n")


async def ready(request: web.Request) -> web.Response:
    """``GET /-/ready``: alerts can be taken and worked on."""
    readiness = await request.app[BRIDGE].readiness()
    if readiness.ready:
        return web.Response(text="HemoStat is Ready.\n")
    lines = [f"{part}: {trouble}\n" for part, trouble in readiness.parts.items() if trouble is not None]
    return web.Response(status=503, text="HemoStat is not ready.\n" + "".join(lines))


async def reload(request: web.Request) -> web.Response:
    """``POST /-/reload``: the file as it is now, whole, or the old configuration stays."""
    bridge = request.app[BRIDGE]
    if problems := await bridge.reload():
        told = [bridge.redactor.text(str(problem)).text for problem in problems]
        raise Refused(400, "bad_configuration", "the old configuration stays in force", told)
    return web.Response(text="")


async def metrics(request: web.Request) -> web.Response:
    """``GET /metrics``."""
    bridge = request.app[BRIDGE]
    await bridge.gauges()
    body = bridge.metrics.page()
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
