"""The bridge ends at the worst moment, and another goes on: no alert lost, no action twice.

Alerts are posted to the bridge as Alertmanager would. A proxy before Docker holds the call that is under way.
"""

from __future__ import annotations

import signal
import time

from bridge.demo import parts
from tests.acceptance.conftest import WITHIN, BeginRestart, StartBridge, StartService
from tests.acceptance.containers import INCURABLE, STOP_SECONDS
from tests.acceptance.stack import LONG, at, events, firing, in_state
from tests.servers.docker_engine import DockerEngineProxy, is_restart


def test_killed_between_intent_and_docker_call_it_is_done_exactly_once(
    start_bridge: StartBridge, begin_restart: BeginRestart, docker_proxy: DockerEngineProxy
) -> None:
    """kill -9 before Docker heard of the restart: the next bridge sees that it did not happen, and does it once."""
    shop, doomed, held, incident_id = begin_restart(docker_proxy.hold_before)
    assert doomed.incident(incident_id)["intent"]["action"] == "restart"  # written before the call
    doomed.kill()
    held.drop()
    assert shop.boots == 1
    incident = start_bridge(docker=docker_proxy.url).await_incident(incident_id)
    assert incident["outcome"] == "healed"
    assert events(incident).count("acting") == 2
    assert events(incident).count("acted") == 1
    assert shop.boots == 2


def test_killed_after_the_docker_call_it_is_not_done_again(
    start_bridge: StartBridge, begin_restart: BeginRestart, docker_proxy: DockerEngineProxy
) -> None:
    """kill -9 before the bridge heard that the restart was done: the next one settles it by comparison."""
    shop, doomed, held, incident_id = begin_restart(docker_proxy.hold_reply)
    doomed.kill()
    held.drop()
    incident = start_bridge(docker=docker_proxy.url).await_incident(incident_id)
    assert incident["outcome"] == "healed"
    assert incident["repair"]["settled"] is True
    assert events(incident).count("acting") == 1
    assert len([request for request in docker_proxy.requests if is_restart(request)]) == 1
    assert shop.boots == 2


def test_killed_right_after_accepting_the_alert_is_not_lost(
    start_bridge: StartBridge, start_service: StartService, docker_proxy: DockerEngineProxy
) -> None:
    """202 means durable: kill -9 before anything else was done, and the next bridge repairs."""
    shop = start_service().fall_sick()
    doomed = start_bridge(docker=docker_proxy.url)
    silence = docker_proxy.hang()
    [incident_id] = doomed.accept(firing(shop.name))
    doomed.kill()
    silence.drop()
    incident = start_bridge(docker=docker_proxy.url).await_incident(incident_id)
    assert incident["outcome"] == "healed"
    assert shop.boots == 2


def test_a_paused_process_dies_before_it_could_act_on_a_lost_lease(
    start_bridge: StartBridge, begin_restart: BeginRestart, docker_proxy: DockerEngineProxy
) -> None:
    """Stopped by SIGSTOP beyond its lease while acting, it ends at once when it wakes; its successor restarts once."""
    shop, paused, held, incident_id = begin_restart(docker_proxy.hold_before)
    paused.pause()
    held.drop()
    incident = start_bridge(docker=docker_proxy.url).await_incident(incident_id)
    paused.resume()
    assert paused.wait(10) == -signal.SIGALRM
    assert incident["outcome"] == "healed"
    assert shop.boots == 2


def test_a_restart_left_half_done_gets_its_missing_start(
    start_bridge: StartBridge, begin_restart: BeginRestart, docker_proxy: DockerEngineProxy
) -> None:
    """Docker 23 stops a container whose client dies and never starts it (moby #44365): the next bridge starts it."""
    shop, doomed, held, incident_id = begin_restart(docker_proxy.hold_before)
    doomed.kill()
    held.drop()
    shop.stop()
    incident = start_bridge(docker=docker_proxy.url).await_incident(incident_id)
    assert incident["outcome"] == "healed"
    assert incident["repair"]["settled"] is True
    actions = [
        request.path.rpartition("/")[2] for request in docker_proxy.requests if request.method == "POST"
    ]
    assert actions == ["restart", "start"]
    assert shop.boots == 2


def test_a_container_recreated_during_the_action_is_left_alone(
    start_bridge: StartBridge,
    start_service: StartService,
    begin_restart: BeginRestart,
    docker_proxy: DockerEngineProxy,
) -> None:
    """The intent was about another one; the new one is the deploy's business, however sick."""
    shop, doomed, held, incident_id = begin_restart(docker_proxy.hold_before)
    doomed.kill()
    held.drop()
    shop.remove()
    successor = start_service(named=shop.name).fall_sick()
    incident = start_bridge(docker=docker_proxy.url).await_incident(incident_id)
    assert incident["outcome"] == "failed"
    assert "recreated" in incident["reason"]
    assert successor.boots == 1


