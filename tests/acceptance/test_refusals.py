"""What is refused, for which reason, and until when. Alerts are posted to the bridge as Alertmanager would."""

from __future__ import annotations

import threading

import pytest

from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.containers import INCURABLE, OPTED_IN
from tests.acceptance.stack import Bridge, Json, at, events, firing, refusals

HOUR = 3600.0
ROUNDING = 1.0
"""Times are told to the second or better; nothing here depends on how fast the machine is."""


def acted_at(incident: Json) -> float:
    """From when the budget counts it: the moment at which the intent was written."""
    return next(at(entry["at"]) for entry in incident["timeline"] if entry["event"] == "acting")


def test_a_second_sickness_inside_the_cooldown_is_refused_until_the_cooldown_ends(
    bridge: Bridge, start_service: StartService
) -> None:
    """One repair per cooldown (default 1 h); the refusal says until when, and so does the target's page."""
    shop = start_service().fall_sick()
    first = bridge.repair(firing(shop.name))
    assert first["outcome"] == "healed"
    shop.fall_sick()
    second = bridge.repair(firing(shop.name))
    free_again = acted_at(first) + HOUR
    assert (second["outcome"], refusals(second)) == ("refused", ["cooldown"])
    assert abs(at(second["decision"]["refusals"][0]["until"]) - free_again) < ROUNDING
    assert abs(at(bridge.target(shop.name)["refusal"]["until"]) - free_again) < ROUNDING
    assert shop.boots == 2
    assert shop.health == "unhealthy"


