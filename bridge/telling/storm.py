"""The incidents of a storm, told together: how many stand how, and which need a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from bridge.model.incident import Incident
from bridge.telling.glance import ALARMING, awaits, name_of, never_agreed

NAMES_SHOWN = 15
_ASKS, _OPEN = "asks", "open"
_WANTING = (*(outcome.value for outcome in ALARMING), _ASKS)


@dataclass(frozen=True, slots=True, kw_only=True)
class StormPoster:
    """Many incidents at a glance. ``counts``: how many stand how, most first. ``wanting``: those that need a person, as
    many as can be read; ``more`` are left out. ``done``: nothing of it will move any more."""

    since: datetime
    over: bool
    done: bool
    total: int
    counts: tuple[tuple[str, int], ...]
    wanting: tuple[str, ...]
    more: int


def tally_line(incident: Incident) -> str:
    """How an incident of a storm stands, for its tally; ``""``: it is not ours to tell."""
    if never_agreed(incident.decision):
        return ""
    stands = incident.outcome.value if incident.outcome else _ASKS if awaits(incident) else _OPEN
    return f"{stands}\t{name_of(incident)}"


def needs_a_person(line: str) -> bool:
    """Whether the incident of this line does."""
    return line.partition("\t")[0] in _WANTING


def storm_poster(tally: Mapping[str, str], *, since: datetime, over: bool) -> StormPoster:
    """A storm as its tally has it."""
    lines = {incident_id: line.partition("\t") for incident_id, line in tally.items()}
    counts = Counter(stands for stands, _, _ in lines.values())
    wanting = [
        f"{name}: {stands} ({incident_id})"
        for incident_id, (stands, _, name) in sorted(
            lines.items(), key=lambda one: (one[1][0] != _ASKS, one[1][2])
        )
        if stands in _WANTING
    ]
    return StormPoster(
        since=since,
        over=over,
        done=over and not counts[_OPEN] and not counts[_ASKS],
        total=len(lines),
        counts=tuple((stands.replace("_", " "), count) for stands, count in counts.most_common()),
        wanting=tuple(wanting[:NAMES_SHOWN]),
        more=max(0, len(wanting) - NAMES_SHOWN),
    )
