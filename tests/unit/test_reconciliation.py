"""What never arrived, and what is over: decided from both sides' words, by tables."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge.model.alert import Alert, AlertStatus
from bridge.model.episode import AlertListing, HeldAlert, KnownEpisode, Sighting
from bridge.reconciliation import is_ours, missed, over, sighted

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
UP = NOW - timedelta(days=1)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def alert(fingerprint: str = "aa", *, began: float = 30) -> Alert:
    """It fires since ``began`` minutes."""
    return Alert(
        fingerprint=fingerprint,
        status=AlertStatus.FIRING,
        labels={"name": "web"},
        annotations={},
        starts_at=ago(began),
    )


def listed(fingerprint: str = "aa", *, began: float = 30, **changes: Any) -> HeldAlert:
    """Alertmanager was told of it a minute ago, and holds it for three more."""
    one = HeldAlert(
        alert=alert(fingerprint, began=began),
        receivers=("hemostat",),
        active=True,
        updated_at=ago(1),
        ends_at=ago(-3),
    )
    return replace(one, **changes)


def listing(*alerts: HeldAlert, at: datetime = NOW, up_since: datetime = UP) -> AlertListing:
    return AlertListing(alerts=alerts, at=at, up_since=up_since)


@pytest.mark.parametrize(
    ("one", "known", "wanted"),
    [
        pytest.param(listed(), None, True, id="never heard of"),
        pytest.param(listed(active=False), None, False, id="silenced or inhibited"),
        pytest.param(listed(began=0.5), None, False, id="may still wait for its group"),
        pytest.param(listed(ends_at=ago(0)), None, False, id="over meanwhile"),
        pytest.param(listed(), KnownEpisode(firing=True, starts_at=ago(30)), False, id="known to fire"),
        pytest.param(
            listed(),
            KnownEpisode(firing=True, starts_at=ago(30), closed_at=ago(20)),
            False,
            id="known, and decided",
        ),
        pytest.param(
            listed(began=10),
            KnownEpisode(firing=True, starts_at=ago(30)),
            False,
            id="began anew while it is open",
        ),
        pytest.param(
            listed(began=10),
            KnownEpisode(firing=True, starts_at=ago(60), closed_at=ago(50)),
            True,
            id="end and new beginning lost",
        ),
        pytest.param(
            listed(began=10),
            KnownEpisode(firing=False, starts_at=ago(60), ended_at=ago(20)),
            True,
            id="fires again",
        ),
        pytest.param(
            listed(began=60),
            KnownEpisode(firing=False, starts_at=ago(60), ended_at=ago(20)),
            True,
            id="its twin goes on: told of since",
        ),
        pytest.param(
            listed(updated_at=ago(3)),
            KnownEpisode(firing=False, starts_at=ago(30), ended_at=ago(2)),
            False,
            id="ended after the list was true",
        ),
    ],
)
def test_taken_in_is_what_fires_and_never_arrived(
    one: HeldAlert, known: KnownEpisode | None, wanted: bool
) -> None:
    found = missed(listing(one), {"aa": known} if known else {}, paused=False)
    assert found == ([one] if wanted else [])


@pytest.mark.parametrize(
    ("unpaused", "paused", "wanted"),
    [(20, False, True), (20, True, False), (-5, False, False)],
    ids=["resumed", "paused still", "something else refuses it for five minutes more"],
)
def test_what_a_pause_refused_is_wanted_once_that_is_over(
    unpaused: float, paused: bool, wanted: bool
) -> None:
    known = KnownEpisode(
        firing=True, starts_at=ago(30), closed_at=ago(20), reconsider_unpaused_at=ago(unpaused)
    )
    found = missed(listing(listed()), {"aa": known}, paused=paused)
    assert found == ([listed()] if wanted else [])


@pytest.mark.parametrize(
    ("receivers", "pattern", "ours"),
    [
        ([], None, False),
        (["hemostat"], None, True),
        (["people"], None, False),
        ([], "hemo.*", True),
        ([], "hemo", False),
        (["hemostat"], "people", False),
    ],
    ids=["nobody known", "by a webhook", "another's", "by the pattern", "anchored", "the pattern decides"],
)
def test_only_what_is_routed_to_us_is_ours(receivers: list[str], pattern: str | None, ours: bool) -> None:
    assert is_ours(listed(), receivers, pattern) is ours


@pytest.mark.parametrize("off", [-10, 10], ids=["behind", "ahead"])
@pytest.mark.parametrize(("minutes", "taken"), [(7, False), (3, True)], ids=["before it closed", "after"])
def test_an_alert_that_began_anew_is_told_by_alertmanagers_own_clock(
    off: float, minutes: float, taken: bool
) -> None:
    """The journal closed its incident five minutes ago by a clock that differs by ten."""
    ahead = timedelta(minutes=off)
    known = KnownEpisode(firing=True, starts_at=ago(30), closed_at=ago(5) - ahead)
    one = listed(began=minutes)
    assert bool(missed(listing(one), {one.alert.fingerprint: known}, paused=False, ahead=ahead)) is taken


SEEN = Sighting(updated_at=ago(5), ends_at=ago(1), up_since=UP)


@pytest.mark.parametrize(
    ("held", "seen", "up_since", "ended"),
    [
        pytest.param([], SEEN, UP, True, id="listed once, not told of since, gone"),
        pytest.param([listed()], SEEN, UP, False, id="still listed"),
        pytest.param([listed(active=False)], SEEN, UP, False, id="silenced, but it fires"),
        pytest.param([listed(ends_at=ago(1))], SEEN, UP, True, id="listed as over"),
        pytest.param([], None, UP, False, id="never listed: not this one's alert"),
        pytest.param([], replace(SEEN, ends_at=ago(-1)), UP, False, id="it may still be renewed"),
        pytest.param([], SEEN, ago(2), False, id="restarted since: it has forgotten"),
    ],
)
def test_over_is_what_this_alertmanager_held_and_let_go(
    held: list[HeldAlert], seen: Sighting | None, up_since: datetime, ended: bool
) -> None:
    found = over(listing(*held, up_since=up_since), [alert()], {"aa": seen} if seen else {})
    assert [(one.fingerprint, one.status) for one in found] == (
        [("aa", AlertStatus.RESOLVED)] if ended else []
    )


def test_it_ended_when_it_was_last_known_to_fire() -> None:
    """So that the next firing, which began after that, is not taken for a stale one."""
    (found,) = over(listing(), [alert()], {"aa": SEEN})
    assert found.ends_at == SEEN.updated_at
    (young,) = over(listing(), [alert(began=4)], {"aa": SEEN})
    assert young.ends_at == young.starts_at


def test_remembered_is_how_what_is_open_was_last_listed() -> None:
    told = listing(listed("aa"), listed("bb"), listed("cc", ends_at=ago(1)))
    before = {"aa": SEEN, "cc": SEEN, "gone": SEEN}
    assert sighted(told, ["aa", "cc", "dd"], before) == {
        "aa": Sighting(updated_at=ago(1), ends_at=ago(-3), up_since=UP),
        "cc": SEEN,
    }
