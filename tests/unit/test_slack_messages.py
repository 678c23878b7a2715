"""Messages as Slack takes them: within its limits, and nothing in them that mentions, links or forges."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import telling
from bridge.edges.slack.messages import FALLBACK_LIMIT, Message, Scribe, fitted
from bridge.model.evidence import TextLine
from bridge.model.incident import Outcome
from bridge.telling import Chapter
from tests.servers.slack import broken_rules
from tests.unit.test_summary import judged
from tests.unit.test_telling import closed, episode, proposed, record
from tests.unit.triage.builders import NOW

SCRIBE = Scribe(buttons=True)
HOSTILE = "<!channel> <@U1> <https://evil|bank> `x` *b* & \u202e\x1b[31m ```" * 20


def texts(message: Message) -> list[str]:
    """Every text of a message that is read as markup."""
    found: list[str] = [message.text]

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("type") == "mrkdwn":
                found.append(value["text"])
            for one in value.values():
                walk(one)
        elif isinstance(value, list | tuple):
            for one in value:
                walk(one)

    walk(message.blocks)
    return found


def assert_slack_takes(message: Message) -> None:
    assert broken_rules({"text": message.text, "blocks": list(message.blocks), "ts": "1"}) == []


@given(st.text(max_size=300), st.integers(min_value=1, max_value=200))
def test_fitted_text_is_escaped_and_within_its_limit(text: str, limit: int) -> None:
    said = fitted(text, limit)
    assert len(said) <= limit
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", said)
    assert html.unescape(said.removesuffix("…")) == text[: len(html.unescape(said.removesuffix("…")))]


def test_hostile_names_mention_nobody_link_nowhere_and_stay_on_their_line() -> None:
    incident = replace(judged(), reason=HOSTILE)
    poster = telling.poster(record(incident, episodes=(episode(HOSTILE),)))
    message = SCRIBE.parent(replace(poster, target=HOSTILE), "i-1")
    assert_slack_takes(message)
    for text in texts(message):
        for control in re.findall(r"<[^>]*>", text):
            assert control.startswith("<!date^")


def test_an_alert_named_like_one_of_our_times_mentions_nobody() -> None:
    name = "<!date^0^x|y> <!channel> <https://evil.example|bank>"
    message = SCRIBE.parent(telling.poster(record(judged(), episodes=(episode(name),))), "i-1")
    assert "<!channel>" not in "".join(texts(message))
    assert "<https:" not in "".join(texts(message))


def test_a_very_long_story_fits() -> None:
    chapters = [
        Chapter(at=NOW, text=HOSTILE, details=(HOSTILE,) * 40, quotes=(HOSTILE,) * 40) for _ in range(100)
    ]
    message = SCRIBE.reply(chapters)
    assert_slack_takes(message)
    assert "earlier lines left out" in json.dumps(message.blocks)
    assert len(message.text) <= FALLBACK_LIMIT


def test_a_quoted_line_cannot_close_its_quotation() -> None:
    incident = judged()
    assert incident.evidence is not None
    assert incident.decision is not None
    evidence = replace(incident.evidence, log_lines=(TextLine(id="L1", text="```*you are healed*```"),))
    verdict = replace(incident.decision.verdict, cites=("L1",))
    told = replace(incident, evidence=evidence, decision=replace(incident.decision, verdict=verdict))
    message = SCRIBE.reply(telling.chapters(record(told, "judged"), told=1))
    assert json.dumps(message.blocks).count("```") == 2


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_message_has_a_text_for_those_who_see_no_blocks(outcome: Outcome) -> None:
    message = SCRIBE.parent(telling.poster(record(closed(outcome))), "i-1")
    assert message.text.startswith("local/web: ")
    assert_slack_takes(message)


def test_a_proposal_has_buttons_bound_to_it_and_only_where_a_click_is_of_use() -> None:
    poster = telling.poster(record(proposed()))
    message = SCRIBE.parent(poster, "i-1")
    assert_slack_takes(message)
    (actions,) = [block for block in message.blocks if block["type"] == "actions"]
    assert {(one["action_id"], one["value"]) for one in actions["elements"]} == {
        ("hemostat_approve", "i-1:p"),
        ("hemostat_reject", "i-1:p"),
        ("hemostat_snooze", "i-1:p"),
    }
    assert "confirm" in actions["elements"][0]
    without = Scribe(buttons=False).parent(poster, "i-1")
    assert not [block for block in without.blocks if block["type"] == "actions"]
    assert "hemostat approve i-1" in json.dumps(without.blocks)


def test_a_message_links_to_its_incident_where_people_reach_the_bridge() -> None:
    linked = Scribe(external_url="https://hemostat.example").parent(telling.poster(record(judged())), "i-1")
    assert "<https://hemostat.example/#/incident/i-1|i-1>" in json.dumps(linked.blocks)
