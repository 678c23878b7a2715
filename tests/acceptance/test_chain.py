"""The whole chain: Docker Engine, exporter, Prometheus, Alertmanager, bridge, and back to the Docker Engine."""

from bridge.demo import parts
from tests.acceptance.conftest import Chain, StartService
from tests.acceptance.containers import CRASHING
from tests.acceptance.stack import Bridge, events


def test_an_unhealthy_container_is_restarted_once_and_reported_healed(
    chained_bridge: Bridge, start_service: StartService
) -> None:
    """Sick, alert, one restart, well again, alert over: only then the outcome is healed."""
    shop = start_service().fall_sick()
    incident = chained_bridge.await_incident_about(shop.name)
    assert incident["outcome"] == "healed"
    assert incident["repair"]["action"] == "restart"
    # The container may be well again, and its alert over, before Docker has answered.
    walked = [event for event in events(incident) if event != "alert_resolved"]
    assert walked[:5] == ["opened", "judged", "reserved", "acting", "acted"]
    assert [alert["labels"]["alertname"] for alert in incident["alerts"]] == ["ContainerUnhealthy"]
    assert shop.boots == 2
    assert shop.health == "healthy"


def test_a_crashed_container_is_started(chained_bridge: Bridge, start_service: StartService) -> None:
    """A container that ended with code 1 by itself and stands still is started, not restarted."""
    shop = start_service().crash()
    incident = chained_bridge.await_incident_about(shop.name)
    assert incident["outcome"] == "healed"
    assert incident["repair"]["action"] == "start"
    assert [alert["labels"]["alertname"] for alert in incident["alerts"]] == ["ContainerDown"]
    assert shop.boots == 2
    assert shop.status == "running"


def test_a_crash_loop_is_escalated_and_left_alone(
    chained_bridge: Bridge, start_service: StartService
) -> None:
    """What Docker's own restart policy restarts in vain, HemoStat does not restart once more: a human is told."""
    shop = start_service(script=CRASHING, restart="always")
    shop.await_boots(4)

    def told_of_a_loop() -> bool:
        return any(
            "ContainerRestartLoop" in one["alert_names"] for one in chained_bridge.incidents(target=shop.name)
        )

    # On a busy machine ContainerDown, whose `for` is a second here, may come first, and its incident be closed by then.
    assert parts.wait_until(told_of_a_loop, seconds=40, every=0.1)
    for one in chained_bridge.incidents(target=shop.name):
        incident = chained_bridge.await_incident(one["id"])
        assert incident["outcome"] == "escalated"
        assert incident["decision"]["verdict"]["rule"] == "crash_loop"
        assert (incident["intent"], incident["repair"], incident["token"]) == (None, None, None)


def test_what_a_person_stopped_is_left_alone(
    chain: Chain, chained_bridge: Bridge, start_service: StartService
) -> None:
    """After `docker stop` the alert fires as after a crash; the incident ends with no_action and nothing is started."""
    shop = start_service()
    shop.await_boots(1)
    shop.stop()
    incident = chained_bridge.await_incident_about(shop.name)
    assert incident["outcome"] == "no_action"
    assert incident["decision"]["verdict"]["rule"] == "operator_stop"
    assert [alert["labels"]["alertname"] for alert in incident["alerts"]] == ["ContainerDown"]
    assert shop.status == "exited"
    assert shop.boots == 1
