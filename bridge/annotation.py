"""One incident as a Grafana annotation: a region from the action to the outcome, or a point where nothing was done. Pure.

Source: Grafana's annotations API. Of a tag only what stands around its first colon survives, each side at most 100
characters on MySQL, all tags together under 500 bytes of JSON; text is stored raw and 64 KiB is the most.
"""

from __future__ import annotations

import html
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from bridge.model.incident import Incident, Outcome, TimelineEntry

PRODUCT = "hemostat"
SIDE_CHARACTERS = 100
TAGS_BYTES = 480
REASON_CHARACTERS = 600

STARTED = "acting"
"""The event of the timeline with which an action begins."""

POINTS: frozenset[Outcome] = frozenset({Outcome.ESCALATED, Outcome.REFUSED})
"""Outcomes without an action that are drawn unless configured otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """``ends`` is ``None`` for a region that is still open; a point ends when it begins."""

    incident_id: str
    begins: datetime
    ends: datetime | None
    tags: tuple[str, ...]
    text: str

    @property
    def finding_tag(self) -> str:
        """The tag that no other annotation has: by it one is found again."""
        return finding_tag(self.incident_id)


def finding_tag(incident_id: str) -> str:
    """The tag of this incident alone."""
    return f"incident:{incident_id}"


def of(
    incident: Incident,
    timeline: Sequence[TimelineEntry],
    *,
    points: Collection[Outcome] = POINTS,
    external_url: str = "",
) -> Annotation | None:
    """What is to be seen of an incident now; ``None``: nothing (yet)."""
    begins = _action_began(incident, timeline)
    if begins is not None:
        return _annotation(incident, begins, incident.closed_at, external_url)
    if incident.closed_at is not None and incident.outcome in points:
        return _annotation(incident, incident.closed_at, incident.closed_at, external_url)
    return None


def _action_began(incident: Incident, timeline: Sequence[TimelineEntry]) -> datetime | None:
    """The first intent's time: a later one, after a crash, is the same repair."""
    if incident.intent is None:
        return None
    return next((entry.at for entry in timeline if entry.event == STARTED), incident.intent.at)


def _annotation(incident: Incident, begins: datetime, ends: datetime | None, external_url: str) -> Annotation:
    return Annotation(
        incident_id=incident.id,
        begins=begins,
        ends=ends,
        tags=_tags(incident),
        text=_text(incident, begins, ends, external_url),
    )


def _tags(incident: Incident) -> tuple[str, ...]:
    """The most useful first: what does not fit any more is left out."""
    pairs = [("incident", incident.id)]
    if incident.outcome is not None:
        pairs.append(("outcome", incident.outcome.value))
    if incident.intent is not None:
        pairs.append(("action", incident.intent.action.value))
    pairs += [("container", _name(incident)), ("host", _host(incident))]
    tags = [PRODUCT]
    for key, value in pairs:
        side = value.replace(":", "_").strip()[:SIDE_CHARACTERS]
        if side and len(json.dumps([*tags, f"{key}:{side}"])) <= TAGS_BYTES:
            tags.append(f"{key}:{side}")
    return tuple(tags)


def _name(incident: Incident) -> str:
    return incident.target.name if incident.target else incident.subject.named


def _host(incident: Incident) -> str:
    return incident.target.host if incident.target else incident.subject.host


def _text(incident: Incident, begins: datetime, ends: datetime | None, external_url: str) -> str:
    name = _name(incident) or "an alert without a target"
    what = f"{incident.intent.action.value} of {name}" if incident.intent else name
    if incident.outcome is None:
        how = "under way"
    elif incident.intent is not None and ends is not None:
        how = f"{incident.outcome.value} after {(ends - begins).total_seconds():.0f} s"
    else:
        how = incident.outcome.value
    lines = [f"{what}: {how}"]
    if incident.decision is not None and incident.intent is not None:
        lines.append(f"why: {incident.decision.verdict.reason}")
    if incident.outcome is not None and incident.reason:
        lines.append(incident.reason)
    escaped = [html.escape(line[:REASON_CHARACTERS], quote=False) for line in lines]
    escaped.append(_link(incident.id, external_url))
    return "\n".join(escaped)


def _link(incident_id: str, external_url: str) -> str:
    if not external_url:
        return f"hemostat explain {incident_id}"
    url = f"{external_url.rstrip('/')}/#/incident/{incident_id}"
    return f'<a href="{html.escape(url)}">incident {incident_id}</a>'
