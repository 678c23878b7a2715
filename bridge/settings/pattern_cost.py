"""How long a regular expression may search in a hostile line, read off its text: ways to match from one place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

UNBOUNDED = 2000
"""What ``*`` and ``+`` count as: the longest line that an operator's pattern meets."""

MOST_WAYS = 20_000
"""From each place of a line. One repeat without a bound, and small ones beside it, stay below."""

_ATOM = re.compile(
    r"\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|.)"  # an escape
    r"|\[\^?\]?(?:\\.|[^\]\\])*\]"  # a class
    r"|\((?:\?(?:P?<[^=!][^>]*>|P=\w+(?=\))|#[^)]*(?=\))|[aiLmsux-]*:|[aiLmsux-]+(?=\))|[=!>]|<[=!]|\(\w+\)))?"
    r"|[)|]|[^\\\[()|]",
    re.DOTALL,
)
_REPEAT = re.compile(r"(?:[*+?]|\{([0-9]*)(,?)([0-9]*)\})[?+]?")


@dataclass(slots=True)
class _Group:
    """One alternative after another: ``ways`` of those that are over, and of the one being read."""

    over: int = 0
    ways: int = 1
    last: int = field(default=1)

    def total(self) -> int:
        return min(self.over + self.ways * self.last, MOST_WAYS + 1)


def ways(pattern: str) -> int:
    """At most so many ways to match from one place, counted up to ``MOST_WAYS`` + 1.

    The pattern is known to compile. Careful where it is unsure: alternatives inside a repeat count as if each could
    match wherever another does.
    """
    stack, at = [_Group()], 0
    while at < len(pattern):
        group = stack[-1]
        if (repeat := _REPEAT.match(pattern, at)) and (repeat[0][0] != "{" or any(repeat.groups())):
            group.last = _repeated(group.last, repeat)
            at = repeat.end()
            continue
        atom = _ATOM.match(pattern, at)
        if atom is None:
            return MOST_WAYS + 1
        at = atom.end()
        if atom[0].startswith("("):
            stack.append(_Group())
        elif atom[0] == ")":
            if len(stack) == 1:
                return MOST_WAYS + 1
            inner = stack.pop().total()
            _next(stack[-1], inner)
        elif atom[0] == "|":
            group.over, group.ways, group.last = group.total(), 1, 1
        else:
            _next(group, 1)
    return stack[0].total() if len(stack) == 1 else MOST_WAYS + 1


def _next(group: _Group, ways: int) -> None:
    group.ways, group.last = min(group.ways * group.last, MOST_WAYS + 1), ways


def _repeated(ways: int, repeat: re.Match[str]) -> int:
    match repeat[0][0]:
        case "?":
            least, most = 0, 1
        case "*" | "+":
            least, most = 0, UNBOUNDED
        case _:
            least = int(repeat[1] or 0)
            most = least if not repeat[2] else int(repeat[3] or least + UNBOUNDED)
    widths = min(most - least, UNBOUNDED) + 1 if most > least else 1
    total = widths
    for _ in range(min(most, 40) if ways > 1 else 0):
        total = min(total * ways, MOST_WAYS + 1)
    return min(total, MOST_WAYS + 1)
