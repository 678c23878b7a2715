"""What people are told of an incident, in words and in order. Pure, and of no channel: how it looks there is its own.

Text of the outside (names, reasons, log lines) is made plain and cut here; escaping it is the channel's business.
"""

from __future__ import annotations

from bridge.telling.glance import ALARMING, Mood, Poster, alerts, awaits, poster, standing, worth_telling
from bridge.telling.redacting import without_secrets
from bridge.telling.reply import reply_to
from bridge.telling.storm import StormPoster, needs_a_person, storm_poster, tally_line
from bridge.telling.story import Chapter, chapters

__all__ = [
    "ALARMING",
    "Chapter",
    "Mood",
    "Poster",
    "StormPoster",
    "alerts",
    "awaits",
    "chapters",
    "needs_a_person",
    "poster",
    "reply_to",
    "standing",
    "storm_poster",
    "tally_line",
    "without_secrets",
    "worth_telling",
]
