"""The Alertmanager edge on the real thing, and on one that is away, slow, refuses or talks nonsense."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge import errors
from bridge.demo import parts
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.http_neighbour import HttpNeighbour
from bridge.roles import AlertView
from tests.waiting import until

StartAlertmanager = Callable[..., parts.Alertmanager]
At = Callable[..., AlertmanagerApi]
Serve = Callable[[Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[TestServer]]

NOWHERE = "http://127.0.0.1:9/"
NOW = "Fri, 20 Nov 2026 12:00:00 GMT"


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """A server of one's own that answers everything with one handler."""
    servers = []

    async def start(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> TestServer:
        app = web.Application()
        app.router.add_get("/{path:.*}", handler)
        servers.append(TestServer(app))
        await servers[-1].start_server()
        return servers[-1]

    yield start
    for server in servers:
        await server.close()


@pytest.fixture
async def at(alertmanager_at: Callable[..., HttpNeighbour]) -> AsyncIterator[At]:
    """The edge at a URL."""
    edges = []

    def make(url: object, **options: Any) -> AlertmanagerApi:
        edges.append(AlertmanagerApi(alertmanager_at(str(url), **options)))
        return edges[-1]

    yield make
    for edge in edges:
        await edge.close()


async def seen(edge: AlertmanagerApi, fingerprint: str, *, active: bool) -> AlertView:
    """The view, once it says so: new alerts and new lists take a moment."""
    return await until(lambda: edge.active(fingerprint), lambda view: view.active is active)


async def listed(alertmanager: parts.Alertmanager) -> list[dict[str, Any]]:
    _, body = await asyncio.to_thread(parts.http_request, "GET", f"{alertmanager.url}/api/v2/alerts")
    alerts: list[dict[str, Any]] = json.loads(body)
    return alerts


async def silence(alertmanager: parts.Alertmanager, labels: Mapping[str, str]) -> None:
    """Returns once Alertmanager itself says that the alert is suppressed."""
    matchers = [{"name": name, "value": value, "isRegex": False} for name, value in labels.items()]
    ends = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    body = {"matchers": matchers, "endsAt": ends, "createdBy": "test", "comment": "test"}
    body["startsAt"] = datetime.now(UTC).isoformat()
    await asyncio.to_thread(parts.http_request, "POST", f"{alertmanager.url}/api/v2/silences", body)

    def suppressed(alerts: list[dict[str, Any]]) -> bool:
        return [alert["status"]["state"] for alert in alerts] == ["suppressed"]

    await until(lambda: listed(alertmanager), suppressed)


async def test_follows_an_alert_through_its_life(start_alertmanager: StartAlertmanager, at: At) -> None:
    alertmanager = await asyncio.to_thread(start_alertmanager, webhook_url=NOWHERE)
    edge = at(f"{alertmanager.url}/")
    assert await edge.ready()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", await edge.version())
    unheard = await edge.active("0" * 16)
    assert (unheard.active, unheard.told_seconds_ago) == (False, None)
    assert unheard.up_since is not None
    assert timedelta() < datetime.now(UTC) - unheard.up_since < timedelta(seconds=60)

    labels = {"alertname": "ContainerDown", "name": "web"}
    begun = datetime.now(UTC)
    await asyncio.to_thread(alertmanager.fire, labels)
    fingerprint = (await listed(alertmanager))[0]["fingerprint"]
    firing = await seen(edge, fingerprint, active=True)
    assert firing.told_seconds_ago is not None
    assert 0 <= firing.told_seconds_ago < (datetime.now(UTC) - begun).total_seconds() + 2
    assert firing.up_since == unheard.up_since

    await silence(alertmanager, labels)
    later = at(alertmanager.url)
    assert (await later.active(fingerprint)).active
    [told] = await later.listed()
    assert (told.fingerprint, dict(told.labels)) == (fingerprint, labels)
    assert (told.silenced, told.suppressed) == (True, True)
    assert abs(told.since - begun) < timedelta(seconds=10)

    await asyncio.to_thread(alertmanager.resolve, labels)
    await seen(edge, fingerprint, active=False)


def alert(fingerprint: str, *, ends_at: str, state: str = "active") -> dict[str, Any]:
    return {
        "fingerprint": fingerprint,
        "endsAt": ends_at,
        "updatedAt": "2026-11-20T13:00:00.123456000+02:00",
        "startsAt": "2026-11-20T10:00:00Z",
        "status": {"state": state, "inhibitedBy": [], "silencedBy": []},
        "labels": {},
        "annotations": {},
        "receivers": [],
    }


async def test_firing_is_measured_by_alertmanagers_clock(serve: Serve, at: At) -> None:
    async def handler(request: web.Request) -> web.Response:
        alerts = [
            alert("a" * 16, ends_at="2026-11-20T12:05:00Z"),
            alert("b" * 16, ends_at="2026-11-20T11:59:00Z"),
            alert("c" * 16, ends_at="2026-11-20T12:05:00Z", state="unprocessed"),
        ]
        return web.json_response(alerts, headers={"Date": NOW})

    edge = at((await serve(handler)).make_url("/"))
    views = [await edge.active(one * 16) for one in "abc"]
    assert [view.active for view in views] == [True, False, True]
    for view in views:  # an hour ago; its clock tells whole seconds, and the list ages until it is read
        assert view.told_seconds_ago is not None
        assert 3600 <= view.told_seconds_ago < 3600 + 10


async def test_the_list_tells_a_person_s_silence_from_ours_and_an_inhibition_and_leaves_out_what_ended(
    serve: Serve, at: At
) -> None:
    def with_status(fingerprint: str, **status: Any) -> dict[str, Any]:
        return {**alert(fingerprint, ends_at="2026-11-20T12:05:00Z"), "status": status}

    async def handler(request: web.Request) -> web.Response:
        alerts = [
            with_status("a" * 16, state="active", silencedBy=[], inhibitedBy=[]),
            with_status("b" * 16, state="suppressed", silencedBy=["s1"], inhibitedBy=[]),
            with_status("c" * 16, state="suppressed", silencedBy=[], inhibitedBy=["d" * 16]),
            with_status("f" * 16, state="suppressed", silencedBy=["s2"], inhibitedBy=[]),
            with_status("9" * 16, state="suppressed", silencedBy=["s2", "s1"], inhibitedBy=[]),
            alert("e" * 16, ends_at="2026-11-20T11:59:00Z"),
        ]
        silences = [{"id": "s1", "createdBy": "ann"}, {"id": "s2", "createdBy": "hemostat"}]
        body = silences if request.path.endswith("silences") else alerts
        return web.json_response(body, headers={"Date": NOW})

    edge = at((await serve(handler)).make_url("/"))
    told = {each.fingerprint[0]: (each.silenced, each.suppressed) for each in await edge.listed()}
    assert told == {
        "a": (False, False),
        "b": (True, True),
        "c": (False, True),
        "f": (False, True),
        "9": (True, True),
    }


async def test_one_request_serves_all_who_ask_and_one_who_gives_up_ends_it_for_nobody(
    serve: Serve, at: At
) -> None:
    asked: list[str] = []
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path_qs)
        arrived.set()
        await go_on.wait()
        return web.json_response([alert("a" * 16, ends_at="2999-01-01T00:00:00Z")])

    edge = at((await serve(handler)).make_url("/am/"))
    waiting = [asyncio.create_task(edge.active("a" * 16)) for _ in range(50)]
    await arrived.wait()
    waiting[0].cancel()
    go_on.set()
    answers = await asyncio.gather(*waiting[1:])
    assert all(view.active for view in answers)
    assert (await edge.active("a" * 16)).active
    # The list, and before and after it whose list it is.
    alerts, status = "alerts?active=true&silenced=true&inhibited=true&unprocessed=true", "status"
    assert asked == [f"/am/api/v2/{what}" for what in (status, alerts, status)]


