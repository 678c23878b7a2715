"""The HTTP server below the interface: how long it holds a connection, what it logs, and how it answers broken HTTP.

What a stranger sends is no error of ours, and gets one line without a traceback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMessage, ContentEncodingError, HttpProcessingError, LineTooLong

from bridge.web.answers import error_answer
from bridge.web.failures import refusal_of

IDLE_SECONDS = 75.0
"""How long a connection may take to its first request, or from an answer to its next one. Bytes of a head that does
not end prolong nothing, a request that is being answered is not idle. More than the 60 s for which nginx and others keep
theirs to us: one that both ends gave up at once would be a request lost."""


class _Strangers(logging.Filter):
    """Broken HTTP is a warning; a client that went away, or a body that could not be read, is answered or moot."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is logged, as it then stands."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ConnectionError | web.RequestPayloadError):
            return False
        if isinstance(error, HttpProcessingError):
            record.exc_info = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg, record.args = "bad_http_request", ()
            vars(record).update(code=error.code, problem=type(error).__name__)
            return logging.getLogger().isEnabledFor(logging.WARNING)
        return True


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
        case ContentEncodingError():
            return "its Content-Encoding is not understood: gzip and deflate are understood"
        case BadHttpMessage() if (
            type(error) is BadHttpMessage
        ):  # says what; its subclasses repeat what was sent
            return error.message.partition("\n")[0].rstrip(":.")[:100]
        case _:
            return "not a valid HTTP request"


class _Runner(web.AppRunner):
    """Whose connections are ours."""

    def __init__(self, app: web.Application, *, connections: dict[str, Any], **options: Any) -> None:
        super().__init__(app, **connections, **options)
        self._of_connections = connections

    @property
    def server(self) -> Callable[[], asyncio.Protocol] | None:  # type: ignore[override]
        """What makes a connection's protocol. Whoever closes them all at the end keeps to the server itself."""
        server, loop = super().server, asyncio.get_running_loop()
        if server is None:
            return None
        return lambda: _Connection(server, loop=loop, **self._of_connections)


def runner_of(app: web.Application, *, idle_seconds: float = IDLE_SECONDS) -> web.AppRunner:
    """Serves an interface, once it is set up and has a site."""
    log = logging.getLogger("hemostat.http")
    if not log.filters:
        log.addFilter(_Strangers())
    return _Runner(
        app,
        connections={"access_log": None, "logger": log, "keepalive_timeout": idle_seconds},
        shutdown_timeout=3.0,
        handler_cancellation=False,
    )
