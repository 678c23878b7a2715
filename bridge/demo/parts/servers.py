"""Redis, Prometheus and Alertmanager."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bridge.demo.parts.machine import (
    LOOPBACK,
    PartFailed,
    find_program,
    free_port,
    http_request,
    private_directory,
)
from bridge.demo.parts.process import Process


class RedisServer(Process):
    """Redis (or Valkey) with the durability HemoStat asks for by default: append-only file, flushed on every write."""

    def __init__(
        self,
        directory: Path | None = None,
        *,
        appendfsync: str = "always",
        maxmemory_policy: str = "noeviction",
        host: str = LOOPBACK,
        port: int | None = None,
        unixsocket: Path | None = None,
        program: str | Path | None = None,
        extra: Sequence[str] = (),
    ) -> None:
        """`program` is another server than the one on PATH; `extra` are more of its flags."""
        program = program or find_program("redis-server", "valkey-server", package="redis-server")
        self.host = host
        self.port = port or free_port()
        directory = private_directory("redis", directory)
        settings = {
            "bind": host,
            "port": str(self.port),
            "dir": str(directory),
            "save": "",
            "appendonly": "yes",
            "appendfsync": appendfsync,
            "maxmemory-policy": maxmemory_policy,
            **({"unixsocket": str(unixsocket), "unixsocketperm": "700"} if unixsocket else {}),
        }
        flags = [word for key, value in settings.items() for word in (f"--{key}", value)]
        super().__init__([program, *flags, *extra], name="redis", directory=directory)
        self.url = f"redis://{host}:{self.port}/0"

    def answers(self) -> bool:
        try:
            return self.command("PING") == "+PONG"
        except OSError:
            return False

    def command(self, *words: str) -> str:
        """First line of the reply in Redis' protocol (`+OK`, `:3`, `-ERR ...`). Raises: OSError: nobody there.

        For starting and emptying; what needs more takes a client on `url`.
        """
        request = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        with socket.create_connection((self.host, self.port), timeout=2) as connection:
            connection.sendall(f"*{len(words)}\r\n{request}".encode())
            return connection.makefile().readline().rstrip()


class Prometheus(Process):
    """Prometheus with the given rule files; scrapes the exporter, alerts Alertmanager, both optional.

    `jobs` names further things to scrape: job name to address. `metric_relabel_configs` apply to every job.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        rules: Sequence[Path] = (),
        exporter_address: str | None = None,
        alertmanager_address: str | None = None,
        jobs: Mapping[str, str] | None = None,
        metric_relabel_configs: Sequence[Mapping[str, Any]] = (),
        scrape_interval: str = "1s",
        evaluation_interval: str = "1s",
        port: int | None = None,
    ) -> None:
        program = find_program("prometheus", package="prometheus")
        self.address = f"{LOOPBACK}:{port or free_port()}"
        directory = private_directory("prometheus", directory)
        scraped = {**({"docker": exporter_address} if exporter_address else {}), **(jobs or {})}
        timing = {"scrape_interval": scrape_interval, "evaluation_interval": evaluation_interval}
        relabelled = {"metric_relabel_configs": [*metric_relabel_configs]} if metric_relabel_configs else {}
        told = [alertmanager_address] if alertmanager_address else []
        config = {
            "global": {**timing, "scrape_timeout": scrape_interval},
            "rule_files": [str(path.resolve()) for path in rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [address]}], **relabelled}
                for job, address in scraped.items()
            ],
            "alerting": {"alertmanagers": [{"static_configs": [{"targets": told}]}]},
        }
        self.config = directory / "prometheus.yml"
        argv = [
            program,
            f"--config.file={self.config}",
            f"--storage.tsdb.path={directory / 'tsdb'}",
            f"--web.listen-address={self.address}",
            "--web.enable-lifecycle",
        ]
        files = {self.config.name: json.dumps(config)}  # JSON is YAML
        super().__init__(
            argv, name="prometheus", directory=directory, files=files, url=f"http://{self.address}"
        )

    def reload(self) -> None:
        """Applies the configuration and rule files as they are now. Raises: PartFailed: they do not fit."""
        status, body = http_request("POST", f"{self.url}/-/reload", seconds=10)
        if status != 200:
            raise PartFailed(
                self.name, f"refused to reload: {body.decode(errors='replace')[:256]}", self.log_tail()
            )

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Result of an instant query, as in the HTTP API's `data.result`."""
        quoted = quote(expression)
        status, body = http_request("GET", f"{self.url}/api/v1/query?query={quoted}", seconds=10)
        if status != 200:
            raise PartFailed(
                self.name, f"refused the query {expression!r}: {body.decode(errors='replace')[:256]}"
            )
        result: list[dict[str, Any]] = json.loads(body)["data"]["result"]
        return result


class Alertmanager(Process):
    """Alertmanager with one webhook receiver that is told of firing and of resolved alerts.

    Source: https://prometheus.io/docs/alerting/latest/configuration/
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        webhook_url: str,
        token: str | None = None,
        port: int | None = None,
        cluster: Sequence[int] = (),
    ) -> None:
        """`cluster` are the ports of a cluster's members, its own first; none: it stands alone."""
        program = find_program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
        self.address = f"{LOOPBACK}:{port or free_port()}"
        directory = private_directory("alertmanager", directory)
        webhook: dict[str, Any] = {"url": webhook_url, "send_resolved": True}
        if token is not None:
            webhook["http_config"] = {"authorization": {"type": "Bearer", "credentials": token}}
        timing = {"group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
        config = {
            "route": {"receiver": "hemostat", "group_by": ["alertname", "name"], **timing},
            "receivers": [{"name": "hemostat", "webhook_configs": [webhook]}],
        }
        self.config = directory / "alertmanager.yml"
        argv = [
            program,
            f"--config.file={self.config}",
            f"--storage.path={directory / 'state'}",
            f"--web.listen-address={self.address}",
            *_clustered(cluster),
        ]
        files = {self.config.name: json.dumps(config)}  # JSON is YAML
        super().__init__(
            argv, name="alertmanager", directory=directory, files=files, url=f"http://{self.address}"
        )

    def post_alerts(self, *alerts: Mapping[str, Any]) -> None:
        """Hands it alerts of API v2: `labels`, and as needed `annotations`, `startsAt`, `endsAt`."""
        status, body = http_request("POST", f"{self.url}/api/v2/alerts", list(alerts), seconds=10)
        if status != 200:
            raise PartFailed(
                self.name, f"refused the alerts: {body.decode(errors='replace')[:256]}", self.log_tail()
            )

    def fire(self, labels: Mapping[str, str], annotations: Mapping[str, str] | None = None) -> None:
        """One alert, firing from now."""
        self.post_alerts({"labels": dict(labels), "annotations": dict(annotations or {})})

    def resolve(self, labels: Mapping[str, str]) -> None:
        """The alert with these labels ended now."""
        self.post_alerts({"labels": dict(labels), "endsAt": datetime.now(UTC).isoformat()})


def _clustered(ports: Sequence[int]) -> list[str]:
    """Flags of a cluster on loopback that finds itself within a second, and of one that is alone."""
    if not ports:
        return ["--cluster.listen-address="]
    own, *peers = (f"{LOOPBACK}:{port}" for port in ports)
    haste = ["--cluster.gossip-interval=20ms", "--cluster.peer-timeout=1s"]
    return [f"--cluster.listen-address={own}", *haste, *(f"--cluster.peer={peer}" for peer in peers)]
