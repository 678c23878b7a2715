"""A server whose clock is behind the time that is known, as after a failover: time goes on, and never too fast.

The machine may do something else for seconds between any two calls: what is compared is what the server's own clock says
before and after. Time stands still while nobody comes by (``due``) and the clock is behind what was written down.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.edges.store import clock
from bridge.edges.store.connection import Store, milliseconds
from bridge.edges.store.episodes import StoredEpisodes
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.queue import StoredQueue
from bridge.model.incident import Target
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant, Held, HeldElsewhere
from tests.integration.desk import FREE, OPEN_LIMITS, Desk, alert
from tests.unit.triage.builders import running
from tests.waiting import until

HOUR = 3_600_000
MINUTE = 60_000
EVERY = 10_000
"""How often time is written down: ``TICK_MS`` of ``due``."""
SHORT_LEASE = 0.3


class Clock:
    """The server's clock, as a test finds it."""

    def __init__(self, store: Store, queue: StoredQueue) -> None:
        self.store, self.queue = store, queue

    async def own(self) -> int:
        """What the server itself says, in ms."""
        seconds, micros = await self.store.command("TIME")
        return int(seconds) * 1000 + int(micros) // 1000

    async def tick(self) -> tuple[int, int]:
        """What was written down last: how far time had come, and the server's own clock then."""
        reached, at = (await self.store.command("GET", "{hemostat}:tick")).split()
        return int(reached), int(at)

    async def now(self) -> int:
        """The store's time in ms."""
        return milliseconds((await clock.read(self.store)).now)

    async def behind(self, by: int = HOUR) -> int:
        """The server before this one was ahead of it by so much; the highest time that is known."""
        ahead = await self.own() + by
        await self.store.command("SET", "{hemostat}:tick", f"{ahead} {ahead}")
        return ahead

    async def goes_on(self, to: int) -> int:
        """A worker comes by, again and again, until then; the time then."""

        async def come_by() -> int:
            await self.queue.due()
            return await self.now()

        return await until(come_by, lambda now: now >= to)


@pytest.fixture
async def clocked(store: Store) -> Clock:
    """With a worker beside it."""
    queue = StoredQueue(store, consumer="one", lease_seconds=SHORT_LEASE)
    await queue.open()
    return Clock(store, queue)


async def test_how_far_time_has_come_is_written_down_now_and_again(clocked: Clock) -> None:
    """Not at each look: each write is one to disk."""
    began = await clocked.own()
    await clocked.queue.due()
    first = await clocked.tick()
    assert began <= first[0] <= await clocked.own()

    async def again() -> tuple[int, int]:
        await clocked.queue.due()
        return await clocked.tick()

    soon = await again()
    assert soon == first or await clocked.own() - first[1] >= EVERY
    now = await clocked.own()
    await clocked.store.command("SET", "{hemostat}:tick", f"{now - EVERY} {now - EVERY}")
    assert (await again())[1] >= now


async def test_while_it_is_behind_it_is_written_down_more_often(clocked: Clock) -> None:
    """A step counts for two seconds at most, so that time would stop with fewer."""
    own = await clocked.own()
    await clocked.store.command("SET", "{hemostat}:tick", f"{own + HOUR} {own - 300}")
    await clocked.queue.due()
    reached, at = await clocked.tick()
    assert at >= own
    assert reached >= own + HOUR + 150


async def test_a_clock_that_is_not_behind_is_the_time(clocked: Clock) -> None:
    """And nobody is told anything."""
    await clocked.queue.due()
    before, now, after = await clocked.own(), await clocked.now(), await clocked.own()
    assert before <= now <= after
    assert (await clock.read(clocked.store)).behind_seconds == 0


async def test_time_goes_on_from_the_highest_at_half_the_pace(clocked: Clock) -> None:
    """So that a cooldown is never over early, and the two meet some time."""
    highest, began = await clocked.behind(), await clocked.own()
    assert await clocked.now() == highest
    reached = await clocked.goes_on(highest + 200)
    assert 2 * (reached - highest) <= await clocked.own() - began
    assert (await clock.read(clocked.store)).behind_seconds < HOUR / 1000


async def test_a_grant_at_the_highest_time_stops_it_no_more(clocked: Clock, desk: Desk) -> None:
    """Where only the grant is known: the last one lost what was written down after it."""
    ahead = await clocked.own() + MINUTE
    await clocked.store.command("SET", "{hemostat}:clock", ahead)
    await clocked.goes_on(ahead + 50)
    assert isinstance(await desk.acquire(await desk.judged()), Grant)
    assert int(await clocked.store.command("GET", "{hemostat}:clock")) >= ahead + 50


