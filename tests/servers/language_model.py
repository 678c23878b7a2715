"""A provider of a language model on loopback, for the real SDK to talk to: it answers as told, well or badly.

What differs between providers (paths, envelopes) is in the files beside this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

from bridge.demo import parts
from tests.servers.threaded import ThreadedWebServer, tcp

Json = dict[str, Any]

AGREES: Json = {
    "verdict": "restart",
    "cause_class": "process_hang",
    "confidence": "high",
    "restart_would_help": "yes",
    "summary": "It hangs.",
    "reasons": [{"claim": "Its health check fails.", "cites": ["S1"]}],
    "against": [],
    "missing": [],
    "injection_suspected": False,
}
"""A well-founded restart."""

VETOES: Json = {
    **AGREES,
    "verdict": "escalate",
    "cause_class": "data_maintenance",
    "restart_would_help": "no",
    "summary": "A migration is under way.",
    "reasons": [{"claim": "It says that it migrates.", "cites": ["L1"]}],
}


class Mode(StrEnum):
    """How it behaves."""

    OK = "ok"
    SLOW_DRIP = "slow drip"
    HANG = "hang"
    RATE_LIMITED = "429"
    RATE_LIMITED_FOR_AN_HOUR = "429 retry-after 3600"
    OVERLOADED = "529"
    BROKEN = "500"
    UNAUTHORISED = "401"
    UNKNOWN_MODEL = "404"
    HTML = "HTML 200"
    TRUNCATED = "truncated JSON"
    CUT_OFF = "max tokens"
    REFUSAL = "refusal"
    WRONG_ENUM = "wrong enum"
    UNKNOWN_CITATION = "unknown citation"
    OVERSIZED = "oversized"
    DISCONNECT = "disconnect"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    body: Json
    headers: Mapping[str, str]


class ModelServer(ThreadedWebServer):
    """``mode`` and ``says`` may be changed at any time; ``says`` is the answer or makes it from the request."""

    PATH = ""
    REQUEST_ID = "x-request-id"
    ERRORS: Mapping[Mode, tuple[int, Mapping[str, str]]] = {
        Mode.RATE_LIMITED: (429, {}),
        Mode.RATE_LIMITED_FOR_AN_HOUR: (429, {"retry-after": "3600"}),
        Mode.OVERLOADED: (529, {}),
        Mode.BROKEN: (500, {}),
        Mode.UNAUTHORISED: (401, {}),
        Mode.UNKNOWN_MODEL: (404, {}),
    }

    def __init__(self, mode: Mode = Mode.OK, *, says: Json | Callable[[Json], Json] = AGREES) -> None:
        self.mode, self.says = mode, says
        self.delay_seconds = 0.0
        self.bill: Json = {}
        """What the answer's ``usage`` says otherwise."""
        self.asked: list[Asked] = []
        self.most_at_once = 0
        self._now = 0
        self.port = parts.free_port()
        self._end = asyncio.Event()

    @property
    def url(self) -> str:
        """The ``base_url`` for the SDK."""
        return f"http://{parts.LOOPBACK}:{self.port}"

    # ---- what a provider's own file says ---------------------------------------------------------------------------

    def envelope(self, text: str, *, stop: str) -> Json:
        """A whole answer with this text. ``stop``: ``end``, ``max_tokens`` or ``refusal``."""
        raise NotImplementedError

    def error(self, status: int) -> Json:
        """The body of a refusal."""
        raise NotImplementedError

    # ---- HTTP ------------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(Asked(body, dict(request.headers)))
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await asyncio.sleep(self.delay_seconds)
            return await self._behave(request, body)
        finally:
            self._now -= 1

    async def _behave(self, request: web.Request, body: Json) -> web.StreamResponse:
        mode = self.mode
        if mode is Mode.HANG:
            await self._end.wait()
        if mode is Mode.DISCONNECT and request.transport is not None:
            request.transport.abort()
        if mode is Mode.HTML:
            page = "<html><body><h1>502 Bad Gateway</h1>hunter2</body></html>"
            return web.Response(text=page, content_type="text/html")
        if mode in self.ERRORS:
            status, headers = self.ERRORS[mode]
            return web.json_response(self.error(status), status=status, headers=dict(headers))
        said = self.says(body) if callable(self.says) else self.says
        if mode is Mode.SLOW_DRIP:
            return await self._drip(request, json.dumps(self.envelope(json.dumps(said), stop="end")))
        answer = self._said(mode, said)
        answer["usage"].update(self.bill)
        return web.json_response(answer, headers={self.REQUEST_ID: "req_011"})

    def _said(self, mode: Mode, said: Json) -> Json:
        text = json.dumps(said)
        match mode:
            case Mode.TRUNCATED:
                return self.envelope(text[: len(text) // 2], stop="end")
            case Mode.CUT_OFF:
                return self.envelope(text[: len(text) // 2], stop="max_tokens")
            case Mode.REFUSAL:
                return self.envelope("", stop="refusal")
            case Mode.WRONG_ENUM:
                return self.envelope(json.dumps({**said, "verdict": "rm -rf /"}), stop="end")
            case Mode.UNKNOWN_CITATION:
                reasons = [{"claim": "made up", "cites": ["S1", "M99"]}]
                return self.envelope(json.dumps({**said, "reasons": reasons}), stop="end")
            case Mode.OVERSIZED:
                return self.envelope(json.dumps({**said, "summary": "x" * 2_000_000}), stop="end")
        return self.envelope(text, stop="end")

    async def _drip(self, request: web.Request, text: str) -> web.StreamResponse:
        """A byte every so often: each phase is quick, the whole never ends in time."""
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for byte in text.encode():
            await response.write(bytes([byte]))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._end.wait(), 0.1)
                break
        return response

    # ---- its life --------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post(self.PATH, self._answer)
        await self._serve(app, tcp(self.port))

    async def _close(self) -> None:
        self._end.set()
        await super()._close()
