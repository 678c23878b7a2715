"""Who leaves a server keeps no connection to it, whatever calls were under way or about to be made."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

import pytest

from bridge import errors
from bridge.edges.store.client import Access, Client
from bridge.edges.store.connection import Store
from tests.waiting import until

PATIENT = Access(connect_seconds=15.0, timeout_seconds=30.0)
"""How long a busy machine takes to connect or to answer is not what these are about."""


async def connections(client: Client) -> int:
    """How many the server counts, this client's own included."""
    return int((await client.info("clients"))["connected_clients"])


Leave = Callable[[Client], Awaitable[None]]
whenever = pytest.mark.parametrize("turns", range(12))
whichever_way = pytest.mark.parametrize("leave", [Client.retire, Client.close])


async def left(client: Client, leave: Leave, turns: int) -> None:
    """Calls have come this far when the server is left; returns once they have ended, well or not."""
    calls = [asyncio.create_task(client.execute("ECHO", number)) for number in range(8)]
    for _ in range(turns):
        await asyncio.sleep(0)
    await leave(client)
    await asyncio.gather(*calls, return_exceptions=True)


@whichever_way
@whenever
async def test_calls_that_were_about_to_be_made_when_it_was_left_leave_no_connection(
    other: str, leave: Leave, turns: int
) -> None:
    """However far each of them was: whoever leaves a server drops the client, and nobody closes it any more."""
    client, watching = Client(other, PATIENT), Client(other, PATIENT)
    await left(client, leave, turns)
    await until(lambda: connections(watching), lambda count: count == 1)
    await watching.close()


@whichever_way
@whenever
async def test_nothing_is_written_to_a_connection_that_was_closed(
    other: str,
    leave: Leave,
    turns: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python 3.12 and 3.13 would wait for its socket to take it, and never make a connection on that number again."""
    client, after, written_to_closed = Client(other, PATIENT), Client(other, PATIENT), []
    write = asyncio.StreamWriter.writelines

    def writing(writer: asyncio.StreamWriter, lines: Iterable[bytes]) -> None:
        written_to_closed.append(writer.is_closing())
        write(writer, lines)

    monkeypatch.setattr(asyncio.StreamWriter, "writelines", writing)
    await left(client, leave, turns)
    await after.execute("PING")
    assert written_to_closed  # this last one at least, else redis-py writes in some other way
    assert not any(written_to_closed)
    await client.close()
    await after.close()


async def test_a_store_that_is_closed_makes_no_connection_for_calls_under_way(other: str) -> None:
    """They fail, and are not tried once more at a server that nobody would close then."""
    store, watching = Store(other, PATIENT), Client(other, PATIENT)
    waiting = [asyncio.create_task(store.command("BLPOP", "nothing", 30)) for _ in range(4)]
    await until(lambda: watching.info("clients"), lambda told: told["blocked_clients"] == str(len(waiting)))
    await store.close()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert {type(answer) for answer in answers} == {errors.EdgeUnavailable}
    with pytest.raises(errors.EdgeUnavailable, match="closed"):
        await store.command("PING")
    await until(lambda: connections(watching), lambda count: count == 1)
    await watching.close()
