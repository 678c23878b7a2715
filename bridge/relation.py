"""Which of Alertmanager's alerts have to do with an incident, and whether its own are silenced. Pure.

Labels are untrusted: they are compared, and of one that is related only its name and severity are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.intake import HOST_LABEL, subject_of
from bridge.model.alert import Alert, SubjectKind
from bridge.model.evidence import ContainerFacts, RelatedAlert
from bridge.model.identity import COMPOSE_PROJECT, SWARM_SERVICE
from bridge.roles import ListedAlert

MOST = 10
PROJECT_LABELS = ("compose_project", "container_label_com_docker_compose_project")
"""What HemoStat's exporter and cAdvisor call the Compose project."""


def silenced(firing: Sequence[Alert], listed: Sequence[ListedAlert]) -> bool | None:
    """Whether somebody silenced every alert of the incident; ``None``: Alertmanager knows none of them."""
    ours = {alert.fingerprint for alert in firing}
    known = [alert for alert in listed if alert.fingerprint in ours]
    if not known:
        return None
    return len(known) == len(ours) and all(alert.silenced for alert in known)


def related(
    container: ContainerFacts,
    firing: Sequence[Alert],
    listed: Sequence[ListedAlert],
    *,
    hosts: Sequence[str],
) -> tuple[RelatedAlert, ...]:
    """Other alerts about the container, its project or its host: those about the container first, then the newest."""
    ours = {alert.fingerprint for alert in firing}
    places = {place for alert in firing if (place := _place(alert.labels))}
    project = container.labels.get(COMPOSE_PROJECT, "")
    # Compared before anything is parsed: there may be thousands.
    service = container.labels.get(SWARM_SERVICE, "")
    names = {container.name, container.id, container.id[:12], container.host, project, service} - {""}
    found = []
    for alert in listed:
        if alert.fingerprint in ours:
            continue
        near = _place(alert.labels) in places
        if not near and names.isdisjoint(alert.labels.values()):
            continue
        same_target = _names(alert.labels, container, hosts)
        if (
            same_target
            or _same_project(alert.labels, project)
            or _same_host(alert.labels, container, near=near)
        ):
            found.append((alert, same_target))
    found.sort(key=lambda each: (not each[1], -each[0].since.timestamp()))
    return tuple(
        RelatedAlert(
            id=f"R{number}",
            name=alert.labels.get("alertname", ""),
            since=alert.since,
            severity=alert.labels.get("severity", ""),
            suppressed=alert.suppressed,
            same_target=same_target,
        )
        for number, (alert, same_target) in enumerate(found[:MOST], start=1)
    )


def _names(labels: Mapping[str, str], container: ContainerFacts, hosts: Sequence[str]) -> bool:
    subject = subject_of(labels, hosts=hosts)
    if subject.host != container.host:
        return False
    if subject.container_id and container.id.startswith(subject.container_id):
        return True
    if subject.kind is SubjectKind.SERVICE:
        return subject.name == container.labels.get(SWARM_SERVICE)
    return subject.kind is SubjectKind.CONTAINER and subject.name == container.name


def _same_project(labels: Mapping[str, str], project: str) -> bool:
    return bool(project) and any(labels.get(label) == project for label in PROJECT_LABELS)


def _same_host(labels: Mapping[str, str], container: ContainerFacts, *, near: bool) -> bool:
    """Its host, by name or scraped where the incident's alerts were; about another container on it, it is not ours."""
    if not near and labels.get(HOST_LABEL) != container.host:
        return False
    return subject_of(labels, hosts=()).kind is SubjectKind.UNKNOWN


def _place(labels: Mapping[str, str]) -> str:
    """The host part of ``instance``."""
    return labels.get("instance", "").rpartition(":")[0]
