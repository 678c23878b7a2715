"""A log's excerpt loses no trouble, no end and no count; everything else gives way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.excerpt import LAST_LINES, excerpt, shape_of
from bridge.model.evidence import TextLine
from bridge.triage import phrases
from tests.unit.triage.builders import NOW, lines


def texts(*said: str, most: int = 60) -> list[str]:
    return [line.text for line in excerpt(lines(*said), telling=phrases.says_something, most=most).lines]


def test_a_short_log_is_shown_whole() -> None:
    assert texts("one", "two", "three") == ["one", "two", "three"]


def test_repeats_become_one_line_with_a_count() -> None:
    shown = excerpt(lines(*(f"GET /health 200 {n} ms" for n in range(150))), telling=phrases.says_something)
    assert [line.count for line in shown.lines] == [141, *[1] * (LAST_LINES - 1)]
    assert shown.lines[-1].text == "GET /health 200 149 ms"
    assert shown.dropped == 0


def test_trouble_in_the_middle_is_shown_first_and_last() -> None:
    noise = [f"worker {chr(97 + n % 26) * (n % 19 + 1)} idle" for n in range(300)]
    said = [
        *noise[:100],
        "panic: at 0x1f2e3d4c5b6a7988",
        *noise[100:180],
        "panic: at 0x2f2e3d4c5b6a7988",
        *noise[180:],
    ]
    shown = texts(*said)
    assert "panic: at 0x1f2e3d4c5b6a7988" in shown
    assert "panic: at 0x2f2e3d4c5b6a7988" in shown
    assert shown[-LAST_LINES:] == said[-LAST_LINES:]
    assert len(shown) == 60


def test_what_a_rule_would_look_at_comes_before_any_other_trouble() -> None:
    errors = [f"error {chr(97 + n // 26) + chr(97 + n % 26)} happened" for n in range(150)]
    said = ["write /data: no space left on device", *errors]
    assert texts(*said)[0] == said[0]


def test_lines_of_one_shape_that_say_different_things_are_both_shown() -> None:
    said = ["upstream answered status 429", *["upstream answered status 200"] * 50]
    assert texts(*said, most=5)[0] == said[0]


def test_ids_follow_the_order_and_times_stay() -> None:
    told = [TextLine(id="L9", text=f"tick {n}", at=NOW + timedelta(seconds=n)) for n in range(30)]
    shown = excerpt(told, telling=phrases.says_something).lines
    assert [line.id for line in shown] == [f"L{n}" for n in range(1, len(shown) + 1)]
    assert shown[-1].at == told[-1].at


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("took 12 ms", "took 9.7 ms", True),
        ("job 550e8400-e29b-41d4-a716-446655440000", "job 123e4567-e89b-12d3-a456-426614174000", True),
        ("commit 3f786850e387550f", "commit 89e6c98d92887913", True),
        ("dial 10.0.0.5:5432: refused", "dial 10.0.0.6:5432: refused", True),
        ("dial 10.0.0.5:5432: refused", "dial 127.0.0.1:5432: refused", False),
        ("started", "stopped", False),
    ],
)
def test_shapes(one: str, other: str, same: bool) -> None:
    assert (shape_of(one) == shape_of(other)) is same


WORDS = st.sampled_from(
    ["ok 1", "ok 2", "error 7", "no space left on device", "connection refused", "a", "b 3", "x"]
)


@given(st.lists(WORDS, max_size=120), st.integers(1, 40))
def test_every_line_is_shown_stood_for_or_counted_as_dropped(said: list[str], most: int) -> None:
    told = lines(*said)
    shown = excerpt(told, telling=phrases.says_something, most=most)
    assert sum(line.count for line in shown.lines) + shown.dropped == len(told)
    assert len(shown.lines) <= most
    assert not (phrases.sightings(told) and not phrases.sightings(shown.lines))
