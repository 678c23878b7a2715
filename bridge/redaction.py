"""Secrets taken out of text before anybody sees it, and text made plain. Pure.

A secret is replaced by ``[REDACTED:kind]``; what stands around it stays, so that a line still says what it said.
Redact before cutting: a cut may halve a token, and half a token is recognised by nobody. The kinds are in
``bridge.secret_kinds``; what they miss an operator adds by pattern (``redaction.patterns``).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bridge.secret_checks import MARKER
from bridge.secret_kinds import BUILT_IN, names_a_secret
from bridge.secret_shapes import CREDENTIAL, Kind, marked

CUSTOM = "custom"
"""The metric's kind for everything an operator's own patterns find; the text names the pattern."""

UNSETTLED = "unsettled"
"""A text in which one replacement kept making the next: nothing of it is shown."""

KINDS: tuple[str, ...] = (*dict.fromkeys(kind.name for kind in BUILT_IN), CUSTOM, UNSETTLED)
"""Closed list of what can have been removed, for metrics."""

TEXT_LIMIT = 128 * 1024
"""Characters of one text that are looked at; what follows is not shown."""

OWN_PATTERN_CHARACTERS = 2000
"""Characters an operator's own pattern meets at once: its worst case is bounded with them."""

HARMLESS_TEXTS, HARMLESS_CHARS = 4096, 256
"""How many texts are remembered as harmless, and how long one may be: about a MB at the most."""

_PASSES = 8
_LONGEST_TOKEN = 512
_TERMINAL_CODE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,64}[ -/]{0,8}[@-~]"  # CSI: colours, cursor
    r"|\x1b\][^\x07\x1b]{0,2048}(?:\x07|\x1b\\)"  # OSC: titles, links
    r"|\x1b[ -/]{0,8}[0-~]"
)
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff]"
)
"""Zero-width, bidirectional and other characters that are drawn as nothing but split or reorder words."""

