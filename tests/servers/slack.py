"""Slack as its clients see it: Web API, incoming webhook and Socket Mode, with the limits Slack enforces, and its bad days.

Source: https://docs.slack.dev/reference/methods and /apis/events-api/using-socket-mode.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import json
import threading
import time
import urllib.parse
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from tests.servers.threaded import TURN_SECONDS, ThreadedWebServer, tcp

BOT_TOKEN = "xoxb-test"
APP_TOKEN = "xapp-test"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
CHANNEL = "C0123456789"
CHANNEL_NAME = "ops"


@dataclass
class Message:
    """One message as it stands now. ``edits`` counts its updates, the last change was ``changed_at`` (Unix time)."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    metadata: dict[str, Any]
    thread: str = ""
    broadcast: bool = False
    edits: int = 0
    changed_at: float = field(default_factory=time.time)

    @property
    def everything(self) -> str:
        """All text of it."""
        return json.dumps([self.text, self.blocks], ensure_ascii=False)

    def buttons(self) -> dict[str, str]:
        """Its buttons: action id to value."""
        return {
            element["action_id"]: element["value"]
            for block in self.blocks
            if block["type"] == "actions"
            for element in block["elements"]
        }


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one call. ``late``: after it took effect, as far as we are concerned."""

    status: int = 200
    error: str = ""
    retry_after: int | None = None
    hang: bool = False
    cut: bool = False
    body: bytes = b""
    late: bool = False


@dataclass
class SlackServer(ThreadedWebServer):
    """Every call's method and arguments are in ``calls``."""

    delay_seconds: float = 0.0
    messages: list[Message] = field(default_factory=list)
    whispers: list[dict[str, Any]] = field(default_factory=list)
    posted_by_webhook: list[dict[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    broken_rules: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._faults: dict[str, deque[Fault]] = {}
        self._always: dict[str, Fault] = {}
        self._ids = itertools.count(1)
        self._sockets: list[web.WebSocketResponse] = []
        self._acks: dict[str, threading.Event] = {}
        self.port = 0
        self._stopping = asyncio.Event()

    # ---- life ----------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/socket", self._socket)
        app.router.add_post("/services/hook", self._webhook)
        await self._serve(app, tcp(self.port))
        self.port = self._listening.getsockname()[1]

    async def _close(self) -> None:
        self._stopping.set()
        for socket in self._sockets:
            await socket.close()
        await super()._close()

    @property
    def api_url(self) -> str:
        """The base URL of the Web API."""
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def webhook_url(self) -> str:
        """An incoming webhook."""
        return f"http://127.0.0.1:{self.port}/services/hook"

    # ---- for tests -----------------------------------------------------------------------------------------------

    def fails(self, method: str, *faults: Fault) -> None:
        """The next calls of a method go wrong, one after the other."""
        self._faults.setdefault(method, deque()).extend(faults)

    def always_fails(self, method: str, fault: Fault | None) -> None:
        """Every call of a method goes wrong, until ``None``."""
        if fault is None:
            self._always.pop(method, None)
        else:
            self._always[method] = fault

    def parents(self) -> list[Message]:
        """Messages of the channel that answer none."""
        return [message for message in self.messages if not message.thread]

    def thread(self, parent: Message) -> list[Message]:
        """What answers a message, in order."""
        return [message for message in self.messages if message.thread == parent.ts]

    def count(self, method: str) -> int:
        """How often a method was called."""
        return sum(called == method for called, _ in self.calls)

    def connected(self) -> int:
        """Open Socket Mode connections."""
        return sum(not socket.closed for socket in self._sockets)

    def opened(self) -> int:
        """Socket Mode connections so far, those that are closed by now included."""
        return len(self._sockets)

    def click(
        self, action: str, value: str, *, user: str = "U1", name: str = "ada", socket: int = -1
    ) -> None:
        """A person clicks; returns once it was acknowledged."""
        envelope = f"env-{next(self._ids)}"
        self._acks[envelope] = threading.Event()
        told = {
            "type": "interactive",
            "envelope_id": envelope,
            "accepts_response_payload": False,
            "payload": click_payload(action, value, user=user, name=name),
        }
        up = [one for one in self._sockets if not one.closed]
        self._await(up[socket].send_json(told))
        assert self._acks[envelope].wait(TURN_SECONDS), "the click was not acknowledged"

    def send(self, payload: object) -> None:
        """Anything at all over Socket Mode."""
        self._await([one for one in self._sockets if not one.closed][-1].send_str(json.dumps(payload)))

    def hang_up(self) -> None:
        """Close all Socket Mode connections, as Slack does every few hours."""
        for socket in self._sockets:
            self._await(socket.close())

    # ---- Web API -------------------------------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.content_type == "application/json":
            asked = await request.json()
        else:
            asked = {**request.query, **(await request.post())}
        self.calls.append((method, asked))
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        fault = self._next_fault(method)
        if fault is not None and not fault.late:
            return await self._go_wrong(request, fault)
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        wanted = APP_TOKEN if method == "apps.connections.open" else BOT_TOKEN
        answer = {"ok": False, "error": "invalid_auth"} if token != wanted else self._answer(method, asked)
        if fault is not None:
            return await self._go_wrong(request, fault)
        return web.json_response(answer)

    def _next_fault(self, method: str) -> Fault | None:
        faults = self._faults.get(method)
        return faults.popleft() if faults else self._always.get(method)

    async def _go_wrong(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.hang:
            await self._stopping.wait()
        if fault.cut or fault.hang:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
        if fault.body:
            return web.Response(status=fault.status, body=fault.body, headers=headers)
        return web.json_response({"ok": False, "error": fault.error}, status=fault.status, headers=headers)

    def _answer(self, method: str, asked: dict[str, Any]) -> dict[str, Any]:
        match method:
            case "auth.test":
                return {"ok": True, "user": "hemostat", "team": "Acme"}
            case "apps.connections.open":
                return {"ok": True, "url": f"ws://127.0.0.1:{self.port}/socket?ticket=secret"}
            case "conversations.list":
                return {"ok": True, "channels": [{"id": CHANNEL, "name": CHANNEL_NAME}]}
            case "chat.postMessage":
                return self._post(asked)
            case "chat.update":
                return self._update(asked)
            case "chat.postEphemeral":
                self.whispers.append(asked)
                return {"ok": True}
            case "conversations.history" | "conversations.replies":
                return self._history(asked)
            case _:
                return {"ok": False, "error": "unknown_method"}

    def _post(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked.get("channel") != CHANNEL:
            return {"ok": False, "error": "channel_not_found"}
        if error := self._checked(asked):
            return {"ok": False, "error": error}
        thread = str(asked.get("thread_ts", ""))
        if thread and not any(message.ts == thread for message in self.messages):
            return {"ok": False, "error": "thread_not_found"}
        ts = f"{time.time():.0f}.{next(self._ids):06}"
        self.messages.append(
            Message(
                channel=CHANNEL,
                ts=ts,
                text=asked["text"],
                blocks=asked.get("blocks") or [],
                metadata=asked.get("metadata") or {},
                thread=thread,
                broadcast=bool(asked.get("reply_broadcast")),
            )
        )
        return {"ok": True, "channel": CHANNEL, "ts": ts}

    def _update(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = [message for message in self.messages if message.ts == asked.get("ts")]
        if not found:
            return {"ok": False, "error": "message_not_found"}
        if error := self._checked(asked):
            return {"ok": False, "error": error}
        found[0].text, found[0].blocks = asked["text"], asked.get("blocks") or []
        found[0].edits += 1
        found[0].changed_at = time.time()
        return {"ok": True, "channel": CHANNEL, "ts": found[0].ts}

    def _history(self, asked: dict[str, Any]) -> dict[str, Any]:
        thread = asked.get("ts", "")
        with_metadata = str(asked.get("include_all_metadata", "")).lower() in ("true", "1")
        found = [
            {"ts": m.ts, "text": m.text, **({"metadata": m.metadata} if with_metadata else {})}
            for m in reversed(self.messages)
            if m.thread == thread and float(m.ts) >= float(asked.get("oldest", 0))
        ]
        start, limit = int(asked.get("cursor") or 0), int(asked.get("limit", 100))
        after = start + limit
        return {
            "ok": True,
            "messages": found[start:after],
            "response_metadata": {"next_cursor": str(after) if after < len(found) else ""},
        }

    def _checked(self, asked: dict[str, Any]) -> str:
        broken = broken_rules(asked)
        self.broken_rules += broken
        return "" if not broken else "no_text" if not asked.get("text") else "invalid_blocks"

    # ---- webhook -------------------------------------------------------------------------------------------------

    async def _webhook(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.calls.append(("webhook", asked))
        if (fault := self._next_fault("webhook")) is not None and not fault.late:
            return await self._go_wrong(request, fault)
        self.posted_by_webhook.append(asked)
        self._checked(asked)
        if fault is not None:
            return await self._go_wrong(request, fault)
        return web.Response(text="ok")

    # ---- Socket Mode ---------------------------------------------------------------------------------------------

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "hello", "num_connections": 1})
        self._sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                acked = self._acks.get(json.loads(message.data).get("envelope_id", ""))
                if acked is not None:
                    acked.set()
        return socket


def click_payload(action: str, value: str, *, user: str = "U1", name: str = "ada") -> dict[str, Any]:
    """What Slack sends when somebody clicks on a button. Source: /reference/interaction-payloads/block_actions-payload."""
    return {
        "type": "block_actions",
        "user": {"id": user, "username": name, "name": name, "team_id": "T1"},
        "container": {"type": "message", "message_ts": "1.1", "channel_id": CHANNEL},
        "channel": {"id": CHANNEL, "name": CHANNEL_NAME},
        "message": {"ts": "1.1"},
        "actions": [{"type": "button", "action_id": action, "value": value, "action_ts": "1.2"}],
    }


def signed(
    payload: object, *, secret: str = SIGNING_SECRET, at: float | None = None
) -> tuple[bytes, dict[str, str]]:
    """An interaction over HTTP: body and headers."""
    body = urllib.parse.urlencode({"payload": json.dumps(payload)}).encode()
    return body, signature(body, secret=secret, at=at)


def signature(body: bytes, *, secret: str = SIGNING_SECRET, at: float | None = None) -> dict[str, str]:
    """The headers Slack signs a body with."""
    stamp = f"{time.time() if at is None else at:.0f}"
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest}",
    }


def broken_rules(asked: dict[str, Any]) -> list[str]:
    """Slack's own limits that a message breaks, and ours: no message without its text, no preview of a link."""
    blocks, text = asked.get("blocks") or [], asked.get("text", "")
    sections = [block["text"]["text"] for block in blocks if "text" in block]
    fields = [one["text"] for block in blocks for one in block.get("fields", ())]
    rules = {
        "text is missing": bool(text),
        "more than 50 blocks": len(blocks) <= 50,
        "a section over 3,000": all(0 < len(one) <= 3000 for one in sections),
        "a field over 2,000": all(0 < len(one) <= 2000 for one in fields),
        "over 10 fields": all(len(block.get("fields", ())) <= 10 for block in blocks),
        "over 8,000 in all": len(text) + sum(map(len, [*sections, *fields])) <= 8000,
        "links are unfurled": asked.get("unfurl_links") is False or "ts" in asked,
    }
    return [rule for rule, holds in rules.items() if not holds]