async def test_a_clock_that_is_set_forward_while_it_is_behind_counts_for_one_step(clocked: Clock) -> None:
    """Else what was an hour too little would be an hour too much when it is mended half."""
    own = await clocked.own()
    highest = own + 5 * HOUR
    await clocked.store.command("SET", "{hemostat}:tick", f"{highest} {own - HOUR}")
    assert await clocked.now() == highest + 1000
    began = await clocked.own()
    await clocked.queue.due()
    now = await clocked.now()
    assert now <= highest + 1000 + (await clocked.own() - began) / 2


async def test_a_clock_that_is_set_back_again_stops_for_a_moment_and_goes_on(clocked: Clock) -> None:
    """Time is never less than it was."""
    await clocked.behind(HOUR)
    highest = await clocked.behind(2 * HOUR)
    await clocked.goes_on(highest + 50)


async def test_a_server_that_has_caught_up_keeps_its_own_time(clocked: Clock) -> None:
    """Nothing is left of it."""
    highest = await clocked.behind(40)
    await clocked.goes_on(highest + 100)
    await until(lambda: clock.read(clocked.store), lambda reading: reading.behind_seconds == 0)
    await clocked.queue.due()
    before, now = await clocked.own(), await clocked.now()
    assert before <= now <= await clocked.own()


async def test_a_lease_runs_out_though_the_clock_is_behind(clocked: Clock, desk: Desk) -> None:
    """A dead worker's incident is taken over, as ever."""
    journal = StoredJournal(desk.store, lease_seconds=SHORT_LEASE)
    incident_id = await desk.incident_for(alert())
    await clocked.behind()
    assert isinstance(await journal.claim(incident_id, "dead"), Held)
    assert isinstance(await journal.claim(incident_id, "heir"), HeldElsewhere)

    async def taken() -> bool:
        await clocked.queue.due()
        return isinstance(await journal.claim(incident_id, "heir"), Held)

    await until(taken)


async def test_what_is_due_later_comes_though_the_clock_is_behind(clocked: Clock, desk: Desk) -> None:
    """The next look of a verification is a second away, not an hour."""
    incident_id = await desk.incident_for(alert())
    [turn] = await clocked.queue.read(1)
    await clocked.behind()
    await clocked.queue.later(turn, claim=None, seconds=0.1)

    async def again() -> list[str]:
        await clocked.queue.due()
        return [turn.incident_id for turn in await clocked.queue.read(1)]

    assert await until(again) == [incident_id]


async def test_the_turns_of_a_silent_worker_get_their_lease_anew(clocked: Clock, desk: Desk) -> None:
    """Redis counts the silence by the server's clock, by which it had not begun yet."""
    dead = StoredQueue(desk.store, consumer="dead", lease_seconds=SHORT_LEASE)
    await clocked.queue.due()
    await desk.incident_for(alert())
    [turn] = await dead.read(1)
    idle = "return redis.call('XPENDING', KEYS[1], 'workers', '-', '+', 1)[1][3]"

    async def silent() -> int:
        return int(await desk.store.command("EVAL", idle, 1, "{hemostat}:work"))

    await until(silent, lambda ms: ms > SHORT_LEASE * 1000)
    await clocked.behind()
    began = await clocked.own()
    await clocked.queue.due()
    counted = await silent()
    assert counted <= await clocked.own() - began
    swept = await until(lambda: clocked.queue.sweep(1))
    assert [one.id for one in swept] == [turn.id]


async def test_whoever_compares_with_alertmanager_may_do_so_at_once(clocked: Clock, desk: Desk) -> None:
    """The lease lives by the clock of the server that gave it, which was ahead."""
    episodes = StoredEpisodes(desk.store)
    await clocked.queue.due()
    assert await episodes.lease("one", 60)
    await clocked.queue.due()
    assert not await episodes.lease("two", 60)
    await clocked.behind()
    await clocked.queue.due()
    assert await episodes.lease("two", 60)


