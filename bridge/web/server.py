"""The HTTP server below the interface: how long it holds a connection, and what it logs.

What a stranger sends is no error of ours, and gets one line without a traceback.
"""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from bridge.web.connections import Runner, most_connections

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


def runner_of(
    app: web.Application, *, idle_seconds: float = IDLE_SECONDS, most: int | None = None
) -> web.AppRunner:
    """Serves an interface, once it is set up and has a site. ``most`` connections at once; ``None``: as many as fit."""
    log = logging.getLogger("hemostat.http")
    if not log.filters:
        log.addFilter(_Strangers())
    return Runner(
        app,
        connections={
            "access_log": None,
            "logger": log,
            "keepalive_timeout": idle_seconds,
            "auto_decompress": False,  # ``compression.py`` does it, for bodies that somebody wants
        },
        most=most_connections() if most is None else most,
        shutdown_timeout=3.0,
        handler_cancellation=False,
    )
