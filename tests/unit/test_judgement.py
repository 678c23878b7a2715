"""When a refusal counts no more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bridge.judgement import unpaused_from
from bridge.model.refusal import Reason, Refusal

NOW = datetime(2026, 11, 20, 3, 0, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=2)


def refusal(reason: Reason, until: datetime | None = None) -> Refusal:
    return Refusal(reason=reason, detail="no", until=until)


@pytest.mark.parametrize(
    ("refusals", "at"),
    [
        pytest.param([], None, id="nothing refused"),
        pytest.param([refusal(Reason.COOLDOWN, LATER)], None, id="not for a pause"),
        pytest.param([refusal(Reason.PAUSED)], NOW, id="for a pause without an end"),
        pytest.param([refusal(Reason.PAUSED, LATER)], NOW, id="for a pause that somebody may end sooner"),
        pytest.param(
            [refusal(Reason.PAUSED), refusal(Reason.MAINTENANCE, LATER)], LATER, id="maintenance goes on"
        ),
        pytest.param([refusal(Reason.PAUSED), refusal(Reason.PROTECTED)], None, id="protected for ever"),
        pytest.param([refusal(Reason.PAUSED), refusal(Reason.APPROVAL_REQUIRED)], NOW, id="to be asked for"),
        pytest.param([refusal(Reason.PAUSED), refusal(Reason.OBSERVE_MODE)], NOW, id="to be told only"),
    ],
)
def test_what_a_pause_refused_counts_again_from_when_nothing_else_refuses_it(
    refusals: list[Refusal], at: datetime | None
) -> None:
    assert unpaused_from(refusals, now=NOW) == at
