"""What ``hemostat doctor`` says of the store: the level that is really reached, whatever was wished for."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge import doctor, settings, wiring
from bridge.demo import parts
from bridge.doctor import Check
from tests.conftest import started
from tests.servers.openai import OpenAiServer
from tests.servers.redis_topology import MASTER, Watched


async def examined(
    folder: Path, *, ask_model: bool = False, hosts: Mapping[str, str] = {}, **sections: Any
) -> dict[str, Check]:
    """What it says under this configuration, by the name of the check. ``hosts``: Docker's, by name."""
    path = folder / "hemostat.yml"
    named = hosts or {"local": f"unix://{folder}/absent.sock"}
    docker = {"hosts": [{"name": name, "url": url} for name, url in named.items()]}
    path.write_text(json.dumps({"docker": docker, **sections}))
    async with wiring.parts_of(settings.load(path, environ={})) as built:
        return {check.name: check for check in await doctor.examine(built, ask_model=ask_model)}


@pytest.fixture
def watched() -> Iterator[Watched]:
    """A master, one replica, three Sentinels."""
    started(parts.RedisServer).stop()  # where there is none, this says so
    watched = Watched(replicas=1).start()
    yield watched
    watched.stop()


async def test_behind_sentinels_it_names_the_master_its_replicas_and_the_quorum(
    watched: Watched, tmp_path: Path
) -> None:
    """And says what no longer works as each part dies."""
    redis = {"sentinel": {"master": MASTER, "nodes": watched.nodes}}
    master, replica = watched.servers
    url = f"redis://{master.host}:{master.port}"

    local = await examined(tmp_path, redis=redis)
    assert local["store/durability"].ok
    assert local["store/durability"].found == (
        "reached: local; wanted: local; 1 replica(s) in step, min-replicas-to-write 0"
    )
    assert "a failover loses" in local["store/durability"].advice

    store = {"durability": "replicated"}
    well = await examined(tmp_path, redis=redis, store=store)
    assert well["store/sentinel"].ok, well
    assert well["store/sentinel"].found == f"master {url}, named by 3 of 3 Sentinels, quorum reachable"
    assert well["store/durability"].ok, well
    assert "reached: replicated; wanted: replicated; 1 replica(s)" in well["store/durability"].found

    replica.kill()
    watched.sentinels[2].stop()
    ill = await examined(tmp_path, redis=redis, store=store)
    assert not ill["store/durability"].ok
    assert "reached: local; wanted: replicated" in ill["store/durability"].found
    assert "nothing is repaired" in ill["store/durability"].advice
    assert "named by 2 of 3 Sentinels" in ill["store/sentinel"].found
    assert watched.nodes[2] in ill["store/sentinel"].advice

    watched.sentinels[1].stop()
    master.kill()
    dead = await examined(tmp_path, redis=redis, store=store)
    assert not dead["store"].ok
    assert not dead["store/sentinel"].ok


@pytest.mark.parametrize(
    ("setting", "value", "reached", "advice"),
    [
        ("appendonly", "no", "reached: none;", "appendonly yes"),
        (
            "appendfsync",
            "everysec",
            "reached: none on power loss (appendfsync everysec)",
            "appendfsync always",
        ),
    ],
)
async def test_a_log_that_is_not_on_disk_is_no_durability(
    redis_server: parts.RedisServer, tmp_path: Path, setting: str, value: str, reached: str, advice: str
) -> None:
    """Whatever is replicated."""
    usual = {"appendonly": "yes", "appendfsync": "always"}[setting]
    redis_server.command("CONFIG", "SET", setting, value)
    try:
        found = await examined(tmp_path, redis={"url": redis_server.url})
    finally:
        redis_server.command("CONFIG", "SET", setting, usual)
    assert not found["store/durability"].ok
    assert reached in found["store/durability"].found
    assert advice in found["store/durability"].advice
    assert "store/url" not in found


async def test_it_names_the_directory_of_the_embedded_store_it_looked_at(tmp_path: Path) -> None:
    """Another user, or another HOME, has another one: an empty store that is well proves nothing of the bridge's."""
    started(parts.RedisServer).stop()
    found = await examined(tmp_path, store={"path": "kept"})
    assert found["store"].found.endswith(f", embedded in {tmp_path / 'kept'}")


@pytest.mark.parametrize(
    ("url", "advice"),
    [("unix:///absent.sock", "group docker"), (f"tcp://{parts.LOOPBACK}:1", "does it listen there")],
)
async def test_what_to_do_about_an_engine_depends_on_the_way_to_it(
    redis_server: parts.RedisServer, tmp_path: Path, url: str, advice: str
) -> None:
    """A group opens no port."""
    docker = {"hosts": [{"name": "away", "url": url}]}
    found = await examined(tmp_path, redis={"url": redis_server.url}, docker=docker)
    assert not found["docker/away"].ok
    assert advice in found["docker/away"].advice


