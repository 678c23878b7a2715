"""A webhook's body becomes alerts, and each alert's labels become the subject they name. Pure.

Accepts Alertmanager's webhook v4 and Grafana unified alerting's variant of it; unknown keys are ignored, because
both add fields between releases. Whether a firing opens an episode is the journal's to say.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import msgspec

from bridge.errors import PayloadError
from bridge.model.alert import Alert, AlertStatus, Subject, SubjectKind
from bridge.redaction import Redactor, without_half_a_token

CONTAINER_ID_LABEL = "container_id"
HOST_LABEL = "docker_host"
NAME_LABELS = ("container_name", "container", "name")
SERVICE_LABEL = "service_name"
TARGET_LABELS = (CONTAINER_ID_LABEL, *NAME_LABELS, SERVICE_LABEL)
"""The labels by which a target is looked for, in order."""

MAX_VALUE_CHARS = 8192
"""A longer label or annotation value is cut: it names nothing any more, and the other alerts must not suffer."""

_NO_STATUS = re.compile(r"\AInvalid enum value .* - at `(?=\$\.alerts\[[0-9]+\]\.status`\Z)", re.DOTALL)
_REPEATED = re.compile(r"Invalid enum value ['\"].*['\"](?= - at)", re.DOTALL)
_FINGERPRINT = re.compile(r"[0-9A-Za-z_.:-]{1,64}")
_CONTAINER_ID = re.compile(r"(?:docker://|/docker/|docker-)?([0-9a-f]{12,64})(?:\.scope)?")
_CONTAINER_NAME = re.compile(r"/?([A-Za-z0-9][A-Za-z0-9_.-]{0,254})")


class _WireAlert(msgspec.Struct, rename="camel"):
    status: AlertStatus
    labels: dict[str, str]
    starts_at: datetime
    annotations: dict[str, str] = {}
    ends_at: datetime | None = None
    generator_url: str | None = msgspec.field(default=None, name="generatorURL")
    fingerprint: str | None = None


class _WireWebhook(msgspec.Struct, rename="camel"):
    alerts: list[_WireAlert]
    version: str = "4"
    truncated_alerts: int = 0
    receiver: str = ""


_decoder = msgspec.json.Decoder(_WireWebhook)


class Webhook(msgspec.Struct, frozen=True):
    """What a webhook said. ``truncated`` alerts were left out by Alertmanager (``max_alerts``) and never arrive.

    ``receiver`` is the name of Alertmanager's receiver, with the characters of regular expressions escaped.
    """

    alerts: tuple[Alert, ...]
    truncated: int = 0
    receiver: str = ""


def read_webhook(body: bytes) -> Webhook:
    """The alerts of a webhook's body.

    Raises:
        PayloadError: with one line that says where and why. Nothing of the body but its structure is repeated.
    """
    if not body.strip():
        raise PayloadError("the body is empty; an Alertmanager webhook (JSON) was expected")
    try:
        wire = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise PayloadError(f"not an Alertmanager webhook: {_said(error)}{_hint(body)}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PayloadError(f"not valid JSON: {_said(error)}") from error
    except RecursionError as error:
        raise PayloadError("not an Alertmanager webhook: nested too deeply") from error
    if len(body) > MAX_VALUE_CHARS:  # in a smaller body no value can be too long
        for alert in wire.alerts:
            alert.labels, alert.annotations = _cut(alert.labels), _cut(alert.annotations)
    return Webhook(
        alerts=tuple([_alert(alert, n) for n, alert in enumerate(wire.alerts)]),
        truncated=max(0, wire.truncated_alerts),
        receiver=wire.receiver,
    )


def listed_alert(
    *,
    fingerprint: str,
    labels: dict[str, str],
    annotations: dict[str, str],
    starts_at: datetime,
    generator_url: str,
) -> Alert:
    """An alert that Alertmanager lists, as its webhook would have said it. Raises PayloadError: it could not have."""
    wire = _WireAlert(
        status=AlertStatus.FIRING,
        labels=_cut(labels),
        starts_at=starts_at,
        annotations=_cut(annotations),
        generator_url=generator_url,
        fingerprint=fingerprint,
    )
    return _alert(wire, 0)


def _said(error: Exception) -> str:
    """msgspec's message names types, paths and byte offsets; a value that it repeats is left out. One line, bounded."""
    said = _NO_STATUS.sub("Expected `firing` or `resolved` - at `", str(error))
    return " ".join(_REPEATED.sub("Invalid enum value", said).split())[:200]


def _hint(body: bytes) -> str:
    if b'"ruleName"' in body and b'"alerts"' not in body:
        return " (this looks like Grafana's legacy alerting; use unified alerting's webhook)"
    return ""


