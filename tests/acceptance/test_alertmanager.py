"""What HemoStat tells Alertmanager: our own alerts reach people and ask for no repair; silences last as long as a repair."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bridge.demo import parts
from tests.acceptance.conftest import Chain, StartBridge, StartService
from tests.acceptance.stack import LONG, Bridge, closed, firing, in_state, resolved
from tests.conftest import started


def alerts(chain: Chain, name: str) -> list[dict[str, Any]]:
    """Alertmanager's alerts of this name."""
    url = f"{chain.alertmanager.url}/api/v2/alerts?filter=alertname%3D%22{name}%22"
    return list(json.loads(parts.http_request("GET", url)[1]))


@pytest.fixture
def alertmanager() -> Iterator[parts.Alertmanager]:
    """One that no Prometheus tells of anything."""
    alone = started(lambda: parts.Alertmanager(webhook_url="http://127.0.0.1:9/"))
    yield alone
    alone.stop()


def silences(alertmanager: parts.Alertmanager) -> list[str]:
    """The comments of those that are not over."""
    listed = json.loads(parts.http_request("GET", f"{alertmanager.url}/api/v2/silences")[1])
    return [one["comment"] for one in listed if one["status"]["state"] != "expired"]


def about_nothing(bridge: Bridge) -> list[dict[str, Any]]:
    """Incidents of our own alerts, which name no target."""
    return [one for one in bridge.incidents() if one["reason"].startswith("an alert of HemoStat's own")]


def test_an_escalation_fires_in_alertmanager_and_its_echo_asks_for_nothing(
    chain: Chain, start_bridge: StartBridge
) -> None:
    """Alertmanager sends everything to the bridge, our own alert included: that is where it must end."""
    bridge = start_bridge(port=chain.port, alertmanager={"url": chain.alertmanager.url})
    [incident_id] = bridge.accept(firing("nobody-bears-this-name"))
    assert bridge.await_incident(incident_id)["outcome"] == "escalated"
    mine = {"incident": incident_id}
    assert parts.wait_until(
        lambda: [one for one in alerts(chain, "HemoStatEscalated") if mine.items() <= one["labels"].items()],
        seconds=20,
    )
    assert parts.wait_until(lambda: any(map(closed, about_nothing(bridge))), seconds=30)
    assert {one["outcome"] for one in about_nothing(bridge)} == {"no_action"}
    escalated = [one for one in bridge.incidents() if one["outcome"] == "escalated"]
    assert [one["id"] for one in escalated] == [incident_id]


def test_an_alert_is_silenced_while_its_target_is_repaired_and_not_longer(
    alertmanager: parts.Alertmanager, start_bridge: StartBridge, start_service: StartService
) -> None:
    shop = start_service().fall_sick()
    silencing = {"url": alertmanager.url, "silence_repairs": True}
    bridge = start_bridge(alertmanager=silencing, policy={"verify": LONG})
    alert = firing(shop.name)
    [incident_id] = bridge.accept(alert)
    bridge.await_incident(incident_id, until=in_state("verifying"))
    assert parts.wait_until(lambda: any(incident_id in text for text in silences(alertmanager)), seconds=10)
    bridge.accept(resolved(alert))
    bridge.await_incident(incident_id)
    assert parts.wait_until(
        lambda: not any(incident_id in text for text in silences(alertmanager)), seconds=20
    )
