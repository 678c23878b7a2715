"""Text that somebody else wrote, made fit for a prompt: cleaned, redacted, cut to its share, fenced. Pure.

None of this makes it trustworthy. What holds against an injected instruction is that a model's answer can only
narrow (``two_keys``); this keeps text from looking like anything but text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bridge.model.evidence import TextLine
from bridge.redaction import clean, shortened, without_half_a_token

LINE_CHARACTERS = 500
"""Of one line: enough for a message and the head of a stack trace."""

LOOKED_AT = 4000
"""Characters of a text that are cleaned and redacted at all: an annotation may have a million."""

SHORTEST_SHARE = 80
"""Characters below which a line is left out rather than cut further: less says nothing."""

Redact = Callable[[str], str]


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


def prepared(text: str, redact: Redact, *, limit: int = LINE_CHARACTERS) -> str:
    """One line: cleaned, then redacted (what hides inside a secret must not hide the secret), then cut."""
    if len(text) > LOOKED_AT:
        text = without_half_a_token(text[:LOOKED_AT])
    return shortened(redact(clean(text).replace("\n", " ").replace("\t", " ").strip()), limit)


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
    cut = tuple(
        TextLine(id=line.id, text=shortened(line.text, limit), at=line.at, count=line.count) for line in kept
    )
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
