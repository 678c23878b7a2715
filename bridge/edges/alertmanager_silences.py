"""The sink that silences an incident's alerts while it is being repaired, by silences that die by themselves.

A silence matches all labels of one alert, its name among them: only an alert of that name that has all of these labels
and more would be silenced beside it. Its end is near and is moved on while
the repair and its verification last; on the outcome it is expired. If we die, it ends with its lease.

Source: https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml. Verified with 0.25 to 0.33.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from bridge.edges.http_neighbour import HttpNeighbour
from bridge.model.alert import SILENCER, Alert
from bridge.model.channel import Channel
from bridge.model.incident import Incident, State
from bridge.roles import Record
from bridge.sinks import Delivery, Notes, Pace

SILENCES = "/api/v2/silences"

RENEW_SECONDS = 30.0
LEASE_SECONDS = 3 * RENEW_SECONDS
"""How long it silences without being renewed: two renewals may fail."""

UNDER_REPAIR = frozenset({State.ACTING, State.VERIFYING})

SILENCED = "silenced"
"""Note: silences may exist, so that they must be looked for at the end."""


class _Status(msgspec.Struct):
    state: str


class _Silence(msgspec.Struct, rename="camel"):
    id: str
    created_by: str
    comment: str
    starts_at: datetime
    status: _Status


class _Made(msgspec.Struct):
    silence_id: str = msgspec.field(name="silenceID")


class AlertmanagerSilences:
    """Implements ``sinks.Sink``."""

    def __init__(self, neighbour: HttpNeighbour) -> None:
        self._neighbour = neighbour

    @property
    def channel(self) -> Channel:
        """``silences``."""
        return Channel.SILENCES

    @property
    def pace(self) -> Pace:
        """Four at once, without gathering: a silence that comes after the notification is none."""
        return Pace(at_once=4, gather_seconds=0.0)

    async def deliver(self, record: Record, notes: Notes, *, now: datetime) -> Delivery:
        """Silence, keep silenced, or end the silence, as the incident stands."""
        incident = record.incident
        if incident.state in UNDER_REPAIR:
            await notes.write({SILENCED: "1"})
            standing = await self._standing(incident)
            for alert in (episode.alert for episode in record.episodes if episode.firing):
                if not alert.name:  # what is left of its labels may be those of every alert about the target
                    continue
                mark = _comment(incident, alert)
                await self._silence(alert, mark, standing.get(mark), now)
            return Delivery(sent=True, again_seconds=RENEW_SECONDS)
        if not notes.get(SILENCED):
            return Delivery(sent=False)
        for silence in (await self._standing(incident)).values():
            await self._expire(silence.id)
        await notes.write({SILENCED: ""})
        return Delivery(sent=True)

    async def _standing(self, incident: Incident) -> dict[str, _Silence]:
        """Our silences for this incident that are not over, by comment: asked each time, so that one whose
        answer was lost is found, and one that somebody has ended is not renewed."""
        listed = (await self._neighbour.ask(SILENCES)).checked().decoded(list[_Silence])
        about = _about(incident)
        return {
            one.comment: one
            for one in listed
            if one.created_by == SILENCER and about in one.comment and one.status.state != "expired"
        }

    async def _silence(self, alert: Alert, comment: str, standing: _Silence | None, now: datetime) -> None:
        body: dict[str, object] = {
            "matchers": _matchers(alert),
            "startsAt": standing.starts_at if standing else now,
            "endsAt": now + timedelta(seconds=LEASE_SECONDS),
            "createdBy": SILENCER,
            "comment": comment,
        }
        if standing:
            # With the same matchers and the same start its end is moved; else Alertmanager would make another one.
            body["id"] = standing.id
        (await self._neighbour.send("POST", SILENCES, body)).checked().decoded(_Made)

    async def _expire(self, silence_id: str) -> None:
        reply = await self._neighbour.send("DELETE", f"/api/v2/silence/{silence_id}")
        # 0.25 answers 500 for one that has expired by itself meanwhile.
        if reply.status not in {404, 500} or await self._is_active(silence_id):
            reply.checked()

    async def _is_active(self, silence_id: str) -> bool:
        reply = await self._neighbour.ask(f"/api/v2/silence/{silence_id}")
        return reply.status == 200 and reply.decoded(_Silence).status.state != "expired"


def _matchers(alert: Alert) -> Sequence[dict[str, object]]:
    return [
        {"name": label, "value": value, "isRegex": False, "isEqual": True}
        for label, value in alert.labels.items()
    ]


def _about(incident: Incident) -> str:
    return f"incident {incident.id}"


def _comment(incident: Incident, alert: Alert) -> str:
    return f"under repair by HemoStat: {_about(incident)}, alert {json.dumps(alert.fingerprint)}"
