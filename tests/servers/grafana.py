"""Grafana's annotation API as its own server answered it (7.5 measured, 9.5 read): for tests that draw.

Every request and answer is held against Grafana's description of its API, which is
`tests/contracts/grafana-annotations.openapi.json`; what does not fit it stands in `violations`.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
from aiohttp import web

from tests.servers.threaded import ThreadedWebServer, tcp

CONTRACT = json.loads((Path(__file__).parents[1] / "contracts/grafana-annotations.openapi.json").read_text())
TOKEN = "glsa_of_the_tests"

Json = dict[str, Any]
Mode = Callable[["Grafana", web.Request], Awaitable[web.StreamResponse]]


@dataclass(eq=False)
class Hold:
    """A request that has taken effect and waits for its answer."""

    reached: threading.Event = field(default_factory=threading.Event)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)


class Grafana(ThreadedWebServer):
    """``modes``: how the next requests that change something are answered, one each; empty: as Grafana would."""

    def __init__(self, port: int, *, dashboards: tuple[str, ...] = (), forgets_with: int = 500) -> None:
        """``forgets_with``: the status for a PATCH of what is not there, which differs by Grafana's age."""
        self.url = f"http://127.0.0.1:{port}"
        self.annotations: dict[int, Json] = {}
        self.dashboards = dashboards
        self.token = TOKEN
        self.modes: deque[Mode] = deque()
        self.requests: list[tuple[str, str]] = []
        self.violations: list[str] = []
        self.most_at_once = 0
        self._at_once = 0
        self._port = port
        self._forgets_with = forgets_with
        self._next = 1
        self._changed = threading.Condition()

    def drawn(self, incident_id: str) -> list[Json]:
        """The annotations of this incident, as Grafana has them."""
        return [one for one in self.annotations.values() if f"incident:{incident_id}" in one["tags"]]

    def wait_for(self, fact: Callable[[], object], *, seconds: float = 20.0) -> None:
        """Returns once it is so. Raises: AssertionError: not in time."""
        with self._changed:
            assert self._changed.wait_for(fact, seconds), (self.requests, self.annotations)

    def release(self, hold: Hold) -> None:
        """Let a held request have its answer."""
        self._loop.call_soon_threadsafe(hold.let_go.set)

    # ---- modes -----------------------------------------------------------------------------------------------

    def answer_next(self, status: int, body: bytes = b'{"message":"told to"}', **headers: str) -> None:
        """The next change is not made, and answered with this."""

        async def refuse(self: Grafana, request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=body, headers=headers)

        self.modes.append(refuse)

    def cut_next(self) -> None:
        """The next change is made, and its answer lost."""

        async def cut(self: Grafana, request: web.Request) -> web.StreamResponse:
            await self._change(request)
            assert request.transport is not None
            request.transport.abort()
            raise ConnectionResetError("cut by the test")

        self.modes.append(cut)

    def hold_next(self) -> Hold:
        """The next change is made, and its answer held."""
        hold = Hold()

        async def held(self: Grafana, request: web.Request) -> web.StreamResponse:
            response = await self._change(request)
            hold.reached.set()
            await hold.let_go.wait()
            return response

        self.modes.append(held)
        return hold

    # ---- as Grafana ------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        app = web.Application(middlewares=[self._around])
        app.router.add_get("/api/health", self._health)
        app.router.add_get("/api/dashboards/uid/{uid}", self._dashboard)
        app.router.add_get("/api/annotations", self._list)
        app.router.add_post("/api/annotations", self._changing)
        app.router.add_patch("/api/annotations/{id}", self._changing)
        await self._serve(app, tcp(self._port))

    @web.middleware
    async def _around(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        with self._changed:
            self.requests.append((request.method, request.path_qs))
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            if request.path != "/api/health" and (
                request.headers.get("Authorization") != f"Bearer {self.token}"
            ):
                return web.json_response({"message": "Invalid API key"}, status=401)
            return await handler(request)
        finally:
            with self._changed:
                self._at_once -= 1
                self._changed.notify_all()

    async def _health(self, _: web.Request) -> web.StreamResponse:
        return web.json_response({"commit": "NA", "database": "ok", "version": "9.5.0"})

    async def _dashboard(self, request: web.Request) -> web.StreamResponse:
        uid = request.match_info["uid"]
        if uid not in self.dashboards:
            return web.json_response({"message": "Dashboard not found"}, status=404)
        return web.json_response({"dashboard": {"uid": uid}, "meta": {}})

    async def _list(self, request: web.Request) -> web.StreamResponse:
        wanted = set(request.query.getall("tags", []))
        limit = int(request.query.get("limit", "100"))
        found = [one for one in self.annotations.values() if wanted <= set(one["tags"])]
        return web.json_response(found[-limit:])

    async def _changing(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        if self.modes:
            return await self.modes.popleft()(self, request)
        return await self._change(request)

    async def _change(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self._check("PostAnnotationsCmd" if request.method == "POST" else "PatchAnnotationsCmd", body)
        if len(json.dumps(body.get("tags", []))) > 500:
            return web.json_response(
                {"statusCode": 400, "message": "Tags length exceeds the maximum allowed."}, status=400
            )
        if request.method == "PATCH":
            return self._patch(int(request.match_info["id"]), body)
        at = body["time"]
        number, self._next = self._next, self._next + 1
        kept = {"id": number, "timeEnd": at, **body, "tags": _tags(body["tags"])}
        if kept["timeEnd"] < at:
            kept["time"], kept["timeEnd"] = kept["timeEnd"], at
        with self._changed:
            self.annotations[number] = kept
        return web.json_response({"id": number, "message": "Annotation added"})

    def _patch(self, number: int, body: Json) -> web.StreamResponse:
        if number not in self.annotations:
            return web.json_response(
                {"message": "Could not find annotation to update"}, status=self._forgets_with
            )
        with self._changed:
            self.annotations[number] |= {**body, "tags": _tags(body["tags"])}
        return web.json_response({"message": "Annotation patched"})

    def _check(self, definition: str, value: object) -> None:
        schema = {"$ref": f"#/definitions/{definition}", "definitions": CONTRACT["definitions"]}
        try:
            jsonschema.validate(value, schema)
            unknown = set(value) - set(CONTRACT["definitions"][definition]["properties"])  # type: ignore[call-overload]
            assert not unknown, f"unknown fields {unknown}"
        except (jsonschema.ValidationError, AssertionError) as wrong:
            self.violations.append(f"{definition}: {wrong}")


def _tags(given: list[str]) -> list[str]:
    """As Grafana keeps them: what stands around the first colon, up to the next."""
    return [":".join(tag.split(":")[:2]) for tag in dict.fromkeys(given) if tag.strip()]
