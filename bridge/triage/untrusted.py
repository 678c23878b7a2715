"""Text that somebody else wrote, made fit for a prompt: cleaned, redacted, cut to its share, fenced. Pure.

None of this makes it trustworthy. What holds against an injected instruction is that a model's answer can only
narrow (``two_keys``); this keeps text from looking like anything but text.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.model.evidence import TextLine

LINE_CHARACTERS = 500
"""Of one line: enough for a message and the head of a stack trace."""

SHORTEST_SHARE = 80
"""Characters below which a line is left out rather than cut further: less says nothing."""

_LOOKED_AT = 4 * LINE_CHARACTERS
"""Characters of a line that are cleaned and redacted; what lies beyond is cut anyway."""

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[PX^_][^\x1b]{0,256}\x1b\\|[@-Z\\-_])"
)
"""ANSI control sequences (colours, cursor, titles). Source: ECMA-48, xterm's OSC."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Unicode categories without a glyph: control, format (zero-width, bidi, tags), surrogates, private, unassigned."""

_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\u034f\u115f\u1160\u3164\uffa0]")
"""Variation selectors and blank letters: characters that can carry a hidden message in visible text."""

Redact = Callable[[str], str]


def clean(text: str) -> str:
    """One line of printable characters: no escapes, no control, zero-width or bidi characters. Idempotent."""
    text = _SELECTORS.sub("", _ESCAPES.sub("", text))
    kept = (" " if char.isspace() else char for char in text)
    return "".join(
        char for char in kept if char == " " or unicodedata.category(char) not in _INVISIBLE
    ).strip()


def tokens(text: str, *, bytes_per_token: float) -> int:
    """An estimate; the provider's own count comes with the answer."""
    return math.ceil(len(text.encode("utf-8", "replace")) / bytes_per_token)


def as_json(value: object) -> str:
    """Compact JSON in which no delimiter can be forged: ``<`` and ``>`` are escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def fenced(source: str, items: Sequence[Mapping[str, object]], *, fence: str) -> str:
    """One source as a JSON array between markers that nobody outside this request knows."""
    return f'<untrusted id="{fence}" source="{source}">\n{as_json(list(items))}\n</untrusted id="{fence}">'


def prepared(text: str, redact: Redact) -> str:
    """Cleaned, then redacted (a character hidden inside a secret must not hide the secret), then cut."""
    return redact(clean(text[:_LOOKED_AT]))[:LINE_CHARACTERS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The lines that fit, in their order; ``left_out``: how many did not."""

    lines: tuple[TextLine, ...]
    left_out: int


def fit(lines: Sequence[TextLine], *, characters: int) -> Fitted:
    """As much as fits, fair to every line: the longest are cut first; then the oldest are left out."""
    lines = [line for line in lines if line.text]
    whole = sum(len(line.text) for line in lines) <= characters
    kept = lines if whole else lines[max(0, len(lines) - characters // SHORTEST_SHARE) :]
    limit = share([len(line.text) for line in kept], characters)
    cut = tuple(TextLine(id=line.id, text=line.text[:limit], at=line.at, count=line.count) for line in kept)
    return Fitted(lines=cut, left_out=len(lines) - len(cut))


def share(needs: Sequence[int], supply: int) -> int:
    """The largest limit that, put on every need, keeps their sum within the supply (max-min fairness)."""
    left, waiting = supply, len(needs)
    for need in sorted(needs):
        fair = left // waiting
        if need > fair:
            return fair
        left -= need
        waiting -= 1
    return max(needs, default=0)
