"""When a storm of incidents begins, what it counts, and when it is over: on a real Redis, by its clock."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

from bridge.edges.store.connection import milliseconds
from bridge.edges.store.storms import StoredStorms
from bridge.model.incident import Entry, Outcome
from bridge.model.policy import BreakerPolicy, StormLimit
from bridge.model.storm import Storm
from tests.integration.desk import Desk, alert

LIMIT = StormLimit(incidents=4, per_seconds=60.0)
END = Entry(event="closed", fields={})


async def strike(desk: Desk, *numbers: int, limit: StormLimit = LIMIT) -> list[str]:
    """One webhook with an alert about each of these containers."""
    desk.acceptor.storm = limit
    taken = await desk.take(*(alert(f"c{n}", fingerprint=f"f{n}") for n in numbers))
    return list(taken.incidents)


async def storm_now(desk: Desk) -> Storm | None:
    """The storm that is on."""
    return await StoredStorms(desk.store).now()


async def told(desk: Desk) -> list[dict[str, object]]:
    """What the stream of events tells about storms."""
    entries = await desk.store.command("XRANGE", "{hemostat}:events", "-", "+")
    lines = [json.loads(fields["entry"]) for _, fields in entries]
    return [line for line in lines if str(line["event"]).startswith("storm_")]


async def close(desk: Desk, incident_id: str, outcome: Outcome) -> None:
    """Close an incident."""
    held = await desk.claim(incident_id)
    now = await desk.journal.now()
    closed = held.incident.closing(outcome, "for the test", now=now, reconsider_at=now)
    await desk.journal.close(replace(held, incident=closed), END, healed=None, breaker=BreakerPolicy())


async def backdate(desk: Desk, seconds: float) -> None:
    """The same as waiting so long: every incident was opened, and the storm lasts, so much earlier."""
    index, key = "{hemostat}:incidents", "{hemostat}:storm"
    for incident_id in await desk.store.command("ZRANGE", index, 0, -1):
        await desk.store.command("ZINCRBY", index, -1000 * seconds, incident_id)
    if await desk.store.command("EXISTS", key):
        for field in ("since", "until"):
            await desk.store.command("HINCRBY", key, field, round(-1000 * seconds))


async def test_as_many_incidents_as_allowed_are_no_storm_and_one_more_is(desk: Desk) -> None:
    """Its incidents are all of the window, those before it was noticed included."""
    await strike(desk, 1, 2, 3, 4)
    assert await storm_now(desk) is None
    before = await desk.journal.now() - timedelta(seconds=5)
    await strike(desk, 5)
    storm = await storm_now(desk)
    assert storm is not None
    assert (storm.incidents, storm.scope) == (5, "fleet")
    assert before < storm.since <= await desk.journal.now()


async def test_incidents_further_apart_than_the_window_are_no_storm(desk: Desk) -> None:
    """It is a rate, not a number of open incidents."""
    await strike(desk, 1, 2, 3, 4)
    await backdate(desk, 61)
    await strike(desk, 5, 6, 7, 8)
    assert await storm_now(desk) is None


async def test_alerts_that_join_make_no_storm(desk: Desk) -> None:
    """A thousand alerts about one container are one incident."""
    desk.acceptor.storm = LIMIT
    await desk.take(*(alert("web", fingerprint=f"f{n}") for n in range(50)))
    assert await storm_now(desk) is None


async def test_a_storm_is_told_once_however_many_incidents_it_has(desk: Desk) -> None:
    """One event at its beginning; every later incident is only counted."""
    for first in range(0, 60, 20):
        await strike(desk, *range(first, first + 20))
    storm = await storm_now(desk)
    assert storm is not None
    assert storm.incidents == 60
    assert [line["event"] for line in await told(desk)] == ["storm_began"]


async def test_a_storm_counts_how_its_incidents_ended(desk: Desk) -> None:
    """Those that ended before it was noticed included; an incident of before it is none of its."""
    (earlier,) = await strike(desk, 0)
    await backdate(desk, 120)
    await desk.store.command("HINCRBY", f"{{hemostat}}:incident:{earlier}", "opened", -120_000)
    first, *_ = await strike(desk, 1, 2, 3, 4)
    await close(desk, first, Outcome.HEALED)
    (last,) = await strike(desk, 5)
    await close(desk, last, Outcome.REFUSED)
    await close(desk, earlier, Outcome.REFUSED)
    storm = await storm_now(desk)
    assert storm is not None
    assert (storm.incidents, storm.outcomes) == (5, {Outcome.HEALED: 1, Outcome.REFUSED: 1})


async def test_a_storm_ends_after_a_window_with_fewer_than_half(desk: Desk) -> None:
    """Leaving takes longer than entering: the newest half must leave the window, and then it must stay quiet as long."""
    await strike(desk, *range(10))
    storm = await storm_now(desk)
    assert storm is not None
    left = storm.until - await desk.journal.now()
    assert timedelta(seconds=110) < left <= timedelta(seconds=120)
    await backdate(desk, 100)
    await strike(desk, 90)  # one more is fewer than half
    assert await storm_now(desk) is not None
    await backdate(desk, 21)
    assert await storm_now(desk) is None


async def test_a_storm_goes_on_while_half_as_many_still_open(desk: Desk) -> None:
    """What would not begin one keeps it alive."""
    await strike(desk, *range(10))
    await backdate(desk, 110)
    await strike(desk, 90, 91)
    storm = await storm_now(desk)
    assert storm is not None
    assert (storm.incidents, storm.until > await desk.journal.now() + timedelta(seconds=110)) == (12, True)


async def test_the_end_of_a_storm_is_told_once_with_its_counts(desk: Desk) -> None:
    """Whichever replica looks first tells it."""
    storms = StoredStorms(desk.store)
    assert not await storms.settle()
    first, *_ = await strike(desk, *range(10))
    await close(desk, first, Outcome.REFUSED)
    assert not await storms.settle()
    await backdate(desk, 121)
    ended_storm = await storms.settle()
    assert ended_storm is not None
    assert (ended_storm.incidents, ended_storm.outcomes) == (10, {Outcome.REFUSED: 1})
    assert await storms.settle() is None
    _, ended = await told(desk)
    fields = ended["fields"]
    assert isinstance(fields, dict)
    assert (ended["event"], fields["incidents"], fields["closed:refused"]) == ("storm_ended", "10", "1")


async def test_a_storm_after_a_storm_is_another_one(desk: Desk) -> None:
    """Nobody need have looked in between."""
    await strike(desk, *range(10))
    await backdate(desk, 121)
    await strike(desk, *range(20, 30))
    storm = await storm_now(desk)
    assert storm is not None
    assert storm.incidents == 10
    assert [line["event"] for line in await told(desk)] == ["storm_began", "storm_ended", "storm_began"]
    assert milliseconds(storm.since) > milliseconds(await desk.journal.now()) - 60_000


async def test_a_limit_that_is_raised_during_a_storm_refuses_no_alert(desk: Desk) -> None:
    """The script then asks for an incident that there is not; the storm ends when it would have."""
    await strike(desk, *range(10))
    before = await storm_now(desk)
    await strike(desk, 90, limit=replace(LIMIT, incidents=1000))
    after = await storm_now(desk)
    assert before is not None
    assert after is not None
    assert (after.incidents, after.until) == (11, before.until)
