"""Telling sinks, on a real Redis: nothing is lost, nothing told twice at once, one sink's trouble is no other's."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from bridge import delivery, errors
from bridge.edges.store import backlog as stored
from bridge.edges.store.backlog import StoredBacklog
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.metrics import Metrics
from bridge.model.channel import Channel
from bridge.model.incident import Entry, Outcome
from bridge.model.policy import BreakerPolicy
from bridge.redaction import Redactor
from bridge.roles import Held
from bridge.sinks import Delivery, Pace
from tests.in_memory_sink import InMemorySink
from tests.integration.desk import START, Desk, alert, as_judged
from tests.waiting import until, until_true

LEASE_SECONDS = 2.0
"""A machine that is busy with something else may let nobody beat for a second."""


@dataclass
class Office:
    """Sinks with their backlog, and incidents that move."""

    desk: Desk
    store: Store
    backlog: StoredBacklog
    metrics: Metrics

    @contextlib.asynccontextmanager
    async def telling(self, *sinks: InMemorySink) -> AsyncIterator[None]:
        """A process that tells these."""
        await self.backlog.register(sinks, retire=False)
        task = asyncio.create_task(
            delivery.tell(
                sinks,
                backlog=self.backlog,
                metrics=self.metrics,
                redactor=Redactor,
                lease_seconds=LEASE_SECONDS,
            )
        )
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def moved(self, held: Held, *events: str) -> Held:
        """An incident moves, once for each event."""
        for event in events:
            held = await self.desk.journal.save(held, Entry(event=event, fields={}))
        return held

    async def closed(self, held: Held) -> Held:
        """An incident ends."""
        closing = as_judged(held).incident.closing(
            Outcome.ESCALATED, "a person must look", now=START, reconsider_at=START
        )
        return await self.desk.journal.close(
            replace(held, incident=closing),
            Entry(event="closed", fields={}),
            healed=None,
            breaker=BreakerPolicy(),
        )

    def count(self, channel: Channel, result: str) -> float:
        """``hemostat_deliveries_total``."""
        value = self.metrics.registry.get_sample_value(
            "hemostat_deliveries_total", {"channel": channel.value, "result": result}
        )
        assert value is not None
        return value

    async def back_at_once(self, channel: Channel = Channel.SLACK) -> None:
        """The pause of a sink that is held back is over."""
        await self.store.command("HSET", f"{{hemostat}}:sink:{channel.value}", "held_until", 0)


@pytest.fixture
def office(desk: Desk, store: Store, journal: StoredJournal) -> Office:
    """No sink is configured yet."""
    return Office(desk, store, StoredBacklog(store, journal, lease_seconds=LEASE_SECONDS), Metrics())


async def test_without_a_sink_nothing_is_kept_for_one(office: Office) -> None:
    """Who configures none pays for none."""
    await office.moved(await office.desk.judged(), "judged")
    keys = await office.store.command("KEYS", "*")
    assert not [name for name in keys if "due:" in name or "sink" in name]


async def test_an_incident_is_on_the_backlog_from_the_step_that_opens_it(office: Office) -> None:
    """By the script itself: a process that dies right after it loses nothing."""
    await office.backlog.register([InMemorySink(), InMemorySink(Channel.GRAFANA)], retire=False)
    await office.desk.incident_for(alert("web"))
    assert await office.backlog.depth() == {"slack": 1, "grafana": 1}


async def test_a_second_alert_that_joins_is_news(office: Office) -> None:
    """A message says which alerts an incident is about."""
    sink = InMemorySink()
    await office.backlog.register([sink], retire=False)
    await office.desk.incident_for(alert("web"))
    (due,) = (await office.backlog.claim(sink, at_most=1)).due
    await office.backlog.settled(due, Delivery(sent=True))
    await office.desk.incident_for(alert("web", fingerprint="bb"))
    assert await office.backlog.depth() == {"slack": 1}


async def test_every_line_of_a_story_is_told_once_and_in_order(office: Office) -> None:
    """However the moves fall together."""
    sink = InMemorySink()
    async with office.telling(sink):
        held = await office.desk.judged()
        events = [f"e{n}" for n in range(20)]
        for event in events:
            held = await office.moved(held, event)
        await until_true(lambda: sink.lines(held.incident.id) == ["opened", *events])
        await until_true(lambda: office.count(Channel.SLACK, "delivered") == len(sink.told))


async def test_ten_moves_while_a_sink_is_away_become_one_delivery(office: Office) -> None:
    """An entry is an incident, not a message."""
    sink = InMemorySink()
    await office.backlog.register([sink], retire=False)
    held = await office.moved(await office.desk.judged(), *"abcdefghij")
    async with office.telling(sink):
        await until_true(lambda: len(sink.told) > 0)
    assert sink.told == [(held.incident.id, ["opened", *"abcdefghij"])]


async def test_an_incident_of_another_version_is_left_to_a_process_that_can_read_it(office: Office) -> None:
    """A half of it would be told wrongly; the others are told."""
    sink = InMemorySink()
    await office.backlog.register([sink], retire=False)
    theirs, ours = (
        await office.desk.take(alert("a", fingerprint="a"), alert("b", fingerprint="b"))
    ).incidents
    await office.store.command("HSET", f"{{hemostat}}:incident:{theirs}", "doc", "{}")
    soon = (await office.desk.journal.now()).timestamp() * 1000 + delivery.UNREADABLE_SECONDS * 1000 / 2

    async def left() -> bool:
        due = await office.store.command("ZSCORE", "{hemostat}:due:slack", theirs)
        return due is not None and float(due) > soon

    async with office.telling(sink):
        await until_true(lambda: sink.lines(ours) == ["opened"])
        await until(left)
    assert sink.lines(theirs) == []
    assert office.count(Channel.SLACK, "failed") == 0


async def test_a_move_during_a_delivery_is_told_after_it_and_never_beside_it(office: Office) -> None:
    """One incident is never told twice at the same time."""
    sink = InMemorySink()
    sink.gate.clear()
    async with office.telling(sink):
        held = await office.desk.judged()
        await until_true(lambda: sink.calls == 1)
        await office.moved(held, "judged")
        (other,) = (await office.desk.take(alert("db", fingerprint="db"))).incidents
        await until_true(
            lambda: sink.calls == 2
        )  # the other incident's, though this one has been due for longer
        sink.gate.set()
        await until_true(lambda: "judged" in sink.lines(held.incident.id))
    assert sink.lines(held.incident.id) == ["opened", "judged"]
    assert sink.lines(other) == ["opened"]


async def test_what_a_dead_process_was_telling_is_told_by_another(office: Office) -> None:
    """After its lease; what the dead one still writes is refused."""
    sink = InMemorySink()
    await office.backlog.register([sink], retire=False)
    incident_id = await office.desk.incident_for(alert("web"))
    (due,) = (await office.backlog.claim(sink, at_most=1)).due
    found = await office.backlog.read(due)
    assert found is not None
    async with office.telling(sink):
        await until_true(lambda: sink.lines(incident_id) == ["opened"])
        with pytest.raises(errors.ClaimLost):
            await found[1].write({"ts": "1"})
        with pytest.raises(errors.ClaimLost):
            await office.backlog.settled(due, Delivery(sent=True))


async def test_a_slow_delivery_keeps_its_lease(office: Office) -> None:
    """A sink may take longer than a lease."""
    sink = InMemorySink()
    sink.gate.clear()
    async with office.telling(sink):
        incident_id = await office.desk.incident_for(alert("web"))
        await until_true(lambda: sink.calls == 1)
        await asyncio.sleep(2 * LEASE_SECONDS)
        sink.gate.set()
        await until_true(lambda: len(sink.told) == 1)
    assert (sink.calls, sink.lines(incident_id)) == (1, ["opened"])


async def test_a_sink_that_is_away_keeps_everything_and_delays_no_other(office: Office) -> None:
    """One try for all of it at each pause, then everything, each incident once."""
    away, well = InMemorySink(pace=Pace(gather_seconds=0)), InMemorySink(Channel.GRAFANA)
    away.failures.append(errors.RateLimited("slack", "no answer", 30))
    async with office.telling(away, well):
        for n in range(5):
            await office.desk.incident_for(alert(f"web{n}", fingerprint=f"{n}"))
        await until_true(lambda: len(well.told) == 5 and office.count(Channel.SLACK, "failed") == 1)
        assert away.calls == 1
        (state,) = [s for s in await office.backlog.state() if s.channel == "slack"]
        assert (state.held_why, state.waiting + state.under_way) == ("slack: no answer", 5)
        await office.back_at_once()
        await until_true(lambda: len(away.told) == 5)
    assert sorted(lines for _, lines in away.told) == [["opened"]] * 5
    assert office.count(Channel.SLACK, "failed") == 1


async def test_a_sink_says_itself_when_it_wants_to_be_asked_again(office: Office) -> None:
    """``Retry-After``, up to five minutes: a mistaken hour must not become our silence."""
    sink = InMemorySink()
    await office.backlog.register([sink], retire=False)
    await office.desk.incident_for(alert("web"))
    for asked, kept in ((30.0, 30.0), (3600.0, stored.LONGEST_RETRY_AFTER_SECONDS)):
        (due,) = (await office.backlog.claim(sink, at_most=1)).due
        await office.backlog.held(due, "429", rejected=False, retry_after_seconds=asked)
        taken = await office.backlog.claim(sink, at_most=1)
        assert taken.due == ()
        assert taken.next_seconds == pytest.approx(kept, abs=1)
        await office.back_at_once()


async def test_pauses_grow_while_a_sink_stays_away(office: Office) -> None:
    """Doubled each time, from a second on; back to one after a success."""
    sink = InMemorySink()
    await office.backlog.register([sink], retire=False)
    await office.desk.incident_for(alert("web"))
    pauses = []
    for _ in range(8):
        (due,) = (await office.backlog.claim(sink, at_most=1)).due
        await office.backlog.held(due, "away", rejected=False, retry_after_seconds=None)
        pauses.append(math.ceil((await office.backlog.claim(sink, at_most=1)).next_seconds or 0))
        await office.back_at_once()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


async def test_a_sink_that_says_no_is_held_back_as_a_whole_until_an_operator_mends_it(office: Office) -> None:
    """A revoked token is no message's fault: none is given up for it."""
    sink = InMemorySink()
    sink.failures.append(errors.EdgeRejected("slack", "invalid_auth", 401))
    async with office.telling(sink):
        incident_id = await office.desk.incident_for(alert("web"))
        await until_true(lambda: sink.calls == 1)
        await until_true(lambda: office.count(Channel.SLACK, "failed") == 1)
        (state,) = await office.backlog.state()
        assert (state.held_why, state.dead, state.held_since is not None) == ("slack: invalid_auth", 0, True)
        assert await office.backlog.retry(Channel.SLACK) == 0
        await until_true(lambda: sink.lines(incident_id) == ["opened"])
        await until_true(lambda: office.count(Channel.SLACK, "delivered") == 1)
        (state,) = await office.backlog.state()
        assert (state.held_why, state.held_since) == ("", None)