async def test_a_replica_is_no_store_and_an_absent_engine_is_told_by_its_address(
    redis_server: parts.RedisServer, tmp_path: Path
) -> None:
    """The webhooks of a bridge on a replica would all be answered 503."""
    redis_server.command("REPLICAOF", parts.LOOPBACK, str(parts.free_port()))
    try:
        found = await examined(tmp_path, redis={"url": redis_server.url})
    finally:
        redis_server.command("REPLICAOF", "NO", "ONE")
    assert not found["store"].ok
    assert "must lead to its master" in found["store"].advice
    absent = f"docker: GET /version: No such file or directory (unix://{tmp_path}/absent.sock) on local"
    assert found["docker/local"].found == absent


async def test_a_clock_that_is_behind_is_told_with_what_it_means(
    redis_url: str, redis_server: parts.RedisServer, tmp_path: Path
) -> None:
    """As after a failover to a machine whose clock is wrong; without, nobody would see why all is slow."""
    before = await examined(tmp_path, redis={"url": redis_url})
    assert before["store/clock"].ok
    ahead = round(time.time() * 1000) + 3_600_000
    redis_server.command("SET", "{hemostat}:tick", f"{ahead} {ahead}")
    clock = (await examined(tmp_path, redis={"url": redis_url}))["store/clock"]
    assert (clock.ok, "nothing is repaired" in clock.advice) == (False, True)
    assert re.match("3(600|59[0-9]) s behind", clock.found)


async def test_clocks_that_differ_are_told_each_by_its_name(
    redis_url: str,
    redis_server: parts.RedisServer,
    start_alertmanager: Callable[..., parts.Alertmanager],
    start_prometheus: Callable[..., parts.Prometheus],
    tmp_path: Path,
) -> None:
    """The store's is the one that differs here. HTTP tells whole seconds: it may look a second further ahead."""
    alertmanager = await asyncio.to_thread(start_alertmanager, webhook_url="http://127.0.0.1:9/")
    prometheus = await asyncio.to_thread(start_prometheus, alertmanager_address=alertmanager.address)
    asked: dict[str, Any] = {"redis": {"url": redis_url}, "alertmanager": {"url": alertmanager.url}}
    asked["prometheus"] = {"url": prometheus.url}
    names = ("machine/clock", "alertmanager/clock", "prometheus/clock")
    before = await examined(tmp_path, **asked)
    assert [before[name].ok for name in names] == [True, True, True]
    ahead = round(time.time() * 1000) + 600_000
    redis_server.command("SET", "{hemostat}:tick", f"{ahead} {ahead}")
    after = await examined(tmp_path, **asked)
    for name in names:
        assert not after[name].ok
        assert re.fullmatch("the store's clock is (60[01]|5[0-9]{2}) s ahead of this one", after[name].found)


async def test_incidents_of_another_version_are_told(
    redis_url: str, redis_server: parts.RedisServer, tmp_path: Path
) -> None:
    """After a downgrade nobody would go on with the open ones."""
    before = await examined(tmp_path, redis={"url": redis_url})
    assert before["store/incidents"].ok
    incident = ("HSET", "{hemostat}:incident:abc", "state", "open", "opened", "1", "doc", "{}")
    redis_server.command(*incident)
    redis_server.command("ZADD", "{hemostat}:incidents", "1", "abc")
    found = (await examined(tmp_path, redis={"url": redis_url}))["store/incidents"]
    assert not found.ok
    assert "1 of the newest 1 cannot be read, 1 of them open, such as abc" in found.found


async def test_a_store_that_is_away_is_told_with_the_reason(tmp_path: Path) -> None:
    port = parts.free_port()
    found = await examined(tmp_path, redis={"url": f"redis://{parts.LOOPBACK}:{port}"})
    assert str(port) in found["store"].found
    assert "Connect call failed" in found["store"].found


async def test_a_model_has_the_time_that_it_has_in_the_bridge(
    redis_server: parts.RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One on a server of one's own may be slower than any neighbour, and is no worse for it."""
    monkeypatch.setattr(doctor, "DEADLINE_SECONDS", 1.0)
    with OpenAiServer() as server:
        server.delay_seconds = 1.5
        llm = {"provider": "openai", "model": "own", "base_url": server.url, "timeout": "20s"}
        found = await examined(tmp_path, ask_model=True, redis={"url": redis_server.url}, llm=llm)
    assert found["model"].ok, found
    assert "answered in" in found["model"].found


async def test_one_engine_under_two_names_is_told(
    engine: parts.DockerEngine, redis_url: str, tmp_path: Path
) -> None:
    """Each of its containers is two targets with two budgets. Another address of the same socket shows by nothing else."""
    other = tmp_path / "docker.sock"
    other.symlink_to(engine.url.removeprefix("unix://"))
    twice = {"here": engine.url, "there": f"unix://{other}", "gone": f"unix://{tmp_path}/absent.sock"}
    found = await examined(tmp_path, hosts=twice, redis={"url": redis_url})
    assert not found["docker"].ok
    assert found["docker"].found == "here, there are one Engine"
    assert "two budgets" in found["docker"].advice
    once = await examined(tmp_path, hosts={"here": engine.url}, redis={"url": redis_url})
    assert "docker" not in once