def test_a_call_that_a_hanging_engine_still_holds_is_not_made_again(
    start_bridge: StartBridge, start_service: StartService, private_engine: parts.DockerEngine
) -> None:
    """Killed while dockerd stands still with the restart unread: when it wakes it carries that out, and no second."""
    shop = start_service(on=private_engine).fall_sick()
    with DockerEngineProxy(private_engine.url) as proxy:
        doomed = start_bridge(docker=proxy.url)
        held = proxy.hold_before(is_restart)
        [incident_id] = doomed.accept(firing(shop.name))
        held.wait_until_reached(seconds=WITHIN)
        private_engine.pause_daemon()
        held.release()
        doomed.kill()
        asked = len(proxy.requests)
        successor = start_bridge(docker=proxy.url)
        intended = at(successor.incident(incident_id)["intent"]["at"])

        def asking_after_any_stop_timeout() -> bool:
            return time.time() > intended + STOP_SECONDS + 3 and len(proxy.requests) > asked

        assert parts.wait_until(asking_after_any_stop_timeout, seconds=WITHIN)
        private_engine.resume_daemon()
        incident = successor.await_incident(incident_id)
    assert incident["outcome"] == "healed"
    assert incident["repair"]["settled"] is True
    assert shop.boots == 2


def test_two_bridges_on_one_redis_act_once(start_bridge: StartBridge, start_service: StartService) -> None:
    """Alertmanager's pair may tell two bridges of the same alert: one incident, one restart, both show it."""
    shop = start_service().fall_sick()
    one, two = start_bridge(), start_bridge()
    alert = firing(shop.name)
    assert one.accept(alert) == two.accept(alert)
    [incident_id] = one.accept(alert)
    assert one.await_incident(incident_id)["outcome"] == "healed"
    assert two.incident(incident_id)["outcome"] == "healed"
    assert len(one.incidents(target=shop.name)) == 1
    assert shop.boots == 2


def test_sigterm_hands_an_incident_over_in_mid_verification(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """Told to end, it ends in good order within ten seconds; another bridge finishes, and does not act again."""
    shop = start_service().fall_sick()
    ending = start_bridge(policy={"verify": LONG})
    [incident_id] = ending.accept(firing(shop.name))
    ending.await_incident(incident_id, until=in_state("verifying"))
    assert ending.terminate() == 0  # a SIGKILL after ten seconds and a bit would be -9
    assert "Traceback" not in ending.log_text()
    assert "outcome=healed" not in ending.log_text()
    successor = start_bridge(policy={"verify": LONG})
    assert successor.await_incident(incident_id)["outcome"] == "healed"
    assert parts.wait_until(lambda: "outcome=healed" in successor.log_text(), seconds=10)
    assert shop.boots == 2


def test_sigterm_in_mid_action_leaves_it_to_another(
    start_bridge: StartBridge, begin_restart: BeginRestart, docker_proxy: DockerEngineProxy
) -> None:
    """Docker has done it and not said so: the ending bridge does not wait for that, and the next does not repeat it."""
    shop, ending, held, incident_id = begin_restart(docker_proxy.hold_reply)
    assert ending.terminate() == 0
    held.drop()
    incident = start_bridge(docker=docker_proxy.url).await_incident(incident_id)
    assert (incident["outcome"], incident["repair"]["settled"]) == ("healed", True)
    assert shop.boots == 2


def test_sigterm_in_a_storm_loses_nothing(start_bridge: StartBridge) -> None:
    """However busy it is, it ends when told to; each accepted alert reaches its outcome with the next bridge."""
    ending = start_bridge()
    storm = [ending.accept(*(firing(f"nowhere-{wave}-{n}") for n in range(20))) for wave in range(10)]
    assert ending.terminate() == 0
    successor = start_bridge()
    accepted = {incident_id for wave in storm for incident_id in wave}

    def decided() -> bool:
        return {i["id"] for i in successor.incidents(outcome="escalated", limit="1000")} == accepted

    assert len(accepted) == 200
    assert parts.wait_until(decided, seconds=WITHIN, every=0.1), successor.log_tail()


def test_unfinished_business_is_never_reported_as_success(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """A restart that did not help, verified across a kill -9, ends as not_healed."""
    shop = start_service(script=INCURABLE).fall_sick()
    policy = {"verify": {"within": "6s", "stable_for": "1s", "relapse_watch": "0s"}}
    doomed = start_bridge(policy=policy)
    [incident_id] = doomed.accept(firing(shop.name))
    doomed.await_incident(incident_id, until=in_state("verifying"))
    doomed.kill()
    incident = start_bridge(policy=policy).await_incident(incident_id)
    assert incident["outcome"] == "not_healed"
    assert shop.boots == 2