async def test_lists_everything_with_its_receivers_and_what_silences_it(
    start_alertmanager: StartAlertmanager, at: At
) -> None:
    alertmanager = await asyncio.to_thread(start_alertmanager, webhook_url=NOWHERE)
    edge = at(alertmanager.url)
    began = datetime.now(UTC) - timedelta(minutes=10)
    for name in ("quiet", "web"):
        labels = {"alertname": "ContainerDown", "name": name}
        told = {"labels": labels, "annotations": {"a": "b"}, "startsAt": began.isoformat()}
        await asyncio.to_thread(alertmanager.post_alerts, told)
        if name == "quiet":
            await silence(alertmanager, {"name": "quiet"})
    deadline = time.monotonic() + 10
    while len((listing := await edge.listing()).alerts) < 2:
        assert time.monotonic() < deadline
    assert timedelta(0) <= listing.at - listing.up_since + timedelta(seconds=1) < timedelta(minutes=1)
    quiet, web = sorted(listing.alerts, key=lambda one: one.alert.labels["name"])
    assert (quiet.active, web.active, web.receivers) == (False, True, ("hemostat",))
    assert abs(web.alert.starts_at - began) < timedelta(milliseconds=1)
    assert (web.alert.annotations, web.alert.ends_at) == ({"a": "b"}, None)
    assert began < web.updated_at < web.ends_at


