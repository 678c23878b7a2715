"""HTTP: the webhook, the API, and what Prometheus and a load balancer ask. No rule of HemoStat's is decided here.

The status codes of the webhook are Alertmanager's retry contract: 202 only after the write, 503 when it could not be
written (the only answer besides a network error that is tried again), 4xx for what will never be acceptable. Never a
redirect: Alertmanager follows one with a GET and takes its 200 for a delivery.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from bridge import errors
from bridge.intake import read_webhook, redacted, subject_of, without_secrets
from bridge.judgement import NothingToReplay
from bridge.metrics import VERSION
from bridge.model.channel import Channel
from bridge.model.duration import parse_duration
from bridge.model.incident import Incident, IncidentQuery, Outcome, State, Target
from bridge.model.share import Share
from bridge.roles import BudgetState, Pause
from bridge.web import approvals, description, events, page
from bridge.web.answers import JSON, Refused, as_json, body_of, error_answer, named, texts_of
from bridge.web.interface import (
    ANYBODY,
    BRIDGE,
    CALLER,
    TOKEN,
    TOKENS,
    Access,
    Bridge,
    Readiness,
    Status,
    Token,
)

__all__ = [
    "ANYBODY",
    "Access",
    "Bridge",
    "Readiness",
    "Status",
    "Token",
    "application",
    "is_loopback",
    "operations",
]

log = logging.getLogger("hemostat.web")

WEBHOOK_PATHS = ("/api/v1/alerts", "/alerts", "/webhook", "/")
STORE_DEADLINE_SECONDS = 4.0
"""Alertmanager's twin sends the same again after 15 s; an answer must come well before that."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    bridge: Bridge, *, tokens: Callable[[], Sequence[Token]], max_body_bytes: int
) -> web.Application:
    """The interface as an aiohttp application. ``tokens`` is asked at each request, so that a reload counts."""
    app = operations(bridge, tokens=tokens, max_body_bytes=max_body_bytes)
    for path in WEBHOOK_PATHS:
        app.router.add_post(path, receive)
        if not path.endswith("/"):
            app.router.add_post(f"{path}/", receive)
    app.router.add_get("/", page.index)
    app.router.add_get("/ui/{name}", page.part)
    app.router.add_get("/api/v1/status", show_status)
    app.router.add_get("/api/v1/incidents", list_incidents)
    app.router.add_get("/api/v1/incidents/{id}", show_incident)
    app.router.add_get("/api/v1/incidents/{id}/replay", replay_incident)
    app.router.add_post("/api/v1/incidents/{id}/approve", approvals.approve)
    app.router.add_post("/api/v1/incidents/{id}/reject", approvals.reject)
    app.router.add_post(approvals.SLACK_PATH, approvals.slack)
    app.router.add_get("/api/v1/targets", list_targets)
    app.router.add_get("/api/v1/targets/{host}/{name}", show_target)
    app.router.add_post("/api/v1/targets/{host}/{name}/reset", reset_target)
    app.router.add_get("/api/v1/deliveries", list_deliveries)
    app.router.add_post("/api/v1/deliveries/{channel}/retry", retry_deliveries)
    app.router.add_get("/api/v1/pause", show_pause)
    app.router.add_put("/api/v1/pause", pause)
    app.router.add_delete("/api/v1/pause", resume)
    app.router.add_get("/api/v1/storm", show_storm)
    app.router.add_get("/api/v1/events", events.follow, allow_head=False)
    app.router.add_get("/api/openapi.json", description.show)
    app[events.LISTENERS], app[events.PAGES] = events.Listeners(), events.Pages()
    app.on_shutdown.append(events.end)
    return app