async def test_a_message_of_its_own_fault_is_given_up_and_no_other_is(office: Office) -> None:
    """Visible, tried anew when the incident moves, and when an operator says so."""
    sink = InMemorySink()
    await office.backlog.register([sink], retire=False)
    held = await office.desk.judged()
    incident_id = held.incident.id
    for tries in range(1, stored.REFUSED_TRIES + 1):
        (due,) = (await office.backlog.claim(sink, at_most=1)).due
        assert await office.backlog.refused(due, "invalid_blocks") is (tries == stored.REFUSED_TRIES)
        await office.store.command("ZADD", "{hemostat}:due:slack", "XX", 0, incident_id)
    (state,) = await office.backlog.state()
    assert [(one.incident_id, one.tries, one.error) for one in state.given_up] == [
        (incident_id, stored.REFUSED_TRIES, "invalid_blocks")
    ]
    assert (await office.backlog.claim(sink, at_most=1)).due == ()
    other = await office.desk.incident_for(alert("db", fingerprint="db"))
    assert [due.incident_id for due in (await office.backlog.claim(sink, at_most=9)).due] == [other]
    assert await office.backlog.retry(Channel.SLACK) == 1
    (due,) = (await office.backlog.claim(sink, at_most=9)).due
    await office.backlog.settled(due, Delivery(sent=True))
    (state,) = await office.backlog.state()
    assert state.dead == 0


