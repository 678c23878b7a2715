"""What is told, as Slack shows it: blocks and their text fallback. Pure; no text leaves here unescaped or unbounded.

Source: https://docs.slack.dev/reference/block-kit/blocks and /messaging/formatting-message-text; the bound on a whole
message (about 13,000 characters) is not documented: bolt-js issue 2509.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bridge.model.incident import Answer, Proposal
from bridge.telling import Chapter, Mood, Poster, StormPoster

SECTION_LIMIT = 2900
"""Characters of a section's text; Slack takes 3,000."""

FIELD_LIMIT = 500
FALLBACK_LIMIT = 1500
REPLY_LIMIT = 6000
"""Characters of one answer in a thread, all blocks together."""

CHAPTERS_SHOWN = 15
"""Of one answer; more lines than that are many looks at the same thing."""

SIGNS = {
    Mood.WORKING: ":hourglass_flowing_sand:",
    Mood.ASKING: ":raised_hand:",
    Mood.GOOD: ":large_green_circle:",
    Mood.CALM: ":white_circle:",
    Mood.BAD: ":red_circle:",
}

BUTTONS = {Answer.APPROVE: "Approve", Answer.REJECT: "Reject", Answer.SNOOZE: "Snooze 30 min"}
ACTION_PREFIX = "hemostat_"

