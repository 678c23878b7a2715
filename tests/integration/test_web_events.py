"""Transitions as they are followed over HTTP: none twice, none left out, and nobody who listens stands in the way."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import ClientResponse

from bridge import settings
from bridge.demo import parts
from bridge.model.incident import Transition
from bridge.redaction import Redactor
from bridge.web import events
from tests.integration.serving import FIRING, TOKENS, Running
from tests.waiting import until

PATH = "/api/v1/events"
SECRET = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "POLL_SECONDS", 0.02)


@dataclass
class Stream:
    """What a listener hears."""

    answer: ClientResponse

    async def block(self) -> list[str]:
        """The lines up to the next empty one; none at the end of the stream."""
        lines: list[str] = []
        async with asyncio.timeout(20):
            while (line := (await self.answer.content.readline()).decode()) not in ("", "\n"):
                lines.append(line.removesuffix("\n"))
        return lines

    async def comment(self) -> str:
        """The next comment; what comes before it is passed over."""
        while not (block := await self.block())[0].startswith(":"):
            pass
        return block[0]

    async def event(self) -> tuple[str, str, dict[str, Any]]:
        """Id, name and data of the next event; comments and the like are passed over."""
        while not (block := await self.block())[0].startswith("id: "):
            pass
        named = dict(line.split(": ", 1) for line in block)
        assert list(named) == ["id", "event", "data"]
        return named["id"], named["event"], json.loads(named["data"])


@asynccontextmanager
async def listening(running: Running, path: str = PATH, **headers: str) -> AsyncIterator[Stream]:
    """A listener whose stream has begun."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with running.client.get(path, headers=named) as answer:
        assert answer.status == 200, await answer.text()
        stream = Stream(answer)
        assert (await stream.block())[0].startswith("retry: ")
        yield stream


def written(text: str, *, event: str = "noted", incident: str = "i1") -> tuple[str, ...]:
    """A transition as the scripts write it."""
    entry = json.dumps({"at_ms": 1000, "event": event, "fields": {"text": text}})
    return ("XADD", "{hemostat}:events", "*", "incident", incident, "entry", entry)


async def happens(running: Running, text: str = "x", **named: str) -> str:
    """A transition; gives its id."""
    return str(await running.parts.store.command(*written(text, **named)))


def listeners(running: Running) -> set[asyncio.Transport]:
    """The connections of those who listen."""
    assert running.client.app is not None
    return running.client.app[events.LISTENERS]._transports


async def test_every_transition_is_told_with_its_incident_and_time(running: Running) -> None:
    """From the webhook on; nobody on the way keeps it back."""
    async with listening(running) as stream:
        _, accepted, _ = await running.post(FIRING)
        told = [await stream.event() for _ in range(5)]
    assert [data["incident"] for _, _, data in told] == accepted["incidents"]
    assert {(name, data["event"]) for _, name, data in told} == {("opened", "opened")}
    assert all(data["at"].endswith("Z") and data["fields"] == {} for _, _, data in told)
    assert stream.answer.headers["Content-Type"].startswith("text/event-stream")
    assert stream.answer.headers["Cache-Control"] == "no-store"
    assert stream.answer.headers["X-Accel-Buffering"] == "no"


async def test_a_storm_names_no_incident(running: Running) -> None:
    """Rather than an empty one."""
    async with listening(running) as stream:
        await happens(running, event="storm_began", incident="")
        assert (await stream.event())[2]["incident"] is None


async def test_a_listener_hears_what_happens_from_now_on(running: Running) -> None:
    """What was before is in the incidents."""
    await happens(running, "before")
    async with listening(running) as stream:
        new = await happens(running, "after")
        event_id, _, data = await stream.event()
    assert (event_id, data["fields"]) == (new, {"text": "after"})
    assert data["at"] == "1970-01-01T00:00:01Z"


@pytest.mark.parametrize("where", ["header", "query", "header before query"])
async def test_a_listener_that_comes_back_continues_where_it_was(running: Running, where: str) -> None:
    """A browser that comes back sends the header, and the query of its first visit."""
    ids = [await happens(running, str(n)) for n in range(3)]
    path = {
        "header": PATH,
        "query": f"{PATH}?last_event_id={ids[0]}",
        "header before query": f"{PATH}?last_event_id=0",
    }[where]
    headers = {} if where == "query" else {"Last_Event_ID": ids[0]}
    async with listening(running, path, **headers) as stream:
        assert [(await stream.event())[0] for _ in range(2)] == ids[1:]


