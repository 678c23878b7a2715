"""The loop on a real Redis: every turn is walked, one at a time per incident, whatever becomes of a worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from bridge import errors
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.queue import StoredQueue
from bridge.metrics import Metrics
from bridge.roles import Held, Turn
from bridge.worker import MANY_DEATHS, SLOTS_WHILE_CROWDED, UNREADABLE_SECONDS, Worker
from tests.integration.desk import Desk, alert
from tests.integration.walking import NoDeadman
from tests.waiting import until

LEASE_SECONDS = 2.0
"""Of workers that must not lose it: a machine that is busy with something else may let nobody beat for a second."""

SHORT_LEASE_SECONDS = 0.6
"""Where a test waits for its end."""

Walk = Callable[[Held], Awaitable[float | None]]


@dataclass
class Crew:
    """Workers on one store, and what they walked."""

    store: Store
    metrics: Metrics = field(default_factory=Metrics)
    walked: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def hire(
        self,
        walk: Walk,
        *,
        concurrency: int = 4,
        queue: type[StoredQueue] = StoredQueue,
        claims: type[StoredJournal] = StoredJournal,
        stumbled: Walk | None = None,
        crowded: Callable[[], bool] = lambda: False,
        lease_seconds: float = LEASE_SECONDS,
    ) -> asyncio.Task[None]:
        """A worker that walks like this."""

        async def counted(held: Held) -> float | None:
            self.walked.append(held.incident.id)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                return await walk(held)
            finally:
                self.at_once -= 1

        name = f"worker-{len(self.tasks)}"
        worker = Worker(
            queue=queue(self.store, consumer=name, lease_seconds=lease_seconds),
            claims=claims(self.store, lease_seconds=lease_seconds),
            walk=counted,
            stumbled=stumbled or soon,
            deadman=NoDeadman(),
            metrics=self.metrics,
            concurrency=concurrency,
            lease_seconds=lease_seconds,
            crowded=crowded,
        )
        self.tasks.append(asyncio.create_task(worker.run(), name=name))
        return self.tasks[-1]

    async def idle(self) -> None:
        """Nothing waits and nothing is due."""
        await until(self.empty)

    async def empty(self) -> bool:
        """Whether nothing waits and nothing is due."""
        counts = await self.store.commands(("XLEN", "{hemostat}:work"), ("ZCARD", "{hemostat}:later"))
        return counts == [0, 0]


@pytest.fixture
async def crew(store: Store) -> AsyncIterator[Crew]:
    """They all go home after the test."""
    crew = Crew(store)
    yield crew
    for task in crew.tasks:
        task.cancel()
    await asyncio.gather(*crew.tasks, return_exceptions=True)


async def soon(_: Held) -> float:
    """Again in a moment."""
    return 0.05


async def done(_: Held) -> None:
    """Finished in one turn."""


async def test_every_turn_is_walked_and_the_queue_is_empty_afterwards(crew: Crew, desk: Desk) -> None:
    """What is finished leaves nothing behind."""
    ids = (await desk.take(*(alert(f"c{n}", fingerprint=f"w{n}") for n in range(30)))).incidents
    crew.hire(done)
    await crew.idle()
    assert sorted(crew.walked) == sorted(ids)


async def test_two_workers_share_and_walk_nothing_twice(crew: Crew, desk: Desk) -> None:
    """Replicas race for turns; the stream and the claim keep them apart."""
    ids = (await desk.take(*(alert(f"c{n}", fingerprint=f"w{n}") for n in range(40)))).incidents
    crew.hire(done)
    crew.hire(done)
    await crew.idle()
    assert sorted(crew.walked) == sorted(ids)


async def test_no_more_are_walked_at_once_than_there_are_slots(crew: Crew, desk: Desk) -> None:
    """A storm waits in the stream, not in memory."""
    await desk.take(*(alert(f"c{n}", fingerprint=f"w{n}") for n in range(12)))

    full = asyncio.Event()

    async def slowly(_: Held) -> None:
        if crew.at_once == 3:
            full.set()
        await full.wait()
        for _again in range(20):  # while these are answered a fourth would have come, if any could
            await desk.store.command("PING")

    crew.hire(slowly, concurrency=3)
    await crew.idle()
    assert crew.most_at_once == 3


async def test_while_webhooks_queue_up_fewer_are_walked_and_none_is_forgotten(crew: Crew, desk: Desk) -> None:
    """They have seconds to be taken in, an incident minutes; when they are through, all slots are filled again."""
    crowd, full = [True], asyncio.Event()

    async def briefly(held: Held) -> None:
        await asyncio.sleep(0.01)
        if crowd and len(crew.walked) >= 10:  # two may begin between two looks
            assert crew.most_at_once <= SLOTS_WHILE_CROWDED
            crowd.clear()
        if crew.at_once == 8:
            full.set()
        if not crowd:
            await full.wait()

    ids = (await desk.take(*(alert(f"c{n}", fingerprint=f"w{n}") for n in range(40)))).incidents
    crew.hire(briefly, concurrency=8, crowded=lambda: bool(crowd))
    await crew.idle()
    assert (sorted(crew.walked), crew.most_at_once) == (sorted(ids), 8)


async def test_a_read_that_was_overtaken_by_a_sweep_never_asks_without_a_limit(
    crew: Crew, desk: Desk
) -> None:
    """A silent worker's turns fill the slots that a read under way has asked for; Redis takes a count below zero for
    "everything", and the backlog would be in this process."""
    asked: list[int] = []
    overtaken, let_go = asyncio.Event(), asyncio.Event()

    class Slow(StoredQueue):
        async def read(self, free: int) -> list[Turn]:
            asked.append(free)
            await overtaken.wait()
            return await super().read(free)

    async def wait(_: Held) -> None:
        await let_go.wait()

    async def walking() -> bool:
        return len(crew.walked) == 3

    async def held() -> bool:
        pending = await crew.store.command("XPENDING", "{hemostat}:work", "workers")
        return int(pending["pending"]) == 6

    dead = StoredQueue(crew.store, consumer="dead", lease_seconds=SHORT_LEASE_SECONDS)
    await dead.open()
    await desk.take(*(alert(f"a{n}", fingerprint=f"a{n}") for n in range(3)))
    assert len(await dead.read(3)) == 3
    crew.hire(wait, concurrency=3, queue=Slow, lease_seconds=SHORT_LEASE_SECONDS)
    await until(walking)
    await desk.take(*(alert(f"b{n}", fingerprint=f"b{n}") for n in range(40)))
    overtaken.set()
    await until(held)
    let_go.set()
    await crew.idle()
    assert min(asked) >= 1
    assert crew.most_at_once == 3
    assert len(crew.walked) == 43


async def test_a_turn_with_a_delay_comes_again(crew: Crew, desk: Desk) -> None:
    """The walk says when."""
    incident_id = await desk.incident_for(alert())

    async def three_times(_: Held) -> float | None:
        return None if len(crew.walked) == 3 else 0.05

    crew.hire(three_times)
    await crew.idle()
    assert crew.walked == [incident_id] * 3


async def test_a_walk_that_crashes_is_kept_and_counted(crew: Crew, desk: Desk) -> None:
    """A bug loses no incident and no worker."""
    await desk.take(alert("one", fingerprint="1"), alert("two", fingerprint="2"))

    async def at_first(_: Held) -> None:
        if len(crew.walked) == 1:
            raise RuntimeError("a bug")

    crew.hire(at_first)
    await crew.idle()
    assert len(crew.walked) == 3
    assert b"hemostat_walk_crashes_total 1.0" in crew.metrics.page()


async def test_a_walk_whose_stumble_crashes_is_told_and_tried_again(
    crew: Crew, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Its task is looked at by nobody: what it raises would be lost without a word."""
    incident_id = await desk.incident_for(alert())

    async def at_first(_: Held) -> None:
        if len(crew.walked) == 1:
            raise RuntimeError("a bug")

    async def another_bug(_: Held) -> float:
        raise RuntimeError("another bug")

    crew.hire(at_first, stumbled=another_bug)
    await crew.idle()
    assert crew.walked == [incident_id] * 2
    assert "turn_crashed" in caplog.messages


