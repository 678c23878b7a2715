"""The baselines: aiohttp applications that do the one thing nobody could leave out, and nothing else.

As a program, `python -m bench.bare xadd|restart|idle PORT [URL]` serves one of them until SIGTERM. Each imports what
it needs and no more, so that its memory is a baseline, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

from aiohttp import web

LOOPBACK = "127.0.0.1"

STREAM = "bare"


def xadd(redis_url: str) -> web.Application:
    """Intake's floor: read the body, one `XADD` of it, 202. The client's options are those of the bridge."""
    from redis.asyncio import ConnectionPool, Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    pool = ConnectionPool.from_url(
        redis_url,
        max_connections=64,
        decode_responses=True,
        protocol=2,
        socket_timeout=5.0,
        socket_connect_timeout=2.0,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 1),
    )
    redis = Redis(connection_pool=pool)

    async def receive(request: web.Request) -> web.Response:
        await redis.xadd(STREAM, {"body": await request.read()})
        return web.Response(status=202)

    async def disconnected(_: web.Application) -> AsyncIterator[None]:
        yield
        await redis.aclose()
        await pool.disconnect()

    app = idle()
    app.router.add_post("/api/v1/alerts", receive)
    app.cleanup_ctx.append(disconnected)
    return app


def restart(docker_url: str) -> web.Application:
    """Reaction's floor: answer 202, and let the SDK restart the named container at once, in a thread."""
    import docker

    client = docker.DockerClient(base_url=docker_url, timeout=30)
    under_way: set[asyncio.Task[None]] = set()

    async def receive(request: web.Request) -> web.Response:
        [alert] = json.loads(await request.read())["alerts"]
        task = asyncio.create_task(asyncio.to_thread(client.api.restart, alert["labels"]["name"]))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
        return web.Response(status=202)

    app = idle()
    app.router.add_post("/api/v1/alerts", receive)
    return app


def idle() -> web.Application:
    """Rest's floor: it is there, and says so."""

    async def healthy(_: web.Request) -> web.Response:
        return web.Response(text="well\n")

    app = web.Application()
    app.router.add_get("/-/healthy", healthy)
    return app


def main(what: str, port: str, url: str = "") -> None:
    """Serve one of the baselines."""
    app = {"xadd": lambda: xadd(url), "restart": lambda: restart(url), "idle": idle}[what]()
    with contextlib.suppress(KeyboardInterrupt):
        web.run_app(app, host=LOOPBACK, port=int(port), access_log=None, print=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