def test_a_fourth_action_within_an_hour_is_refused(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """Actions are counted, whether they healed or not: three per hour and target (the default), then no more."""
    bridge = start_bridge(policy={"cooldown": "0s"})
    shop = start_service()
    repairs = []
    for _ in range(3):
        shop.fall_sick()
        repairs.append(bridge.repair(firing(shop.name)))
    assert [repair["outcome"] for repair in repairs] == ["healed"] * 3
    shop.fall_sick()
    fourth = bridge.repair(firing(shop.name))
    assert (fourth["outcome"], refusals(fourth)) == ("refused", ["target_cap"])
    assert abs(at(fourth["decision"]["refusals"][0]["until"]) - (acted_at(repairs[0]) + HOUR)) < ROUNDING
    assert shop.boots == 4


def test_the_fleet_has_a_cap_of_its_own(start_bridge: StartBridge, start_service: StartService) -> None:
    """With one action allowed in the whole fleet, a second container is refused although it has its whole budget."""
    bridge = start_bridge(policy={"limits": {"fleet": {"max": 1, "per": "1h"}}})
    shop, till = start_service("shop").fall_sick(), start_service("till").fall_sick()
    assert bridge.repair(firing(shop.name))["outcome"] == "healed"
    refused = bridge.repair(firing(till.name))
    assert (refused["outcome"], refusals(refused)) == ("refused", ["fleet_cap"])
    assert (shop.boots, till.boots) == (2, 1)


def test_repairs_that_do_not_help_open_the_breaker(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """After two restarts in a row that did not heal, the breaker refuses the third."""
    verify = {"within": "1s", "stable_for": "0s", "relapse_watch": "0s"}
    breaker = {"failures": 2, "open_for": "1h"}
    bridge = start_bridge(policy={"cooldown": "0s", "verify": verify, "breaker": breaker})
    shop = start_service(script=INCURABLE).fall_sick()
    outcomes = [bridge.repair(firing(shop.name))["outcome"] for _ in range(2)]
    assert outcomes == ["not_healed", "not_healed"]
    third = bridge.repair(firing(shop.name))
    assert (third["outcome"], refusals(third)) == ("refused", ["breaker_open"])
    assert shop.boots == 3


def test_a_repair_that_does_not_last_is_called_a_relapse(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """Healed, and sick again while it is watched: the outcome changes to relapsed, and nothing is repeated."""
    bridge = start_bridge(policy={"verify": {"within": "20s", "stable_for": "0s", "relapse_watch": "30s"}})
    shop = start_service().fall_sick()
    healed = bridge.repair(firing(shop.name))
    assert healed["outcome"] == "healed"
    shop.fall_sick()
    relapsed = bridge.await_incident(healed["id"], until=lambda incident: incident["watch_until"] is None)
    assert relapsed["outcome"] == "relapsed"
    assert shop.boots == 2


@pytest.mark.parametrize(
    ("labels", "policy", "reason"),
    [
        pytest.param({}, {}, "not_opted_in", id="not-opted-in"),
        pytest.param(OPTED_IN, {"protected": ["shop-*"]}, "protected", id="protected"),
        pytest.param(
            {**OPTED_IN, "hemostat.actions": "start"}, {}, "action_not_allowed", id="action-not-allowed"
        ),
        pytest.param(OPTED_IN, {"min_uptime": "1h"}, None, id="too-young"),
    ],
)
def test_what_the_operator_has_not_allowed_is_not_done(
    start_bridge: StartBridge,
    start_service: StartService,
    labels: dict[str, str],
    policy: dict[str, object],
    reason: str | None,
) -> None:
    """Opt-in, protection, allowed actions and minimal uptime each keep a sick container from being restarted."""
    bridge = start_bridge(policy=policy)
    shop = start_service(labels=labels).fall_sick()
    [incident_id] = bridge.accept(firing(shop.name))
    if reason is None:  # it may become old enough: the incident waits instead of ending
        incident = bridge.await_incident(incident_id, until=lambda i: i["state"] == "waiting")
        assert "is left alone until" in incident["reason"]
    else:
        incident = bridge.await_incident(incident_id)
        assert (incident["outcome"], refusals(incident)) == ("refused", [reason])
    assert incident["token"] is None
    assert shop.boots == 1


def test_what_somebody_is_stopping_is_not_started_again(bridge: Bridge, start_service: StartService) -> None:
    """It is sick, and runs for as long as it is given to end; Docker's restart would wait for that and undo it."""
    shop = start_service(script=f"trap '' TERM; {INCURABLE}").fall_sick()
    stop = threading.Thread(target=shop.stop, args=(4,))
    stop.start()
    shop.await_event("kill")
    [incident_id] = bridge.accept(firing(shop.name))
    stop.join()
    incident = bridge.await_incident(incident_id, within=40)
    assert (incident["outcome"], incident["decision"]["verdict"]["rule"]) == ("no_action", "operator_stop")
    assert (shop.boots, shop.status) == (1, "exited")


def test_while_paused_nothing_is_repaired(bridge: Bridge, start_service: StartService) -> None:
    """The kill switch refuses every repair, says who pulled it and why, and its release is enough to go on."""
    shop, till = start_service("shop").fall_sick(), start_service("till").fall_sick()
    bridge.request("PUT", "/api/v1/pause", {"why": "moving house"}).raise_for_status()
    refused = bridge.repair(firing(shop.name))
    assert (refused["outcome"], refusals(refused)) == ("refused", ["paused"])
    assert "operator: moving house" in refused["reason"]
    assert shop.boots == 1
    bridge.request("DELETE", "/api/v1/pause").raise_for_status()
    assert bridge.repair(firing(till.name))["outcome"] == "healed"


def test_observe_mode_writes_what_it_would_have_done(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """Everything is judged and told as ever, only Docker is not called and no budget is spent."""
    bridge = start_bridge(policy={"mode": "observe"})
    shop = start_service().fall_sick()
    incident = bridge.repair(firing(shop.name))
    assert (incident["outcome"], refusals(incident)) == ("refused", ["observe_mode"])
    assert incident["decision"]["would"] == "restart"
    assert "would have done: restart" in incident["reason"]
    assert "acting" not in events(incident)
    assert shop.boots == 1
    assert bridge.target(shop.name)["actions_last_hour"] == 0


def test_an_unknown_target_is_escalated(bridge: Bridge) -> None:
    """An alert about a container that nobody knows reaches a human, with what was looked for."""
    incident = bridge.repair(firing("nowhere"))
    assert incident["outcome"] == "escalated"
    assert "no container 'nowhere' on host 'local'" in incident["reason"]


def test_an_alert_that_names_nothing_is_escalated(bridge: Bridge) -> None:
    """An alert without any label of a container reaches a human, with the labels that were looked at."""
    alert = firing("shop")
    del alert["labels"]["name"]
    incident = bridge.repair(alert)
    assert incident["outcome"] == "escalated"
    assert "container_id, container_name, container, name, service_name" in incident["reason"]
