"""``GET /api/v1/events``: every transition as a server-sent event, from the store's own stream and in its order.

Each listener asks for itself, so that one that is slow keeps nobody waiting and nothing in memory. What is found is
written out once for all who stand at the same place.
Source: the HTML standard, "Server-sent events".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from aiohttp import web

from bridge import errors
from bridge.model.incident import Transition
from bridge.redaction import Redactor
from bridge.web.answers import Refused
from bridge.web.interface import BRIDGE, TOKEN, TOKENS, Bridge

log = logging.getLogger("hemostat.web")

MOST_LISTENERS = 64
KEPT_PAGES = 16
KEPT_SECONDS = 2.0
"""For so long a page serves those who come to the same place after the first: longer than a listener's turn takes."""

PAGE = 100
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0
RETRY_MS = 2000
"""When a listener whose stream has ended should come back."""

STORE_SECONDS = 4.0
SLOW_SECONDS = 30.0
"""A listener that takes nothing for so long has left, or may as well: it can continue where it was."""

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would gather the events
}
AWAY = ": the store does not answer; what happens meanwhile is told when it does\n\n"
HEARTBEAT = ": heartbeat\n\n"

ID = re.compile(r"([0-9]{1,20})(?:-([0-9]{1,20}))?")
_HIGHEST = 2**64 - 1


class Listeners:
    """Who listens now. Once ``end`` was called they leave."""

    def __init__(self) -> None:
        self._transports: set[asyncio.Transport] = set()
        self._ended = asyncio.Event()

    @contextlib.contextmanager
    def place(self, transport: asyncio.Transport) -> Iterator[None]:
        """A place among them. Raises Refused: 503, there is none."""
        if self._ended.is_set() or len(self._transports) >= MOST_LISTENERS:
            raise Refused(503, "too_many_listeners", f"{len(self._transports)} listen already")
        self._transports.add(transport)
        try:
            yield
        finally:
            self._transports.discard(transport)

    async def ended(self, *, within: float) -> bool:
        """Whether it is over, or is within so many seconds."""
        try:
            async with asyncio.timeout(within):
                return await self._ended.wait()
        except TimeoutError:
            return self._ended.is_set()

    def end(self) -> None:
        """Send everybody away; who has not even taken what was sent is not waited for."""
        self._ended.set()
        for transport in self._transports:
            if transport.get_write_buffer_size():
                transport.abort()


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What follows a place in the stream, as it is sent, and where it ends. ``full``: there may be more right away."""

    text: str
    end: str
    full: bool
    redactor: Redactor
    until: float


class Pages:
    """The pages that were read lately, by where they begin."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Page] = OrderedDict()

    async def after(self, place: str, bridge: Bridge) -> Page | None:
        """The next page; ``None``: nothing has happened since. May raise EdgeUnavailable."""
        now, kept = asyncio.get_running_loop().time(), self._kept.get(place)
        if kept is not None and kept.until > now and kept.redactor is bridge.redactor:
            return kept
        found = await bridge.events_after(place, count=PAGE)
        if not found:
            return None
        redactor = bridge.redactor
        text = "".join(_message(transition, redactor) for transition in found)
        full = len(found) == PAGE
        page = Page(text=text, end=found[-1].id, full=full, redactor=redactor, until=now + KEPT_SECONDS)
        self._kept[place] = page
        self._kept.move_to_end(place)
        if len(self._kept) > KEPT_PAGES:
            self._kept.popitem(last=False)
        return page


PAGES: web.AppKey[Pages] = web.AppKey("pages", Pages)
LISTENERS: web.AppKey[Listeners] = web.AppKey("listeners", Listeners)


async def end(app: web.Application) -> None:
    """End all streams, so that the process can stop."""
    app[LISTENERS].end()


async def follow(request: web.Request) -> web.StreamResponse:
    """What happens from now on, or since the event that ``Last-Event-ID`` names."""
    asked, transport = _asked(request), request.transport
    if transport is None:
        raise ConnectionResetError("the listener is gone")
    response = web.StreamResponse(headers=HEADERS)
    with request.app[LISTENERS].place(transport):
        newest = await request.app[BRIDGE].newest_event()
        # An id that the store has not reached is of another store, or of what a failover lost: ids below it come yet.
        after = newest if asked is None else min(asked, newest, key=_number)
        await response.prepare(request)
        try:
            await _tell(request, response, after)
        except TimeoutError:
            log.warning("listener_too_slow", extra={"remote": request.remote})
            transport.abort()
    return response


async def _tell(request: web.Request, response: web.StreamResponse, after: str) -> None:
    """Until the listener is gone or the process stops. Raises: TimeoutError: nothing was taken for SLOW_SECONDS."""
    bridge, listeners, pages = request.app[BRIDGE], request.app[LISTENERS], request.app[PAGES]
    clock = asyncio.get_running_loop().time
    text, told_at, away, more = f"retry: {RETRY_MS}\n\n", clock(), False, True
    while True:
        if not text and clock() - told_at >= HEARTBEAT_SECONDS:
            text = HEARTBEAT
        if text:
            async with asyncio.timeout(SLOW_SECONDS):
                await response.write(text.encode())
            text, told_at = "", clock()
        if await listeners.ended(within=0.0 if more else POLL_SECONDS) or not _may_listen(request):
            return
        try:
            async with asyncio.timeout(STORE_SECONDS):
                page = await pages.after(after, bridge)
        except (TimeoutError, errors.EdgeError):
            page, text, away = None, "" if away else AWAY, True
        else:
            away = False
        more = page is not None and page.full
        if page is not None:
            text, after = page.text, page.end


def _message(transition: Transition, redactor: Redactor) -> str:
    entry = transition.entry
    data = {
        "incident": transition.incident_id or None,
        "at": entry.at,
        "event": entry.event,
        "fields": {name: redactor.text(value).text for name, value in entry.fields.items()},
    }
    return f"id: {transition.id}\nevent: {entry.event}\ndata: {msgspec.json.encode(data).decode()}\n\n"


def _may_listen(request: web.Request) -> bool:
    """Whether there is still somebody, with a token that a reload has not taken away."""
    gone = request.transport is None or request.transport.is_closing()
    tokens = request.app[TOKENS]()
    return not gone and (not tokens or request[TOKEN] in tokens)


def _asked(request: web.Request) -> str | None:
    """The event after which to continue; ``None``: none was named. Raises Refused: 400."""
    # The header is first: a browser that comes back sends it, and still has the query of its first visit.
    named = request.headers.get("Last-Event-ID", request.query.get("last_event_id"))
    if named is None:
        return None
    parts = ID.fullmatch(named)
    if parts is None or any(int(part) > _HIGHEST for part in parts.groups("0")):
        raise Refused(
            400, "bad_event_id", f"not the id of an event: {named[:50]!r}; 1700000000000-0 is like one"
        )
    return "-".join(parts.groups("0"))


def _number(event_id: str) -> tuple[int, ...]:
    return tuple(int(part) for part in event_id.split("-"))
