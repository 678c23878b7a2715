"""Grafana: each repair drawn as one region annotation, opened at the action and closed with its verified outcome.

Grafana has no idempotency: the same POST twice makes two annotations. So it is written down that one is about to be
posted, and whoever comes after a crash looks for it by its tag before posting again.

Source: Grafana's annotations API; measured with 7.5, read up to 13. Never more than four requests at once: beyond that
only the slowest answers get slower.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import logging
from collections.abc import Collection
from datetime import datetime

import msgspec

from bridge import annotation, errors
from bridge.annotation import Annotation
from bridge.edges.http_neighbour import HttpNeighbour, Reply, shown
from bridge.model.channel import Channel
from bridge.model.incident import Outcome
from bridge.roles import Record
from bridge.sinks import Delivery, Notes, Pace

log = logging.getLogger("hemostat.grafana")

EDGE = "grafana"
ANNOTATIONS = "/api/annotations"
AT_ONCE = 4
TIMEOUT_SECONDS = 10.0
DASHBOARD_SECONDS = 300.0
"""How long it is believed that a dashboard exists, or does not."""

MESSAGE_CHARACTERS = 160

ID, SHOWN, POSTING = "id", "shown", "posting"
"""Notes: the annotation's id, a digest of what it shows, that one is about to be posted."""

MAYBE_GONE = frozenset({http.client.FORBIDDEN, http.client.NOT_FOUND, http.client.INTERNAL_SERVER_ERROR})
"""How Grafanas of different ages answer a PATCH of an annotation that is not there."""

OF_MESSAGE = frozenset({http.client.BAD_REQUEST, http.client.REQUEST_ENTITY_TOO_LARGE})

ADVICE = {
    http.client.UNAUTHORIZED: "; correct grafana.token or grafana.basic_auth",
    http.client.FORBIDDEN: "; the service account may not: it needs the role Editor, or to create, write and read annotations",
    http.client.NOT_FOUND: "; is grafana.url right, with its path?",
}


class _Listed(msgspec.Struct):
    id: int


class _Health(msgspec.Struct):
    version: str = ""
    database: str = ""


class _Message(msgspec.Struct):
    message: str = ""


