"""Drawing in Grafana over HTTP: one annotation for each incident, whatever is lost, refused or gone on the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.grafana import AT_ONCE, GrafanaAnnotations
from bridge.model.incident import Incident, Outcome
from bridge.roles import Record
from bridge.sinks import Delivery
from tests.integration.desk import START
from tests.kept_notes import KeptNotes
from tests.servers.grafana import TOKEN, Grafana
from tests.unit.test_annotation import acting, closed, judged

HEALED = closed(acting(), Outcome.HEALED)


def ms(seconds: float) -> int:
    """Milliseconds since the epoch, so many seconds after START."""
    return round((START.timestamp() + seconds) * 1000)


MakeSink = Callable[..., GrafanaAnnotations]


@pytest.fixture
async def sink(grafana: Grafana) -> AsyncIterator[MakeSink]:
    made: list[GrafanaAnnotations] = []

    def make(**options: object) -> GrafanaAnnotations:
        made.append(GrafanaAnnotations(grafana.url, **{"authorization": f"Bearer {TOKEN}", **options}))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def deliver(sink: GrafanaAnnotations, incident: Incident, notes: KeptNotes) -> Delivery:
    return await sink.deliver(Record(incident=incident, episodes=()), notes, now=START)


async def test_a_repair_is_one_region_opened_at_the_action_and_closed_with_its_outcome(
    grafana: Grafana, sink: MakeSink
) -> None:
    notes, drawing = KeptNotes(), sink()
    assert (await deliver(drawing, acting(), notes)).sent
    [opened] = grafana.drawn("a1b2c3")
    assert (opened["time"], opened["timeEnd"]) == (ms(2), ms(2))
    assert (await deliver(drawing, HEALED, notes)).sent
    [region] = grafana.drawn("a1b2c3")
    assert (region["time"], region["timeEnd"]) == (ms(2), ms(36))
    assert "outcome:healed" in region["tags"]
    assert region["text"].startswith("restart of web: healed after 34 s")


async def test_what_is_drawn_already_costs_no_request(grafana: Grafana, sink: MakeSink) -> None:
    notes, drawing = KeptNotes(), sink()
    await deliver(drawing, HEALED, notes)
    before = len(grafana.requests)
    assert not (await deliver(drawing, HEALED, notes)).sent
    assert not (await deliver(drawing, judged(), KeptNotes())).sent
    assert len(grafana.requests) == before


async def test_an_answer_lost_after_the_effect_makes_no_second_annotation(
    grafana: Grafana, sink: MakeSink
) -> None:
    notes, drawing = KeptNotes(), sink()
    grafana.cut_next()
    with pytest.raises(errors.EdgeUnavailable):
        await deliver(drawing, acting(), notes)
    assert (await deliver(sink(), HEALED, notes)).sent
    [region] = grafana.drawn("a1b2c3")
    assert "outcome:healed" in region["tags"]


async def test_control_without_the_mark_a_lost_answer_makes_two(grafana: Grafana, sink: MakeSink) -> None:
    drawing = sink()
    grafana.cut_next()
    with pytest.raises(errors.EdgeUnavailable):
        await deliver(drawing, acting(), KeptNotes())
    await deliver(drawing, acting(), KeptNotes())  # as if nothing had been written down before the POST
    assert len(grafana.drawn("a1b2c3")) == 2


@pytest.mark.parametrize("status", [403, 404, 500])
async def test_an_annotation_that_is_gone_is_drawn_anew(
    sink: MakeSink, grafana: Grafana, status: int
) -> None:
    grafana._forgets_with = status
    notes, drawing = KeptNotes(), sink()
    await deliver(drawing, acting(), notes)
    grafana.annotations.clear()
    assert (await deliver(drawing, HEALED, notes)).sent
    [region] = grafana.drawn("a1b2c3")
    assert region["timeEnd"] == ms(36)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, errors.EdgeRejected, "correct grafana.token"),
        (403, errors.EdgeRejected, "Editor"),
        (302, errors.EdgeRejected, "correct grafana.url"),
        (400, errors.MessageRefused, "told to"),
        (429, errors.RateLimited, "429"),
        (500, errors.EdgeUnavailable, "500"),
        (503, errors.EdgeUnavailable, "503"),
    ],
)
async def test_each_no_says_what_it_means(
    grafana: Grafana, sink: MakeSink, status: int, kind: type[errors.EdgeError], said: str
) -> None:
    headers: dict[str, Any] = {"Retry-After": "7"} if status == 429 else {}
    grafana.answer_next(status, **headers)
    with pytest.raises(kind, match=said) as raised:
        await deliver(sink(), acting(), KeptNotes())
    assert type(raised.value) is kind
    if isinstance(raised.value, errors.RateLimited):
        assert raised.value.retry_after_seconds == 7
    assert grafana.annotations == {}


async def test_a_patch_that_fails_for_another_reason_is_told_as_that(
    grafana: Grafana, sink: MakeSink
) -> None:
    notes, drawing = KeptNotes(), sink()
    await deliver(drawing, acting(), notes)
    grafana.answer_next(500)
    with pytest.raises(errors.EdgeUnavailable):
        await deliver(drawing, HEALED, notes)
    assert (await deliver(drawing, HEALED, notes)).sent
    assert len(grafana.drawn("a1b2c3")) == 1


async def test_an_error_page_is_never_repeated(grafana: Grafana, sink: MakeSink) -> None:
    grafana.answer_next(502, b"<html>secret of a proxy</html>")
    with pytest.raises(errors.EdgeUnavailable) as raised:
        await deliver(sink(), acting(), KeptNotes())
    assert "html" not in str(raised.value)


async def test_a_grafana_that_hangs_is_left_after_the_timeout(grafana: Grafana, sink: MakeSink) -> None:
    hold = grafana.hold_next()
    with pytest.raises(errors.EdgeUnavailable):
        await deliver(sink(timeout_seconds=0.2), acting(), KeptNotes())
    grafana.release(hold)


async def test_it_is_drawn_on_a_dashboard_that_exists_else_for_the_organisation(
    grafana: Grafana, sink: MakeSink
) -> None:
    grafana.dashboards = ("hemostat",)
    await deliver(sink(dashboard_uid="hemostat"), acting(), KeptNotes())
    [drawn] = grafana.drawn("a1b2c3")
    assert drawn["dashboardUID"] == "hemostat"
    grafana.annotations.clear()
    await deliver(sink(dashboard_uid="gone"), acting(), KeptNotes())
    [drawn] = grafana.drawn("a1b2c3")
    assert "dashboardUID" not in drawn


async def test_a_wrong_token_is_said_by_the_doctor_s_question(sink: MakeSink) -> None:
    assert await sink().health() == "9.5.0"
    await sink().may_annotate()
    with pytest.raises(errors.EdgeRejected, match=r"grafana\.token"):
        await sink(authorization="Bearer glsa_wrong").may_annotate()


async def test_a_grafana_that_is_away_is_unavailable(sink: MakeSink) -> None:
    nobody = GrafanaAnnotations(f"http://127.0.0.1:{parts.free_port()}")
    with pytest.raises(errors.EdgeUnavailable):
        await asyncio.wait_for(deliver(nobody, acting(), KeptNotes()), 20)
    await nobody.close()


def test_no_more_than_four_are_drawn_at_once() -> None:
    assert GrafanaAnnotations("http://127.0.0.1:1").pace.at_once == AT_ONCE == 4
