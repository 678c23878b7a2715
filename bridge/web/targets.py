"""The containers that were ever looked at: what stands against a repair, and forgetting it."""

from __future__ import annotations

from aiohttp import web

from bridge.model.incident import Target
from bridge.roles import BudgetState
from bridge.web.answers import Refused, as_json
from bridge.web.interface import BRIDGE, CALLER


async def show_all(request: web.Request) -> web.Response:
    """``GET /api/v1/targets``."""
    return as_json({"targets": [_budget(state) for state in await request.app[BRIDGE].targets()]})


async def show(request: web.Request) -> web.Response:
    """``GET /api/v1/targets/{host}/{name}``."""
    state = await request.app[BRIDGE].target(_target(request))
    if state is None:
        raise _unknown()
    return as_json(_budget(state))


async def reset(request: web.Request) -> web.Response:
    """``POST /api/v1/targets/{host}/{name}/reset``."""
    if not await request.app[BRIDGE].reset(_target(request), by=request[CALLER]):
        raise _unknown()
    return web.Response(status=204)


def _unknown() -> Refused:
    return Refused(404, "not_found", "no such container is known on this host")


def _budget(state: BudgetState) -> dict[str, object]:
    return {
        "host": state.target.host,
        "name": state.target.name,
        "may_repair": state.refusal is None,
        "refusal": state.refusal,
        "actions_last_hour": state.actions_last_hour,
        "last_action_at": state.last_action_at,
    }


def _target(request: web.Request) -> Target:
    return Target(host=request.match_info["host"], name=request.match_info["name"])
