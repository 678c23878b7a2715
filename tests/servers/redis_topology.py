"""Redis Sentinels and Cluster nodes on loopback, for tests: real processes that know each other from the start.

Synchronous, as all parts are. Nothing here knows what HemoStat does with them.
"""

from __future__ import annotations

import functools
import socket
from collections.abc import Sequence
from typing import Any, Self

from bridge.demo import parts

MASTER = "mymaster"

QUICK_REPLICATION = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
"""By default a first replica waits five seconds for others to share its snapshot."""


class RedisSentinel(parts.Process):
    """One Sentinel. What it learns it keeps in its configuration file."""

    def __init__(
        self,
        master: tuple[str, int],
        *,
        quorum: int = 2,
        host: str = parts.LOOPBACK,
        port: int | None = None,
        down_after_ms: int = 1000,
        failover_timeout_ms: int = 4000,
        known: Sequence[str] = (),
        extra: Sequence[str] = (),
    ) -> None:
        """It watches `master` under the name MASTER. `known` are lines such as `known-replica mymaster HOST PORT`, which
        spare the seconds until it has found the others; `extra` any further lines."""
        program = parts.find_program("redis-server", "valkey-server", package="redis-server")
        self.host = host
        self.port = port or parts.free_port()
        directory = parts.private_directory("sentinel", None)
        lines = [
            f"port {self.port}",
            f"bind {host}",
            f"dir {directory}",
            "protected-mode no",
            *extra,
            f"sentinel monitor {MASTER} {master[0]} {master[1]} {quorum}",
            f"sentinel down-after-milliseconds {MASTER} {down_after_ms}",
            f"sentinel failover-timeout {MASTER} {failover_timeout_ms}",
            *(f"sentinel {line}" for line in known),
        ]
        config = directory / "sentinel.conf"
        super().__init__(
            [program, config, "--sentinel"],
            name="sentinel",
            directory=directory,
            files={config.name: "\n".join(lines) + "\n"},
        )
        self.node = f"{host}:{self.port}"

    def answers(self) -> bool:
        return bool(said(self.host, self.port, "PING") == "PONG")


def said(host: str, port: int, *words: str) -> Any:
    """A server's answer to one command: text, a number, a list of them or `None`; errors are text, too, and so is
    the reason if nobody answers."""
    request = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(f"*{len(words)}\r\n{request}".encode())
            with connection.makefile("rb") as stream:
                return _answer(stream)
    except (OSError, ValueError) as error:
        return f"nobody: {error}"


def _answer(stream: Any) -> Any:
    """Source: https://redis.io/docs/latest/develop/reference/protocol-spec/, version 2."""
    line = stream.readline().decode().rstrip("\r\n")
    kind, rest = line[:1], line[1:]
    if kind == ":":
        return int(rest)
    if kind == "$":
        return None if rest == "-1" else stream.read(int(rest) + 2)[:-2].decode(errors="replace")
    if kind == "*":
        return [_answer(stream) for _ in range(int(rest))]
    if kind in ("+", "-"):
        return rest
    raise ValueError(f"no answer of Redis': {line!r}")


def replication(server: parts.RedisServer) -> dict[str, str]:
    """What a server says of its replication."""
    text = said(server.host, server.port, "INFO", "replication")
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def replicas_of(master: parts.RedisServer, *replicas: parts.RedisServer) -> None:
    """Make these its replicas; returns when all are in step."""
    for replica in replicas:
        replica.command("REPLICAOF", master.host, str(master.port))
    until_in_step(*replicas)


def until_in_step(*replicas: parts.RedisServer, seconds: float = 15) -> None:
    """Returns when all have their master's data. Raises: PartFailed."""
    for replica in replicas:
        if not parts.wait_until(functools.partial(_in_step, replica), seconds=seconds):
            raise parts.PartFailed(replica.name, "did not become a replica", replica.log_tail())


def _in_step(replica: parts.RedisServer) -> bool:
    return replication(replica).get("master_link_status") == "up"