def status(uptime: str) -> dict[str, Any]:
    return {"uptime": uptime, "versionInfo": {"version": "0.25.0"}}


@pytest.mark.parametrize(
    ("restarts", "headers", "why"),
    [(True, {"Date": NOW}, "was restarted meanwhile"), (False, {"Date": "?"}, "does not tell its time")],
    ids=["restarted", "without a time"],
)
async def test_a_list_that_cannot_be_placed_in_time_is_none(
    serve: Serve, restarts: bool, headers: dict[str, str], why: str, at: At
) -> None:
    ups = iter(["2026-11-20T10:00:00Z", "2026-11-20T11:59:59Z" if restarts else "2026-11-20T10:00:00Z"])

    async def handler(request: web.Request) -> web.Response:
        body: object = status(next(ups)) if request.path.endswith("status") else []
        return web.json_response(body, headers=headers)

    edge = at((await serve(handler)).make_url("/"))
    with pytest.raises(errors.EdgeUnavailable, match=why):
        await edge.listing()


async def test_an_alert_that_no_webhook_could_bring_is_left_out_of_the_list(serve: Serve, at: At) -> None:
    async def handler(request: web.Request) -> web.Response:
        if request.path.endswith("status"):
            return web.json_response(status("2026-11-20T10:00:00Z"), headers={"Date": NOW})
        odd = {**alert("b" * 16, ends_at="2026-11-20T12:05:00Z"), "startsAt": "0001-01-01T00:00:00Z"}
        alerts = [
            alert("a" * 16, ends_at="2026-11-20T12:05:00Z"),
            odd,
            alert("?" * 16, ends_at="2026-11-20T12:05:00Z"),
        ]
        return web.json_response(alerts, headers={"Date": NOW})

    edge = at((await serve(handler)).make_url("/"))
    assert [one.alert.fingerprint for one in (await edge.listing()).alerts] == ["a" * 16]


async def test_a_failure_is_not_remembered(serve: Serve, at: At) -> None:
    statuses = iter([500, 200])

    async def handler(request: web.Request) -> web.Response:
        if request.path.endswith("status"):
            return web.json_response(status("2026-11-20T11:00:00Z"), headers={"Date": NOW})
        return web.json_response([], status=next(statuses))

    edge = at((await serve(handler)).make_url("/"))
    with pytest.raises(errors.EdgeUnavailable):
        await edge.active("a" * 16)
    up = datetime(2026, 11, 20, 11, tzinfo=UTC)
    assert await edge.active("a" * 16) == AlertView(active=False, up_since=up)


