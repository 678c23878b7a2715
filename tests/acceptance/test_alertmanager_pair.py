"""Two Alertmanagers in a cluster, of which the bridge asks one: they share silences and what was sent, never alerts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from bridge.demo import parts
from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import TOKENS, Bridge, firing, in_state

QUICK = {"within": "4s", "stable_for": "1s", "relapse_watch": "0s"}


class Pair(NamedTuple):
    """The bridge asks ``asked`` and hears from both."""

    asked: parts.Alertmanager
    other: parts.Alertmanager
    bridge: Bridge

    def restart_the_asked_one(self) -> None:
        """It has forgotten every alert."""
        self.asked.kill()
        self.asked.start()


def wire(name: str, **times: datetime) -> dict[str, Any]:
    """An alert about a container, as Prometheus posts it."""
    return {
        "labels": firing(name)["labels"],
        **{key: at.isoformat() for key, at in times.items()},
    }


@pytest.fixture
def pair(start_alertmanager: Callable[..., parts.Alertmanager], start_bridge: StartBridge) -> Pair:
    """Both send to the bridge."""
    port, gossip = parts.free_port(), [parts.free_port(), parts.free_port()]
    options = {"webhook_url": f"http://{parts.LOOPBACK}:{port}/api/v1/alerts", "token": TOKENS["receiver"]}
    asked = start_alertmanager(cluster=gossip, **options)
    other = start_alertmanager(cluster=gossip[::-1], **options)
    policy = {"verify": QUICK, "cooldown": "1s"}
    bridge = start_bridge(port=port, alertmanager={"url": asked.url}, policy=policy)
    return Pair(asked, other, bridge)


def incident_of(bridge: Bridge, *, but: str = "") -> str:
    """The id of the only one, besides this."""

    def found() -> list[str]:
        return [one["id"] for one in bridge.incidents() if one["id"] != but]

    assert parts.wait_until(lambda: bool(found()), seconds=20)
    [incident_id] = found()
    return incident_id


def test_the_silence_of_one_that_never_had_the_alert_heals_nothing(
    pair: Pair, start_service: StartService
) -> None:
    """Prometheus reaches the other one only; the container is well again, and the alert fires on."""
    shop = start_service().fall_sick()
    pair.other.post_alerts(wire(shop.name))
    incident = pair.bridge.await_incident(incident_of(pair.bridge))
    assert (incident["outcome"], shop.boots) == ("unverified", 2)
    assert "whether its alert ended is unknown" in incident["reason"]


def test_a_true_firing_of_one_is_not_closed_because_the_other_was_just_restarted(
    pair: Pair, start_service: StartService
) -> None:
    """One Prometheus of two resolved it, its twin goes on: the firing begins before the last end, and looks like a stale
    one. Only its resolved would tell."""
    shop, began = start_service().fall_sick(), datetime.now(UTC) - timedelta(minutes=5)
    for one in (pair.asked, pair.other):
        one.post_alerts(wire(shop.name, startsAt=began))
    first = incident_of(pair.bridge)
    pair.bridge.await_incident(first, until=in_state("verifying"))
    for one in (pair.asked, pair.other):
        one.post_alerts(wire(shop.name, startsAt=began, endsAt=datetime.now(UTC)))
    assert pair.bridge.await_incident(first)["outcome"] == "healed"
    shop.fall_sick()
    pair.restart_the_asked_one()
    pair.other.post_alerts(wire(shop.name, startsAt=began))
    second = incident_of(pair.bridge, but=first)
    waiting = pair.bridge.await_incident(second, until=in_state("waiting"))
    assert "nobody can say whether that is true" in waiting["reason"]
    pair.other.post_alerts(wire(shop.name, startsAt=began, endsAt=datetime.now(UTC)))
    assert (pair.bridge.await_incident(second)["outcome"], shop.boots) == ("resolved", 2)
