"""How incidents, alerts and timelines are written in the store: JSON of the model's own values, nothing else."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

import msgspec

from bridge import errors
from bridge.edges.store.connection import instant
from bridge.model.alert import Alert, Subject, SubjectKind
from bridge.model.consultation import Audit
from bridge.model.evidence import Evidence
from bridge.model.incident import Answer, Entry, Incident, Outcome, Proposal, State, Target, TimelineEntry
from bridge.roles import EpisodeView

CALL_BYTES = 4
"""Of a call's mark, which shows twice as many hexadecimal digits: ``CALL`` of the scripts' prelude."""

UNREADABLE = "unreadable"
"""The event of a line that this version cannot read."""

_encoder = msgspec.json.Encoder()
_alert = msgspec.json.Decoder(Alert)
_subject = msgspec.json.Decoder(Subject)
_evidence = msgspec.json.Decoder(Evidence)
_audit = msgspec.json.Decoder(Audit)
_incident = msgspec.json.Decoder(Incident)


class _Entry(msgspec.Struct):
    at_ms: int
    event: str
    fields: dict[str, str]


_entry = msgspec.json.Decoder(_Entry)


def encode(value: object) -> str:
    """Any value of the model as JSON."""
    return _encoder.encode(value).decode()


def encode_incident(incident: Incident) -> str:
    """The incident without evidence and audit, which are large, written once, and kept beside it."""
    return encode(replace(incident, evidence=None, audit=None))


def encode_entry(entry: Entry | None) -> str:
    """A line of the story, marked as of this call, so that a repetition of the call is not told again. ``""`` for none.

    The script that writes it takes the mark off and adds the time.
    """
    return "" if entry is None else secrets.token_hex(CALL_BYTES) + encode(entry)


def decode_alert(text: str) -> Alert:
    """The alert that ``encode`` wrote."""
    return _alert.decode(text)


def decode_episode(incident_id: str, text: str) -> EpisodeView:
    """An alert of an incident as the script keeps it, with whether it fires. Raises: Unreadable."""
    with _readable(incident_id):
        return EpisodeView(alert=decode_alert(text[1:]), firing=text.startswith("F"))


def decode_entry(text: str) -> TimelineEntry:
    """A line of the timeline as the scripts wrote it."""
    entry = _entry.decode(text)
    return TimelineEntry(at=instant(entry.at_ms), event=entry.event, fields=entry.fields)


def decode_line(text: str, *, otherwise_at: datetime) -> TimelineEntry:
    """The same for readers. One of another version is shown as such, at ``otherwise_at``: no reader may stumble over it,
    and none pass over it in silence."""
    try:
        return decode_entry(text)
    except msgspec.DecodeError:
        return TimelineEntry(at=otherwise_at, event=UNREADABLE, fields={})


def decode_incident(incident_id: str, fields: Mapping[str, str]) -> Incident:
    """An incident from the fields of its hash. One that no worker has written yet is made from what intake knew.

    Raises: Unreadable: it is of another version, or damaged.
    """
    with _readable(incident_id):
        return _decoded(incident_id, fields)


def decode_shown(incident_id: str, fields: Mapping[str, str]) -> Incident:
    """The same for readers: of one that cannot be read, what stands beside its document, and why."""
    try:
        return decode_incident(incident_id, fields)
    except errors.Unreadable as error:
        return _beside(incident_id, fields, error.why)


def _beside(incident_id: str, fields: Mapping[str, str], why: str) -> Incident:
    outcome, closed = fields.get("outcome"), fields.get("closed")
    state = State.CLOSED if closed else fields.get("state")
    host, _, name = fields.get("target", "").partition("/")
    try:
        subject = _subject.decode(fields.get("subject", ""))
    except msgspec.DecodeError:
        subject = Subject(kind=SubjectKind.UNKNOWN, name=fields.get("subject_key", ""))
    return Incident(
        id=incident_id,
        subject=subject,
        opened_at=instant(fields.get("opened", 0)),
        state=State(state) if state in set(State) else State.OPEN,
        closed_at=instant(closed) if closed else None,
        outcome=Outcome(outcome) if outcome in set(Outcome) else None,
        reason=f"cannot be read by this version of HemoStat: {why}",
        target=Target(host=host, name=name) if name else None,
        unreadable=why,
    )


@contextlib.contextmanager
def _readable(incident_id: str) -> Iterator[None]:
    try:
        yield
    except (msgspec.DecodeError, KeyError, ValueError) as error:
        raise errors.Unreadable(incident_id, f"{type(error).__name__}: {error}"[:200]) from error


def _decoded(incident_id: str, fields: Mapping[str, str]) -> Incident:
    suspect = fields.get("suspect") == "1"
    suspected_at = instant(fields["suspected"]) if suspect and "suspected" in fields else None
    if "doc" not in fields:
        return Incident(
            id=incident_id,
            subject=_subject.decode(fields["subject"]),
            opened_at=instant(fields["opened"]),
            state=State.OPEN,
            suspect=suspect,
            suspected_at=suspected_at,
        )
    evidence = _evidence.decode(fields["evidence"]) if fields.get("evidence") else None
    audit = _audit.decode(fields["audit"]) if fields.get("audit") else None
    incident = replace(_incident.decode(fields["doc"]), evidence=evidence, audit=audit)
    incident = replace(incident, suspect=suspect, suspected_at=suspected_at)
    incident = replace(incident, proposal=_with_answer(incident.proposal, fields))
    if fields["state"] == State.RESERVED and incident.state is State.JUDGED:
        # The script that grants is the one that knows the token: it keeps it beside the document.
        return incident.reserved(int(fields["token"]), now=incident.updated_at or incident.opened_at)
    return incident


def _with_answer(proposal: Proposal | None, fields: Mapping[str, str]) -> Proposal | None:
    """People answer without a claim: what they said is kept beside the document."""
    if proposal is None or "answer" not in fields or fields.get("ask") != proposal.id:
        return proposal
    return replace(
        proposal,
        answer=Answer(fields["answer"]),
        answered_by=fields.get("answered_by", ""),
        answered_at=instant(fields["answered_at"]),
    )


def pairs(flat: object) -> dict[str, str]:
    """HGETALL as plain commands answer it: a flat list, or a dict where the client has already paired it."""
    if isinstance(flat, dict):
        return {str(name): str(value) for name, value in flat.items()}
    items = list(flat) if isinstance(flat, list | tuple) else []
    return {str(items[n]): str(items[n + 1]) for n in range(0, len(items), 2)}
