"""Leased silences in a real Alertmanager: the exact alert, for as long as the repair, and no longer than our lease."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.demo import parts
from bridge.edges import alertmanager_silences as edge
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.alertmanager_silences import AlertmanagerSilences
from bridge.edges.http_neighbour import HttpNeighbour
from bridge.model.incident import Incident, Outcome
from bridge.roles import EpisodeView, Record
from bridge.sinks import Delivery
from tests.integration.desk import alert
from tests.kept_notes import KeptNotes
from tests.unit.test_annotation import acting, closed, judged
from tests.waiting import until

LABELS = {"alertname": "ContainerUnhealthy", "name": "web"}
Connect = Callable[..., HttpNeighbour]


@pytest.fixture
def alertmanager(start_alertmanager: Callable[..., parts.Alertmanager]) -> parts.Alertmanager:
    return start_alertmanager(webhook_url="http://127.0.0.1:9/")


@pytest.fixture
async def sink(alertmanager: parts.Alertmanager, alertmanager_at: Connect) -> AlertmanagerSilences:
    return AlertmanagerSilences(alertmanager_at(alertmanager.url))


async def deliver(
    sink: AlertmanagerSilences,
    incident: Incident,
    notes: KeptNotes,
    *,
    later: float = 0,
    labels: dict[str, str] = LABELS,
) -> Delivery:
    episode = EpisodeView(alert=replace(alert(), labels=labels), firing=True)
    now = datetime.now(UTC) + timedelta(seconds=later)
    return await sink.deliver(Record(incident=incident, episodes=(episode,)), notes, now=now)


async def silences(alertmanager: parts.Alertmanager) -> list[dict[str, Any]]:
    """Those that are not over."""
    _, body = await asyncio.to_thread(parts.http_request, "GET", f"{alertmanager.url}/api/v2/silences")
    return [one for one in json.loads(body) if one["status"]["state"] != "expired"]


async def suppressed(alertmanager: parts.Alertmanager) -> dict[str, bool]:
    _, body = await asyncio.to_thread(parts.http_request, "GET", f"{alertmanager.url}/api/v2/alerts")
    return {one["labels"]["name"]: one["status"]["state"] == "suppressed" for one in json.loads(body)}


async def test_the_exact_alert_and_no_other_is_silenced_for_the_length_of_a_lease(
    alertmanager: parts.Alertmanager, sink: AlertmanagerSilences
) -> None:
    for name in ("web", "other"):
        await asyncio.to_thread(alertmanager.fire, {**LABELS, "name": name})
    before = datetime.now(UTC)
    assert await deliver(sink, acting(), KeptNotes()) == Delivery(sent=True, again_seconds=edge.RENEW_SECONDS)
    await until(lambda: suppressed(alertmanager), lambda found: found == {"web": True, "other": False})
    [silence] = await silences(alertmanager)
    assert (silence["createdBy"], "incident a1b2c3" in silence["comment"]) == ("hemostat", True)
    ends = datetime.fromisoformat(silence["endsAt"])
    assert timedelta(0) < ends - before < timedelta(seconds=edge.LEASE_SECONDS + 10)


async def test_an_alert_without_a_name_is_not_silenced_for_it_would_silence_all_about_its_target(
    alertmanager: parts.Alertmanager, sink: AlertmanagerSilences
) -> None:
    """``name="web"`` alone is what a full disk of web's has among its labels, too."""
    await deliver(sink, acting(), KeptNotes(), labels={"name": "web"})
    assert await silences(alertmanager) == []


async def test_it_is_renewed_in_place_while_the_repair_lasts(
    alertmanager: parts.Alertmanager, sink: AlertmanagerSilences
) -> None:
    notes = KeptNotes()
    await deliver(sink, acting(), notes)
    [first] = await silences(alertmanager)
    await deliver(sink, acting(), notes, later=edge.RENEW_SECONDS)
    [renewed] = await silences(alertmanager)
    assert renewed["id"] == first["id"]
    assert renewed["endsAt"] > first["endsAt"]


async def test_our_own_silence_is_no_person_s(
    alertmanager: parts.Alertmanager, sink: AlertmanagerSilences, alertmanager_at: Connect
) -> None:
    """A repair that is silenced must not look, to the next one, as if somebody were at it."""
    await asyncio.to_thread(alertmanager.fire, LABELS)
    await deliver(sink, acting(), KeptNotes())
    await until(lambda: suppressed(alertmanager), lambda found: found == {"web": True})
    api = AlertmanagerApi(alertmanager_at(alertmanager.url))
    [told] = await api.listed()
    assert (told.silenced, told.suppressed) == (False, True)

    [ours] = await silences(alertmanager)
    a_person_s = {**ours, "createdBy": "ann", "comment": "I am at it"}
    del a_person_s["id"]
    await asyncio.to_thread(parts.http_request, "POST", f"{alertmanager.url}/api/v2/silences", a_person_s)
    await until(api.listed, lambda alerts: alerts[0].silenced)


async def test_the_outcome_ends_it(alertmanager: parts.Alertmanager, sink: AlertmanagerSilences) -> None:
    notes = KeptNotes()
    await deliver(sink, acting(), notes)
    assert (await deliver(sink, closed(acting(), Outcome.HEALED), notes)).sent
    assert await silences(alertmanager) == []
    assert not (await deliver(sink, closed(acting(), Outcome.HEALED), notes)).sent


async def test_one_whose_answer_was_lost_is_found_and_ended(
    alertmanager: parts.Alertmanager, sink: AlertmanagerSilences
) -> None:
    await deliver(sink, acting(), KeptNotes())  # died before it heard of it; only the mark was written
    notes = KeptNotes()
    await notes.write({edge.SILENCED: "1"})
    await deliver(sink, closed(acting(), Outcome.HEALED), notes)
    assert await silences(alertmanager) == []


async def test_what_is_not_repaired_is_not_silenced(alertmanager_at: Connect) -> None:
    nowhere = AlertmanagerSilences(alertmanager_at("http://127.0.0.1:9"))
    for incident in (judged(), closed(judged(), Outcome.ESCALATED)):
        assert await deliver(nowhere, incident, KeptNotes()) == Delivery(sent=False)