def operations(
    bridge: Bridge, *, tokens: Callable[[], Sequence[Token]], max_body_bytes: int
) -> web.Application:
    """What every process answers to whoever runs it, a worker that takes in nothing included."""
    app = web.Application(client_max_size=max_body_bytes, middlewares=[_answer_errors, _authorise])
    app[BRIDGE] = bridge
    app[TOKENS] = tokens
    app.router.add_get("/-/healthy", healthy)
    app.router.add_get("/-/ready", ready)
    app.router.add_post("/-/reload", reload)
    app.router.add_put("/-/reload", reload)
    app.router.add_get("/metrics", metrics)
    return app


# ---- the webhook -------------------------------------------------------------------------------------------------


async def receive(request: web.Request) -> web.Response:
    """``POST`` of a webhook: 202 once every alert of it is durable."""
    bridge = request.app[BRIDGE]
    if request.content_type != JSON:
        told = f"the content type must be {JSON}, not {request.content_type[:60]}"
        raise Refused(415, "unsupported_media_type", told)
    with bridge.metrics.stage_duration.labels("intake").time():
        webhook = read_webhook(await body_of(request))
        hosts = bridge.hosts()
        webhook = redacted(webhook, bridge.redactor)
        pairs = [(alert, subject_of(alert.labels, hosts=hosts)) for alert in webhook.alerts]
        try:
            async with asyncio.timeout(STORE_DEADLINE_SECONDS):
                accepted = await bridge.accept(pairs)
        except TimeoutError as error:
            raise errors.EdgeUnavailable("redis", f"no answer within {STORE_DEADLINE_SECONDS:g} s") from error
    for status, number in Counter(alert.status for alert in webhook.alerts).items():
        bridge.metrics.alerts_received.labels(status.value).inc(number)
    await bridge.heard(webhook)
    if webhook.truncated:
        log.warning("truncated_webhook", extra={"left_out": webhook.truncated, "advice": "raise max_alerts"})
    return as_json(accepted, status=202)


# ---- what happened -----------------------------------------------------------------------------------------------


async def list_incidents(request: web.Request) -> web.Response:
    """``GET /api/v1/incidents``."""
    query = request.query
    try:
        wanted = IncidentQuery(
            state=State(query["state"]) if "state" in query else None,
            outcome=Outcome(query["outcome"]) if "outcome" in query else None,
            target=query.get("target"),
            since=_since(query["since"]) if "since" in query else None,
            limit=_limit(query.get("limit", "50")),
            cursor=query.get("cursor"),
        )
        found, cursor = await request.app[BRIDGE].incidents(wanted)
    except ValueError as error:
        raise Refused(400, "bad_query", str(error)[:200]) from error
    return as_json({"incidents": [summary_of(incident) for incident in found], "cursor": cursor})


async def show_incident(request: web.Request) -> web.Response:
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


async def replay_incident(request: web.Request) -> web.Response:
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


async def list_targets(request: web.Request) -> web.Response:
    """``GET /api/v1/targets``."""
    return as_json({"targets": [_budget(state) for state in await request.app[BRIDGE].targets()]})


async def show_target(request: web.Request) -> web.Response:
    """``GET /api/v1/targets/{host}/{name}``."""
    state = await request.app[BRIDGE].target(_target(request))
    if state is None:
        raise Refused(404, "not_found", "no such container is known on this host")
    return as_json(_budget(state))


async def reset_target(request: web.Request) -> web.Response:
    """``POST /api/v1/targets/{host}/{name}/reset``."""
    await request.app[BRIDGE].reset(_target(request), by=request[CALLER])
    return web.Response(status=204)


def _budget(state: BudgetState) -> dict[str, object]:
    return {
        "host": state.target.host,
        "name": state.target.name,
        "may_repair": state.refusal is None,
        "refusal": state.refusal,
        "actions_last_hour": state.actions_last_hour,
        "last_action_at": state.last_action_at,
    }


async def list_deliveries(request: web.Request) -> web.Response:
    """``GET /api/v1/deliveries``: each sink's backlog, why it is held back, and what it did not take."""
    return as_json({"deliveries": await request.app[BRIDGE].deliveries()})