_LINE_ENDS = frozenset("\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """A text without its secrets, and how many of each kind there were."""

    text: str
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnPattern:
    """An operator's own: everything ``pattern`` matches, or its group ``secret`` where it has one, is a secret.

    ``name`` has only ``a-z``, ``0-9`` and ``_``. The pattern was checked by the settings: it repeats nothing in a
    repeat, so its time is bounded by the length of a line.
    """

    name: str
    pattern: re.Pattern[str]


def clean(text: str) -> str:
    """The text without terminal codes, control, zero-width and bidirectional characters; ``\\n`` and ``\\t`` stay.

    Other line ends become a blank, so that they can neither forge a line nor glue two words together; what is struck
    over by backspaces is what a terminal shows.
    """
    if text.isprintable() and text.isascii():
        return text
    text = _TERMINAL_CODE.sub("", _INVISIBLE.sub("", text.replace("\r\n", "\n")))
    if text.isprintable():
        return text
    if "\b" in text:
        text = "\n".join(_struck_over(line) if "\b" in line else line for line in text.split("\n"))
    return "".join(char if char.isprintable() or char in "\n\t" else _instead(char) for char in text)


def _struck_over(line: str) -> str:
    """One line as a terminal shows it: a backspace goes back, and what comes then takes the place."""
    shown: list[str] = []
    at = 0
    for char in line:
        if char == "\b":
            at = max(0, at - 1)
            continue
        seen = char if char == "\t" or char.isprintable() else _instead(char)
        if seen and (seen != "_" or at >= len(shown)):  # under a letter it only underlines
            shown[at : at + 1] = [seen]
        at += len(seen)
    return "".join(shown)


def _instead(char: str) -> str:
    return " " if char in _LINE_ENDS or char.isspace() else ""


def shortened(text: str, limit: int) -> str:
    """At most ``limit`` characters of a redacted text, ending in ``…`` if there were more; no marker is halved."""
    if len(text) <= limit:
        return text
    end = limit - 1
    for marker in MARKER.finditer(text, max(0, end - 64), end + 64):
        if marker.start() < end < marker.end():
            end = marker.start()
    return f"{text[:end]}…"


class Redactor:
    """The built-in kinds and an operator's own patterns. A reload makes another one.

    Its only state are short texts in which there is nothing to look for: alerts repeat theirs again and again.
    """

    def __init__(self, patterns: Sequence[OwnPattern] = (), kinds: Sequence[Kind] = BUILT_IN) -> None:
        self._own = tuple(patterns)
        self._kinds = tuple(kinds)
        self.harmless: set[str] = set()

    def sparing(self, *kinds: str) -> Redactor:
        """The same one without some of the built-in kinds."""
        return Redactor(self._own, [kind for kind in self._kinds if kind.name not in kinds])

    def suspects(self, text: str) -> bool:
        """Whether there could be a secret in it at all: cheap, ``False`` for most texts, and then certain."""
        if self._own or not text.isprintable():  # an invisible character may split a word that is looked for
            return True
        lowered = text.lower()
        return any(hint in lowered for hint in _HINTS) or any(needs(text) for needs in _NEEDS)

    def suspects_any(self, texts: set[str]) -> bool:
        """``suspects`` of many texts at once, most of which were there before."""
        unknown = texts - self.harmless
        if not unknown:
            return False
        if self.suspects(" ".join(unknown)):
            return True
        self.harmless.update(text for text in unknown if len(text) <= HARMLESS_CHARS)
        if len(self.harmless) > HARMLESS_TEXTS:
            self.harmless.clear()
        return False

    def text(self, text: str) -> Redacted:
        """The text without secrets. Idempotent; the number of lines stays; time grows with the length only."""
        if len(text) > TEXT_LIMIT:
            text = without_half_a_token(text[:TEXT_LIMIT])
        if not self.suspects(text):
            return Redacted(text=text)
        counts: Counter[str] = Counter()
        # Until nothing changes: what replacing one secret brings together may be the next one.
        for _ in range(_PASSES):
            after = self._once(text, counts)
            if after == text:
                return Redacted(text=text, counts=dict(counts))
            text = after
        return Redacted(text=marked(UNSETTLED) + "\n" * text.count("\n"), counts={UNSETTLED: 1})

    def plain(self, text: str, *, limit: int) -> Redacted:
        """Cleaned, redacted, and only then cut: what may be shown of a foreign text."""
        redacted = self.text(clean(text))
        return Redacted(text=shortened(redacted.text, limit), counts=redacted.counts)

    def mapping(self, values: Mapping[str, str], *, limit: int) -> tuple[dict[str, str], Counter[str]]:
        """Labels and the like, names and values plain; a name may say that its value is a secret."""
        plain, counts = {}, Counter[str]()
        for name, value in values.items():
            spelt = self.plain(name, limit=limit)
            counts.update(spelt.counts)
            if names_a_secret(name, value):
                plain[spelt.text] = marked(CREDENTIAL)
                counts[CREDENTIAL] += 1
                continue
            redacted = self.plain(value, limit=limit)
            plain[spelt.text] = redacted.text
            counts.update(redacted.counts)
        return plain, counts

    def _once(self, text: str, counts: Counter[str]) -> str:
        lowered, hinted = text.lower(), dict[tuple[str, ...], bool]()
        for kind in self._kinds:
            if kind.hints not in hinted:  # several kinds share theirs
                hinted[kind.hints] = not kind.hints or any(hint in lowered for hint in kind.hints)
            if not hinted[kind.hints] or (kind.needs is not None and not kind.needs(text)):
                continue
            after = kind.pattern.sub(partial(_replaced, kind, counts), text)
            if after != text:
                text, lowered, hinted = after, after.lower(), {}
        for own in self._own:
            text = "\n".join(_without_own(line, own, counts) for line in text.split("\n"))
        return text


_ALL_HINTS = dict.fromkeys(hint for kind in BUILT_IN for hint in kind.hints)
_HINTS = tuple(hint for hint in _ALL_HINTS if not any(part in hint for part in _ALL_HINTS if part != hint))
"""Without those that hold another one."""
_NEEDS = tuple(kind.needs for kind in BUILT_IN if kind.needs is not None)


def _replaced(kind: Kind, counts: Counter[str], match: re.Match[str]) -> str:
    whole, (start, end) = match[0], match.span("secret")
    if kind.certain is not None and not kind.certain(match):
        return whole
    secret = match["secret"]
    if kind.closers:
        end -= len(secret) - len(secret.rstrip(")]}>"))
    start, end = start - match.start(), end - match.start()
    if start == end or MARKER.fullmatch(whole[start:end]):
        return whole
    counts[kind.name] += 1
    return f"{whole[:start]}{marked(kind.name)}{_line_ends(secret)}{whole[end:]}"


def _line_ends(secret: str) -> str:
    """As many as the secret had, so that line n stays line n."""
    return "\n" * secret.count("\n")


def _without_own(line: str, own: OwnPattern, counts: Counter[str]) -> str:
    """Through windows that overlap by half: a pattern's time is bounded by what it meets, and no seam halves a match."""
    group = "secret" if "secret" in own.pattern.groupindex else 0
    shown, done, at = [], 0, 0
    while at < len(line):
        window = min(at + OWN_PATTERN_CHARACTERS, len(line))
        found = own.pattern.search(line, at, window)
        beyond = at + OWN_PATTERN_CHARACTERS // 2
        if found is None or (found.start() >= beyond and window < len(line)):
            at = beyond
            continue
        start, end = found.span(group)
        if 0 <= start < end and not MARKER.search(found[0]):
            shown += [line[done:start], marked(own.name)]
            counts[own.name] += 1
            done = end
        at = max(found.end(), at + 1)
    return "".join([*shown, line[done:]])


def without_half_a_token(cut: str) -> str:
    """A text that was cut before it was redacted, without what may be the first half of a secret at its end."""
    end = max(cut.rfind(blank, max(0, len(cut) - _LONGEST_TOKEN)) for blank in " \n")
    return cut[: end + 1] if end >= 0 else cut[:-_LONGEST_TOKEN]
