"""Which path is answered by what. No rule of HemoStat's is decided here, nor in any handler."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from aiohttp import web

from bridge.web import (
    approvals,
    deliveries,
    description,
    events,
    incidents,
    kill_switch,
    page,
    probes,
    standing,
    targets,
    webhook,
)
from bridge.web.access import authorise
from bridge.web.bodies import HELD, MOST_HELD_BYTES, Held
from bridge.web.failures import answer_errors
from bridge.web.interface import BRIDGE, NAMES, TOKENS, Bridge, Token

WEBHOOK_PATHS = ("/api/v1/alerts", "/alerts", "/webhook", "/")
ID = "{id:[0-9A-Za-z_-]+}"
"""Of an incident: with a colon it would name what the store keeps beside one."""


def application(
    bridge: Bridge,
    *,
    tokens: Callable[[], Sequence[Token]],
    max_body_bytes: int,
    names: Collection[str] | None = None,
) -> web.Application:
    """The interface as an aiohttp application. ``tokens`` is asked at each request, so that a reload counts. ``names``:
    by which, besides its addresses, it may be read while there are none; ``None``: by any.
    """
    app = operations(bridge, tokens=tokens, max_body_bytes=max_body_bytes, names=names)
    for path in WEBHOOK_PATHS:
        app.router.add_post(path, webhook.receive)
        if not path.endswith("/"):
            app.router.add_post(f"{path}/", webhook.receive)
    app.router.add_get("/", page.index)
    app.router.add_get("/ui/{name}", page.part)
    app.router.add_get("/api/v1/status", standing.show)
    app.router.add_get("/api/v1/incidents", incidents.search)
    app.router.add_get(f"/api/v1/incidents/{ID}", incidents.show)
    app.router.add_get(f"/api/v1/incidents/{ID}/replay", incidents.replay)
    app.router.add_post(f"/api/v1/incidents/{ID}/approve", approvals.approve)
    app.router.add_post(f"/api/v1/incidents/{ID}/reject", approvals.reject)
    app.router.add_post(approvals.SLACK_PATH, approvals.slack)
    app.router.add_get("/api/v1/targets", targets.show_all)
    app.router.add_get("/api/v1/targets/{host}/{name}", targets.show)
    app.router.add_post("/api/v1/targets/{host}/{name}/reset", targets.reset)
    app.router.add_get("/api/v1/deliveries", deliveries.show)
    app.router.add_post("/api/v1/deliveries/{channel}/retry", deliveries.retry)
    app.router.add_get("/api/v1/pause", kill_switch.show)
    app.router.add_put("/api/v1/pause", kill_switch.pull)
    app.router.add_delete("/api/v1/pause", kill_switch.release)
    app.router.add_get("/api/v1/storm", standing.show_storm)
    app.router.add_get("/api/v1/events", events.follow, allow_head=False)
    app.router.add_get("/api/openapi.json", description.show)
    app[events.LISTENERS], app[events.PAGES] = events.Listeners(), events.Pages()
    app.on_shutdown.append(events.end)
    return app


def operations(
    bridge: Bridge,
    *,
    tokens: Callable[[], Sequence[Token]],
    max_body_bytes: int,
    names: Collection[str] | None = None,
) -> web.Application:
    """What every process answers to whoever runs it, a worker that takes in nothing included."""
    app = web.Application(client_max_size=max_body_bytes, middlewares=[answer_errors, authorise])
    app[BRIDGE] = bridge
    app[HELD] = Held(most=max(MOST_HELD_BYTES, 4 * max_body_bytes))
    app[TOKENS], app[NAMES] = tokens, names
    app.router.add_get("/-/healthy", probes.healthy)
    app.router.add_get("/-/ready", probes.ready)
    app.router.add_post("/-/reload", probes.reload)
    app.router.add_put("/-/reload", probes.reload)
    app.router.add_get("/metrics", probes.metrics)
    return app
