"""How incidents, alerts and timelines are written in the store: JSON of the model's own values, nothing else."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from bridge.edges.store.connection import instant
from bridge.model.alert import Alert, Subject
from bridge.model.consultation import Audit
from bridge.model.evidence import Evidence
from bridge.model.incident import Answer, Entry, Incident, Proposal, State, TimelineEntry

CALL_BYTES = 4
"""Of a call's mark, which shows twice as many hexadecimal digits: ``CALL`` of the scripts' prelude."""

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


def decode_entry(text: str) -> TimelineEntry:
    """A line of the timeline as the scripts wrote it."""
    entry = _entry.decode(text)
    return TimelineEntry(at=instant(entry.at_ms), event=entry.event, fields=entry.fields)


def decode_incident(incident_id: str, fields: Mapping[str, str]) -> Incident:
    """An incident from the fields of its hash. One that no worker has written yet is made from what intake knew."""
    suspect = fields.get("suspect") == "1"
    if "doc" not in fields:
        return Incident(
            id=incident_id,
            subject=_subject.decode(fields["subject"]),
            opened_at=instant(fields["opened"]),
            state=State.OPEN,
            suspect=suspect,
        )
    evidence = _evidence.decode(fields["evidence"]) if fields.get("evidence") else None
    audit = _audit.decode(fields["audit"]) if fields.get("audit") else None
    incident = replace(_incident.decode(fields["doc"]), evidence=evidence, audit=audit, suspect=suspect)
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
