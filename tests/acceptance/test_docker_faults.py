"""Docker fails in the very call that restarts a container, before it did or after: each is restarted exactly once.

Truth are the boot lines of the containers themselves. A client that simply tries again is the control.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable

import docker
import docker.errors
import requests

from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.containers import Service
from tests.acceptance.stack import events, firing, in_state
from tests.servers.docker_engine import DockerEngineProxy, Held, Predicate, Request

WITHIN = 20.0
ROOM = {"caps": [{"max": 100, "per": "1h"}]}
MANY = {"max": 100, "per": "1h"}
POLICY = {
    "verify": {"within": "30s", "stable_for": "0s", "relapse_watch": "0s"},
    "limits": {"fleet": MANY, "host": MANY},
}
DOCKER_TIMEOUT = "1s"

Fault = Callable[[DockerEngineProxy, Predicate], Held]

FAULTS: dict[str, tuple[Fault, int, int, str]] = {
    # how Docker fails, times it is asked, boots in the end, outcome
    "done, then cut": (DockerEngineProxy.cut_after, 1, 2, "healed"),
    "done, then 500": (DockerEngineProxy.fail_after, 1, 2, "healed"),
    "done, then silence": (DockerEngineProxy.hold_reply, 1, 2, "healed"),
    "cut before": (DockerEngineProxy.cut_before, 2, 2, "healed"),
    "500 and never done": (lambda proxy, which: proxy.answer(which, status=500), 3, 1, "failed"),
}


def restart_of(service: Service) -> Predicate:
    return lambda request: request.is_action("restart") and service.id in request.path


def is_anything(request: Request) -> bool:
    return not request.path.endswith("/_ping")


def test_a_restart_that_docker_fails_at_is_settled_and_never_done_twice(
    start_bridge: StartBridge, start_service: StartService, docker_proxy: DockerEngineProxy
) -> None:
    """Executed and the answer lost: found out by comparison. Not executed: done then, a bounded number of times."""
    services = {how: start_service().fall_sick() for how in FAULTS}
    for how, (fault, *_) in FAULTS.items():
        fault(docker_proxy, restart_of(services[how]))
    bridge = start_bridge(docker=docker_proxy.url, docker_timeout=DOCKER_TIMEOUT, policy=POLICY)
    incidents = {how: bridge.accept(firing(service.name))[0] for how, service in services.items()}
    for how, (_, asked, boots, outcome) in FAULTS.items():
        incident = bridge.await_incident(incidents[how], within=60)
        requests_seen = len([one for one in docker_proxy.requests if restart_of(services[how])(one)])
        found = (requests_seen, services[how].boots, incident["outcome"])
        print(f"{how}: Docker asked {found[0]} times, booted {found[1]} times, {found[2]}")
        assert found == (asked, boots, outcome), events(incident)
        if how.startswith("done"):
            assert incident["repair"]["settled"] is True
    doubled = [how for how, service in services.items() if service.boots > 2]
    assert doubled == []


def test_a_client_that_tries_again_restarts_twice(
    start_service: StartService, docker_proxy: DockerEngineProxy
) -> None:
    """The control: the same lost answers, and what most do about them."""
    services = [start_service() for _ in range(2)]
    docker_proxy.cut_after(restart_of(services[0]))
    docker_proxy.fail_after(restart_of(services[1]))
    with contextlib.closing(docker.DockerClient(base_url=docker_proxy.url, timeout=10)) as client:
        for service in services:
            service.await_boots(1)
            for _ in range(2):
                with contextlib.suppress(requests.ConnectionError, docker.errors.APIError):
                    client.containers.get(service.name).restart(timeout=1)
                    break
            docker_proxy.requests.clear()
    boots = [service.boots for service in services]
    print(f"control: booted {boots} times, wanted [2, 2]")
    assert boots == [3, 3]


def test_while_docker_answers_nothing_or_nonsense_incidents_wait_and_nothing_is_done(
    start_bridge: StartBridge, start_service: StartService, docker_proxy: DockerEngineProxy
) -> None:
    """Silent, then 500 to everything, then well: alerts are accepted all the while, and each is repaired once."""
    shops = [start_service().fall_sick() for _ in range(3)]
    bridge = start_bridge(docker=docker_proxy.url, docker_timeout=DOCKER_TIMEOUT, policy=POLICY)
    answers: Counter[int] = Counter()
    incidents = []
    faults: list[Callable[[], Held]] = [
        docker_proxy.hang,
        lambda: docker_proxy.answer(is_anything, status=500),
    ]
    for shop, fault in zip(shops, faults, strict=False):
        rule = fault()
        answer = bridge.post(firing(shop.name))
        answers[answer.status_code] += 1
        [incident_id] = answer.json()["incidents"]
        waiting = bridge.await_incident(incident_id, until=in_state("waiting"))
        assert "cannot ask Docker" in waiting["reason"]
        incidents.append(incident_id)
        rule.drop()
    during = len([one for one in docker_proxy.requests if one.is_action("restart")])
    outcomes = [bridge.await_incident(one)["outcome"] for one in incidents]
    boots = [shop.boots for shop in shops]
    print(f"answers {dict(answers)}, {during} restarts meanwhile, then {outcomes}, boots {boots}")
    assert answers == {202: 2}
    assert outcomes == ["healed", "healed"]
    assert boots == [2, 2, 1]
