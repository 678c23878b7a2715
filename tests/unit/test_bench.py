"""The bench's own arithmetic and the bodies it sends; what it measures is never a test."""

import json

import pytest

from bench import figures, payload
from bridge.intake import read_webhook, subject_of

RECORDED = payload.RECORDED.read_bytes()


def test_resent_renders_the_recorded_body_each_time() -> None:
    template = payload.resent(RECORDED)
    assert payload.rendered(template, 0, 5) == payload.rendered(template, 7, 5) == RECORDED


def test_unseen_never_repeats_an_alert_a_start_or_a_container() -> None:
    template = payload.unseen(RECORDED)
    alerts = [a for n in (0, 1, 90_000) for a in read_webhook(payload.rendered(template, n, 5)).alerts]
    assert len({alert.fingerprint for alert in alerts}) == 15
    assert len({subject_of(alert.labels, hosts=("local",)).key for alert in alerts}) == 15
    assert len({(alert.starts_at, alert.fingerprint) for alert in alerts}) == 15


def test_unseen_bodies_have_one_length_and_the_recorded_shape() -> None:
    """The head of a request is written once, so its Content-Length must hold for all of them."""
    template = payload.unseen(RECORDED)
    bodies = [payload.rendered(template, number, 5) for number in (0, 1, 90_000)]
    assert len({len(body) for body in bodies}) == 1
    recorded, sent = json.loads(RECORDED), json.loads(bodies[0])
    assert sent.keys() == recorded.keys()
    assert [alert.keys() for alert in sent["alerts"]] == [alert.keys() for alert in recorded["alerts"]]
    assert sent["alerts"][0]["generatorURL"] == recorded["alerts"][0]["generatorURL"]


def test_a_larger_group_has_as_many_alerts_and_each_is_another_one() -> None:
    body = payload.grouped(RECORDED, 10)
    assert payload.alerts_in(body) == 10
    template = payload.unseen(body)
    alerts = [a for n in (0, 1) for a in read_webhook(payload.rendered(template, n, 10)).alerts]
    assert len({alert.fingerprint for alert in alerts}) == 20


def test_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    """A round that was disturbed as a whole says nothing about the ratio."""
    told = figures.figure("speed", "requests/s", [60, 6, 70], [100, 10, 100])
    assert told.ratio == pytest.approx(0.6)
    assert (told.value, told.baseline, told.spread) == (60, 100, (6, 70))


def test_ratio_is_absent_where_the_baseline_is_nothing() -> None:
    assert figures.figure("not 202", "", [0], [0]).ratio is None


def test_table_has_a_row_per_figure_and_equal_columns() -> None:
    told = figures.figure("speed", "requests/s", [60, 62], [100, 101], goal="≥ 0.6 of baseline")
    lines = figures.table([told, figures.figure("memory", "MB", [64.31])]).splitlines()
    assert len(lines) == 4
    assert len({len(line) for line in lines}) == 1
    assert "61 requests/s" in lines[2]
    assert "64.3 MB" in lines[3]
