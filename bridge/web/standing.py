"""How it stands, for a person: itself and its neighbours, and whether far too much goes wrong at once."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from aiohttp import web

from bridge.metrics import VERSION
from bridge.model.share import Share
from bridge.web.answers import as_json
from bridge.web.interface import BRIDGE


async def show_storm(request: web.Request) -> web.Response:
    """``GET /api/v1/storm``."""
    storm, suspects = await request.app[BRIDGE].storm()
    shown = {} if storm is None else msgspec.to_builtins(storm)
    return as_json({"storm": storm is not None, **shown, "suspect": [_suspect(share) for share in suspects]})


def _suspect(share: Share) -> dict[str, object]:
    population = share.population
    named = {"scope": population.scope, "host": population.host, "name": population.name}
    return {**named, "since": share.suspect_since, "sick": share.sick, "known": share.known}


async def show(request: web.Request) -> web.Response:
    """``GET /api/v1/status``: what it may do, since when it runs, and how its neighbours are."""
    status = await request.app[BRIDGE].status()
    return as_json({**msgspec.to_builtins(status), "now": datetime.now(UTC), "version": VERSION})
