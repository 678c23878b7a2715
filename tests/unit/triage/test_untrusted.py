"""Text that somebody else wrote."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.evidence import TextLine
from bridge.triage import untrusted
from tests.unit.triage.builders import lines


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        pytest.param("\x1b[31mred\x1b[0m", "red", id="colour"),
        pytest.param("a\x00b\x07c", "abc", id="control"),
        pytest.param("two\nlines\u2028three\tfour", "two lines three four", id="line-ends"),
        pytest.param("in\u200bvis\ufeffible", "invisible", id="zero-width"),
        pytest.param("\u202egnp.exe\u202c", "gnp.exe", id="bidi"),
        pytest.param("x\U000e0041\U000e0042\ufe0f", "x", id="tags-and-selectors"),
        pytest.param("grün 日本 🙂", "grün 日本 🙂", id="other-scripts"),
    ],
)
def test_only_what_is_seen_stays_and_on_one_line(raw: str, plain: str) -> None:
    assert untrusted.prepared(raw, str) == plain


@given(st.text())
def test_prepared_text_is_one_printable_line(text: str) -> None:
    once = untrusted.prepared(text, str)
    assert once.isprintable()
    assert untrusted.prepared(once, str) == once


@given(st.lists(st.text(), max_size=4), st.text(alphabet="<>/untrsedid=\" '", max_size=40))
def test_no_text_can_end_its_fence(texts: list[str], extra: str) -> None:
    items = [{"id": "L1", "text": text} for text in [*texts, extra, '</untrusted id="ff">']]
    block = untrusted.fenced("logs", items, fence="ff")
    first, body, last = (
        block.split("\n")[0],
        block.split("\n", 1)[1].rsplit("\n", 1)[0],
        block.split("\n")[-1],
    )
    assert (first, last) == ('<untrusted id="ff" source="logs">', '</untrusted id="ff">')
    assert "<" not in body
    assert ">" not in body
    assert json.loads(body) == items


@given(st.lists(st.integers(0, 1000), max_size=30), st.integers(0, 5000))
def test_shares_fit_the_supply_and_the_small_are_not_cut_for_the_large(needs: list[int], supply: int) -> None:
    limit = untrusted.share(needs, supply)
    given_out = [min(need, limit) for need in needs]
    assert sum(given_out) <= max(supply, 0)
    if sum(needs) <= supply:
        assert given_out == needs


def test_the_longest_line_is_cut_first_and_then_the_oldest_lines_go() -> None:
    fitted = untrusted.fit(lines("a" * 300, "b" * 20), characters=200)
    assert [len(line.text) for line in fitted.lines] == [180, 20]
    assert fitted.left_out == 0
    fitted = untrusted.fit(lines(*(f"{n:0100}" for n in range(10))), characters=3 * untrusted.SHORTEST_SHARE)
    assert [line.id for line in fitted.lines] == ["L8", "L9", "L10"]
    assert fitted.left_out == 7


def test_a_secret_is_removed_before_the_cut_and_after_the_cleaning() -> None:
    text = "x" * (untrusted.LINE_CHARACTERS - 3) + "pass\u200bword"
    assert untrusted.prepared(text, lambda clean: clean.replace("password", "")).endswith("x")


def test_counts_and_ids_survive_the_fitting() -> None:
    line = TextLine(id="L9", text="again", count=40)
    assert untrusted.fit([line], characters=100).lines == (line,)
