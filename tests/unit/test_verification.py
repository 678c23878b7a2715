"""Did it help, and did it happen: tables of facts and the answers they must give."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.model.evidence import ContainerFacts, ContainerStatus, Health
from bridge.model.incident import Finding, Intent, Outcome, Repair
from bridge.model.policy import VerifyPolicy
from bridge.model.verdict import Action
from bridge.roles import AlertView
from bridge.verification import (
    AlertState,
    LookAgain,
    Settled,
    Verified,
    alert_state,
    assess,
    not_lasting,
    relapse,
    settle,
    unseen,
)
from tests.unit.triage.builders import ID, exited, in_status, running, unhealthy

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
POLICY = VerifyPolicy(within_seconds=60, stable_for_seconds=10, relapse_watch_seconds=60)
REPAIR = Repair(action=Action.RESTART, container_id=ID, at=NOW - timedelta(seconds=20))
A_SECOND_AGO = NOW - timedelta(seconds=1)
LONG_WELL = Finding(at=A_SECOND_AGO, text="well", healthy_since=NOW - timedelta(seconds=10), restart_count=0)
JUST_WELL = replace(LONG_WELL, healthy_since=NOW - timedelta(seconds=3))
SEEN_BEFORE = replace(LONG_WELL, restart_count=2, started_at=running(up=20).started_at)
JUST_SICK = replace(JUST_WELL, sick_at=NOW - timedelta(seconds=4))
SICK_BEFORE = replace(JUST_WELL, sick_at=NOW - timedelta(seconds=10))
SICK_TO_THE_END = Finding(at=A_SECOND_AGO, text="sick", sick_at=A_SECOND_AGO)
LEFT_ALONE = replace(LONG_WELL, at=NOW - timedelta(seconds=11), healthy_since=NOW - timedelta(seconds=12))
HARDLY_LEFT_ALONE = replace(LEFT_ALONE, at=NOW - timedelta(seconds=10))
LATE = replace(REPAIR, at=NOW - timedelta(seconds=61))
JUST_LATE = replace(REPAIR, at=NOW - timedelta(seconds=60))


@pytest.mark.parametrize(
    ("facts", "before", "alert", "repair", "outcome"),
    [
        pytest.param(running(), LONG_WELL, "unwatched", REPAIR, Outcome.HEALED, id="well for long enough"),
        pytest.param(running(), LONG_WELL, "ended", REPAIR, Outcome.HEALED, id="well, alert ended"),
        pytest.param(running(), LONG_WELL, "firing", REPAIR, None, id="well, alert still fires, time left"),
        pytest.param(running(), LONG_WELL, "unknown", REPAIR, None, id="well, alert unknown, time left"),
        pytest.param(running(), None, "ended", REPAIR, None, id="first look never heals"),
        pytest.param(running(), JUST_WELL, "ended", REPAIR, None, id="not well for long enough"),
        pytest.param(
            running(restart_count=1), LONG_WELL, "ended", REPAIR, None, id="restarted between two looks"
        ),
        pytest.param(
            running(up=1), SEEN_BEFORE, "unwatched", REPAIR, None, id="started by somebody between two looks"
        ),
        pytest.param(
            running(up=20), SEEN_BEFORE, "unwatched", REPAIR, Outcome.HEALED, id="the same start as before"
        ),
        pytest.param(
            running(health=Health.STARTING), LONG_WELL, "ended", REPAIR, None, id="starting is not well"
        ),
        pytest.param(unhealthy(), LONG_WELL, "ended", REPAIR, None, id="unhealthy again, time left"),
        pytest.param(unhealthy(), None, "firing", LATE, Outcome.NOT_HEALED, id="unhealthy to the end"),
        pytest.param(unhealthy(), None, "firing", JUST_LATE, Outcome.NOT_HEALED, id="time is up just now"),
        pytest.param(running(), JUST_SICK, "ended", LATE, Outcome.NOT_HEALED, id="never well on end"),
        pytest.param(
            running(), JUST_SICK, "unknown", LATE, Outcome.NOT_HEALED, id="never well, alert unknown"
        ),
        pytest.param(
            running(), SICK_BEFORE, "ended", LATE, Outcome.UNVERIFIED, id="unseen after it was sick"
        ),
        pytest.param(
            running(), JUST_WELL, "ended", LATE, Outcome.UNVERIFIED, id="unseen for most of the time"
        ),
        pytest.param(running(), None, "ended", LATE, Outcome.UNVERIFIED, id="nobody looked before the end"),
        pytest.param(running(), None, "unwatched", LATE, Outcome.UNVERIFIED, id="nobody looked nor watches"),
        pytest.param(running(), None, "firing", LATE, Outcome.NOT_HEALED, id="nobody looked, alert fires"),
        pytest.param(running(up=9), None, "ended", LATE, Outcome.NOT_HEALED, id="unseen, and started lately"),
        pytest.param(running(up=10), None, "ended", LATE, Outcome.UNVERIFIED, id="unseen since its start"),
        pytest.param(running(up=None), None, "ended", LATE, Outcome.NOT_HEALED, id="start unknown"),
        pytest.param(running(), LEFT_ALONE, "ended", REPAIR, None, id="nobody looked for a while, time left"),
        pytest.param(running(), HARDLY_LEFT_ALONE, "ended", REPAIR, Outcome.HEALED, id="a slow look"),
        pytest.param(unhealthy(), LONG_WELL, "ended", LATE, Outcome.NOT_HEALED, id="sick at the end"),
        pytest.param(running(), LONG_WELL, "firing", LATE, Outcome.NOT_HEALED, id="alert fires to the end"),
        pytest.param(running(), LONG_WELL, "unknown", LATE, Outcome.UNVERIFIED, id="nobody can say"),
        pytest.param(exited(1), None, "firing", REPAIR, Outcome.NOT_HEALED, id="exited again"),
        pytest.param(exited(143), None, "firing", REPAIR, Outcome.UNVERIFIED, id="stopped by somebody"),
        pytest.param(exited(0), None, "firing", REPAIR, Outcome.UNVERIFIED, id="finished, or stopped"),
        pytest.param(
            exited(1, restart_policy="always"), None, "firing", REPAIR, Outcome.UNVERIFIED, id="told to stop"
        ),
        pytest.param(
            exited(1, restart_policy="always", error="port is taken"),
            None,
            "firing",
            REPAIR,
            Outcome.NOT_HEALED,
            id="could not be started again",
        ),
        pytest.param(
            exited(137, oom_killed=True), None, "firing", REPAIR, Outcome.NOT_HEALED, id="OOM-killed again"
        ),
        pytest.param(
            in_status(ContainerStatus.RESTARTING), None, "firing", REPAIR, None, id="restarting, time left"
        ),
        pytest.param(in_status(ContainerStatus.PAUSED), None, "ended", LATE, Outcome.UNVERIFIED, id="paused"),
        pytest.param(in_status(ContainerStatus.PAUSED), None, "ended", REPAIR, None, id="paused, time left"),
        pytest.param(None, LONG_WELL, "ended", REPAIR, Outcome.UNVERIFIED, id="removed"),
        pytest.param(running(id="other"), LONG_WELL, "ended", REPAIR, Outcome.UNVERIFIED, id="recreated"),
    ],
)
def test_one_look_at_a_repaired_container(
    facts: ContainerFacts | None, before: Finding | None, alert: str, repair: Repair, outcome: Outcome | None
) -> None:
    """Healed needs an unbroken run of good looks and, where somebody watches, the end of the alert."""
    answer = assess(repair, facts, before, policy=POLICY, alert=AlertState(alert), now=NOW)
    assert (answer.outcome if isinstance(answer, Verified) else None) == outcome


@pytest.mark.parametrize(
    ("facts", "before", "alert", "text"),
    [
        (unhealthy(), LONG_WELL, "firing", "its health check fails"),
        (running(health=Health.STARTING), None, "firing", "its health check has not passed yet"),
        (in_status(ContainerStatus.RESTARTING), None, "firing", "the container is restarting"),
        (running(), JUST_WELL, "firing", "well, not yet for long enough"),
        (running(), LONG_WELL, "firing", "well, but its alert still fires"),
        (running(), LONG_WELL, "unknown", "well, but whether its alert has ended is unknown"),
    ],
)
def test_what_a_look_is_told_as(facts: ContainerFacts, before: Finding | None, alert: str, text: str) -> None:
    """What is not known is not told as known."""
    answer = assess(REPAIR, facts, before, policy=POLICY, alert=AlertState(alert), now=NOW)
    assert isinstance(answer, LookAgain)
    assert answer.finding.text == text


@pytest.mark.parametrize(
    ("facts", "before", "alert", "repair", "reason"),
    [
        (running(), LONG_WELL, "ended", REPAIR, "well for 10 s and its alert has ended"),
        (running(), LONG_WELL, "unwatched", REPAIR, "well for 10 s"),
        (exited(3), None, "firing", REPAIR, "the container exited again (code 3) after the repair"),
        (exited(None), None, "firing", REPAIR, "the container exited again (code unknown) after the repair"),
        (running(), JUST_SICK, "ended", LATE, "not well for 10 s on end within 60 s"),
        (
            running(),
            SICK_BEFORE,
            "ended",
            LATE,
            "it is well, but for a part of the time nobody could look: whether for 10 s on end within 60 s is unknown",
        ),
    ],
)
def test_what_the_end_is_told_as(
    facts: ContainerFacts, before: Finding | None, alert: str, repair: Repair, reason: str
) -> None:
    """In one sentence, for people."""
    answer = assess(repair, facts, before, policy=POLICY, alert=AlertState(alert), now=NOW)
    assert isinstance(answer, Verified)
    assert answer.reason == reason


def test_a_bad_look_starts_the_run_anew() -> None:
    """Stability is counted from the first good look after the last bad one."""
    bad = assess(REPAIR, unhealthy(), LONG_WELL, policy=POLICY, alert=AlertState.ENDED, now=NOW)
    assert isinstance(bad, LookAgain)
    good = assess(REPAIR, running(), bad.finding, policy=POLICY, alert=AlertState.ENDED, now=NOW)
    assert isinstance(good, LookAgain)
    assert good.finding.healthy_since == NOW


def test_a_bad_look_is_remembered_through_good_ones_and_those_that_nobody_answered() -> None:
    """At the end it decides between "was not well for long enough" and "nobody knows"."""
    bad = assess(REPAIR, unhealthy(), None, policy=POLICY, alert=AlertState.ENDED, now=NOW)
    assert isinstance(bad, LookAgain)
    later = NOW + timedelta(seconds=1)
    blind = unseen(REPAIR, "docker: no answer", bad.finding, policy=POLICY, now=later)
    assert isinstance(blind, LookAgain)
    good = assess(REPAIR, running(), blind.finding, policy=POLICY, alert=AlertState.ENDED, now=later)
    assert isinstance(good, LookAgain)
    assert (good.finding.sick_at, good.finding.healthy_since) == (NOW, later)


def test_a_look_that_nobody_answered_is_not_a_good_one() -> None:
    """Unknown breaks the run, and ends as unverified, never as healed."""
    soon = unseen(REPAIR, "docker: no answer", LONG_WELL, policy=POLICY, now=NOW)
    assert isinstance(soon, LookAgain)
    assert soon.finding.healthy_since is None


@pytest.mark.parametrize(
    ("before", "outcome"),
    [
        pytest.param(None, Outcome.UNVERIFIED, id="nobody ever looked"),
        pytest.param(LONG_WELL, Outcome.UNVERIFIED, id="well before"),
        pytest.param(SICK_BEFORE, Outcome.UNVERIFIED, id="sick before, with time to be well"),
        pytest.param(SICK_TO_THE_END, Outcome.NOT_HEALED, id="sick until just before the end"),
    ],
)
def test_a_last_look_that_nobody_answered(before: Finding | None, outcome: Outcome) -> None:
    """What is known to have failed has failed; all else is unknown."""
    for over in (LATE, JUST_LATE):
        late = unseen(over, "docker: no answer", before, policy=POLICY, now=NOW)
        assert isinstance(late, Verified)
        assert late.outcome is outcome


@pytest.mark.parametrize(
    ("facts", "relapsed"),
    [
        pytest.param(running(), False, id="well"),
        pytest.param(unhealthy(), True, id="unhealthy"),
        pytest.param(exited(1), True, id="crashed"),
        pytest.param(exited(0), False, id="finished"),
        pytest.param(exited(143), False, id="stopped by somebody"),
        pytest.param(exited(137), False, id="killed by somebody"),
        pytest.param(exited(137, oom_killed=True), True, id="OOM-killed"),
        pytest.param(exited(0, oom_killed=True), True, id="OOM-killed, and said that all was well"),
        pytest.param(exited(1, restart_policy="unless-stopped"), False, id="told to stop"),
        pytest.param(running(restart_count=2), True, id="restarted by its policy"),
        pytest.param(running(id="other"), False, id="recreated"),
        pytest.param(None, False, id="removed"),
    ],
)
def test_what_counts_as_a_relapse(facts: ContainerFacts | None, relapsed: bool) -> None:
    """A sickness that returns; never what a person or a deploy did."""
    assert (relapse(REPAIR, facts) is not None) == relapsed


def test_a_restart_before_it_healed_is_no_relapse_and_one_after_it_is() -> None:
    """Found well after its policy restarted it once: the same facts cannot make it sick again."""
    healed = replace(LONG_WELL, restart_count=1)
    assert relapse(REPAIR, running(restart_count=1), healed) is None
    assert (
        relapse(REPAIR, running(restart_count=2), healed) == "its restart policy restarted it 1 times since"
    )


@pytest.mark.parametrize(
    ("facts", "lasts"),
    [
        pytest.param(running(), True, id="well"),
        pytest.param(exited(0), False, id="finished"),
        pytest.param(exited(143), False, id="stopped by somebody"),
        pytest.param(running(id="other"), False, id="recreated"),
        pytest.param(None, False, id="removed"),
    ],
)
def test_only_what_still_runs_is_said_to_have_stayed_well(facts: ContainerFacts | None, lasts: bool) -> None:
    """What is gone at the end of the watch has not relapsed, and has not proved anything either."""
    assert (not_lasting(REPAIR, facts) is None) == lasts


BEFORE = running(up=3600)


def intent(**changes: Any) -> Intent:
    """A restart intended a while ago on a container that ran."""
    wanted = Intent(
        action=Action.RESTART,
        container_id=ID,
        was_running=True,
        started_at=BEFORE.started_at,
        restart_count=0,
        stop_timeout_seconds=10,
        token=7,
        at=NOW - timedelta(seconds=60),
    )
    return replace(wanted, **changes)


STOPPED = replace(BEFORE, status=ContainerStatus.EXITED, exit_code=137)


@pytest.mark.parametrize(
    ("wanted", "facts", "settled"),
    [
        pytest.param(intent(), running(up=5), Settled.HAPPENED, id="started since"),
        pytest.param(intent(), STOPPED, Settled.HALF_DONE, id="stopped, never started"),
        pytest.param(intent(at=NOW), STOPPED, Settled.HALF_DONE, id="stopped just now"),
        pytest.param(intent(), BEFORE, Settled.MAYBE_STILL, id="the first answer since the intent"),
        pytest.param(
            intent(unchanged_since=NOW - timedelta(seconds=11)),
            BEFORE,
            Settled.MAYBE_STILL,
            id="may still be stopping",
        ),
        pytest.param(
            intent(unchanged_since=NOW - timedelta(seconds=12)),
            BEFORE,
            Settled.NOT_DONE,
            id="Docker had a whole stop timeout",
        ),
        pytest.param(
            intent(was_running=False, stop_timeout_seconds=0, unchanged_since=NOW - timedelta(seconds=3)),
            STOPPED,
            Settled.NOT_DONE,
            id="a start that never was",
        ),
        pytest.param(intent(), None, Settled.TARGET_CHANGED, id="removed"),
        pytest.param(intent(), running(id="other"), Settled.TARGET_CHANGED, id="recreated"),
    ],
)
def test_an_action_in_doubt_is_settled_by_comparison(
    wanted: Intent, facts: ContainerFacts | None, settled: Settled
) -> None:
    """StartedAt is the evidence; nothing is repeated before Docker had its time."""
    assert settle(wanted, facts, now=NOW) is settled


UP = datetime(2026, 11, 1, tzinfo=UTC)
LATER = UP + timedelta(days=1)
ACTED_AGO = 60.0
HEARD_BEFORE = AlertView(active=True, told_seconds_ago=61.0, up_since=UP)
HEARD_AFTER = AlertView(active=True, told_seconds_ago=59.0, up_since=UP)
HEARD_SOME_TIME = AlertView(active=True, up_since=UP)
LISTS_AS_ENDED = AlertView(active=False, told_seconds_ago=59.0, up_since=LATER)
HOLDS_NO_MORE = AlertView(active=False, up_since=UP)
NEVER_HAD_IT = AlertView(active=False, up_since=LATER)
WILL_NOT_SAY = AlertView(active=False)


@pytest.mark.parametrize(
    ("resolved", "watched", "views", "state"),
    [
        pytest.param(True, True, None, AlertState.ENDED, id="a resolved came"),
        pytest.param(True, False, None, AlertState.ENDED, id="a resolved came, and nobody to ask"),
        pytest.param(True, True, [NEVER_HAD_IT], AlertState.ENDED, id="a resolved, and it is not listed"),
        pytest.param(True, True, [HEARD_BEFORE], AlertState.ENDED, id="a resolved, and a list that is old"),
        pytest.param(True, True, [HEARD_AFTER], AlertState.FIRING, id="a resolved that the list contradicts"),
        pytest.param(False, False, None, AlertState.UNWATCHED, id="no Alertmanager configured"),
        pytest.param(False, True, None, AlertState.UNKNOWN, id="Alertmanager away"),
        pytest.param(False, True, [HOLDS_NO_MORE], AlertState.ENDED, id="not active any more"),
        pytest.param(False, True, [LISTS_AS_ENDED], AlertState.ENDED, id="listed as ended"),
        pytest.param(False, True, [NEVER_HAD_IT], AlertState.UNKNOWN, id="another process than listed it"),
        pytest.param(False, True, [WILL_NOT_SAY], AlertState.UNKNOWN, id="who does not list it is unknown"),
        pytest.param(False, True, [HOLDS_NO_MORE, NEVER_HAD_IT], AlertState.UNKNOWN, id="unknown of one"),
        pytest.param(False, True, [HEARD_SOME_TIME], AlertState.UNKNOWN, id="told at an unknown time"),
        pytest.param(False, True, [HEARD_AFTER], AlertState.FIRING, id="told again since the action"),
        pytest.param(False, True, [HEARD_BEFORE], AlertState.UNKNOWN, id="not heard of since the action"),
        pytest.param(False, True, [HOLDS_NO_MORE, HEARD_AFTER], AlertState.FIRING, id="one of two"),
    ],
)
def test_what_is_known_of_the_alert(
    resolved: bool, watched: bool, views: list[AlertView] | None, state: AlertState
) -> None:
    """Old news of an active alert proves nothing; silence of an Alertmanager is not an end, nor is the ignorance of one
    that was never seen to have it."""
    told = None if views is None else {f"alert-{n}": view for n, view in enumerate(views)}
    listed_by = {f"alert-{n}": UP for n in range(2)}
    found = alert_state(
        all_resolved=resolved, watched=watched, views=told, listed_by=listed_by, acted_ago=ACTED_AGO
    )
    assert found is state


def test_an_alert_that_no_alertmanager_was_seen_to_list_has_not_ended_because_it_is_not_listed() -> None:
    """It may have come from the other one of a cluster, or from Grafana."""
    views = {"aa": HOLDS_NO_MORE}
    found = alert_state(all_resolved=False, watched=True, views=views, listed_by={}, acted_ago=ACTED_AGO)
    assert found is AlertState.UNKNOWN