async def retry_deliveries(request: web.Request) -> web.Response:
    """``POST /api/v1/deliveries/{channel}/retry``: what was given up is due again, and the sink is tried at once."""
    name = request.match_info["channel"]
    known = name in set(Channel)
    count = await request.app[BRIDGE].retry_deliveries(Channel(name), by=request[CALLER]) if known else None
    if count is None:
        raise Refused(404, "not_found", "no such channel is configured")
    return as_json({"channel": name, "retried": count}, status=202)


# ---- the kill switch ---------------------------------------------------------------------------------------------


async def show_pause(request: web.Request) -> web.Response:
    """``GET /api/v1/pause``."""
    return as_json(_paused(await request.app[BRIDGE].paused()))


async def pause(request: web.Request) -> web.Response:
    """``PUT /api/v1/pause`` with ``{"why": text, "for": duration | "until": time, "by": text}``, all optional."""
    asked = await texts_of(request, "why", "for", "until", "by")
    if "for" in asked and "until" in asked:
        raise Refused(400, "bad_request", "give either for or until, not both")
    now = await request.app[BRIDGE].now()
    try:
        until = _since(asked["until"]) if "until" in asked else None
        if "for" in asked:
            until = now + timedelta(seconds=parse_duration(asked["for"]))
    except (ValueError, OverflowError) as error:
        raise Refused(400, "bad_request", str(error)[:200]) from error
    if until is not None and until <= now:
        raise Refused(400, "bad_request", "the end of the pause has passed already")
    by, why = named(request, asked), asked.get("why", "")[:500]
    return as_json(_paused(await request.app[BRIDGE].pause(by=by, why=why, until=until)))


async def resume(request: web.Request) -> web.Response:
    """``DELETE /api/v1/pause``."""
    await request.app[BRIDGE].resume(by=request[CALLER])
    return as_json(_paused(None))


def _paused(pause: Pause | None) -> dict[str, object]:
    if pause is None:
        return {"paused": False}
    return {"paused": True, "by": pause.by, "why": pause.why, "since": pause.since, "until": pause.until}


# ---- storms ------------------------------------------------------------------------------------------------------


async def show_storm(request: web.Request) -> web.Response:
    """``GET /api/v1/storm``."""
    storm, suspects = await request.app[BRIDGE].storm()
    shown = {} if storm is None else msgspec.to_builtins(storm)
    return as_json({"storm": storm is not None, **shown, "suspect": [_suspect(share) for share in suspects]})


def _suspect(share: Share) -> dict[str, object]:
    population = share.population
    named = {"scope": population.scope, "host": population.host, "name": population.name}
    return {**named, "since": share.suspect_since, "sick": share.sick, "known": share.known}


# ---- how it stands -----------------------------------------------------------------------------------------------


async def show_status(request: web.Request) -> web.Response:
    """``GET /api/v1/status``: what it may do, since when it runs, and how its neighbours are."""
    status = await request.app[BRIDGE].status()
    return as_json({**msgspec.to_builtins(status), "now": datetime.now(UTC), "version": VERSION})


# ---- what machines ask -------------------------------------------------------------------------------------------


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
    problems = await request.app[BRIDGE].reload()
    if problems:
        raise Refused(
            400, "bad_configuration", "the old configuration stays in force", [str(p) for p in problems]
        )
    return web.Response(text="")


async def metrics(request: web.Request) -> web.Response:
    """``GET /metrics``."""
    bridge = request.app[BRIDGE]
    await bridge.gauges()
    body = bridge.metrics.page()
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


# ---- who may, and what goes wrong --------------------------------------------------------------------------------

_OPEN = ("/-/healthy", "/-/ready", "/metrics")


def _needed(request: web.Request) -> Access:
    if request.path in _OPEN and request.method in ("GET", "HEAD"):
        return Access.OPEN
    if request.match_info.handler is receive:
        return Access.RECEIVER
    if request.match_info.handler is approvals.slack:
        return Access.OPEN  # Slack signs what it sends, and knows no token of ours
    if request.match_info.handler in (page.index, page.part):
        return Access.OPEN  # where somebody who has no token yet is asked for it
    return Access.VIEWER if request.method in ("GET", "HEAD") else Access.OPERATOR