class Watched:
    """A master, its replicas, and Sentinels that watch it; all on 127.0.0.1."""

    def __init__(self, *, replicas: int = 2, sentinels: int = 3) -> None:
        self.servers = [parts.RedisServer(extra=QUICK_REPLICATION) for _ in range(1 + replicas)]
        master = (self.servers[0].host, self.servers[0].port)
        self.ports = [parts.free_port() for _ in range(sentinels)]
        ids = [f"{number + 1:040d}" for number in range(sentinels)]
        self.sentinels = [
            RedisSentinel(
                master,
                quorum=sentinels // 2 + 1,
                port=port,
                extra=(f"sentinel myid {ids[number]}",),
                known=(
                    *(f"known-replica {MASTER} {one.host} {one.port}" for one in self.servers[1:]),
                    *(
                        f"known-sentinel {MASTER} {parts.LOOPBACK} {other} {ids[n]}"
                        for n, other in enumerate(self.ports)
                        if n != number
                    ),
                ),
            )
            for number, port in enumerate(self.ports)
        ]
        self.nodes = [sentinel.node for sentinel in self.sentinels]

    def start(self) -> Self:
        """Returns once the Sentinels could fail over. Raises: PartMissing, PartFailed."""
        try:
            for server in self.servers:
                server.start()
            replicas_of(*self.servers)
            for sentinel in self.sentinels:
                sentinel.start()
            if not parts.wait_until(lambda: all(map(self._ready, self.ports)), seconds=15):
                raise parts.PartFailed("sentinel", "found no quorum", self.sentinels[0].log_tail())
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stops all of it; doing it twice is fine."""
        for part in (*self.sentinels, *self.servers):
            part.stop()

    def master(self) -> parts.RedisServer | None:
        """Whom the first Sentinel that runs names."""
        port = next(one.port for one in self.sentinels if one.running)
        address = said(parts.LOOPBACK, port, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
        return next((server for server in self.servers if str(server.port) == address[1]), None)

    def _ready(self, port: int) -> bool:
        enough = said(parts.LOOPBACK, port, "SENTINEL", "CKQUORUM", MASTER)
        rows = said(parts.LOOPBACK, port, "SENTINEL", "REPLICAS", MASTER)
        return (
            str(enough).startswith(f"OK {len(self.ports)}")
            and len(rows) == len(self.servers) - 1
            and all(row[row.index("master-link-status") + 1] == "ok" for row in rows)
        )


def start_cluster(masters: int, replicas: int) -> list[parts.RedisServer]:
    """A Redis Cluster: the masters first, each with an equal share of the slots, then the replicas, the first of them
    the first master's. Stop them all yourself. Raises: PartFailed."""
    nodes = [
        parts.RedisServer(
            extra=(
                *("--cluster-enabled", "yes", "--cluster-node-timeout", "1000"),
                *("--cluster-port", str(parts.free_port()), "--cluster-require-full-coverage", "no"),
                *QUICK_REPLICATION,
            )
        )
        for _ in range(masters + replicas)
    ]
    try:
        for node in nodes:
            node.start()
        _introduce(nodes, masters)
    except BaseException:
        for node in nodes:
            node.stop()
        raise
    return nodes


def _introduce(nodes: Sequence[parts.RedisServer], masters: int) -> None:
    bounds = [16384 * share // masters for share in range(masters + 1)]
    for number, node in enumerate(nodes):
        node.command("CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        if number < masters:
            node.command("CLUSTER", "ADDSLOTSRANGE", str(bounds[number]), str(bounds[number + 1] - 1))
        if number:
            bus = _config(node, "cluster-port")
            nodes[0].command("CLUSTER", "MEET", node.host, str(node.port), bus)
    everybody_met = parts.wait_until(
        lambda: all(len(_cluster_nodes(node)) == len(nodes) and _handshaken(node) for node in nodes),
        seconds=15,
    )
    if not everybody_met:
        raise parts.PartFailed("cluster", "did not meet", nodes[0].log_tail())
    for number, replica in enumerate(nodes[masters:]):
        _attach(replica, nodes[number % masters])
    until_in_step(*nodes[masters:])
    if not parts.wait_until(lambda: all(_state_ok(node) for node in nodes), seconds=15):
        raise parts.PartFailed("cluster", "did not come up", nodes[0].log_tail())


def _attach(replica: parts.RedisServer, master: parts.RedisServer) -> None:
    """A node can only follow one that it has met."""
    master_id = said(master.host, master.port, "CLUSTER", "MYID")
    if not parts.wait_until(lambda: replica.command("CLUSTER", "REPLICATE", master_id) == "+OK", seconds=10):
        raise parts.PartFailed(replica.name, "does not follow its master", replica.log_tail())


def _config(node: parts.RedisServer, name: str) -> str:
    return str(said(node.host, node.port, "CONFIG", "GET", name)[1])


def _cluster_nodes(node: parts.RedisServer) -> list[str]:
    return str(said(node.host, node.port, "CLUSTER", "NODES")).splitlines()


def _handshaken(node: parts.RedisServer) -> bool:
    return not any("handshake" in line for line in _cluster_nodes(node))


def _state_ok(node: parts.RedisServer) -> bool:
    return "cluster_state:ok" in str(said(node.host, node.port, "CLUSTER", "INFO"))
