"""How the interface answers: JSON, and refusals as one shape; and what it makes of the texts it is asked with.

What else is refused, and why, is its handlers' business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from bridge.web.interface import ANYBODY, BRIDGE, CALLER

JSON = "application/json"
RETRY_AFTER_SECONDS = "5"


class Refused(Exception):
    """A request that is not served: the status, a closed lower-case code, and what was wrong in one line."""

    def __init__(self, status: int, code: str, message: str, details: Sequence[str] = ()) -> None:
        self.status, self.code, self.message, self.details = status, code, message, list(details)


def error_answer(status: int, code: str, message: str, details: Sequence[str] = ()) -> web.Response:
    """``{"error": {"code", "message", "details"}}``."""
    response = as_json({"error": {"code": code, "message": message, "details": list(details)}}, status=status)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response


def as_json(value: object, *, status: int = 200) -> web.Response:
    """A value of the model, or one made of such."""
    return web.Response(body=msgspec.json.encode(value) + b"\n", status=status, content_type=JSON)


def named(request: web.Request, asked: Mapping[str, str]) -> str:
    """Who asks: whose token it is, else who the body says it is."""
    caller = request[CALLER]
    return caller if caller != ANYBODY else written(request, asked.get("by", ""), 100) or ANYBODY


def written(request: web.Request, text: str, limit: int) -> str:
    """What a person wrote, on one line, as it may be kept and shown: in Slack, on terminals, in the log."""
    text = " ".join(text[: 20 * limit].split())
    return request.app[BRIDGE].redactor.plain(text, limit=limit).text.strip()


def time_of(text: str) -> datetime:
    """An RFC 3339 time or Unix seconds, as Prometheus takes both; in UTC, where it must be a time, too."""
    try:
        at = datetime.fromtimestamp(float(text), UTC) if text.replace(".", "", 1).isdigit() else None
        at = at or datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"not a time: {text[:40]!r}; RFC 3339 or Unix seconds are") from error