async def test_far_more_than_a_page_is_told_in_order_and_once(running: Running) -> None:
    """To whoever was away for long."""
    ids = [await happens(running) for _ in range(2 * events.PAGE + 7)]
    async with listening(running, f"{PATH}?last_event_id=0") as stream:
        assert [(await stream.event())[0] for _ in ids] == ids


async def test_an_id_that_the_store_has_not_reached_misses_nothing(running: Running) -> None:
    """It is of another store, or of what a failover lost."""
    async with listening(running, Last_Event_ID="99999999999999-0") as stream:
        new = await happens(running)
        assert (await stream.event())[0] == new


@pytest.mark.parametrize(
    "event_id",
    ["", "x", "-", "1-", "-1", "1-2-3", "1-0\u0663", "18446744073709551616-0", "1" * 50, "$", "+", "(1-0"],
)
async def test_an_id_that_is_none_is_400(running: Running, event_id: str) -> None:
    """With the error of every other path."""
    async with running.client.get(PATH, params={"last_event_id": event_id}) as answer:
        error = (await answer.json())["error"]
    assert (answer.status, error["code"]) == (400, "bad_event_id")


async def test_silence_is_told_by_a_comment(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy closes what says nothing, and a listener wants to know that it still hears."""
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.1)
    async with listening(running) as stream:
        assert await stream.comment() == await stream.comment() == ": heartbeat"


async def test_too_many_listeners_are_refused_until_one_leaves(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 with a time to retry; one that has left is noticed without a word to it."""
    monkeypatch.setattr(events, "MOST_LISTENERS", 2)
    async with listening(running), listening(running):
        async with running.client.get(PATH) as refused:
            error = (await refused.json())["error"]
        assert (refused.status, error["code"]) == (503, "too_many_listeners")
        assert int(refused.headers["Retry-After"]) > 0

    async def left() -> bool:
        return not listeners(running)

    await until(left)
    async with listening(running):
        pass


async def test_a_store_that_is_away_is_told_and_the_stream_goes_on(
    start: Callable[..., Awaitable[Running]],
    start_redis: Callable[..., parts.RedisServer],
) -> None:
    """Once, and whoever comes meanwhile gets 503."""
    server = start_redis()
    running = await start(url=server.url)
    async with listening(running) as stream:
        server.kill()
        assert "the store does not answer" in await stream.comment()
        async with running.client.get(PATH) as refused:
            assert (refused.status, "Retry-After" in refused.headers) == (503, True)
        server.start()
        new = await happens(running)
        assert (await stream.event())[0] == new


async def test_no_secret_is_told(running: Running) -> None:
    """What a field holds is redacted by the rules of now."""
    async with listening(running) as stream:
        await happens(running, f"token {SECRET}")
        assert SECRET not in (await stream.event())[2]["fields"]["text"]


async def test_lines_of_another_version_are_told_as_such(running: Running) -> None:
    """They end no stream, and are not passed over."""
    write = running.parts.store.command
    async with listening(running) as stream:
        await write("XADD", "{hemostat}:events", "*", "incident", "i1", "entry", '{"what": 1}')
        new = await happens(running)
        assert (await stream.event())[1] == "unreadable"
        assert (await stream.event())[0] == new


async def stalled(running: Running) -> asyncio.StreamWriter:
    """A listener that takes nothing, and more than it could be sent; gives its connection once it is behind."""
    # More than the kernel takes for both ends, however far it lets their buffers grow.
    await running.parts.store.commands(*[written("x" * 100_000)] * 120)
    server = running.client.server
    reluctant = socket.socket()
    reluctant.setsockopt(
        socket.SOL_SOCKET, socket.SO_RCVBUF, 4096
    )  # before it connects, or the kernel takes it all
    reluctant.setblocking(False)
    await asyncio.get_running_loop().sock_connect(reluctant, (str(server.host), server.port))
    _, writer = await asyncio.open_connection(sock=reluctant, limit=1024)
    writer.write(f"GET {PATH}?last_event_id=0 HTTP/1.1\r\nHost: x\r\n\r\n".encode())

    async def behind() -> bool:
        for transport in listeners(running):  # what the kernel would take for it is megabytes
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return any(transport.get_write_buffer_size() > 0 for transport in listeners(running))

    try:
        await until(behind)
    except TimeoutError:
        await gone(writer)
        raise
    return writer


async def gone(writer: asyncio.StreamWriter) -> None:
    """Closed for good: a socket left to the collector is a warning in whatever test comes then."""
    writer.transport.abort()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def test_a_listener_that_takes_nothing_is_dropped(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds a place that others want; what it is sent waits with the store, not here."""
    monkeypatch.setattr(events, "SLOW_SECONDS", 1.0)
    monkeypatch.setattr(events, "PAGE", 2)
    writer = await stalled(running)
    held = max(transport.get_write_buffer_size() for transport in listeners(running))
    assert held < 1_000_000

    async def dropped() -> bool:
        return not listeners(running)

    await until(dropped)
    await gone(writer)


async def test_a_stop_ends_streams_at_once_and_properly(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that take nothing too."""
    monkeypatch.setattr(events, "PAGE", 2)
    writer = await stalled(running)
    async with listening(running) as stream:
        async with asyncio.timeout(15):  # of the 60 s that a handler would have
            await running.client.server.close()
            assert await stream.block() == []
    await gone(writer)


async def test_a_token_that_a_reload_takes_away_ends_its_streams(
    start: Callable[..., Awaitable[Running]],
) -> None:
    """Who may no longer come in may no longer listen."""
    running = await start(tokens=TOKENS)
    async with listening(running, Authorization="Bearer viewer-0123456789abcdef") as stream:
        config = running.bridge._config
        others = tuple(token for token in TOKENS if token.name != "viewer")
        running.bridge._load = lambda: replace(config, web=replace(config.web, tokens=others))
        assert not await running.bridge.reload()
        assert await stream.block() == []


async def test_a_receiver_may_not_listen(start: Callable[..., Awaitable[Running]]) -> None:
    """Nor may anybody without a token."""
    running = await start(tokens=TOKENS)
    for headers, status in (({"Authorization": "Bearer receiver-0123456789abcdef"}, 403), ({}, 401)):
        async with running.client.get(PATH, headers=headers) as answer:
            assert answer.status == status


async def test_what_many_listen_to_is_read_and_written_out_once(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty pages open elsewhere must not cost twenty times the redacting; each still gets everything, in order."""
    written_out: list[str] = []
    message = events._message

    def counted(transition: Transition, redactor: Redactor) -> str:
        written_out.append(transition.id)
        return message(transition, redactor)

    monkeypatch.setattr(events, "_message", counted)
    monkeypatch.setattr(events, "KEPT_SECONDS", 60.0)
    ids = [await happens(running, f"n{n}") for n in range(5)]
    async with contextlib.AsyncExitStack() as stack:
        streams = [
            await stack.enter_async_context(listening(running, f"{PATH}?last_event_id=0")) for _ in range(20)
        ]
        for stream in streams:
            assert [(await stream.event())[0] for _ in ids] == ids
    assert len(written_out) < 20 * len(ids) / 2  # some come before the first has read


async def test_a_kept_page_is_written_anew_when_the_rules_for_secrets_change(running: Running) -> None:
    """Redacted by the rules of now, whoever read it before."""
    pages = events.Pages()
    await happens(running, "CUST-123456")
    before = await pages.after("0-0", running.bridge)
    assert before is not None
    assert before is await pages.after("0-0", running.bridge)
    own = settings.Redaction(patterns=(settings.SecretPattern(name="customer", pattern="CUST-[0-9]{6}"),))
    running.bridge._load = lambda: replace(running.bridge._config, redaction=own)
    assert not await running.bridge.reload()
    after = await pages.after("0-0", running.bridge)
    assert after is not None
    assert ("CUST-123456" in before.text, "CUST-123456" in after.text) == (True, False)


async def test_few_pages_are_kept(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far behind listeners are, and however many places they stand at."""
    monkeypatch.setattr(events, "PAGE", 1)
    ids = ["0-0", *[await happens(running) for _ in range(2 * events.KEPT_PAGES)]]
    pages = events.Pages()
    for place in ids:
        await pages.after(place, running.bridge)
    assert len(pages._kept) == events.KEPT_PAGES