class GrafanaAnnotations:
    """Implements ``sinks.Sink``.

    ``url`` may end in a path prefix; ``authorization`` is the whole header. ``dashboard_uid``: drawn on this dashboard if it
    exists, else, as without it, for the whole organisation. ``points``: outcomes drawn although nothing was done.
    """

    def __init__(
        self,
        url: str,
        *,
        authorization: str = "",
        dashboard_uid: str = "",
        points: Collection[Outcome] = annotation.POINTS,
        external_url: str = "",
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._neighbour = HttpNeighbour(
            EDGE, url, authorization=authorization, timeout_seconds=timeout_seconds
        )
        self._dashboard_uid = dashboard_uid
        self._points = frozenset(points)
        self._external_url = external_url
        self._dashboard_exists = False
        self._dashboard_until = 0.0

    @property
    def channel(self) -> Channel:
        """``grafana``."""
        return Channel.GRAFANA

    @property
    def pace(self) -> Pace:
        """Four at once, as fast as they are answered."""
        return Pace(at_once=AT_ONCE)

    async def deliver(self, record: Record, notes: Notes, *, now: datetime) -> Delivery:
        """Draw it, or bring what is drawn up to date."""
        wanted = annotation.of(
            record.incident, record.timeline, points=self._points, external_url=self._external_url
        )
        if wanted is None:
            return Delivery(sent=False)
        shown = _digest(wanted)
        if notes.get(SHOWN) == shown:
            return Delivery(sent=False)
        known = notes.get(ID)
        if not known and notes.get(POSTING):
            known = await self._find(wanted)
        if known:
            known = await self._patch(known, wanted)
        if not known:
            await notes.write({POSTING: "1"})
            known = await self._post(wanted)
        await notes.write({ID: known, SHOWN: shown})
        return Delivery(sent=True)

    async def health(self) -> str:
        """Grafana's version. Raises EdgeUnavailable: it is not there, or its database is not."""
        reply = await self._neighbour.ask("/api/health")
        if reply.status == http.client.SERVICE_UNAVAILABLE:
            raise errors.EdgeUnavailable(EDGE, "its database is failing")
        return _checked(reply).decoded(_Health).version or "unknown"

    async def may_annotate(self) -> None:
        """Ask for one annotation. Raises EdgeRejected: the token is not valid, or may not even read."""
        _checked(await self._neighbour.ask(ANNOTATIONS, {"limit": "1", "tags": annotation.PRODUCT}))

    async def close(self) -> None:
        """End the connections."""
        await self._neighbour.close()

    async def _post(self, wanted: Annotation) -> str:
        body = _body(wanted)
        if self._dashboard_uid and await self._has_dashboard():
            body["dashboardUID"] = self._dashboard_uid
        reply = _checked(await self._neighbour.send("POST", ANNOTATIONS, body))
        return str(reply.decoded(_Listed).id)

    async def _patch(self, known: str, wanted: Annotation) -> str:
        """Gives the id under which it stands now; ``""`` if it is gone."""
        reply = await self._neighbour.send("PATCH", f"{ANNOTATIONS}/{known}", _body(wanted))
        if reply.status not in MAYBE_GONE:
            _checked(reply)
            return known
        found = await self._find(wanted)
        if found == known:
            _checked(reply)  # it is there, so the answer meant what it said
        return found

    async def _find(self, wanted: Annotation) -> str:
        """The id of this incident's annotation, the oldest if there are several; ``""`` if there is none."""
        query = [("tags", annotation.PRODUCT), ("tags", wanted.finding_tag), ("limit", "10")]
        listed = _checked(await self._neighbour.ask(ANNOTATIONS, query)).decoded(list[_Listed])
        return str(min(one.id for one in listed)) if listed else ""

    async def _has_dashboard(self) -> bool:
        loop = asyncio.get_running_loop()
        if loop.time() >= self._dashboard_until:
            reply = await self._neighbour.ask(f"/api/dashboards/uid/{self._dashboard_uid}")
            if reply.status not in {http.client.NOT_FOUND, http.client.FORBIDDEN}:
                _checked(reply)
            self._dashboard_exists = reply.status == http.client.OK
            self._dashboard_until = loop.time() + DASHBOARD_SECONDS
            if not self._dashboard_exists:
                log.warning(
                    "dashboard_unknown",
                    extra={"dashboard_uid": self._dashboard_uid, "instead": "an organisation annotation"},
                )
        return self._dashboard_exists


def _body(wanted: Annotation) -> dict[str, object]:
    body: dict[str, object] = {
        "time": _milliseconds(wanted.begins),
        "tags": list(wanted.tags),
        "text": wanted.text,
    }
    if wanted.ends is not None:
        body["timeEnd"] = _milliseconds(wanted.ends)
    return body


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _digest(wanted: Annotation) -> str:
    return hashlib.sha256(json.dumps(_body(wanted), sort_keys=True).encode()).hexdigest()[:16]


def _checked(reply: Reply) -> Reply:
    """Itself, if it is a success. Its body is never repeated but for the message that Grafana gives: an error page of
    a proxy has no business in our log."""
    status = reply.status
    if status == http.client.OK:
        return reply
    advice = (
        "; a redirect is not followed: correct grafana.url" if 300 <= status < 400 else ADVICE.get(status, "")
    )
    raise reply.refusal(_said(reply) + advice, of_message=OF_MESSAGE)


def _said(reply: Reply) -> str:
    try:
        message = msgspec.json.decode(reply.body, type=_Message).message
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
    return f" {shown(message, MESSAGE_CHARACTERS)!r}" if message else ""
