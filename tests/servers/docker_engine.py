"""A proxy in front of a Docker Engine: every request is recorded, and any of them held, lost, refused or falsified.

Without an Engine behind it, it answers what the test says and 502 to everything else.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout, UnixConnector, web
from aiohttp.typedefs import LooseHeaders

from tests.servers.closing import stop_accepting
from tests.servers.threaded import ThreadedWebServer, unix

VERSION_PREFIX = re.compile(r"^/v\d+\.\d+")
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"})


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. ``path`` is without the API version, ``query`` as written."""

    method: str
    path: str
    query: str = ""

    def is_action(self, verb: str) -> bool:
        """Whether it is ``POST /containers/{id}/{verb}``."""
        return self.method == "POST" and self.path.endswith(f"/{verb}")


def is_restart(request: Request) -> bool:
    """Whether it asks for the restart of a container."""
    return request.is_action("restart")


def is_inspect(request: Request) -> bool:
    """Whether it looks at a container, or lists them."""
    return request.method == "GET" and request.path.endswith("/json")


Predicate = Callable[[Request], bool]
Behaviour = Callable[["Held", web.Request], Awaitable[web.StreamResponse]]


@dataclass(eq=False)
class Held:
    """A rule for requests that match, and the one request that it holds now."""

    predicate: Predicate
    behaviour: Behaviour
    _proxy: DockerEngineProxy
    _reached: threading.Event = field(default_factory=threading.Event)
    _let_go: asyncio.Event = field(default_factory=asyncio.Event)
    _lost: bool = False

    def wait_until_reached(self, *, seconds: float) -> None:
        """Returns once a request is held here. Raises: AssertionError: none came in time."""
        assert self._reached.wait(seconds), f"no such request within {seconds} s: {self._proxy.requests}"

    def release(self) -> None:
        """Go on as if nothing had been; later requests are not held either."""
        self._proxy.forgive(self)
        self._proxy.on_loop(self._let_go.set)

    def drop(self) -> None:
        """Cut the connection instead: held before forwarding, the Engine never hears of it."""
        self._lost = True
        self.release()

    async def hold(self, request: web.Request) -> None:
        """Raises: ConnectionResetError: it was dropped; the client sees its connection end."""
        self._reached.set()
        await self._let_go.wait()
        if self._lost:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("dropped by the test")


