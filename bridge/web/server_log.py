"""What the HTTP server itself logs: what a stranger sends is no error of ours, and gets one line without a traceback."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


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


def server_log() -> logging.Logger:
    """The logger for ``web.AppRunner``."""
    log = logging.getLogger("hemostat.http")
    if not log.filters:
        log.addFilter(_Strangers())
    return log
