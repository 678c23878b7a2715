"""The connections: how many there are at once, and what is answered to what never becomes a request."""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, LineTooLong

from bridge.web.answers import error_answer
from bridge.web.failures import refusal_of

log = logging.getLogger("hemostat.web")

MOST_CONNECTIONS = 4096
"""An idle one takes about 10 KB."""

SAID_EVERY_SECONDS = 10.0


def most_connections() -> int:
    """How many may be open at once: the other half of the files that this process may open is for its neighbours."""
    return min(MOST_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


class _Connection(web.RequestHandler):
    """Answers what never reaches a handler in the shape of all errors, and repeats nothing of what was sent: a header
    that cannot be read may be the one with the token."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """As in aiohttp, which logs it and says when it is too late for an answer."""
        super().handle_error(request, status, exc, message)
        code, told = ("bad_request", _told(exc)) if status < 500 else ("internal", "an internal error")
        answer = error_answer(status, code, told)
        answer.force_close()
        return answer

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """As in aiohttp; an ``Expect`` that it does not know is refused before any middleware could say so in JSON."""
        if isinstance(resp, web.HTTPException):
            resp = refusal_of(resp)
        return await super().finish_response(request, resp, start_time)


def _told(error: BaseException | None) -> str:
    match error:
        case LineTooLong():
            return "a line of its head is too long"
        case BadHttpMessage() if type(error) is BadHttpMessage:  # its subclasses repeat what was sent
            return error.message.partition("\n")[0].rstrip(":.")[:100]
        case _:
            return "not a valid HTTP request"


class _TurnedAway(asyncio.Protocol):
    """One too many. Alertmanager takes a broken connection for a reason to try again."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is over."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()


class Runner(web.AppRunner):
    """Serves an application over connections of ours. ``connections``: what aiohttp's own take."""

    def __init__(
        self, app: web.Application, *, connections: dict[str, Any], most: int, **options: Any
    ) -> None:
        super().__init__(app, **connections, **options)
        self._of_connections, self._most, self._say_after = connections, most, 0.0

    @property
    def server(self) -> Callable[[], asyncio.Protocol] | None:  # type: ignore[override]
        """What makes a connection's protocol. Whoever closes them all at the end keeps to the server itself."""
        server, loop = super().server, asyncio.get_running_loop()
        if server is None:
            return None

        def protocol() -> asyncio.Protocol:
            if len(server.connections) < self._most:
                return _Connection(server, loop=loop, **self._of_connections)
            if loop.time() >= self._say_after:
                self._say_after = loop.time() + SAID_EVERY_SECONDS
                log.warning("too_many_connections", extra={"most": self._most})
            return _TurnedAway()

        return protocol
