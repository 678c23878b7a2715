"""A log reduced to what tells something: lines of one shape become one, and those that speak of trouble go first. Pure.

Nothing is rewritten: shown lines are whole, in their order, each saying for how many it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from bridge.model.evidence import TextLine

MOST_LINES = 60
LAST_LINES = 10
"""The end of a log is shown whatever it says: it is where the program was when it mattered."""

_SHAPE_CHARACTERS = 400
_TROUBLE = re.compile(
    r"\b(?:error|err|fatal|panic|traceback|exception|critical|crit|emerg|severe|segfault|segmentation|abort(?:ed|ing)?"
    r"|killed|oom|out of memory|fail(?:ed|ure|s)?|cannot|could not|unable|refused|denied|timed? ?out|unavailable|corrupt\w*)\b"
    r"|[a-z]+(?:error|exception)\b",
    re.IGNORECASE,
)
_VARYING = (
    (re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    # An address of one's own must not look like somebody else's: a rule asks whose port refused.
    (re.compile(r"\b(?!127\.)[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b"), "<address>"),
    (re.compile(r"\b(?:0x)?(?=[a-f]{0,64}[0-9])[0-9a-f]{8,64}\b"), "<id>"),
    (re.compile(r"[0-9]+(?:[.,:][0-9]+)*"), "<n>"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """The lines that are shown, and how many are neither shown nor stood for."""

    lines: tuple[TextLine, ...]
    dropped: int = 0


@dataclass(slots=True)
class _Shape:
    telling: bool
    trouble: bool
    at: list[int] = field(default_factory=list)


def excerpt(
    lines: Sequence[TextLine], *, telling: Callable[[TextLine], bool], most: int = MOST_LINES
) -> Excerpt:
    """At most ``most`` lines of a log, oldest first, with new ids ``L1`` and on.

    Shown before all others, as far as there is room: the first and last line of each shape that is ``telling`` (a rule
    would look at it), the newest first; the last lines; the first and last of each shape that speaks of trouble; the
    newest of every other shape.
    """
    shapes = _shapes(lines, telling)
    shown: dict[int, None] = {}
    for number in _wanted(shapes, len(lines)):
        shown.setdefault(number)
        if len(shown) == most:
            break
    kept, dropped = [], 0
    for shape in shapes:
        seen = [number for number in shape.at if number in shown]
        dropped += 0 if seen else len(shape.at)
        # The oldest shown one stands for those that are not.
        kept += [(number, 1 + (number == seen[0]) * (len(shape.at) - len(seen))) for number in seen]
    ordered = [replace(lines[number], count=count) for number, count in sorted(kept)]
    return Excerpt(
        lines=tuple(replace(line, id=f"L{place}") for place, line in enumerate(ordered, start=1)),
        dropped=dropped,
    )


def shape_of(text: str) -> str:
    """What two lines have in common that differ in numbers, addresses and ids only."""
    shape = text[:_SHAPE_CHARACTERS].lower()
    for pattern, instead in _VARYING:
        shape = pattern.sub(instead, shape)
    return shape


def _shapes(lines: Sequence[TextLine], telling: Callable[[TextLine], bool]) -> list[_Shape]:
    found: dict[tuple[str, bool], _Shape] = {}
    told: dict[str, bool] = {}
    for number, line in enumerate(lines):
        if line.text not in told:
            told[line.text] = telling(line)
        # By both: "status 200" and "status 429" are of one shape, and only one of them tells something.
        key = (shape_of(line.text), told[line.text])
        if key not in found:
            found[key] = _Shape(
                telling=key[1], trouble=_TROUBLE.search(line.text[:_SHAPE_CHARACTERS]) is not None
            )
        found[key].at.append(number)
    return list(found.values())


def _wanted(shapes: Sequence[_Shape], count: int) -> Iterable[int]:
    newest_first = sorted(shapes, key=lambda shape: -shape.at[-1])
    for shape in newest_first:
        if shape.telling:
            yield from (shape.at[-1], shape.at[0])
    yield from range(count - 1, max(-1, count - 1 - LAST_LINES), -1)
    for shape in newest_first:
        if shape.trouble:
            yield from (shape.at[-1], shape.at[0])
    for shape in newest_first:
        yield shape.at[-1]
