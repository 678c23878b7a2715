"""Who stands around a container: the others of its Compose project, and those that it says it depends on. Pure.

What a container says of itself stands in its labels: Compose's ``depends_on`` and ``hemostat.depends_on``, names
separated by commas, each a service of its project or the name of a container on its host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bridge.model.evidence import ContainerFacts, ContainerStatus, Neighbour
from bridge.model.identity import COMPOSE_PROJECT, COMPOSE_SERVICE

ONE_OFF = "com.docker.compose.oneoff"
DEPENDS_ON = "com.docker.compose.depends_on"
OWN_DEPENDS_ON = "hemostat.depends_on"

MOST_SIBLINGS = 10
MOST_DEPENDENCIES = 8

Dependency = tuple[str, ContainerFacts | None]
"""What the target calls it, and the container that this names; ``None``: there is none."""


def has_any(container: ContainerFacts) -> bool:
    """Whether anybody can stand around it at all."""
    return any(label in container.labels for label in (COMPOSE_PROJECT, DEPENDS_ON, OWN_DEPENDS_ON))


def dependencies(container: ContainerFacts, listed: Sequence[ContainerFacts]) -> list[Dependency]:
    """What it says it depends on, among all containers of its host."""
    others = [each for each in listed if each.id != container.id and not _one_off(each)]
    named = [*_own_names(container), *_names_of_compose(container)]
    return [
        (name, _called(name, container, others)) for name in list(dict.fromkeys(named))[:MOST_DEPENDENCIES]
    ]


def neighbours(
    container: ContainerFacts, listed: Sequence[ContainerFacts], depended_on: Sequence[Dependency]
) -> tuple[Neighbour, ...]:
    """Dependencies first, then the siblings, sick ones first: at most as many as anybody reads.

    ``depended_on`` as ``dependencies`` gave it, looked at anew where that was possible.
    """
    found = [_of(name, facts, dependency=True) for name, facts in depended_on]
    taken = {container.id, *(facts.id for _, facts in depended_on if facts is not None)}
    project = container.labels.get(COMPOSE_PROJECT)
    siblings = [
        _of(each.name, each, dependency=False)
        for each in listed
        if project
        and each.labels.get(COMPOSE_PROJECT) == project
        and each.id not in taken
        and not _one_off(each)
    ]
    siblings.sort(key=lambda each: (each.sick is not True, each.name))
    return tuple(
        replace(each, id=f"B{number}")
        for number, each in enumerate([*found, *siblings[:MOST_SIBLINGS]], start=1)
    )


def _of(name: str, facts: ContainerFacts | None, *, dependency: bool) -> Neighbour:
    if facts is None:
        return Neighbour(id="", name=name, status=None, dependency=dependency)
    return Neighbour(
        id="",
        name=facts.name,
        status=facts.status,
        health=facts.health,
        started_at=facts.started_at,
        dependency=dependency,
        exit_code=facts.exit_code if facts.status is not ContainerStatus.RUNNING else None,
    )


def _own_names(container: ContainerFacts) -> list[str]:
    names = container.labels.get(OWN_DEPENDS_ON, "").split(",")
    return [name.strip()[:255] for name in names if name.strip()]


def _names_of_compose(container: ContainerFacts) -> list[str]:
    """``db:service_healthy:false,cache:service_started:false``; a job that must have ended before is no dependency now."""
    names = []
    for entry in container.labels.get(DEPENDS_ON, "").split(","):
        service, _, rest = entry.strip().partition(":")
        if service and not rest.startswith("service_completed_successfully"):
            names.append(service[:255])
    return names


def _called(name: str, container: ContainerFacts, others: Sequence[ContainerFacts]) -> ContainerFacts | None:
    """The service of this name in the same project, one that runs before one that does not; else the container."""
    project = container.labels.get(COMPOSE_PROJECT)
    of_service = [
        each
        for each in others
        if project
        and each.labels.get(COMPOSE_PROJECT) == project
        and each.labels.get(COMPOSE_SERVICE) == name
    ]
    of_service.sort(key=lambda each: each.status is not ContainerStatus.RUNNING)
    return next(iter([*of_service, *(each for each in others if each.name == name)]), None)


def _one_off(container: ContainerFacts) -> bool:
    """Whether it is somebody's ``docker compose run``, which stands for no service."""
    return container.labels.get(ONE_OFF, "").lower() == "true"
