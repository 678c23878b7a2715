"""Alerts of our own in a real Alertmanager: firing while there is reason, ended by us, or by itself if we die."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges import alertmanager_alerts as edge
from bridge.edges.alertmanager_alerts import AlertmanagerAlerts
from bridge.edges.http_neighbour import HttpNeighbour
from bridge.escalation import Escalation
from bridge.model.alert import Alert
from bridge.model.incident import Incident, Outcome
from bridge.roles import EpisodeView, Record
from bridge.sinks import Delivery
from tests.integration.desk import alert
from tests.kept_notes import KeptNotes
from tests.unit.test_annotation import acting, closed
from tests.waiting import until

NOWHERE = "http://127.0.0.1:9/"
Connect = Callable[..., HttpNeighbour]


@pytest.fixture
def alertmanager(start_alertmanager: Callable[..., parts.Alertmanager]) -> parts.Alertmanager:
    return start_alertmanager(webhook_url=NOWHERE)


@pytest.fixture
async def sink(alertmanager: parts.Alertmanager, alertmanager_at: Connect) -> AlertmanagerAlerts:
    return AlertmanagerAlerts(alertmanager_at(alertmanager.url), external_url="https://hemostat.example")


def failed(*, ago: float) -> Incident:
    """Closed so many seconds ago: Alertmanager lives by the real time."""
    at = datetime.now(UTC) - timedelta(seconds=ago)
    return replace(closed(acting(), Outcome.NOT_HEALED, reason="it stays unhealthy"), closed_at=at)


async def deliver(
    sink: AlertmanagerAlerts, incident: Incident, notes: KeptNotes, about: Alert | None = None
) -> Delivery:
    record = Record(incident=incident, episodes=(EpisodeView(alert=about or alert(), firing=True),))
    return await sink.deliver(record, notes, now=datetime.now(UTC))


async def listed(
    alertmanager: parts.Alertmanager, name: str = "HemoStatRepairFailed"
) -> list[dict[str, Any]]:
    url = f"{alertmanager.url}/api/v2/alerts?filter=alertname%3D%22{name}%22"
    _, body = await asyncio.to_thread(parts.http_request, "GET", url)
    found: list[dict[str, Any]] = json.loads(body)
    return found


async def fires(alertmanager: parts.Alertmanager, *, firing: bool) -> dict[str, Any]:
    """Our alert, once it fires, or once it is gone."""
    found = await until(lambda: listed(alertmanager), lambda alerts: bool(alerts) is firing)
    return found[0] if found else {}


async def test_a_failed_repair_fires_with_its_story(
    alertmanager: parts.Alertmanager, sink: AlertmanagerAlerts
) -> None:
    delivery = await deliver(sink, failed(ago=1), KeptNotes())
    assert delivery == Delivery(sent=True, again_seconds=edge.RENEW_SECONDS)
    posted = await fires(alertmanager, firing=True)
    assert posted["labels"]["hemostat_target"] == "web"
    assert posted["annotations"]["description"].startswith("After a restart: it stays unhealthy")
    assert posted["generatorURL"] == "https://hemostat.example/#/incident/a1b2c3"


async def test_posted_again_it_is_one_alert_and_ends_later(
    alertmanager: parts.Alertmanager, sink: AlertmanagerAlerts
) -> None:
    incident, notes = failed(ago=1), KeptNotes()
    await deliver(sink, incident, notes)
    first = await fires(alertmanager, firing=True)
    await deliver(sink, incident, notes)
    await until(lambda: listed(alertmanager), lambda alerts: bool(alerts[0]["endsAt"] > first["endsAt"]))
    assert len(await listed(alertmanager)) == 1


async def test_it_fires_on_while_an_alert_behind_it_does_then_is_ended(
    alertmanager: parts.Alertmanager, sink: AlertmanagerAlerts
) -> None:
    await asyncio.to_thread(alertmanager.fire, {"alertname": "ContainerUnhealthy", "name": 'we"b\\'})
    behind = await until(lambda: listed(alertmanager, "ContainerUnhealthy"))
    cause = replace(alert(), labels=behind[0]["labels"], fingerprint=behind[0]["fingerprint"])
    old, notes = failed(ago=edge.LEAST_SECONDS + 1), KeptNotes()
    assert (await deliver(sink, old, notes, cause)).again_seconds is not None
    await fires(alertmanager, firing=True)

    gone = replace(cause, labels={**cause.labels, "name": "other"}, fingerprint="0" * 16)
    assert await deliver(sink, old, notes, gone) == Delivery(sent=True)
    await fires(alertmanager, firing=False)
    assert await deliver(sink, old, notes, gone) == Delivery(sent=False)


async def test_after_a_day_it_ends_whatever_the_alerts_do(
    alertmanager: parts.Alertmanager, sink: AlertmanagerAlerts
) -> None:
    assert (await deliver(sink, failed(ago=edge.LONGEST_SECONDS + 1), KeptNotes())).again_seconds is None


async def test_an_incident_that_needs_nobody_costs_no_request(alertmanager_at: Connect) -> None:
    nowhere = AlertmanagerAlerts(alertmanager_at(NOWHERE))
    assert not (await deliver(nowhere, closed(acting(), Outcome.HEALED), KeptNotes())).sent


async def test_an_alertmanager_that_is_away_is_tried_again_by_the_backlog(alertmanager_at: Connect) -> None:
    nowhere = AlertmanagerAlerts(alertmanager_at(f"http://127.0.0.1:{parts.free_port()}"))
    with pytest.raises(errors.EdgeUnavailable):
        await deliver(nowhere, failed(ago=1), KeptNotes())


async def test_an_alert_it_finds_malformed_is_that_alert_s_fault(sink: AlertmanagerAlerts) -> None:
    """None that we make is. A label without a name is refused by every version; odd names by those before 0.27 only."""
    now = datetime.now(UTC)
    odd = Escalation(labels={"alertname": "X", "": "v"}, annotations={}, starts_at=now, link="")
    with pytest.raises(errors.MessageRefused):
        await sink._post(odd, now)