_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What Slack is sent. ``text`` is what notifications and clients without blocks show."""

    text: str
    blocks: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Scribe:
    """Writes messages.

    ``external_url``: where people reach the bridge, for links; ``""`` for none. ``buttons``: whether a click on one
    would reach us, and there is anybody who may click.
    """

    external_url: str = ""
    buttons: bool = False

    def parent(self, poster: Poster, incident_id: str) -> Message:
        """The one message of an incident."""
        said = f"{poster.target}: {poster.standing}"
        head = f"{SIGNS[poster.mood]} *{fitted(poster.target, 200)}*: {fitted(poster.standing, 200)}"
        blocks = [_section(f"{head}\n{fitted(poster.reason, 1200)}" if poster.reason else head)]
        # Only our own times are markup, told apart by where they come from: an alert may call itself "<!date^…".
        facts = [(name, fitted(text, FIELD_LIMIT)) for name, text in poster.facts]
        facts.append(("Since", _time(poster.opened_at)))
        if poster.until is not None:
            facts.append(("Not before", _time(poster.until)))
        blocks.append(
            {
                "type": "section",
                "fields": [_mrkdwn(f"*{name}*\n{text}") for name, text in facts[:10]],
            }
        )
        if poster.asks is not None:
            blocks += self._asking(poster.asks, incident_id)
        blocks.append({"type": "context", "elements": [_mrkdwn(self._where(incident_id))]})
        return Message(text=fitted(f"{said}. {poster.reason}", FALLBACK_LIMIT), blocks=tuple(blocks))

    def reply(self, chapters: Sequence[Chapter]) -> Message:
        """One answer in the thread, for one or more lines of the story."""
        shown = chapters[-CHAPTERS_SHOWN:]
        left, blocks = REPLY_LIMIT, []
        if len(shown) < len(chapters):
            blocks.append(_section(f"_{len(chapters) - len(shown)} earlier lines left out_"))
        for chapter in shown:
            text = self._chapter(chapter, min(SECTION_LIMIT, left))
            blocks.append(_section(text))
            left -= len(text)
            if left < 300:
                break
        text = "; ".join(chapter.text for chapter in shown)
        return Message(text=fitted(text, FALLBACK_LIMIT), blocks=tuple(blocks))

    def plain(self, poster: Poster, incident_id: str) -> Message:
        """The message of an incident for a webhook, which can neither edit nor be clicked on."""
        message = self.parent(poster, incident_id)
        return Message(
            text=message.text, blocks=tuple(block for block in message.blocks if block["type"] != "actions")
        )

    def storm(self, poster: StormPoster) -> Message:
        """The one message of a storm, in place of one for each of its incidents."""
        sign = ":tornado:" if not poster.over else SIGNS[Mood.BAD if poster.wanting else Mood.CALM]
        word = "A storm" if not poster.over else "A storm is over" if poster.done else "A storm abates"
        said = f"{word}: {poster.total} incidents"
        counts = " · ".join(f"{stands} *{count}*" for stands, count in poster.counts)
        blocks = [_section(f"{sign} *{said}* since {_time(poster.since)}\n{counts}")]
        if poster.wanting:
            blocks.append(_section(f"*Need a person*\n{self._names(poster)}"))
        told = "Too many at once to tell one by one. `hemostat incidents` lists them."
        blocks.append({"type": "context", "elements": [_mrkdwn(told)]})
        return Message(
            text=f"{said}; {len(poster.wanting) + poster.more} need a person", blocks=tuple(blocks)
        )

    def storm_call(self, poster: StormPoster) -> Message:
        """For everybody, once, when a storm has passed and left something to people."""
        said = f"The storm is over; {len(poster.wanting) + poster.more} of its {poster.total} incidents need a person"
        return Message(text=said, blocks=(_section(f"*{said}*\n{self._names(poster)}"),))

    @staticmethod
    def _names(poster: StormPoster) -> str:
        names = "\n".join(f"• {fitted(name, 150)}" for name in poster.wanting)
        return names + (f"\n… and {poster.more} more" if poster.more else "")

    def _chapter(self, chapter: Chapter, limit: int) -> str:
        head = f"`{chapter.at.astimezone(UTC):%H:%M:%S}` {fitted(chapter.text, min(1000, limit // 2))}"
        parts, left = [head], limit - len(head)
        for detail in chapter.details:
            line = f"\n• {fitted(detail, 300)}"
            if len(line) > left:
                break
            parts.append(line)
            left -= len(line)
        quotes = []
        for quote in chapter.quotes:
            line = fitted(quote.replace("`", "'"), 240)
            if len(line) + 10 > left:
                break
            quotes.append(line)
            left -= len(line) + 1
        if quotes:
            parts.append("\n```" + "\n".join(quotes) + "```")
        return "".join(parts)

    def _asking(self, proposal: Proposal, incident_id: str) -> list[dict[str, Any]]:
        until = f"Asked until {_time(proposal.until)}; after that a person must look."
        by_hand = f"`hemostat approve {incident_id}` or `hemostat reject {incident_id}` answer it, too."
        told = {"type": "context", "elements": [_mrkdwn(f"{until} {by_hand}")]}
        if not self.buttons:
            return [told]
        question = f"{BUTTONS[Answer.APPROVE]} the {proposal.action.value} of container {proposal.container_id[:12]}?"
        value = f"{incident_id}:{proposal.id}"
        approve, reject, snooze = (
            {
                "type": "button",
                "action_id": f"{ACTION_PREFIX}{answer.value}",
                "text": {"type": "plain_text", "text": label},
                "value": value,
            }
            for answer, label in BUTTONS.items()
        )
        approve |= {
            "style": "primary",
            "confirm": {
                "title": {"type": "plain_text", "text": "Are you sure?"},
                "text": {"type": "plain_text", "text": question},
                "confirm": {"type": "plain_text", "text": "Approve"},
                "deny": {"type": "plain_text", "text": "Not now"},
            },
        }
        reject |= {"style": "danger"}
        return [{"type": "actions", "elements": [approve, reject, snooze]}, told]

    def _where(self, incident_id: str) -> str:
        if self.external_url:
            return f"<{self.external_url}/#/incident/{incident_id}|{incident_id}> · `hemostat explain {incident_id}`"
        return f"`hemostat explain {incident_id}`"


def fitted(text: str, limit: int) -> str:
    """Escaped, so that nothing in it mentions or links, and at most ``limit`` characters after that."""
    out: list[str] = []
    left = limit
    for letter in text:
        escaped = _ESCAPES.get(letter, letter)
        if len(escaped) >= left:
            return "".join(out) + "…"
        out.append(escaped)
        left -= len(escaped)
    return "".join(out)


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    # verbatim: no address in it becomes a link, no name a mention.
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _time(at: datetime) -> str:
    """In each reader's own time zone."""
    return f"<!date^{int(at.timestamp())}^{{date_short_pretty}} {{time_secs}}|{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC>"
