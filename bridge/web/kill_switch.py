"""The kill switch: how it is, pulling it, releasing it."""

from __future__ import annotations

from datetime import timedelta

from aiohttp import web

from bridge.model.duration import parse_duration
from bridge.roles import Pause
from bridge.web.answers import Refused, as_json, named, time_of, written
from bridge.web.bodies import texts_of
from bridge.web.interface import BRIDGE, CALLER


async def show(request: web.Request) -> web.Response:
    """``GET /api/v1/pause``."""
    return as_json(_paused(await request.app[BRIDGE].paused()))


async def pull(request: web.Request) -> web.Response:
    """``PUT /api/v1/pause`` with ``{"why": text, "for": duration | "until": time, "by": text}``, all optional."""
    asked = await texts_of(request, "why", "for", "until", "by")
    if "for" in asked and "until" in asked:
        raise Refused(400, "bad_request", "give either for or until, not both")
    now = await request.app[BRIDGE].now()
    try:
        until = time_of(asked["until"]) if "until" in asked else None
        if "for" in asked:
            until = now + timedelta(seconds=parse_duration(asked["for"]))
    except (ValueError, OverflowError) as error:
        raise Refused(400, "bad_request", str(error)[:200]) from error
    if until is not None and until <= now:
        raise Refused(400, "bad_request", "the end of the pause has passed already")
    by, why = named(request, asked), written(request, asked.get("why", ""), 500)
    return as_json(_paused(await request.app[BRIDGE].pause(by=by, why=why, until=until)))


async def release(request: web.Request) -> web.Response:
    """``DELETE /api/v1/pause``."""
    await request.app[BRIDGE].resume(by=request[CALLER])
    return as_json(_paused(None))


def _paused(pause: Pause | None) -> dict[str, object]:
    if pause is None:
        return {"paused": False}
    return {"paused": True, "by": pause.by, "why": pause.why, "since": pause.since, "until": pause.until}