async def test_a_message_is_blamed_for_an_outage_only_if_others_get_through(office: Office) -> None:
    """One that makes the sink answer 500 each time must not stop the others for ever, nor an outage kill messages."""
    sink = InMemorySink()
    await office.backlog.register([sink], retire=False)
    await office.desk.incident_for(alert("web"))

    async def fails() -> None:
        await office.store.command("ZADD", "{hemostat}:due:slack", "XX", 0, due.incident_id)
        (again,) = (await office.backlog.claim(sink, at_most=1)).due
        await office.backlog.held(again, "500", rejected=False, retry_after_seconds=0)

    async def tries() -> int:
        return int(
            await office.store.command("HGET", f"{{hemostat}}:incident:{due.incident_id}:told", "slack:tries")
        )

    (due,) = (await office.backlog.claim(sink, at_most=1)).due
    await office.backlog.held(due, "500", rejected=False, retry_after_seconds=0)
    await fails()
    await fails()
    assert await tries() == 0
    await office.store.command("HSET", "{hemostat}:sink:slack", "worked_at", 99999999999999)
    await fails()
    assert await tries() == 1


async def test_a_bug_in_a_sink_ends_neither_the_others_nor_the_telling(office: Office) -> None:
    """Counted, kept, tried again."""
    buggy, well = InMemorySink(), InMemorySink(Channel.GRAFANA)
    buggy.failures.append(ZeroDivisionError())
    async with office.telling(buggy, well):
        incident_id = await office.desk.incident_for(alert("web"))
        await until_true(lambda: len(well.told) == 1 and len(buggy.told) == 1)
        await until_true(lambda: office.count(Channel.SLACK, "failed") > 0)
    assert buggy.lines(incident_id) == ["opened"]
    assert office.count(Channel.SLACK, "failed") == 1