def _same_site(origin: str, host: str, *, trusts_names: bool) -> bool:
    """Whether a browser's request comes from our own page: a web page somewhere must not operate a bridge on its reader's
    loopback, nor, where no token is asked for, by a name of its own that it lets point there (DNS rebinding).
    """
    try:
        site = urlsplit(origin)
        return site.netloc == host and (trusts_names or is_loopback(site.hostname or ""))
    except ValueError:  # no URL
        return False


@web.middleware
async def _authorise(request: web.Request, handler: Handler) -> web.StreamResponse:
    tokens = request.app[TOKENS]()
    needed = _needed(request)
    request[CALLER], request[TOKEN] = ANYBODY, None
    if request.method not in ("GET", "HEAD") and (origin := request.headers.get("Origin")):
        if not _same_site(origin, request.host, trusts_names=bool(tokens)):
            raise Refused(403, "cross_origin", "requests from other web sites are refused")
    if needed is Access.OPEN or not tokens:
        return await handler(request)
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    presented = given.strip().encode(errors="surrogateescape") if scheme.lower() == "bearer" else b""
    # Every token is compared in full, so that the time taken tells nothing.
    matching = [t for t in tokens if hmac.compare_digest(t.secret.reveal().encode(), presented)]
    if not matching:
        raise Refused(401, "unauthorized", "a valid bearer token is needed")
    token = matching[0]
    if token.access not in (needed, Access.OPERATOR):
        raise Refused(403, "forbidden", f"this needs the role {needed}, the token has {token.access}")
    request[CALLER], request[TOKEN] = token.name, token
    return await handler(request)


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        response = await handler(request)
    except Refused as refused:
        response = error_answer(refused.status, refused.code, refused.message, refused.details)
    except errors.PayloadError as error:
        response = error_answer(400, "bad_payload", str(error))
    except errors.EdgeError as error:
        log.warning("unavailable", extra={"path": request.path, "error": str(error)})
        response = error_answer(503, "unavailable", request.app[BRIDGE].redactor.text(str(error)).text)
    except web.RequestPayloadError:
        told = "the body is not what its headers say: cut off, or not decodable"
        response = error_answer(400, "bad_payload", told)
        response.force_close()  # nobody can say where the next request would begin
    except web.HTTPRequestEntityTooLarge:
        response = error_answer(413, "too_large", "the body is larger than web.max_body_bytes allows")
    except web.HTTPException as error:
        response = error_answer(error.status, error.reason.lower().replace(" ", "_"), error.reason)
        if "Allow" in error.headers:
            response.headers["Allow"] = error.headers["Allow"]
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:  # nothing of it may reach the caller; 503 keeps the alert with Alertmanager
        log.exception("request_crashed", extra={"path": request.path})
        response = error_answer(503, "internal", "an internal error; see the log of HemoStat")
    if request.method == "POST" and request.match_info.handler is receive:
        request.app[BRIDGE].metrics.webhook_requests.labels(str(response.status)).inc()
        if response.status >= 400:
            log.warning("webhook_refused", extra={"code": response.status, "remote": request.remote})
    return response


def _target(request: web.Request) -> Target:
    return Target(host=request.match_info["host"], name=request.match_info["name"])


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 1000:
        raise ValueError("limit must be a number from 1 to 1000")
    return int(text)


def _since(text: str) -> datetime:
    """An RFC 3339 time or Unix seconds, as Prometheus takes both."""
    try:
        at = datetime.fromtimestamp(float(text), UTC) if text.replace(".", "", 1).isdigit() else None
        at = at or datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"not a time: {text[:40]!r}; RFC 3339 or Unix seconds are") from error
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name other than localhost counts as not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
