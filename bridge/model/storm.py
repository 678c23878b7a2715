"""When far too much goes wrong at once: a storm of incidents, as one fact about all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.model.incident import Outcome


class StormScope(StrEnum):
    """Over what the incidents of a storm are counted."""

    FLEET = "fleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """A storm that is on. Every incident opened at or after ``since`` belongs to it.

    ``since`` is when the first incident of the window that made it a storm was opened; ``until`` when it will be
    over unless more open before. ``incidents``: how many opened so far. ``outcomes``: how those that closed ended;
    the others are still open.
    """

    since: datetime
    until: datetime
    incidents: int
    scope: StormScope = StormScope.FLEET
    outcomes: Mapping[Outcome, int] = field(default_factory=dict)
