"""What guards look at: one wanted repair with everything that may speak against it, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from bridge.model.alert import Alert, Subject
from bridge.model.evidence import ContainerFacts
from bridge.model.policy import Policy, TargetPolicy
from bridge.model.share import Share
from bridge.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One moment of one incident.

    ``alerts`` are those that fire now. ``facts`` are the container that would be repaired, as inspected last.
    ``policy`` is the operator's whole policy, ``target_policy`` what it says of this target after the container's
    labels narrowed it. ``paused`` is the kill switch; ``paused_until`` ``None`` means until somebody resumes,
    ``paused_by`` says who and why. ``shares`` say how many of the target's project, host and fleet are sick now. ``approved_by`` names the person who approved this repair, if one did. ``now``
    is the store's clock.
    """

    subject: Subject
    alerts: tuple[Alert, ...]
    facts: ContainerFacts
    verdict: Verdict
    policy: Policy
    target_policy: TargetPolicy
    now: datetime
    paused: bool = False
    paused_until: datetime | None = None
    paused_by: str = ""
    approved_by: str = ""
    shares: tuple[Share, ...] = ()
