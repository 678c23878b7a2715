"""What happened: the list of incidents, one of them whole, and what the rules of today would make of it."""

from __future__ import annotations

import msgspec
from aiohttp import web

from bridge.intake import without_secrets
from bridge.judgement import NothingToReplay
from bridge.model.incident import Incident, IncidentQuery, Outcome, State
from bridge.web.answers import Refused, as_json, time_of
from bridge.web.interface import BRIDGE


async def search(request: web.Request) -> web.Response:
    """``GET /api/v1/incidents``."""
    query = request.query
    try:
        wanted = IncidentQuery(
            state=State(query["state"]) if "state" in query else None,
            outcome=Outcome(query["outcome"]) if "outcome" in query else None,
            target=query.get("target"),
            since=time_of(query["since"]) if "since" in query else None,
            limit=_limit(query.get("limit", "50")),
            cursor=query.get("cursor"),
        )
        found, cursor = await request.app[BRIDGE].incidents(wanted)
    except ValueError as error:
        raise Refused(400, "bad_query", str(error)[:200]) from error
    return as_json({"incidents": [summary_of(incident) for incident in found], "cursor": cursor})


async def show(request: web.Request) -> web.Response:
    """``GET /api/v1/incidents/{id}``."""
    bridge = request.app[BRIDGE]
    record = await bridge.incident(request.match_info["id"])
    if record is None:
        raise Refused(404, "not_found", "no incident has this id")
    whole = msgspec.to_builtins(record.incident)
    alerts = [
        {**msgspec.to_builtins(without_secrets(e.alert, bridge.redactor)), "firing": e.firing}
        for e in record.episodes
    ]
    return as_json({**whole, "alerts": alerts, "timeline": record.timeline})


async def replay(request: web.Request) -> web.Response:
    """``GET /api/v1/incidents/{id}/replay``: judged again, from what was known then; nothing is asked or done."""
    try:
        replayed = await request.app[BRIDGE].replay(request.match_info["id"])
    except NothingToReplay as error:
        raise Refused(409, "nothing_to_replay", str(error)) from error
    if replayed is None:
        raise Refused(404, "not_found", "no incident has this id")
    return as_json({**msgspec.to_builtins(replayed), "differs": replayed.differs})


def summary_of(incident: Incident) -> dict[str, object]:
    """One line of a list of incidents."""
    decision = incident.decision
    return {
        "id": incident.id,
        "state": incident.state,
        "outcome": incident.outcome,
        "reason": incident.reason,
        "target": incident.target,
        "subject": incident.subject,
        "opened_at": incident.opened_at,
        "updated_at": incident.updated_at,
        "closed_at": incident.closed_at,
        "verdict": decision.verdict.kind if decision else None,
        "action": decision.verdict.action if decision else None,
        "rule": decision.verdict.rule if decision else None,
        "refusals": decision.refusals if decision else (),
        "alert_names": incident.audit.alert_names if incident.audit else (),
    }


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 1000:
        raise ValueError("limit must be a number from 1 to 1000")
    return int(text)
