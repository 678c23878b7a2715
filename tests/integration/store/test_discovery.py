"""Who is believed: the highest configuration epoch, whoever says it, and nobody where it is agreed that all is lost."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bridge import errors, settings, wiring
from bridge.demo import parts
from bridge.edges.store.client import Access, MasterDown, Tls
from bridge.edges.store.connection import Store
from bridge.edges.store.discovery import ClusterNodes, Sentinels, slot_of
from bridge.model.incident import Outcome
from tests.conftest import started
from tests.in_memory_containers import InMemoryContainers
from tests.integration.walking import walk_on
from tests.servers.redis_topology import MASTER, RedisSentinel, said
from tests.servers.scripted_redis import Answer, ScriptedRedis

Script = Callable[[list[str]], Answer]


@contextlib.asynccontextmanager
async def sentinels(*scripts: Script) -> AsyncIterator[Sentinels]:
    """Ours, asking one scripted Sentinel for each."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(ScriptedRedis(script)) for script in scripts]
        topology = Sentinels(MASTER, [server.node for server in servers], access=Access(), servers=Access())
        stack.push_async_callback(topology.close)
        yield topology


def says(
    port: int, epoch: int, *, flags: str = "master", promoted: int | None = None, quorum: bool = True
) -> Script:
    """A Sentinel's opinion; `promoted` is the new master whose failover it is just ending."""
    row = ["name", MASTER, "ip", "10.0.0.1", "port", str(port), "flags", flags, "config-epoch", str(epoch)]

    def answer(words: list[str]) -> Answer:
        match [word.upper() for word in words[:2]]:
            case ["SENTINEL", "MASTER"]:
                return row
            case ["SENTINEL", "GET-MASTER-ADDR-BY-NAME"]:
                return ["10.0.0.1", str(promoted or port)]
            case ["SENTINEL", "CKQUORUM"]:
                return "OK 3 usable" if quorum else errors.BridgeError("NOQUORUM 1 usable Sentinels")
        return errors.BridgeError("ERR unknown command")

    return answer


def fails(message: str) -> Script:
    """Answers every command with this error."""
    return lambda _: errors.BridgeError(message)


async def test_the_highest_epoch_is_believed_whoever_says_it() -> None:
    """The one that was cut off with the old master answers first, and is of the majority's opinion no more."""
    async with sentinels(says(1, 7), says(2, 9), says(1, 7)) as topology:
        assert await topology.master() == "redis://10.0.0.1:2"


async def test_a_sentinel_that_ends_a_failover_names_the_new_master() -> None:
    """It knows the new epoch and still has the old master's row, which is down."""
    ending = says(1, 9, flags="master,o_down,failover_in_progress", promoted=2)
    async with sentinels(says(1, 7), ending) as topology:
        assert await topology.master() == "redis://10.0.0.1:2"


async def test_a_master_of_which_it_is_agreed_that_it_is_down_is_none() -> None:
    """One Sentinel alone cannot say so, and the old master would take writes that are lost."""
    async with sentinels(says(1, 7), says(1, 7, flags="master,s_down,o_down")) as topology:
        with pytest.raises(MasterDown, match="mymaster"):
            await topology.master()
    async with sentinels(says(1, 7), says(1, 7, flags="master,s_down")) as topology:
        assert await topology.master() == "redis://10.0.0.1:1"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda _: None, id="silent"),
        pytest.param(fails("ERR No such master with that name"), id="knows-it-not"),
        pytest.param(fails("NOAUTH Authentication required."), id="refuses"),
        pytest.param(lambda _: 42, id="nonsense"),
        pytest.param(lambda _: ["ip", "x", "port"], id="half-a-row"),
    ],
)
async def test_a_sentinel_that_is_no_help_is_no_hindrance(other: Script) -> None:
    """And where there is no other, the error says what it answered."""
    async with sentinels(other, says(2, 9)) as topology:
        assert await topology.master() == "redis://10.0.0.1:2"
    async with sentinels(other) as topology:
        with pytest.raises(errors.EdgeUnavailable, match="no Sentinel names 'mymaster'"):
            await topology.master()


