"""An alert as Alertmanager tells it, and what its labels say about the thing that is sick."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

OWN_ALERTS = "HemoStat"
"""Alerts whose name begins so are ours, from our rules or posted by us: they call people, and ask for no repair."""

SILENCER = "hemostat"
"""Creator of the silences that HemoStat itself lays on what it repairs: no wish of an operator."""


class AlertStatus(StrEnum):
    """The two statuses of Alertmanager's webhook v4."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alert of a webhook.

    ``fingerprint`` is Alertmanager's hash over the labels. ``ends_at`` is ``None`` while the alert fires (the
    wire says year 1). All text is untrusted. Source: Alertmanager webhook v4.
    """

    fingerprint: str
    status: AlertStatus
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None = None
    generator_url: str = ""

    @property
    def name(self) -> str:
        """The ``alertname`` label; Alertmanager does not require one."""
        return self.labels.get("alertname", "")

    @property
    def own(self) -> bool:
        """Whether it is one of ours, about ourselves."""
        return self.name.startswith(OWN_ALERTS)


class SubjectKind(StrEnum):
    """By which kind of label an alert names what is sick."""

    CONTAINER = "container"
    CONTAINER_ID = "id"
    SERVICE = "service"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What an alert's labels name, before Docker was asked whether it exists.

    ``host`` is ``""`` where no label says it (then the single configured host is meant). ``container_id`` is
    a hint that may accompany a name.
    """

    kind: SubjectKind
    host: str = ""
    name: str = ""
    container_id: str = ""

    @property
    def named(self) -> str:
        """What the labels call it, for people; empty where they name nothing. Its ``name`` is then a hash of them, by
        which what names nothing is told apart."""
        return "" if self.kind is SubjectKind.UNKNOWN else self.name or self.container_id

    @property
    def key(self) -> str:
        """One string per subject: incidents of the same subject join."""
        return f"{self.kind}/{self.host}/{self.name or self.container_id}"