async def test_of_one_that_was_restarted_while_it_was_asked_nobody_knows_whose_list_it_is(
    serve: Serve, at: At
) -> None:
    """The list may be the one of before, which had the alert, or the one of after, which never did."""
    starts = iter(["2026-11-20T11:00:00Z", "2026-11-20T11:30:00Z"])

    async def handler(request: web.Request) -> web.Response:
        told = status(next(starts)) if request.path.endswith("status") else []
        return web.json_response(told, headers={"Date": NOW})

    edge = at((await serve(handler)).make_url("/"))
    assert await edge.active("a" * 16) == AlertView(active=False)


async def test_one_that_does_not_say_since_when_it_is_up_is_asked_all_the_same(serve: Serve, at: At) -> None:
    """As behind a proxy that lets nothing through but the alerts."""

    async def handler(request: web.Request) -> web.Response:
        if request.path.endswith("status"):
            return web.Response(status=403)
        return web.json_response([alert("a" * 16, ends_at="2026-11-20T12:05:00Z")], headers={"Date": NOW})

    edge = at((await serve(handler)).make_url("/"))
    assert ((await edge.active("a" * 16)).active, await edge.active("b" * 16)) == (
        True,
        AlertView(active=False),
    )


async def test_sends_the_authorization_and_never_tells_it(serve: Serve, at: At) -> None:
    sent = []

    async def handler(request: web.Request) -> web.Response:
        sent.append(request.headers.get("Authorization"))
        return web.Response(status=401, text="who are you?")

    edge = at((await serve(handler)).make_url("/"), authorization="Bearer s3cret")
    with pytest.raises(errors.EdgeRejected) as refused:
        await edge.active("a" * 16)
    assert set(sent) == {"Bearer s3cret"}
    assert refused.value.status == 401
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, errors.EdgeUnavailable),
        (503, errors.EdgeUnavailable),
        (429, errors.RateLimited),
        (404, errors.EdgeRejected),
        (302, errors.EdgeRejected),
        (204, errors.EdgeRejected),
    ],
)
async def test_refusals_are_told_apart(
    serve: Serve, status: int, kind: type[errors.EdgeError], at: At
) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(
            status=status, body=b"x" * 5000, headers={"Location": "/elsewhere", "Retry-After": "7"}
        )

    edge = at((await serve(handler)).make_url("/"))
    with pytest.raises(kind) as refused:
        await edge.active("a" * 16)
    assert type(refused.value) is kind
    assert len(str(refused.value)) < 350
    if isinstance(refused.value, errors.RateLimited):
        assert refused.value.retry_after_seconds == 7


async def test_not_ready_is_no_error(serve: Serve, at: At) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=503)

    edge = at((await serve(handler)).make_url("/"))
    assert await edge.ready() is False


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", b"null", b"[1]", b'[{"fingerprint": "a"}]', b"\xff", b'[{"fingerprint": 1}]'],
)
async def test_nonsense_is_unavailable(serve: Serve, body: bytes, at: At) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body)

    edge = at((await serve(handler)).make_url("/"))
    with pytest.raises(errors.EdgeUnavailable, match="cannot be understood"):
        await edge.active("a" * 16)
    with pytest.raises(errors.EdgeUnavailable, match="cannot be understood"):
        await edge.version()


async def test_away(at: At) -> None:
    edge = at(NOWHERE)
    with pytest.raises(errors.EdgeUnavailable, match="GET /api/v2/alerts"):
        await edge.active("a" * 16)
    with pytest.raises(errors.EdgeUnavailable):
        await edge.ready()


async def test_slow_is_unavailable_at_the_deadline(serve: Serve, at: At) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.05)
        return response

    url = (await serve(handler)).make_url("/")
    edge, patient = at(url, timeout_seconds=0.3), at(url, timeout_seconds=60)
    waiting = asyncio.create_task(patient.active("a" * 16))
    with pytest.raises(errors.EdgeUnavailable, match="Timeout"):
        await edge.active("a" * 16)
    assert not waiting.done()
    waiting.cancel()


async def test_closing_ends_what_is_under_way(serve: Serve, at: At) -> None:
    async def handler(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    edge = at((await serve(handler)).make_url("/"))
    waiting = asyncio.create_task(edge.active("a" * 16))
    await asyncio.sleep(0)
    await edge.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
