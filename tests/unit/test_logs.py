"""Log lines are one line each, whatever text from outside is in them, and machines can read them."""

import json
import logging
import sys

import pytest

from bridge.logs import JsonFormatter, TextFormatter, incident_id

HOSTILE = 'evil\nts=2026 level=error event=forged \x1b[31mred\x1b[0m "quoted" \u202e'


def record(message: str = "acted", **fields: object) -> logging.LogRecord:
    """One event with its values."""
    made = logging.LogRecord("hemostat.walk", logging.INFO, __file__, 1, message, (), None)
    vars(made).update(fields)
    return made


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_foreign_text_stays_on_one_line_without_terminal_codes(formatter: logging.Formatter) -> None:
    """A label cannot forge a second event or colour a terminal."""
    line = formatter.format(record(reason=HOSTILE))
    assert "\n" not in line
    assert line.isprintable()


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_a_traceback_forges_no_event_either(formatter: logging.Formatter) -> None:
    """An error's message may quote a neighbour: its lines stand below ours, and none begins like one of ours."""
    made = record("crashed")
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        made.exc_info = sys.exc_info()
    first, *others = formatter.format(made).split("\n")
    assert "event=crashed" in first or json.loads(first)["event"] == "crashed"
    assert all(line.startswith("  ") and line.isprintable() for line in others)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_an_invisible_character_hides_no_secret(formatter: logging.Formatter) -> None:
    assert "hunter2" not in formatter.format(record(reason="pass\u200bword=hunter2"))


def test_json_carries_event_and_fields() -> None:
    """What a log pipeline indexes."""
    line = json.loads(JsonFormatter().format(record(action="restart", seconds=1.5)))
    assert (line["event"], line["level"], line["action"], line["seconds"]) == (
        "acted",
        "info",
        "restart",
        1.5,
    )


def test_the_incident_being_walked_is_on_each_line() -> None:
    """From the context, so that no call has to pass it."""
    token = incident_id.set("abc123")
    try:
        assert json.loads(JsonFormatter().format(record()))["incident"] == "abc123"
        assert "incident=abc123" in TextFormatter().format(record())
        assert "incident=other" in TextFormatter().format(record(incident="other"))
    finally:
        incident_id.reset(token)


def test_text_quotes_what_has_spaces() -> None:
    """logfmt, as Prometheus writes it."""
    line = TextFormatter().format(record(reason="two words", target="local/web"))
    assert line.endswith('event=acted reason="two words" target=local/web')


def test_a_long_value_is_cut() -> None:
    """A log line is not a place for a whole body."""
    assert len(TextFormatter().format(record(reason="x" * 10_000))) < 1200
