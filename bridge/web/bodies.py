"""Bodies of requests: read within a time, a size, and a sum of all that are being read."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from bridge.web.answers import Refused
from bridge.web.compression import unfolded

DEADLINE_SECONDS = 30.0
MOST_HELD_BYTES = 256 * 2**20
"""Of all bodies together while they are read. A hundred groups of some thousand alerts each have room in it."""


class Held:
    """How many bytes are held of bodies that have not arrived whole."""

    def __init__(self, *, most: int) -> None:
        self.most, self.now = most, 0

    def take(self, count: int) -> None:
        """So many more. Raises Refused: 503, which Alertmanager tries again."""
        self.now += count
        if self.now > self.most:
            raise Refused(503, "busy", "too much is being sent at once")


HELD: web.AppKey[Held] = web.AppKey("held", Held)


async def body_of(request: web.Request, *, most: int | None = None, seconds: float | None = None) -> bytes:
    """The whole body, of ``most`` bytes (``None``: as configured) and within so many seconds; what was compressed, unfolded.

    Raises: Refused: 400, 408 or 503; HTTPRequestEntityTooLarge.
    """
    limit = request.client_max_size if most is None else most
    body = await _arrived(request, limit, DEADLINE_SECONDS if seconds is None else seconds)
    return unfolded(body, request.headers.get("Content-Encoding", ""), most=limit)


async def _arrived(request: web.Request, limit: int, seconds: float) -> bytes:
    if (length := request.content_length or 0) > limit:
        raise web.HTTPRequestEntityTooLarge(limit, length)  # nobody need wait for all of it
    # A small one came with its head: a timer would cost as much as reading its JSON.
    if request.content.is_eof():
        return await request.read()
    try:
        async with asyncio.timeout(seconds):
            return await _read(request, limit)
    except TimeoutError as error:
        raise Refused(408, "timeout", f"the body did not arrive within {seconds:g} s") from error


async def _read(request: web.Request, limit: int) -> bytes:
    held, body, taken = request.app[HELD], bytearray(), 0
    try:
        async for piece in request.content.iter_any():
            taken += len(piece)
            held.take(len(piece))
            body += piece
            if len(body) > limit:
                raise web.HTTPRequestEntityTooLarge(limit, len(body))
        return bytes(body)
    finally:
        held.now -= taken
        # What broke the stream is kept by it, and keeps this frame: a circle that would hold the bytes for as long as
        # the garbage collector has no other reason to look.
        body.clear()


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
