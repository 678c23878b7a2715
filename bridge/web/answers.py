"""How the interface reads what it is given, and how it answers: JSON, and refusals as one shape.

What else is refused, and why, is its handlers' business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from bridge.web.interface import ANYBODY, BRIDGE, CALLER

JSON = "application/json"
RETRY_AFTER_SECONDS = "5"
BODY_DEADLINE_SECONDS = 30.0


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


async def body_of(request: web.Request) -> bytes:
    """The whole body. Raises: Refused: 408; HTTPRequestEntityTooLarge."""
    if (length := request.content_length or 0) > request.client_max_size:
        raise web.HTTPRequestEntityTooLarge(request.client_max_size, length)  # nobody need wait for all of it
    # A small one came with its head: a timer would cost as much as reading its JSON.
    if request.content.is_eof():
        return await request.read()
    try:
        async with asyncio.timeout(BODY_DEADLINE_SECONDS):
            return await request.read()
    except TimeoutError as error:
        told = f"the body did not arrive within {BODY_DEADLINE_SECONDS:g} s"
        raise Refused(408, "timeout", told) from error


async def texts_of(request: web.Request, *allowed: str) -> dict[str, str]:
    """The body's JSON object of texts; what is empty or null in it, or all of it, was not given. Raises Refused."""
    body = await body_of(request)
    if not body.strip():
        return {}
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "bad_request", "the body is not valid JSON") from error
    if not isinstance(asked, dict):
        raise Refused(400, "bad_request", "the body must be a JSON object")
    if unknown := sorted(asked.keys() - set(allowed)):
        raise Refused(400, "bad_request", f"unknown keys: {', '.join(unknown)[:100]}")
    if wrong := [name for name, value in asked.items() if not isinstance(value, str | None)]:
        raise Refused(400, "bad_request", f"must be text: {', '.join(wrong)}")
    return {name: value for name, value in asked.items() if value}


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
