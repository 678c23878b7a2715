"""Is the container still the one the alert is about? A recreated one is not repaired for its predecessor's alert."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bridge.guards.situation import Situation
from bridge.model.refusal import GuardAnswer, Reason, Refusal

NAME = "target_unchanged"

SHORT_ID = 12
"""Docker's short form of an id; a named id at least this long may be a prefix of the full one."""

_CADVISOR_ID = re.compile(r"(?:^|[/-])([0-9a-f]{64})(?:\.scope)?$")


def refuse(situation: Situation) -> GuardAnswer:
    """Refuses if every firing alert names a container id and none of them is the present container's.

    An alert that carries only a name is about whatever has that name now.
    """
    named = [_named_id(alert.labels) for alert in situation.alerts] or [situation.subject.container_id]
    present = situation.facts.id
    inputs = {
        "container": present[:SHORT_ID],
        "alerts name": ", ".join(sorted({name[:SHORT_ID] for name in named if name})) or "no id",
    }
    if any(not name or _same(name, present) for name in named):
        return GuardAnswer(guard=NAME, inputs=inputs)
    detail = f"the alert is about container {named[0][:SHORT_ID]}, the target is {inputs['container']} now"
    return GuardAnswer(
        guard=NAME, inputs=inputs, refusal=Refusal(reason=Reason.TARGET_CHANGED, detail=detail)
    )


def _named_id(labels: Mapping[str, str]) -> str:
    """``container_id`` (also as ``docker://...``), else cAdvisor's ``id``, a cgroup path; empty if there is neither."""
    if name := labels.get("container_id", "").strip().rpartition("/")[2]:
        return name
    match = _CADVISOR_ID.search(labels.get("id", ""))
    return match[1] if match else ""


def _same(name: str, present: str) -> bool:
    if min(len(name), len(present)) < SHORT_ID:
        return name == present
    return present.startswith(name) or name.startswith(present)
