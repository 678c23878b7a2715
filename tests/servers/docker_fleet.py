"""A Docker Engine of any number of containers that are only said to run: its API over a unix socket, as far as it is asked.

A restart takes no time and cures. It passes the contract test of the real Engine.
Source: Docker Engine API v1.41.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.servers.threaded import ThreadedWebServer, unix

NEVER = "0001-01-01T00:00:00Z"


@dataclass(slots=True)
class Synthetic:
    """One container. `healthy` is what its health check says."""

    id: str
    name: str
    labels: dict[str, str]
    healthy: bool = True
    running: bool = True
    exit_code: int = 0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(days=1))

    def started(self) -> None:
        """It starts anew, and is cured."""
        self.running, self.healthy, self.exit_code = True, True, 0
        self.started_at = max(datetime.now(UTC), self.started_at + timedelta(milliseconds=1))

    def stopped(self) -> None:
        """It was killed."""
        self.running, self.exit_code = False, 137

    @property
    def inspected(self) -> dict[str, Any]:
        """As `GET /containers/{id}/json` shows it."""
        health = {
            "Status": "healthy" if self.healthy else "unhealthy",
            "FailingStreak": 0 if self.healthy else 3,
        }
        return {
            "Id": self.id,
            "Name": f"/{self.name}",
            "Created": "2026-01-01T00:00:00Z",
            "Image": "sha256:0",
            "RestartCount": 0,
            "State": {
                "Status": "running" if self.running else "exited",
                "OOMKilled": False,
                "Error": "",
                "ExitCode": self.exit_code,
                "StartedAt": self.started_at.isoformat(),
                "FinishedAt": NEVER,
                **({"Health": {**health, "Log": []}} if self.running else {}),
            },
            "Config": {"Image": "shop/web:1", "Labels": self.labels, "StopTimeout": 0, "Tty": False},
            "HostConfig": {"RestartPolicy": {"Name": "no"}},
        }

    @property
    def listed(self) -> dict[str, Any]:
        """As one entry of `GET /containers/json`."""
        up = f"Up 24 hours ({'healthy' if self.healthy else 'unhealthy'})"
        return {
            "Id": self.id,
            "Names": [f"/{self.name}"],
            "Image": "shop/web:1",
            "ImageID": "sha256:0",
            "State": "running" if self.running else "exited",
            "Status": up if self.running else f"Exited ({self.exit_code}) 1 hour ago",
            "Created": 1767225600,
            "Labels": self.labels,
        }


class DockerFleet(ThreadedWebServer):
    """`restarts`: names in the order in which they were restarted or started. `asked`: how many requests came."""

    def __init__(self) -> None:
        self.containers: dict[str, Synthetic] = {}
        self.restarts: list[str] = []
        self.asked = 0
        self._folder = tempfile.TemporaryDirectory(prefix="hs-")
        self.url = f"unix://{self._folder.name}/docker.sock"

    def run(self, name: str, *, healthy: bool = True, **labels: str) -> Synthetic:
        """One more container, opted in; `__` in a label's name stands for a dot."""
        named = {"hemostat.enable": "true", **{key.replace("__", "."): text for key, text in labels.items()}}
        made = Synthetic(hashlib.sha256(name.encode()).hexdigest(), name, named, healthy)
        self.containers[made.id] = made
        return made

    def remove(self, name: str) -> None:
        """It is gone."""
        self.containers = {key: one for key, one in self.containers.items() if one.name != name}

    async def _open(self) -> None:
        app = web.Application(middlewares=[self._count])
        routes = {
            "/_ping": lambda _: web.Response(text="OK"),
            "/version": lambda _: self._json({"Version": "20.10.24", "ApiVersion": "1.41"}),
            "/info": lambda _: self._json({"SystemTime": datetime.now(UTC).isoformat()}),
            "/events": lambda _: web.Response(),
            "/containers/json": lambda _: self._json([c.listed for c in self.containers.values()]),
            "/containers/{ref}/json": self._inspect,
            "/containers/{ref}/logs": lambda _: web.Response(),
        }
        for prefix in ("", r"/{version:v\d\.\d+}"):
            for path, answer in routes.items():
                app.router.add_get(prefix + path, _handler(answer))
            for verb in ("start", "restart"):
                app.router.add_post(f"{prefix}/containers/{{ref}}/{verb}", _handler(self._act))
        await self._serve(app, unix(Path(self._folder.name) / "docker.sock"))

    async def _close(self) -> None:
        for connection in self._runner.server.connections if self._runner.server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()
        await asyncio.sleep(0)  # a closed transport says so in the next turn of the loop
        await super()._close()
        self._folder.cleanup()

    @web.middleware
    async def _count(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked += 1
        response: web.StreamResponse = await handler(request)
        return response

    def _find(self, request: web.Request) -> Synthetic | None:
        ref = request.match_info["ref"]
        return self.containers.get(ref) or next((c for c in self.containers.values() if c.name == ref), None)

    def _inspect(self, request: web.Request) -> web.Response:
        found = self._find(request)
        return self._json(found.inspected) if found else self._json({"message": "No such container"}, 404)

    def _act(self, request: web.Request) -> web.Response:
        found = self._find(request)
        if found is None:
            return self._json({"message": "No such container"}, 404)
        if request.path.endswith("/start") and found.running:
            return web.Response(status=304)
        self.restarts.append(found.name)
        found.started()
        return web.Response(status=204)

    @staticmethod
    def _json(value: object, status: int = 200) -> web.Response:
        return web.json_response(value, status=status)


def _handler(answer: Any) -> Any:
    async def handle(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = answer(request)
        return response

    return handle
