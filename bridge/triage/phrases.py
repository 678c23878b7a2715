"""What a container's own words may say against a restart: the classes of ``phrase_table``, searched in its lines.

Text is untrusted, so a phrase can only ever stop a repair. Nothing here lets one line cancel another: more text
never means fewer sightings.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from bridge.model.evidence import TextLine
from bridge.triage.phrase_table import CLASSES, DEPENDENCY_DOWN, PhraseClass

__all__ = [
    "CLASSES",
    "DEPENDENCY_DOWN",
    "PhraseClass",
    "Sighting",
    "extended",
    "hosts_named",
    "readable",
    "says_something",
    "sightings",
    "telling_part",
]

LINE_LIMIT = 2000
"""Characters of a line that are looked at: its first and its last thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A phrase of a class was seen in the line with this id."""

    kind: str
    meaning: str
    line_id: str


_ANSI = re.compile(r"\x1b\[[0-9;]{0,16}[a-z]")
_ANSWERED = re.compile(r'http/[123](?:\.[01])?\\?" [1-5][0-9]{2}\b', re.IGNORECASE)
_REQUEST = re.compile(r'"(?:get|head|post|put|delete|connect|options|trace|patch) ', re.IGNORECASE)
"""A request line in quotes, followed by its status, makes a line one of an access log: from there on a client speaks."""

_SELF = re.compile(
    r"\blocalhost\b|\b127(?:\.[0-9]{1,3}){3}\b|\b0\.0\.0\.0\b|(?<![0-9a-f:])::1(?![0-9a-f])"
    r"|\bunix:|\.sock\b|\bunix domain socket"
)
_HOST_AND_PORT = re.compile(
    r"://(?:[^/@\s]{0,100}@)?([a-z0-9._-]{1,100})"
    r"|\b([0-9]{1,3}(?:\.[0-9]{1,3}){3}):[0-9]{2,5}\b"
    r"|(?<![a-z0-9._-])([a-z0-9._-]{1,100}):(?:1433|1521|27017|3306|389|5432|5672|636|6379|9042|9092|9200|11211)\b"
)


def extended(classes: Sequence[PhraseClass], phrases: Mapping[str, Sequence[str]]) -> tuple[PhraseClass, ...]:
    """The table with an operator's own phrases: regular expressions, case ignored; an unknown class becomes a new one.

    They are searched in lines that were cut to a bounded length, and checked by the settings before they come here.
    """
    table = list(classes)
    for kind, sources in phrases.items():
        own = tuple(re.compile(source, re.IGNORECASE) for source in sources)
        known = next(
            (i for i, entry in enumerate(table) if entry.kind == kind and not entry.about_peers), None
        )
        if known is None:
            table.append(PhraseClass(kind=kind, meaning=kind.replace("_", " "), patterns=own))
        else:
            table[known] = replace(table[known], patterns=table[known].patterns + own)
    return tuple(table)


def sightings(
    lines: Iterable[TextLine],
    *,
    classes: Sequence[PhraseClass] = CLASSES,
    own_names: Collection[str] = (),
    of_health_check: bool = False,
) -> tuple[Sighting, ...]:
    """Every class seen in these lines, once per class and line, in the order of the lines.

    ``of_health_check``: the lines are the output of a health check, which normally talks to the container itself;
    there "connection refused" only counts if another host is named. ``own_names`` are names of the container.
    """
    own = frozenset(name.lower() for name in own_names)
    return tuple(
        sighting
        for line in lines
        for sighting in _in_line(line, classes, own, of_health_check=of_health_check)
    )


def says_something(line: TextLine, *, classes: Sequence[PhraseClass] = CLASSES) -> bool:
    """Whether any class is seen in this line."""
    return any(_in_line(line, classes, frozenset(), of_health_check=False))


def telling_part(text: str, *, limit: int, classes: Sequence[PhraseClass] = CLASSES) -> str | None:
    """The first part of a line, of at most ``limit`` characters, in which a class is seen; ``None``: in none.

    The cause is often the last word of a long line, and a stranger's words before it must not push it out of sight.
    """

    def says(part: str) -> bool:
        return says_something(TextLine(id="", text=part), classes=classes)

    if len(text) <= limit:
        return text if says(text) else None
    own, step = _own_words(text), limit // 2
    for start in range(0, max(len(own) - step, 1), step):
        part = own[start : start + limit - 2]
        if says(part):
            return f"{'…' if start else ''}{part}{'…' if start + limit - 2 < len(text) else ''}"
    return None


def hosts_named(text: str) -> frozenset[str]:
    """The hosts that a line names with a port or in a URL, in lower case; itself is not among them."""
    return frozenset(host for host in _hosts(readable(text)) if not _SELF.fullmatch(host))


def _hosts(text: str) -> set[str]:
    return {next(filter(None, match.groups())) for match in _HOST_AND_PORT.finditer(text)}


def _in_line(
    line: TextLine, classes: Sequence[PhraseClass], own: frozenset[str], *, of_health_check: bool
) -> Iterable[Sighting]:
    text = _own_words(readable(line.text))
    seen: set[str] = set()
    for entry in classes:
        if entry.kind in seen or not _said(entry, text):
            continue
        if any(pattern.search(text) for pattern in entry.unless):
            continue
        if entry.about_peers and not _about_peers(text, own, of_health_check=of_health_check):
            continue
        seen.add(entry.kind)
        yield Sighting(kind=entry.kind, meaning=entry.meaning, line_id=line.id)


def _own_words(text: str) -> str:
    """Without what a client sent: the program's own words stand before it, and a client must not take them back."""
    answered = _ANSWERED.search(text)
    if answered is None:
        return text
    request = _REQUEST.search(text, 0, answered.start())
    begin = request.start() if request else text.rfind('"', 0, answered.start())
    return text[:begin] if begin >= 0 else text[: answered.start()]


def _said(entry: PhraseClass, text: str) -> bool:
    return any(
        needle in text and pattern.search(text) is not None
        for needle, pattern in zip(entry.needles, entry.patterns, strict=True)
    )


def readable(text: str) -> str:
    """A line as the patterns meet it: lower case, without colours, its middle left out beyond the limit."""
    if len(text) > LINE_LIMIT:
        half = LINE_LIMIT // 2
        text = f"{text[:half]} {text[-half:]}"
    return _ANSI.sub("", text.lower())


def _about_peers(text: str, own: frozenset[str], *, of_health_check: bool) -> bool:
    hosts = _hosts(text)
    if any(host not in own and not _SELF.fullmatch(host) for host in hosts):
        return True
    return not of_health_check and not hosts and not _SELF.search(text)
