"""Why something may not happen: a closed list, each reason also the label of ``hemostat_refusals_total``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Reason(StrEnum):
    """Guards answer the first group, the budgets' script in Redis the second, and once more whether too many are sick."""

    NOT_OPTED_IN = "not_opted_in"
    PROTECTED = "protected"
    SWARM_TASK = "swarm_task"
    PAUSED = "paused"
    MAINTENANCE = "maintenance"
    OBSERVE_MODE = "observe_mode"
    APPROVAL_REQUIRED = "approval_required"
    REJECTED = "rejected"
    ACTION_NOT_ALLOWED = "action_not_allowed"
    TARGET_CHANGED = "target_changed"
    STARTED_RECENTLY = "min_uptime"
    PROJECT_SHARE = "project_share"
    FLEET_SHARE = "fleet_share"

    TARGET_BUSY = "target_busy"
    BREAKER_OPEN = "breaker_open"
    RECENTLY_STARTED = "recently_started"
    COOLDOWN = "cooldown"
    TARGET_CAP = "target_cap"
    HOST_CAP = "host_cap"
    FLEET_CAP = "fleet_cap"
    CLOCK_SKEW = "clock_skew"
    STORE_UNSAFE = "store_unsafe"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """One "no". ``until`` is the instant from which it no longer holds; ``None`` where time alone won't help."""

    reason: Reason
    detail: str
    until: datetime | None = None


def over_at(refusals: Iterable[Refusal], *, otherwise: datetime) -> datetime:
    """From when none of them holds any more, as far as they say; ``otherwise`` where none does."""
    return max((refusal.until for refusal in refusals if refusal.until is not None), default=otherwise)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardAnswer:
    """What one guard said, with the inputs it saw, so that a person can check it. Written for each guard."""

    guard: str
    inputs: dict[str, str]
    refusal: Refusal | None = None

    @property
    def allowed(self) -> bool:
        """Whether this guard had nothing against it."""
        return self.refusal is None
