"""Docker, Redis or the container itself goes away, and comes back or not. Alerts are posted as Alertmanager would."""

from __future__ import annotations

from bridge.demo import parts
from tests.acceptance.conftest import WITHIN, BeginRestart, StartBridge, StartService
from tests.acceptance.stack import LONG, events, firing, in_state, resolved
from tests.conftest import StartRedis
from tests.servers.docker_engine import DockerEngineProxy, is_inspect, is_restart


def test_docker_away_and_back(
    start_bridge: StartBridge, start_service: StartService, private_engine: parts.DockerEngine
) -> None:
    """Without Docker the alert is accepted all the same and waits; once Docker is back, the container is healed."""
    shop = start_service(on=private_engine).fall_sick()
    bridge = start_bridge(docker=private_engine.url)
    private_engine.kill_daemon()
    [incident_id] = bridge.accept(firing(shop.name))
    waiting = bridge.await_incident(incident_id, until=in_state("waiting"))
    assert "cannot ask Docker" in waiting["reason"]
    bridge.until_ready(ready=False)
    private_engine.restart_daemon()
    assert bridge.await_incident(incident_id)["outcome"] == "healed"
    bridge.until_ready()
    assert shop.boots == 2


def test_docker_away_for_too_long_is_told_to_a_human(start_bridge: StartBridge) -> None:
    """An incident that stays undecided longer than `wait_for` is escalated, not forgotten."""
    bridge = start_bridge(docker="unix:///nowhere/docker.sock", policy={"wait_for": "1s"})
    incident = bridge.repair(firing("shop"))
    assert incident["outcome"] == "escalated"
    assert "undecided" in incident["reason"]


def test_redis_away_and_back(
    start_bridge: StartBridge, start_service: StartService, start_redis: StartRedis
) -> None:
    """Without Redis nothing is accepted and nothing done: 503, which Alertmanager tries again, then 202 and healed."""
    redis = start_redis()
    shop = start_service().fall_sick()
    bridge = start_bridge(redis=redis.url.removesuffix("/0"))
    redis.kill()
    alert = firing(shop.name)
    refused = bridge.post(alert)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    bridge.until_ready(ready=False)
    assert shop.boots == 1
    redis.start()
    bridge.until_ready()
    assert bridge.repair(alert)["outcome"] == "healed"
    assert shop.boots == 2


def test_redis_away_while_a_repair_is_verified(
    start_bridge: StartBridge, start_service: StartService, start_redis: StartRedis
) -> None:
    """What was written before Redis was killed is there afterwards, and the incident goes on without a second restart."""
    redis = start_redis()
    shop = start_service().fall_sick()
    bridge = start_bridge(redis=redis.url.removesuffix("/0"), policy={"verify": LONG})
    [incident_id] = bridge.accept(firing(shop.name))
    bridge.await_incident(incident_id, until=in_state("verifying"))
    redis.kill()
    redis.start()
    incident = bridge.await_incident(incident_id)
    assert incident["outcome"] == "healed"
    assert events(incident).count("acting") == 1
    assert shop.boots == 2


def test_redis_away_while_docker_restarts(
    start_redis: StartRedis, begin_restart: BeginRestart, docker_proxy: DockerEngineProxy
) -> None:
    """The result of an action that could not be written down is found out by comparison, not by acting again."""
    redis = start_redis()
    shop, bridge, held, incident_id = begin_restart(
        docker_proxy.hold_reply, redis=redis.url.removesuffix("/0")
    )
    redis.kill()
    held.release()
    redis.start()
    assert bridge.await_incident(incident_id)["outcome"] == "healed"
    assert len([request for request in docker_proxy.requests if is_restart(request)]) == 1
    assert shop.boots == 2


def test_a_container_removed_before_it_was_looked_at(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """Nothing is left to repair, and a human hears that the alert's target is gone."""
    shop = start_service().fall_sick()
    bridge = start_bridge()
    shop.remove()
    incident = bridge.repair(firing(shop.name))
    assert incident["outcome"] == "escalated"
    assert "(any more)" in incident["reason"]


def test_a_container_removed_in_mid_action(
    begin_restart: BeginRestart, docker_proxy: DockerEngineProxy
) -> None:
    """Gone between the intent and Docker's answer: the action failed, nothing else is touched, a human is told."""
    shop, bridge, held, incident_id = begin_restart(docker_proxy.hold_before)
    shop.remove()
    held.release()
    incident = bridge.await_incident(incident_id)
    assert incident["outcome"] == "failed"
    assert "restart failed" in incident["reason"]


def test_a_container_replaced_under_its_name_in_mid_action_is_not_touched(
    start_service: StartService, begin_restart: BeginRestart, docker_proxy: DockerEngineProxy
) -> None:
    """A deploy that wins the race keeps its new container: the restart was meant for the old one's id."""
    shop, bridge, held, incident_id = begin_restart(docker_proxy.hold_before)
    shop.remove()
    deployed = start_service(named=shop.name)
    deployed.await_boots(1)
    held.release()
    assert bridge.await_incident(incident_id)["outcome"] == "failed"
    assert deployed.boots == 1


def test_an_alert_that_ends_before_anything_was_done_is_resolved(
    start_bridge: StartBridge, start_service: StartService, docker_proxy: DockerEngineProxy
) -> None:
    """Resolved while the bridge was still looking: the incident ends as resolved and the container is left alone."""
    shop = start_service().fall_sick()
    bridge = start_bridge(docker=docker_proxy.url)
    held = docker_proxy.hold_before(is_inspect)
    alert = firing(shop.name)
    [incident_id] = bridge.accept(alert)
    held.wait_until_reached(seconds=WITHIN)
    assert bridge.accept(resolved(alert)) == [incident_id]
    held.release()
    incident = bridge.await_incident(incident_id)
    assert incident["outcome"] == "resolved"
    assert "acting" not in events(incident)
    assert bridge.target(shop.name)["actions_last_hour"] == 0  # what was reserved is given back
    assert shop.boots == 1
