"""What an acceptance test starts: the chain of real services before the bridge, containers, and bridges themselves."""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from docker.errors import NotFound

from bridge.demo import parts
from tests.acceptance.containers import Service
from tests.acceptance.stack import HOST, ROOT, STEADY, TOKENS, Bridge, firing
from tests.conftest import started
from tests.servers.docker_engine import DockerEngineProxy, Held, Predicate, is_restart

TIMEOUT_SECONDS = 120
"""Longer than what a test waits for with deadlines of its own: they say what did not come true, this one ends the worker."""

WITHIN = 20.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A repair and its verification take seconds, and some tests need several; one may say itself how long it takes."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIMEOUT_SECONDS))


StartBridge = Callable[..., Bridge]
StartService = Callable[..., Service]
NUMBERS = itertools.count(1)


@pytest.fixture
def start_service(engine: parts.DockerEngine) -> Iterator[StartService]:
    """`start_service(...)` takes the arguments of `Service`, and gives each a name that no other test uses.

    `named` gives it exactly that name.
    """
    running: list[Service] = []

    def start(
        name: str = "shop", *, named: str = "", on: parts.DockerEngine = engine, **options: Any
    ) -> Service:
        running.append(Service(on, named or f"{name}-{next(NUMBERS)}", **options))
        return running[-1]

    yield start
    for service in running:
        with contextlib.suppress(NotFound, OSError):  # the test, or the end of its own Engine, removed it
            service.remove()


@pytest.fixture
def start_bridge(
    engine: parts.DockerEngine, redis_url: str, start_service: StartService
) -> Iterator[StartBridge]:
    """`start_bridge(...)` takes the arguments of `Bridge`; by default on the shared Engine and an empty Redis.

    `redis=None` gives it the embedded store.
    """
    running: list[Bridge] = []

    def start(**options: Any) -> Bridge:
        options = {"docker": engine.url, "redis": redis_url.removesuffix("/0"), **options}
        running.append(Bridge(**options))
        running[-1].start()
        return running[-1]

    yield start
    ends = {bridge.url: bridge.terminate() for bridge in running if bridge.running}
    for bridge in running:
        print(f"---- {bridge.url} wrote:\n{bridge.log_tail(60)}")  # pytest shows it where the test failed
        bridge.stop()
    assert ends == dict.fromkeys(ends, 0), "each must end in good order, whatever it was doing"


@pytest.fixture
def bridge(start_bridge: StartBridge) -> Bridge:
    """A bridge with the tests' defaults. It does not hear from Alertmanager: tests post to it themselves."""
    return start_bridge()


@pytest.fixture
def docker_proxy(engine: parts.DockerEngine) -> Iterator[DockerEngineProxy]:
    """The shared Engine behind a proxy that can hold a request."""
    with DockerEngineProxy(engine.url) as proxy:
        yield proxy


class MidAction(NamedTuple):
    """A container that fell sick, the bridge that is about to restart it, the request that is held, the incident."""

    shop: Service
    bridge: Bridge
    held: Held
    incident_id: str


BeginRestart = Callable[..., MidAction]


@pytest.fixture
def begin_restart(
    start_bridge: StartBridge, start_service: StartService, docker_proxy: DockerEngineProxy
) -> BeginRestart:
    """`begin_restart(hold, ...)`: `docker_proxy.hold_before`, and Docker has not heard of it; `docker_proxy.hold_reply`,
    and Docker has done it. The rest are arguments of `Bridge`."""

    def begin(hold: Callable[[Predicate], Held], **options: Any) -> MidAction:
        shop = start_service().fall_sick()
        bridge = start_bridge(docker=docker_proxy.url, **options)
        held = hold(is_restart)
        [incident_id] = bridge.accept(firing(shop.name))
        held.wait_until_reached(seconds=WITHIN)
        return MidAction(shop, bridge, held, incident_id)

    return begin


@dataclass(frozen=True)
class Chain:
    """Engine -> exporter -> Prometheus -> Alertmanager -> whoever listens on `port`."""

    port: int
    alertmanager: parts.Alertmanager
    prometheus: parts.Prometheus


@pytest.fixture(scope="session")
def chain(engine: parts.DockerEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """The real way of an alert to the bridge, with the rules as shipped but for their `for`, which is 1 s."""
    port, exporter_port = parts.free_port(), parts.free_port()
    address = f"{parts.LOOPBACK}:{exporter_port}"
    flags = {
        "web.listen-address": address,
        "docker.host": engine.url,
        "docker.host-name": HOST,
        "docker.resync-interval": "5s",
    }
    words = [f"--{flag}={value}" for flag, value in flags.items()]
    argv = [sys.executable, "-m", "exporters.docker", *words]
    rules = parts.shortened_rules(parts.alert_rules(), tmp_path_factory.mktemp("rules"))
    told = f"http://{parts.LOOPBACK}:{port}/api/v1/alerts"
    with contextlib.ExitStack() as running:

        def start(build: Callable[[], Any]) -> Any:
            part = started(build)
            running.callback(part.stop)
            return part

        start(lambda: parts.Process(argv, name="exporter", url=f"http://{address}", cwd=ROOT))
        alertmanager = start(lambda: parts.Alertmanager(webhook_url=told, token=TOKENS["receiver"]))
        prometheus = start(
            lambda: parts.Prometheus(
                rules=rules, exporter_address=address, alertmanager_address=alertmanager.address
            )
        )
        yield Chain(port=port, alertmanager=alertmanager, prometheus=prometheus)


@pytest.fixture
def chained_bridge(chain: Chain, start_bridge: StartBridge) -> Bridge:
    """A bridge at the end of the chain, that also asks Alertmanager whether an alert has ended."""
    return start_bridge(
        port=chain.port, alertmanager={"url": chain.alertmanager.url}, policy={"verify": STEADY}
    )
