"""The sink that posts alerts of our own to Alertmanager, so that existing routing calls the right people.

An alert is kept firing while one of the alerts behind it does, by being posted again before its end; then it is ended.
Posting is idempotent: Alertmanager knows an alert by its labels.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Verified with 0.25 to 0.33.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from bridge import escalation
from bridge.edges.http_neighbour import HttpNeighbour, Reply, shown
from bridge.escalation import Escalation
from bridge.model.alert import Alert
from bridge.model.channel import Channel
from bridge.roles import Record
from bridge.sinks import Delivery, Notes, Pace

ALERTS = "/api/v2/alerts"

RENEW_SECONDS = 120.0
FIRES_SECONDS = 3 * RENEW_SECONDS
"""How long it fires without being posted again: two posts may fail."""

LEAST_SECONDS = 900.0
"""It fires at least so long after the incident closed: nobody is called by an alert that ends within its group_wait."""

LONGEST_SECONDS = 86_400.0
"""A day later it ends whatever the alerts behind it do: whoever was to be called has been."""

ENDED = "ended"
"""Note: the alert (its name) was ended, and needs no more."""


class _Listed(msgspec.Struct):
    fingerprint: str


class AlertmanagerAlerts:
    """Implements ``sinks.Sink``."""

    def __init__(self, neighbour: HttpNeighbour, *, external_url: str = "") -> None:
        self._neighbour = neighbour
        self._external_url = external_url

    @property
    def channel(self) -> Channel:
        """``alertmanager``."""
        return Channel.ALERTMANAGER

    @property
    def pace(self) -> Pace:
        """Four at once."""
        return Pace(at_once=4, gather_seconds=0.0)

    async def deliver(self, record: Record, notes: Notes, *, now: datetime) -> Delivery:
        """Post it, post it again while the alerts behind it fire, end it when they have ended."""
        posted = escalation.of(record.incident, record.episodes, external_url=self._external_url)
        if posted is None or notes.get(ENDED) == posted.labels["alertname"]:
            return Delivery(sent=False)
        since = (now - posted.starts_at).total_seconds()
        alerts = [episode.alert for episode in record.episodes]
        goes_on = since < LEAST_SECONDS or (since < LONGEST_SECONDS and await self._any_active(alerts))
        await self._post(posted, now + timedelta(seconds=FIRES_SECONDS) if goes_on else now)
        if goes_on:
            return Delivery(sent=True, again_seconds=RENEW_SECONDS)
        await notes.write({ENDED: posted.labels["alertname"]})
        return Delivery(sent=True)

    async def _post(self, posted: Escalation, ends_at: datetime) -> None:
        body = {
            "labels": posted.labels,
            "annotations": posted.annotations,
            "startsAt": min(posted.starts_at, ends_at),
            "endsAt": ends_at,
            "generatorURL": posted.link,
        }
        reply = await self._neighbour.send("POST", ALERTS, [body])
        if reply.status == http.client.BAD_REQUEST:
            raise reply.refusal(_said(reply), of_message=(http.client.BAD_REQUEST,))
        reply.checked()

    async def _any_active(self, alerts: Sequence[Alert]) -> bool:
        """Whether Alertmanager holds one of them active, silenced or inhibited or not."""
        for alert in alerts:
            query = [("filter", f"{label}={json.dumps(value)}") for label, value in alert.labels.items()]
            listed = (await self._neighbour.ask(ALERTS, query)).checked().decoded(list[_Listed])
            if any(one.fingerprint == alert.fingerprint for one in listed):
                return True
        return False


def _said(reply: Reply) -> str:
    """What Alertmanager says of a malformed alert is a JSON string; anything else is not repeated."""
    try:
        return f" {shown(msgspec.json.decode(reply.body, type=str), 160)!r}"
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""