async def test_a_sink_may_ask_to_look_again(office: Office) -> None:
    """Without a move; a move comes first if there is one."""
    sink = InMemorySink()
    sink.again.extend([0.05, 600])
    async with office.telling(sink):
        held = await office.desk.judged()
        await until_true(lambda: sink.calls == 2)
        await office.moved(held, "judged")
        await until_true(lambda: sink.lines(held.incident.id) == ["opened", "judged"])


async def test_the_pace_of_a_sink_holds_over_all_processes(office: Office) -> None:
    """A burst, then so many a second, counted in Redis."""
    sink = InMemorySink(pace=Pace(per_second=0.05, burst=3, gather_seconds=0))
    await office.backlog.register([sink], retire=False)
    for n in range(6):
        await office.desk.incident_for(alert(f"web{n}", fingerprint=f"{n}"))
    taken = await office.backlog.claim(sink, at_most=10)
    assert len(taken.due) == 3
    again = await StoredBacklog(office.store, office.desk.journal).claim(sink, at_most=10)
    assert again.due == ()
    assert again.next_seconds == pytest.approx(20, abs=5)


async def test_news_is_gathered_for_a_moment(office: Office) -> None:
    """Not later than the first of it is due."""
    sink = InMemorySink(pace=Pace(gather_seconds=60))
    await office.backlog.register([sink], retire=False)
    held = await office.desk.judged()
    first = (await office.backlog.claim(sink, at_most=1)).next_seconds
    await office.moved(held, "judged")
    second = (await office.backlog.claim(sink, at_most=1)).next_seconds
    assert first is not None
    assert second is not None
    assert second <= first <= 60


async def test_what_was_told_is_forgotten_with_its_incident(office: Office) -> None:
    """And an incident that is forgotten while it waits is told to nobody."""
    sink = InMemorySink()
    async with office.telling(sink):
        held = await office.closed(await office.desk.judged())
        await until_true(lambda: "closed" in sink.lines(held.incident.id))
        # Where "closed" came while "opened" was told, there is one more that finds nothing new to tell.
        await until(office.backlog.depth, lambda depth: depth == {"slack": 0})
        await office.store.command("ZADD", "{hemostat}:due:slack", 99999999999999, held.incident.id)
        assert await office.desk.journal.prune(older_than=timedelta(days=-1)) == 1
    keys = await office.store.command("KEYS", "*")
    assert not [name for name in keys if held.incident.id in name]
    assert await office.backlog.depth() == {"slack": 0}


async def test_a_sink_that_nobody_has_configured_for_long_is_forgotten(office: Office) -> None:
    """Else its backlog would grow for ever."""
    await office.backlog.register([InMemorySink(), InMemorySink(Channel.GRAFANA)], retire=False)
    await office.desk.incident_for(alert("web"))
    await office.store.command("HSET", "{hemostat}:sink:grafana", "seen", 1)
    await office.backlog.register([InMemorySink()], retire=True)
    assert await office.backlog.depth() == {"slack": 1}
    assert await office.store.command("EXISTS", "{hemostat}:due:grafana") == 0


async def test_a_retry_of_a_sink_that_is_not_configured_says_so(office: Office) -> None:
    """Rather than "0 retried"."""
    assert await office.backlog.retry(Channel.SLACK) is None
