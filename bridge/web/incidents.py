"""What happened: the list of incidents, one of them whole, and what the rules of today would make of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

import msgspec
from aiohttp import web

from bridge.intake import without_secrets
from bridge.judgement import NothingToReplay
from bridge.model.duration import parse_duration
from bridge.model.incident import Incident, IncidentQuery, Outcome, State
from bridge.web.answers import Refused, as_json, time_of
from bridge.web.interface import BRIDGE

T = TypeVar("T", bound=StrEnum)


async def search(request: web.Request) -> web.Response:
    """``GET /api/v1/incidents``."""
    query = request.query
    try:
        wanted = IncidentQuery(
            state=_one_of(State, query, "state"),
            outcome=_one_of(Outcome, query, "outcome"),
            target=query.get("target"),
            since=await _opened_since(request) if "since" in query else None,
            limit=_limit(query.get("limit", "50")),
            cursor=query.get("cursor"),
        )
        bridge = request.app[BRIDGE]
        found, cursor = await bridge.incidents(wanted)
    except ValueError as error:
        raise Refused(400, "bad_query", str(error)[:200]) from error
    names = await bridge.alert_names([incident.id for incident in found if not incident.audit])
    rows = [summary_of(incident, names.get(incident.id, ())) for incident in found]
    return as_json({"incidents": rows, "cursor": cursor})


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


def summary_of(incident: Incident, alert_names: Sequence[str]) -> dict[str, object]:
    """One line of a list of incidents. ``alert_names``: of its alerts, where nobody has judged it by any."""
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
        "unreadable": incident.unreadable,
        "alert_names": incident.audit.alert_names if incident.audit else alert_names,
    }


def _one_of(kind: type[T], query: Mapping[str, str], name: str) -> T | None:
    """Raises: ValueError: it is none of the kind's."""
    known = {str(one): one for one in kind}
    if name in query and query[name] not in known:
        raise ValueError(f"{name} is not one of {', '.join(known)}")
    return known[query[name]] if name in query else None


async def _opened_since(request: web.Request) -> datetime:
    """A time, or a duration back from the store's now. Raises: ValueError."""
    text = request.query["since"]
    try:
        ago = timedelta(seconds=parse_duration(text))
    except ValueError:
        return time_of(text)
    try:
        return await request.app[BRIDGE].now() - ago
    except OverflowError as error:
        raise ValueError(f"nothing is that old: {text[:40]!r}") from error


def _limit(text: str) -> int:
    if len(text) > 6 or not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1000:
        raise ValueError("limit must be a number from 1 to 1000")
    return int(text)
