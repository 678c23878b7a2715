"""Redis killed, silent, slow, out of memory or out of disk, under load: 503 and nothing else, no action, nothing lost,
and back at once. Each prints its counts; the same without a protection shows that the counting would notice.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.demo import parts
from tests.acceptance.conftest import TIMEOUT_SECONDS, StartBridge, StartService
from tests.acceptance.load import SENDERS, Load
from tests.acceptance.stack import events, firing
from tests.conftest import StartRedis
from tests.servers.docker_engine import DockerEngineProxy, is_inspect, is_restart
from tests.servers.slow_proxy import SlowProxy
from tests.servers.small_disk import small_disk

BACK_SECONDS = 5.0
WITHIN = 20.0
OUTAGE_SECONDS = float(os.environ.get("HEMOSTAT_OUTAGE_SECONDS", "0"))
"""How long a fault lasts at least; 60 to see an outage as people know them."""

DISK_BYTES = 8 * 1024 * 1024

Fault = Callable[[parts.RedisServer], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def killed(redis: parts.RedisServer) -> Iterator[None]:
    """kill -9, and started again on what is on its disk."""
    redis.kill()
    yield
    redis.start()


@contextlib.contextmanager
def silent(redis: parts.RedisServer) -> Iterator[None]:
    """SIGSTOP: connections stand, and nobody answers."""
    redis.pause()
    yield
    redis.resume()


@contextlib.contextmanager
def out_of_memory(redis: parts.RedisServer) -> Iterator[None]:
    """`maxmemory` reached with `noeviction`: it answers, and takes nothing more."""
    assert redis.command("CONFIG", "SET", "maxmemory", "1") == "+OK"
    yield
    assert redis.command("CONFIG", "SET", "maxmemory", "0") == "+OK"


@contextlib.contextmanager
def out_of_disk(redis: parts.RedisServer) -> Iterator[None]:
    """The disk of its append-only file is full. With `always` Redis ends itself, and has to be started again."""
    ballast = redis.directory / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    yield
    ballast.unlink()
    if not redis.running:
        redis.start()


@pytest.mark.timeout(TIMEOUT_SECONDS + OUTAGE_SECONDS)
@pytest.mark.parametrize("fault", [killed, silent, out_of_memory], ids=lambda fault: fault.__name__)
def test_while_redis_fails_nothing_is_accepted_done_or_lost(
    fault: Fault,
    start_bridge: StartBridge,
    start_service: StartService,
    start_redis: StartRedis,
    docker_proxy: DockerEngineProxy,
) -> None:
    """An incident is in the middle of its walk and alerts come in all the while."""
    assert_fails_closed(fault, start_redis(), start_bridge, start_service, docker_proxy)


@pytest.mark.parametrize("appendfsync", ["always", "everysec"])
def test_while_the_disk_of_redis_is_full_nothing_is_accepted_done_or_lost(
    appendfsync: str,
    start_bridge: StartBridge,
    start_service: StartService,
    start_redis: StartRedis,
    docker_proxy: DockerEngineProxy,
    tmp_path: Path,
) -> None:
    """What Redis could not write it did not confirm, and so we did not. Afterwards it goes on where it was."""
    with small_disk(tmp_path / "disk", DISK_BYTES) as disk:
        redis = start_redis(disk / "redis", appendfsync=appendfsync)
        assert_fails_closed(out_of_disk, redis, start_bridge, start_service, docker_proxy)
        redis.stop()


def assert_fails_closed(
    fault: Fault,
    redis: parts.RedisServer,
    start_bridge: StartBridge,
    start_service: StartService,
    docker_proxy: DockerEngineProxy,
) -> None:
    shop = start_service().fall_sick()
    bridge = start_bridge(docker=docker_proxy.url, redis=redis.url.removesuffix("/0"))
    held = docker_proxy.hold_before(is_inspect)
    with Load(bridge) as load:
        [incident_id] = bridge.accept(firing(shop.name))
        held.wait_until_reached(seconds=WITHIN)
        load.until_answered(202, 2 * SENDERS)
        with fault(redis):
            held.release()
            load.until_answered(503, SENDERS)
            time.sleep(OUTAGE_SECONDS)
            during = len([request for request in docker_proxy.requests if is_restart(request)])
            bridge.until_ready(ready=False)
            over = time.monotonic()
        back = load.until_accepted_after(over) - over
        load.until_answered(202, 2 * SENDERS)
    incident = bridge.await_incident(incident_id)
    restarts = len([request for request in docker_proxy.requests if is_restart(request)])
    lost = load.lost()
    print(
        f"answers {dict(load.codes)}, {len(load.accepted)} accepted, {len(lost)} lost, {during} actions meanwhile,"
        f" {restarts} afterwards, back after {back:.2f} s"
    )
    assert set(load.codes) == {202, 503}
    assert (lost, during, restarts, shop.boots) == (set(), 0, 1, 2)
    assert (incident["outcome"], events(incident).count("acting")) == ("healed", 1)
    assert back < BACK_SECONDS
    assert "Traceback" not in bridge.log_text()


def test_what_a_redis_without_a_log_confirmed_is_lost_when_it_is_killed(
    start_bridge: StartBridge, start_redis: StartRedis
) -> None:
    """The control: the same counting, and no append-only file."""
    redis = start_redis(extra=["--appendonly", "no"])
    bridge = start_bridge(redis=redis.url.removesuffix("/0"))
    with Load(bridge) as load:
        load.until_answered(202, 2 * SENDERS)
        with killed(redis):
            load.until_answered(503, 1)
    lost = load.lost(within=1)
    print(f"control: {len(lost)} of {len(load.accepted)} accepted alerts lost")
    assert lost


def test_a_slow_redis_delays_and_a_very_slow_one_is_as_good_as_none(
    start_bridge: StartBridge,
    start_service: StartService,
    redis_server: parts.RedisServer,
    redis_url: str,
    docker_proxy: DockerEngineProxy,
) -> None:
    """At 0.05 s an answer everything works, only later. Beyond every deadline: 503, no action, and back at once."""
    shop = start_service().fall_sick()
    with SlowProxy(redis_server.port, delay_seconds=0.05) as proxy:
        bridge = start_bridge(docker=docker_proxy.url, redis=f"redis://{parts.LOOPBACK}:{proxy.port}")
        healed = bridge.repair(firing(shop.name))
        with Load(bridge, senders=16) as load:
            load.until_answered(202, 2 * SENDERS)
            slow = dict(load.codes)
            proxy.delay_seconds = 30.0
            load.until_answered(503, 16)
            proxy.delay_seconds = 0.0
            over = time.monotonic()
            back = load.until_accepted_after(over) - over
            load.until_answered(202, 2 * SENDERS)
        lost = load.lost()
    print(f"slow: {slow}; all: {dict(load.codes)}, {len(lost)} lost, back after {back:.2f} s")
    assert (healed["outcome"], shop.boots) == ("healed", 2)
    assert set(slow) == {202}
    assert set(load.codes) == {202, 503}
    assert not lost
    assert back < BACK_SECONDS
