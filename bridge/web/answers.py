"""How the interface answers: JSON, and refusals as one shape. What is refused, and why, is its handlers' business."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

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


async def object_of(request: web.Request) -> dict[str, Any]:
    """The body's JSON object; an empty body is an empty one. Raises Refused: 400."""
    body = await request.read()
    if not body.strip():
        return {}
    try:
        asked = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(400, "bad_request", "the body is not valid JSON") from error
    if not isinstance(asked, dict):
        raise Refused(400, "bad_request", "the body must be a JSON object")
    return asked