async def test_a_cooldown_lasts_as_long_as_ever(clocked: Clock, desk: Desk) -> None:
    """By the time that goes on, which is slower than any clock."""
    policy, target = replace(FREE, cooldown_seconds=0.4), Target(host="local", name="web")
    highest, began = await clocked.behind(MINUTE), await clocked.own()
    await clocked.store.command("ZADD", "{hemostat}:window:target:local/web", highest, 1)

    async def asked() -> Refusal | None:
        return await desk.budgets.would_grant(target, policy=policy, limits=OPEN_LIMITS, facts=running())

    async def refusal() -> Refusal | None:
        await clocked.queue.due()
        return await asked()

    first = await asked()
    assert first is not None
    assert first.until is not None
    assert milliseconds(first.until) == highest + 400
    await until(refusal, lambda answer: answer is None)
    assert await clocked.own() - began >= 800


async def test_a_clock_that_is_far_behind_grants_nothing_until_it_is_near(clocked: Clock, desk: Desk) -> None:
    """And says from when on it will."""
    highest, before = await clocked.behind(HOUR), await clocked.own()
    answer = await desk.acquire(await desk.judged())
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.CLOCK_SKEW
    assert answer.until is not None
    own = 2 * highest - round(clock.LEAP_SECONDS * 1000) - milliseconds(answer.until)
    assert before <= own <= await clocked.own()


async def test_a_pause_ends_by_the_time_that_goes_on(clocked: Clock, desk: Desk) -> None:
    """What the scripts go by is what people are shown."""
    highest = await clocked.behind(HOUR)
    at = (await clock.read(desk.store)).now
    await desk.budgets.pause(by="ann", why="deploy", until=at + timedelta(milliseconds=100))
    assert await desk.budgets.paused() is not None
    await clocked.goes_on(highest + 200)
    assert await desk.budgets.paused() is None


LEAP = 9 * MINUTE
FIVE_MINUTES = replace(FREE, cooldown_seconds=300.0)


@pytest.mark.parametrize(
    ("up", "reason"),
    [(60.0, Reason.RECENTLY_STARTED), (86400.0, None)],
    ids=["started since", "started long before"],
)
async def test_a_clock_that_is_set_forward_ends_no_cooldown_of_what_was_started_since(
    clocked: Clock, desk: Desk, up: float, reason: Reason | None, caplog: pytest.LogCaptureFixture
) -> None:
    """By the store the repair was nine minutes ago; by the time that passed here, and by the container's own age, not."""
    journal = desk.journal
    await journal.now()
    await desk.store.command("ZADD", "{hemostat}:window:target:local/web", await clocked.own(), 1)
    await clocked.behind(LEAP)  # as a worker at a server that is ahead would leave it
    await journal.now()
    answer = await desk.acquire(await desk.judged(), policy=FIVE_MINUTES, up=up)
    assert (answer.reason if isinstance(answer, Refusal) else None) is reason
    assert "store_clock_leapt" in caplog.messages


async def test_whoever_comes_later_knows_that_the_clock_was_set_forward(
    clocked: Clock, desk: Desk, redis_url: str
) -> None:
    """It is written into the store by the first that notices."""
    await desk.journal.now()
    await clocked.behind(LEAP)
    await desk.journal.now()
    young = await desk.budgets.would_grant(
        Target(host="local", name="web"), policy=FIVE_MINUTES, limits=OPEN_LIMITS, facts=running(up=60.0)
    )
    assert young is not None
    assert young.reason is Reason.RECENTLY_STARTED
    other = Store(redis_url)
    born = await other.command("GET", "{hemostat}:born")
    await StoredJournal(other, lease_seconds=60).now()
    assert await other.command("GET", "{hemostat}:born") == born
    await other.close()


async def test_an_ordinary_reading_writes_nothing(desk: Desk) -> None:
    """Nothing has leapt."""
    born = await desk.store.command("GET", "{hemostat}:born")
    await desk.journal.now()
    await desk.journal.now()
    assert await desk.store.command("GET", "{hemostat}:born") == born


async def test_a_clock_that_is_behind_is_told_once_and_so_is_its_end(
    clocked: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """It slows everything down, and stops repairs where it is far behind: a person must be able to see why."""
    caplog.set_level(logging.INFO, logger="hemostat.store")
    await clocked.queue.due()
    await clocked.behind(MINUTE)
    for _ in range(3):
        await clocked.queue.due()
    assert caplog.messages == ["store_clock_behind"]
    highest = await clocked.behind(500)
    await clocked.goes_on(highest + 600)
    async with asyncio.timeout(10):
        while "store_clock_caught_up" not in caplog.messages:
            await clocked.queue.due()
    assert caplog.messages == ["store_clock_behind", "store_clock_caught_up"]