async def test_an_incident_that_many_workers_in_a_row_died_of_is_walked_no_further(
    crew: Crew, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever kills them would kill the next one, for ever, and nobody would be told how it ends."""
    deadly, other = (await desk.take(alert("a", fingerprint="a"), alert("b", fingerprint="b"))).incidents
    for incident_id, deaths in ((deadly, MANY_DEATHS - 1), (other, MANY_DEATHS - 2)):
        await desk.store.command("HSET", f"{{hemostat}}:incident:{incident_id}", "deaths", deaths, "lease", 1)
    stumbled: list[str] = []

    async def ends(held: Held) -> None:
        stumbled.append(held.incident.id)

    crew.hire(done, stumbled=ends)
    await crew.idle()
    assert (crew.walked, stumbled) == ([other], [deadly])
    assert "walk_deadly" in caplog.messages


async def test_a_worker_that_goes_home_gives_back_what_it_holds(crew: Crew, desk: Desk) -> None:
    """At once, without waiting for its lease."""
    incident_id = await desk.incident_for(alert())

    async def for_ever(_: Held) -> None:
        await asyncio.Event().wait()

    first = crew.hire(for_ever, lease_seconds=60.0)

    async def begun() -> bool:
        return bool(crew.walked)

    await until(begun)
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first
    crew.hire(done, lease_seconds=60.0)
    await crew.idle()
    assert crew.walked == [incident_id] * 2


async def test_a_long_walk_keeps_its_claim_by_beating(crew: Crew, desk: Desk) -> None:
    """Longer than the lease, and nobody takes it over."""
    incident_id = await desk.incident_for(alert())

    async def long(_: Held) -> None:
        await asyncio.sleep(2 * LEASE_SECONDS)

    crew.hire(long)
    crew.hire(long)
    await crew.idle()
    assert crew.walked == [incident_id]


async def test_a_walk_whose_claim_was_taken_is_cancelled(crew: Crew, desk: Desk) -> None:
    """The heartbeat tells; what it still wanted to write would be refused anyway."""
    incident_id = await desk.incident_for(alert())
    cancelled = asyncio.Event()

    async def stubborn(_: Held) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    crew.hire(stubborn, lease_seconds=SHORT_LEASE_SECONDS)

    async def begun() -> bool:
        return bool(crew.walked)

    await until(begun)
    await desk.store.command("HINCRBY", f"{{hemostat}}:incident:{incident_id}", "claim", 1000)
    async with asyncio.timeout(10):
        await cancelled.wait()


async def test_a_walk_that_ends_while_the_heartbeat_is_under_way_has_lost_no_claim(
    crew: Crew, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """It gave it back by itself; a warning that somebody took it would send people looking for a thief."""
    await desk.take(alert())
    asked, answered = asyncio.Event(), asyncio.Event()

    class Slow(StoredJournal):
        async def beat(self, held: Sequence[Held]) -> set[int]:
            if held and not answered.is_set():
                asked.set()
                await until(crew.empty)
            lost = await super().beat(held)
            if asked.is_set():
                answered.set()
            return lost

    async def until_asked(_: Held) -> None:
        await asked.wait()

    async def beaten() -> bool:
        return answered.is_set()

    crew.hire(until_asked, claims=Slow)
    await until(beaten)
    await crew.idle()
    assert "claim_lost" not in caplog.messages


async def test_a_walk_that_lost_the_store_is_taken_over_after_the_lease(crew: Crew, desk: Desk) -> None:
    """The message stays pending; nothing is given up."""
    incident_id = await desk.incident_for(alert())

    async def store_away(_: Held) -> None:
        if len(crew.walked) == 1:
            raise errors.EdgeUnavailable("redis", "away")

    crew.hire(store_away, lease_seconds=SHORT_LEASE_SECONDS)
    await crew.idle()
    assert crew.walked == [incident_id] * 2


async def test_an_incident_of_another_version_is_left_as_it_is_told_and_offered_again(
    crew: Crew, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """The others go on, nobody spins, and whoever can read it takes it at once."""
    theirs, *ours = (await desk.take(*(alert(f"c{n}", fingerprint=f"c{n}") for n in range(5)))).incidents
    incident = f"{{hemostat}}:incident:{theirs}"
    await desk.store.command("HSET", incident, "doc", '{"of": "another version"}')

    async def left() -> bool:
        return await desk.store.command("ZSCORE", "{hemostat}:later", theirs) is not None

    crew.hire(done)
    await until(left)
    await until(lambda: desk.store.command("XLEN", "{hemostat}:work"), lambda entries: entries == 0)
    assert sorted(crew.walked) == sorted(ours)
    assert caplog.messages.count("incident_unreadable") == 1
    assert crew.metrics.registry.get_sample_value("hemostat_incidents_unreadable_total") == 1
    due = float(await desk.store.command("ZSCORE", "{hemostat}:later", theirs))
    assert due > (await desk.journal.now()).timestamp() * 1000 + UNREADABLE_SECONDS * 1000 / 2
    assert await desk.store.command("HGET", incident, "doc") == '{"of": "another version"}'
    assert await desk.store.command("HGET", incident, "lease") == "0"
    await desk.store.command("HDEL", incident, "doc")
    await desk.store.command("ZADD", "{hemostat}:later", 0, theirs)
    await crew.idle()
    assert crew.walked[-1] == theirs


async def test_an_incident_that_becomes_unreadable_during_its_walk_is_left_too(
    crew: Crew, desk: Desk
) -> None:
    """An alert joined by way of a newer version: no bug of ours, and no reason to end it."""
    incident_id = await desk.incident_for(alert())

    async def load(held: Held) -> None:
        await desk.store.command("HSET", f"{{hemostat}}:incident:{incident_id}:alerts", "bb", "F{}")
        await desk.journal.load(held)

    async def left() -> bool:
        return await desk.store.command("ZSCORE", "{hemostat}:later", incident_id) is not None

    crew.hire(load)
    await until(left)
    assert await desk.store.command("HGET", f"{{hemostat}}:incident:{incident_id}", "lease") == "0"
    assert crew.metrics.registry.get_sample_value("hemostat_walk_crashes_total") == 0
    assert crew.metrics.registry.get_sample_value("hemostat_incidents_unreadable_total") == 1


async def test_an_incident_that_is_gone_is_finished(crew: Crew, desk: Desk) -> None:
    """Its retention ended, or somebody emptied the store."""
    await desk.store.command("XADD", "{hemostat}:work", "*", "i", "nothing")
    crew.hire(done)
    await crew.idle()
    assert crew.walked == []