def _alert(wire: _WireAlert, place: int) -> Alert:
    fingerprint = wire.fingerprint or _fingerprint(wire.labels)
    if not _FINGERPRINT.fullmatch(fingerprint):
        raise PayloadError(f"not an Alertmanager webhook: alerts[{place}].fingerprint is not a fingerprint")
    starts_at = _instant(wire.starts_at)
    if starts_at is None:
        raise PayloadError(f"not an Alertmanager webhook: alerts[{place}].startsAt is not set")
    return Alert(
        fingerprint=fingerprint,
        status=wire.status,
        labels=wire.labels,
        annotations=wire.annotations,
        starts_at=starts_at,
        ends_at=_instant(wire.ends_at) if wire.ends_at else None,
        generator_url=wire.generator_url or "",
    )


def _cut(values: dict[str, str]) -> dict[str, str]:
    if max(map(len, values.values()), default=0) <= MAX_VALUE_CHARS:
        return values
    return {name: value[:MAX_VALUE_CHARS] for name, value in values.items()}


def _instant(at: datetime) -> datetime | None:
    """The time in UTC; ``None`` for Go's zero time (year 1), which no western zone can express."""
    if at.year <= 1970 or at.year >= 9999:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _fingerprint(labels: Mapping[str, str]) -> str:
    """A stand-in for senders that send none: stable over the labels, as Alertmanager's own is."""
    digest = hashlib.sha256()
    for name in sorted(labels):
        digest.update(f"{name}\xff{labels[name]}\xff".encode(errors="surrogatepass"))
    return digest.hexdigest()[:16]


def redacted(webhook: Webhook, redactor: Redactor) -> Webhook:
    """The same webhook without secrets, as it may be stored and shown.

    In a label an e-mail address stays, since routes and maintenance windows match labels (``owner="ada@example.org"``);
    it goes on the way out. Source: ``docs/decisions/0017-redact-when-collected.md``.
    """
    texts: set[str] = set()  # most texts come again in each alert of a group
    for alert in webhook.alerts:
        texts.update(alert.labels, alert.labels.values(), alert.annotations, alert.annotations.values())
        texts.add(alert.generator_url)
    if not redactor.suspects_any(texts):
        return webhook
    for_labels = redactor.sparing("email")
    alerts = tuple(without_secrets(alert, redactor, labels=for_labels) for alert in webhook.alerts)
    return Webhook(alerts=alerts, truncated=webhook.truncated, receiver=webhook.receiver)


def without_secrets(alert: Alert, redactor: Redactor, *, labels: Redactor | None = None) -> Alert:
    """The same alert as it may be shown; ``labels`` where labels are redacted otherwise than the rest."""
    return replace(
        alert,
        labels=(labels or redactor).mapping(_ending_well(alert.labels), limit=MAX_VALUE_CHARS)[0],
        annotations=redactor.mapping(_ending_well(alert.annotations), limit=MAX_VALUE_CHARS)[0],
        generator_url=redactor.plain(alert.generator_url, limit=MAX_VALUE_CHARS).text,
    )


def _ending_well(values: Mapping[str, str]) -> Mapping[str, str]:
    """What was cut when it came in may end in half a secret."""
    return {
        name: value if len(value) < MAX_VALUE_CHARS else without_half_a_token(value)
        for name, value in values.items()
    }


def subject_of(labels: Mapping[str, str], *, hosts: Sequence[str]) -> Subject:
    """What the labels name: ``container_id``, else a container's name, else a Swarm service, else nothing.

    ``hosts`` are the configured Docker hosts; the only one is meant where ``docker_host`` is absent. A value that no
    container can bear counts as absent: it is text from outside and must not become part of a request.
    """
    host = labels.get(HOST_LABEL, "").strip() or (hosts[0] if len(hosts) == 1 else "")
    by_id = (
        _CONTAINER_ID.fullmatch(labels[CONTAINER_ID_LABEL].strip()) if CONTAINER_ID_LABEL in labels else None
    )
    container_id = by_id.group(1) if by_id else ""
    for label in NAME_LABELS:
        name = _CONTAINER_NAME.fullmatch(labels[label].strip()) if label in labels else None
        if name:
            return Subject(
                kind=SubjectKind.CONTAINER, host=host, name=name.group(1), container_id=container_id
            )
    if container_id:
        return Subject(kind=SubjectKind.CONTAINER_ID, host=host, container_id=container_id)
    service = _CONTAINER_NAME.fullmatch(labels.get(SERVICE_LABEL, "").strip())
    if service:
        return Subject(kind=SubjectKind.SERVICE, host=host, name=service.group(1))
    return Subject(kind=SubjectKind.UNKNOWN, host=host, name=_fingerprint(labels))