async def test_the_doctor_is_told_who_is_of_another_opinion_and_whether_a_failover_is_possible() -> None:
    """In words for an operator."""
    async with sentinels(says(2, 9), says(1, 7), fails("ERR no")) as topology:
        standing = await topology.standing()
        assert standing.found == "master redis://10.0.0.1:2, named by 1 of 3 Sentinels, quorum reachable"
        assert standing.advice.startswith("silent or of another opinion: redis://127.0.0.1:")
    async with sentinels(says(2, 9, quorum=False)) as topology:
        assert "no failover is possible: " in (await topology.standing()).advice


# Cluster

SLOT = slot_of("{hemostat}")


@contextlib.asynccontextmanager
async def cluster(*views: Answer, access: Access | None = None) -> AsyncIterator[ClusterNodes]:
    """Ours, asking one scripted node for each view."""
    async with contextlib.AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(ScriptedRedis(lambda _, view=view: view))  # type: ignore[misc]
            for view in views
        ]
        nodes = [server.node for server in servers]
        topology = ClusterNodes(nodes, key="{hemostat}", access=access or Access())
        stack.push_async_callback(topology.close)
        yield topology


def view(host: str, epoch: int, *, flags: str = "master", slots: str = "0-16383") -> str:
    """What a node says of the cluster: one master, one replica of it, and one that nobody knows."""
    return "\n".join(
        (
            f"aaa {host}:7001@17001,node-a.example {flags} - 0 0 {epoch} connected {slots}",
            "bbb 127.0.0.1:1@2 slave aaa 0 0 3 connected",
            "ccc :0@0 master,noaddr - 0 0 4 disconnected",
        )
    )


async def test_the_highest_epoch_among_the_holders_of_the_slot_is_believed() -> None:
    """A node that was cut off names itself until the network heals."""
    async with cluster(view("10.0.0.1", 5), view("10.0.0.2", 8), view("10.0.0.1", 5)) as topology:
        assert await topology.master() == "redis://10.0.0.2:7001"
        assert "on redis://10.0.0.2:7001, by 1 of 5 nodes asked" in (await topology.standing()).found


async def test_a_node_that_the_cluster_holds_for_dead_is_none() -> None:
    """Until its replica is voted for."""
    async with cluster(view("10.0.0.1", 5, flags="master,fail"), view("10.0.0.1", 5)) as topology:
        with pytest.raises(MasterDown):
            await topology.master()


async def test_a_slot_that_is_on_its_way_belongs_to_where_it_comes_from() -> None:
    """The importing node has it in brackets."""
    importing = view("10.0.0.9", 9, slots=f"0-10 [{SLOT}-<-aaa]")
    async with cluster(importing, view("10.0.0.1", 5, slots=f"0-5 {SLOT}")) as topology:
        assert await topology.master() == "redis://10.0.0.1:7001"


async def test_a_node_that_met_nobody_is_reached_where_it_was_asked() -> None:
    """It does not know its own address."""
    async with cluster("aaa :7001@17001 myself,master - 0 0 0 connected 0-16383") as topology:
        assert (await topology.master()).startswith("redis://127.0.0.1:")


@pytest.mark.parametrize(
    "answer", ["", "no such thing", 42, "a b c d e f g h i", errors.BridgeError("ERR no"), ["x"]]
)
async def test_nodes_that_answer_nonsense_name_nobody(answer: Answer) -> None:
    """And it is an error that can pass."""
    async with cluster(answer) as topology:
        with pytest.raises(errors.EdgeUnavailable, match=f"who holds slot {SLOT}"):
            await topology.master()


# TLS and passwords


