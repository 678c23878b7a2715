"""What a container is a target as: one name for budgets, locks and history, however an alert called it.

A container's own name will not do where somebody else makes the containers. Swarm gives every task a new one
(``shop_web.1.<task>``), so the target is the slot (``shop_web.1``; of a global service its node). Compose lends a
container another name while it puts it in the place of the one before (``<12 digits>_shop-web-1``).
"""

from __future__ import annotations

import re

from bridge.model.evidence import ContainerFacts
from bridge.model.incident import Target

SWARM_SERVICE = "com.docker.swarm.service.name"
SWARM_TASK = "com.docker.swarm.task.id"
COMPOSE_PROJECT = "com.docker.compose.project"
COMPOSE_SERVICE = "com.docker.compose.service"

_LENT = re.compile(r"[0-9a-f]{12}_(.+)")


def target_of(container: ContainerFacts) -> Target:
    """The target that it is now."""
    return Target(host=container.host, name=_slot(container) or _lasting(container) or container.name)


def other_names(container: ContainerFacts) -> tuple[str, ...]:
    """Other names that its budget may stand under: HemoStat once kept it by whatever the alert said."""
    if _slot(container):
        return (container.labels[SWARM_SERVICE], container.name)
    return (container.name,) if _lasting(container) else ()


def is_task(container: ContainerFacts) -> bool:
    """Whether Swarm made it and looks after it."""
    return SWARM_TASK in container.labels


def _slot(container: ContainerFacts) -> str:
    """``service.slot`` of ``service.slot.task``, ``""`` if it is not called so: labels alone can be anybody's."""
    service, task = (container.labels.get(label, "") for label in (SWARM_SERVICE, SWARM_TASK))
    before, after = f"{service}.", f".{task}"
    if not (service and task and container.name.startswith(before) and container.name.endswith(after)):
        return ""
    slot = container.name[len(before) : -len(after)]
    return before + slot if slot and "." not in slot else ""


def _lasting(container: ContainerFacts) -> str:
    """What Compose will call it once it has taken its place; ``""`` if it is called so already."""
    lent = _LENT.fullmatch(container.name) if container.labels.get(COMPOSE_PROJECT) else None
    return lent[1] if lent else ""