class DockerEngineProxy(ThreadedWebServer):
    """Listens on a unix socket of its own. Rules are asked in the order they were made; the first that matches acts."""

    def __init__(self, upstream: str | None = None) -> None:
        """``upstream`` is the ``unix://`` URL of the Engine behind it."""
        self._upstream = upstream.removeprefix("unix://") if upstream else None
        self._folder = tempfile.TemporaryDirectory(prefix="hs-")
        self.socket = Path(self._folder.name) / "docker.sock"
        self.url = f"unix://{self.socket}"
        self._recorded: list[Request] = []
        self._changed = threading.Condition()
        self._rules: list[Held] = []
        self._session: ClientSession | None = None

    @property
    def requests(self) -> list[Request]:
        """Everything that arrived so far, held or not."""
        with self._changed:
            return list(self._recorded)

    def wait_for_request(self, predicate: Predicate, *, seconds: float) -> Request:
        """The first request that matches, past ones included. Raises: AssertionError: none within ``seconds``."""

        def seen() -> Request | None:
            return next((request for request in self._recorded if predicate(request)), None)

        with self._changed:
            self._changed.wait_for(lambda: seen() is not None, seconds)
            request = seen()
            assert request is not None, f"no such request within {seconds} s: {self._recorded}"
            return request

    def hold_before(self, predicate: Predicate) -> Held:
        """Hold matching requests; the Engine hears of them on ``release()``, even if the client has gone meanwhile."""

        async def behave(rule: Held, request: web.Request) -> web.StreamResponse:
            body = await request.read()
            await rule.hold(request)
            return await self._forward(request, body)

        return self._rule(predicate, behave)

    def hold_reply(self, predicate: Predicate) -> Held:
        """Forward matching requests, let the Engine finish them, and hold its reply."""

        async def behave(rule: Held, request: web.Request) -> web.StreamResponse:
            status, headers, content = await self._carried_out(request)
            await rule.hold(request)
            return web.Response(status=status, headers=headers, body=content)

        return self._rule(predicate, behave)

    def fail_after(self, predicate: Predicate, *, status: int = 500) -> Held:
        """Forward matching requests, let the Engine finish them, and answer with this status all the same."""

        async def behave(rule: Held, request: web.Request) -> web.StreamResponse:
            await self._carried_out(request)
            return web.json_response({"message": "something broke"}, status=status)

        return self._rule(predicate, behave)

    def cut_after(self, predicate: Predicate) -> Held:
        """Forward matching requests, let the Engine finish them, and cut the connection instead of answering."""

        async def behave(rule: Held, request: web.Request) -> web.StreamResponse:
            await self._carried_out(request)
            rule.drop()
            await rule.hold(request)
            raise AssertionError("it was dropped")

        return self._rule(predicate, behave)

    def cut_before(self, predicate: Predicate) -> Held:
        """Cut the connection of the first matching request; the Engine never hears of it."""

        async def behave(rule: Held, request: web.Request) -> web.StreamResponse:
            rule.drop()
            await rule.hold(request)
            raise AssertionError("it was dropped")

        return self._rule(predicate, behave)

    def hang(self, predicate: Predicate = lambda request: True) -> Held:
        """Accept matching requests (all, unless told) and never answer, until released."""
        return self.hold_before(predicate)

    def answer(
        self,
        predicate: Predicate,
        *,
        status: int = 200,
        body: bytes = b"",
        headers: LooseHeaders | None = None,
    ) -> Held:
        """Answer matching requests with this; the Engine never hears of them."""

        async def behave(rule: Held, request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, body=body, headers=headers)

        return self._rule(predicate, behave)

    def answer_slowly(self, predicate: Predicate, *, piece: bytes, every_seconds: float) -> Held:
        """Answer matching requests with one piece after another, without end."""

        async def behave(rule: Held, request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            while not rule._let_go.is_set():
                await response.write(piece)
                await asyncio.sleep(every_seconds)
            return response

        return self._rule(predicate, behave)

    def forgive(self, rule: Held) -> None:
        """Forget the rule."""
        with self._changed, contextlib.suppress(ValueError):
            self._rules.remove(rule)

    @contextlib.contextmanager
    def refusing_connections(self) -> Iterator[None]:
        """Inside, nobody listens on the socket; connections that stand are cut."""
        self._await(self._shut())
        try:
            yield
        finally:
            self.socket.unlink()
            self._await(self._listen(unix(self.socket)))

    def on_loop(self, call: Callable[[], None]) -> None:
        """Call it in the proxy's thread."""
        self._loop.call_soon_threadsafe(call)

    def _rule(self, predicate: Predicate, behaviour: Behaviour) -> Held:
        rule = Held(predicate, behaviour, self)
        with self._changed:
            self._rules.append(rule)
        return rule

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        known = Request(request.method, VERSION_PREFIX.sub("", request.path), request.query_string)
        with self._changed:
            self._recorded.append(known)
            rule = next((rule for rule in self._rules if rule.predicate(known)), None)
            self._changed.notify_all()
        if rule is not None:
            return await rule.behaviour(rule, request)
        return await self._forward(request, await request.read())

    async def _carried_out(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        async with self._engine().request(
            request.method, self._target(request), data=await request.read()
        ) as reply:
            return reply.status, kept(reply.headers.items()), await reply.read()

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self._upstream is None:
            return web.Response(status=502, text="no Engine behind this proxy")
        headers = kept(request.headers.items())
        target = self._target(request)
        async with self._engine().request(request.method, target, data=body, headers=headers) as reply:
            response = web.StreamResponse(status=reply.status, headers=kept(reply.headers.items()))
            await response.prepare(request)
            async for chunk in reply.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    def _target(self, request: web.Request) -> str:
        return f"http://docker{request.raw_path}"

    def _engine(self) -> ClientSession:
        assert self._session is not None, "the proxy was not started"
        return self._session

    async def _open(self) -> None:
        if self._upstream:
            connector = UnixConnector(path=self._upstream)
            self._session = ClientSession(connector=connector, timeout=ClientTimeout(total=None))
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        await self._serve(app, unix(self.socket))

    async def _shut(self) -> None:
        await stop_accepting([self._listening])
        for site in self._runner.sites:
            await site.stop()
        if self._runner.server is not None:
            for connection in self._runner.server.connections:
                connection.force_close()

    async def _close(self) -> None:
        await super()._close()
        if self._session is not None:
            await self._session.close()
        self._folder.cleanup()


def kept(headers: Any) -> dict[str, str]:
    """Headers that belong to the message and not to one connection."""
    return {name: value for name, value in headers if name.lower() not in HOP_BY_HOP}