def certificates(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate of its own authority that bears this name, and its key."""
    openssl = parts.find_program("openssl", package="openssl")
    pem, key = folder / "tls.pem", folder / "tls.key"
    words = f"req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=test -addext subjectAltName={name}".split()
    subprocess.run([openssl, *words, "-out", pem, "-keyout", key], check=True, capture_output=True)
    return pem, key


async def test_behind_tls_with_passwords_of_their_own_for_servers_and_sentinels(tmp_path: Path) -> None:
    """As `redis.tls` and `redis.sentinel.tls` say; the name in the certificate is looked at unless told otherwise."""
    pem, key = certificates(tmp_path, "DNS:redis.example")
    tls = ("--tls-cert-file", str(pem), "--tls-key-file", str(key), "--tls-ca-cert-file", str(pem))
    port = parts.free_port()
    flags = (*tls, "--tls-port", str(port), "--tls-auth-clients", "no")
    server = started(lambda: parts.RedisServer(extra=flags))
    secure = parts.free_port()
    sentinel = RedisSentinel(
        (parts.LOOPBACK, port),
        quorum=1,
        extra=(
            *(f"{flag.removeprefix('--')} {value}" for flag, value in zip(tls[::2], tls[1::2], strict=True)),
            f"tls-port {secure}",
            "tls-auth-clients no",
            "tls-replication yes",
        ),
    ).start()
    try:
        server.command("CONFIG", "SET", "requirepass", "of-the-server")
        said(sentinel.host, sentinel.port, "ACL", "SETUSER", "default", "resetpass", ">of-the-sentinel")
        section = {
            "sentinel": {
                "master": MASTER,
                "nodes": [f"{parts.LOOPBACK}:{secure}"],
                "password": "of-the-sentinel",
                "tls": {"ca_file": str(pem), "check_hostname": False},
            },
            "password": "of-the-server",
            "tls": {"ca_file": str(pem), "check_hostname": False},
        }
        store = wiring.store_of(_loaded(tmp_path, section), "")
        assert await store.command("PING") is True
        assert (await store.topology.master()).startswith("rediss://")
        await store.close()
        section["tls"] = {"ca_file": str(pem)}
        strict = wiring.store_of(_loaded(tmp_path, section), "")
        with pytest.raises(errors.EdgeUnavailable):
            await strict.command("PING")
        await strict.close()
        section["password"] = "wrong"
        section["tls"] = {"ca_file": str(pem), "check_hostname": False}
        stranger = wiring.store_of(_loaded(tmp_path, section), "")
        with pytest.raises(errors.EdgeRejected, match="refused the credentials"):
            await stranger.command("PING")
        await stranger.close()
    finally:
        sentinel.stop()
        server.stop()


def _loaded(folder: Path, redis: object) -> settings.Settings:
    path = folder / "hemostat.yml"
    path.write_text(json.dumps({"redis": redis}))
    return settings.load(path, environ={})


async def test_the_nodes_of_a_cluster_are_named_as_their_certificates_are() -> None:
    """By the host name that they announce; without TLS by their address."""
    line = view("10.0.0.1", 5)
    tls = ClusterNodes([], key="{hemostat}", access=Access(tls=Tls()))
    claim, _ = tls._view(line, "") or pytest.fail("no view")
    assert claim.url == "rediss://node-a.example:7001"


@pytest.mark.parametrize("may", ["+info", "-info"])
async def test_a_user_of_our_keys_only_can_do_all_of_it(redis_server: parts.RedisServer, may: str) -> None:
    """As docs/redis.md gives it; one who may not ask for the eviction policy is taken at their word."""
    keys = ("~{hemostat}*", "~hemostat:*", "&hemostat:*")
    words = ("on", ">a-password", *keys, "+@all", "-@admin", "-@dangerous", may)
    redis_server.command("FLUSHALL")
    assert redis_server.command("ACL", "SETUSER", "hemostat", "reset", *words) == "+OK"
    store = Store(redis_server.url, Access(username="hemostat", password="a-password"))
    try:
        docker = InMemoryContainers()
        walk = walk_on(store, docker)
        assert (await walk.until_closed(await walk.alert())).outcome is Outcome.HEALED
        with pytest.raises(errors.EdgeUnavailable, match=r"(?i)noperm|permission"):
            await store.command("GET", "somebody-elses")
    finally:
        await store.close()
        redis_server.command("ACL", "DELUSER", "hemostat")
