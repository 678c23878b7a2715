"""Claims, writes and reads of incidents on a real Redis."""

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge import errors
from bridge.edges.store.connection import key
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.queue import StoredQueue
from bridge.model.evidence import Changed, ContainerFacts
from bridge.model.incident import Entry, IncidentQuery, Outcome, Repair, State, Target
from bridge.model.policy import BreakerPolicy
from bridge.model.verdict import Action
from bridge.roles import Held, HeldElsewhere, Turn
from tests.integration.desk import LEASE_SECONDS, Desk, alert
from tests.unit.triage.builders import ID, running
from tests.waiting import until

NOTE = Entry(event="noted", fields={"why": "a test"})


async def test_an_incident_has_one_holder(desk: Desk) -> None:
    """A second worker is told when the lease ends."""
    incident_id = await desk.incident_for(alert())
    await desk.claim(incident_id)
    answer = await desk.journal.claim(incident_id, "somebody else")
    assert isinstance(answer, HeldElsewhere)
    assert 0 < answer.seconds <= LEASE_SECONDS


async def test_a_claim_whose_answer_was_lost_is_the_same_claim(desk: Desk) -> None:
    """The owner is unique per call: the repetition is recognised."""
    incident_id = await desk.incident_for(alert())
    one, two = [await desk.journal.claim(incident_id, "me/1") for _ in range(2)]
    assert one == two


async def test_after_a_takeover_the_old_holder_can_write_nothing(desk: Desk) -> None:
    """The claim's number fences every write, whatever the old holder still believes."""
    old = await desk.judged()
    await desk.store.command("HSET", f"{{hemostat}}:incident:{old.incident.id}", "lease", 0)
    new = await desk.claim(old.incident.id)
    assert new.claim > old.claim
    with pytest.raises(errors.ClaimLost):
        await desk.journal.save(old, NOTE)
    assert await desk.journal.beat([old, new]) == {old.claim}


async def test_what_was_saved_is_what_is_read(desk: Desk) -> None:
    """The whole value survives, evidence and decision included, and the story has a line more."""
    held = await desk.judged()
    await desk.journal.save(held, NOTE)
    record = await desk.journal.read(held.incident.id)
    assert record is not None
    assert record.incident == held.incident
    assert [(entry.event, entry.fields) for entry in record.timeline][-1] == ("noted", {"why": "a test"})


async def test_a_grant_is_read_back_as_reserved(desk: Desk) -> None:
    """Grant and state are one write: a worker that dies right after it leaves the token to its successor."""
    held = await desk.judged()
    await desk.journal.save(held, NOTE)
    granted = await desk.acquire(held)
    record = await desk.journal.read(held.incident.id)
    assert record is not None
    assert (record.incident.state, record.incident.token) == (State.RESERVED, granted.token)  # type: ignore[union-attr]


async def closed(desk: Desk, name: str, outcome: Outcome = Outcome.HEALED) -> str:
    """A closed incident about this container."""
    held = await desk.judged(name)
    now = await desk.journal.now()
    repair = Repair(action=Action.RESTART, container_id=ID, at=now)
    incident = replace(held.incident, repair=repair).closing(outcome, "done", now=now, reconsider_at=now)
    end = Entry(event="closed", fields={})
    await desk.journal.close(replace(held, incident=incident), end, healed=None, breaker=BreakerPolicy())
    return held.incident.id


async def test_the_end_of_a_watch_leaves_the_next_incident_of_its_subject_open(desk: Desk) -> None:
    """Healed and watched, and an alert came again meanwhile: later ones join that one, and open no third beside it."""
    first = await closed(desk, "web")
    second = await desk.incident_for(alert("web", fingerprint="again"))
    await desk.store.command("HSET", f"{{hemostat}}:incident:{first}", "lease", 0)
    held = await desk.claim(first)
    relapsed = replace(held, incident=held.incident.relapsed("again", now=await desk.journal.now()))
    await desk.journal.close(
        relapsed, Entry(event="relapsed", fields={}), healed=False, breaker=BreakerPolicy()
    )
    assert await desk.incident_for(alert("web", fingerprint="third")) == second


async def test_an_end_of_an_alert_is_no_joining(desk: Desk) -> None:
    """Whoever closes the incident has nothing more to look at."""
    held = await desk.judged("web")
    await desk.take(alert("web", fingerprint="web", ended=60))
    now = await desk.journal.now()
    incident = held.incident.closing(Outcome.ESCALATED, "done", now=now, reconsider_at=now)
    end = Entry(event="closed", fields={})
    await desk.journal.close(replace(held, incident=incident), end, healed=None, breaker=BreakerPolicy())
    assert (await desk.journal.load(held)).incident.closed


async def test_of_a_targets_repairs_the_newest_fifty_are_kept(desk: Desk) -> None:
    """A target that is repaired for years."""
    repairs = "{hemostat}:repairs:local/web"
    await desk.store.command("RPUSH", repairs, *(f"old-{n}" for n in range(60)))
    newest = await closed(desk, "web")
    kept = await desk.store.command("LRANGE", repairs, 0, -1)
    assert kept == [newest, *(f"old-{n}" for n in range(49))]


async def test_incidents_are_listed_newest_first_page_by_page(desk: Desk) -> None:
    """Every incident once, whatever the page size."""
    opened = [await desk.incident_for(alert(f"c{n}", fingerprint=f"p{n}")) for n in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page, cursor = await desk.journal.newest(IncidentQuery(limit=3, cursor=cursor))
        seen += [incident.id for incident in page]
        if cursor is None:
            break
    assert sorted(seen) == sorted(opened)


async def test_incidents_are_found_by_state_outcome_and_target(desk: Desk) -> None:
    """By name or by host and name."""
    healed = await closed(desk, "web")
    failed = await closed(desk, "db", Outcome.FAILED)
    waiting = await desk.incident_for(alert("new", fingerprint="n"))
    ids = {
        key: [incident.id for incident in (await desk.journal.newest(query))[0]]
        for key, query in {
            "healed": IncidentQuery(outcome=Outcome.HEALED),
            "open": IncidentQuery(state=State.OPEN),
            "name": IncidentQuery(target="db"),
            "host": IncidentQuery(target="local/web"),
            "subject": IncidentQuery(target="new"),
        }.items()
    }
    assert ids == {
        "healed": [healed],
        "open": [waiting],
        "name": [failed],
        "host": [healed],
        "subject": [waiting],
    }


async def test_what_the_alerts_of_an_incident_are_called_is_known_before_anybody_judged_it(
    desk: Desk,
) -> None:
    """Each name once, whether it still fires or not; an alert of another version's is passed over."""
    incident_id = await desk.incident_for(alert("web", fingerprint="one"))
    await desk.take(alert("web", fingerprint="two"))
    await desk.store.command("HSET", key(f"incident:{incident_id}:alerts"), "three", "F?")
    name = alert("web").name
    assert await desk.journal.alert_names([incident_id, "unknown"]) == {incident_id: (name,), "unknown": ()}
    assert await desk.journal.alert_names([]) == {}


async def test_a_cursor_that_is_not_ours_is_refused(desk: Desk) -> None:
    """It comes from outside."""
    with pytest.raises(ValueError, match="cursor"):
        await desk.journal.newest(IncidentQuery(cursor="* *"))


async def test_past_repairs_tell_the_present_outcome(desk: Desk) -> None:
    """A repair that relapsed later is remembered as relapsed: the incident is the only record."""
    incident_id = await closed(desk, "web")
    await desk.store.command("HSET", f"{{hemostat}}:incident:{incident_id}", "lease", 0)
    held = await desk.claim(incident_id)
    relapsed = replace(held, incident=held.incident.relapsed("again", now=await desk.journal.now()))
    entry = Entry(event="relapsed", fields={})
    await desk.journal.close(relapsed, entry, healed=False, breaker=BreakerPolicy())
    (past,) = await desk.journal.past_repairs(Target(host="local", name="web"))
    assert (past.outcome, past.action) == ("relapsed", "restart")


async def test_a_container_that_took_over_a_name_is_known_as_new(desk: Desk) -> None:
    """A deploy is seen by the change of the container behind the name."""
    target = Target(host="local", name="web")
    assert await desk.journal.replaced_at(target, running()) is None
    await desk.journal.saw_container(target, running())
    assert await desk.journal.replaced_at(target, running()) is None
    assert await desk.journal.replaced_at(target, running(id="new")) is not None
    await desk.journal.saw_container(target, running(id="new"))
    assert await desk.journal.replaced_at(target, running(id="new")) is not None


async def test_old_closed_incidents_are_forgotten_and_open_ones_never(desk: Desk) -> None:
    """Retention counts from the end."""
    old = await closed(desk, "old")
    kept = await desk.incident_for(alert("kept", fingerprint="k"))
    assert await until(lambda: desk.journal.prune(older_than=timedelta(0))) == 1
    assert await desk.journal.read(old) is None
    assert await desk.journal.read(kept) is not None


async def test_a_turn_given_back_with_a_delay_comes_again_and_frees_the_claim(desk: Desk) -> None:
    """One step: whoever takes it next finds the incident free."""
    incident_id = await desk.incident_for(alert())
    queue = StoredQueue(desk.store, consumer="one", lease_seconds=1)
    await queue.open()
    (turn,) = await queue.read(5)
    held = await desk.claim(incident_id)
    await queue.later(turn, claim=held.claim, seconds=0)
    assert await queue.due() is None
    (again,) = await queue.read(5)
    assert again.incident_id == incident_id
    await desk.claim(incident_id)
    assert await queue.depth() == {"work": 1, "later": 0}


async def test_a_second_turn_of_an_incident_does_not_put_its_look_off(desk: Desk) -> None:
    """A call that ran twice, or a slow worker, makes two turns of one; the earlier time counts."""
    incident_id = await desk.incident_for(alert())
    queue = StoredQueue(desk.store, consumer="one", lease_seconds=1)
    await queue.open()
    (turn,) = await queue.read(5)
    await queue.later(turn, claim=None, seconds=0)
    await queue.later(turn, claim=None, seconds=60)
    await queue.due()
    assert [again.incident_id for again in await queue.read(5)] == [incident_id]


async def test_workers_that_are_gone_are_forgotten_unless_they_hold_something(desk: Desk) -> None:
    """Each start of a process has a name of its own; whoever holds a turn, or has just asked for one, is not gone."""
    await desk.take(alert("one", fingerprint="1"), alert("two", fingerprint="2"))
    gone, holds = (StoredQueue(desk.store, consumer=name, lease_seconds=60) for name in ("gone", "holds"))
    await gone.open()
    (turn,) = await gone.read(1)
    assert len(await holds.read(1)) == 1
    await gone.done(turn, claim=None)
    assert await holds.forget_workers(idle_seconds=60) == 0
    await until(lambda: holds.forget_workers(idle_seconds=0.1))
    left = str(await desk.store.command("XINFO", "CONSUMERS", "{hemostat}:work", "workers"))
    assert "'holds'" in left
    assert "'gone'" not in left


async def test_a_lease_that_ran_out_is_none_though_nobody_took_over(desk: Desk) -> None:
    """Somebody may at any moment; until then the timer of a paused process counts on it, too."""
    brief = StoredJournal(desk.store, lease_seconds=0.05)
    held = await brief.claim(await desk.incident_for(alert()), "one")
    assert isinstance(held, Held)
    lease = float(await desk.store.command("HGET", f"{{hemostat}}:incident:{held.incident.id}", "lease"))
    await until(desk.journal.now, lambda now: now.timestamp() * 1000 > lease)
    assert await brief.beat([held]) == {held.claim}
    with pytest.raises(errors.ClaimLost):
        await brief.save(held, Entry(event="late", fields={}))


async def test_the_holders_that_did_not_give_it_back_are_counted_until_one_does(desk: Desk) -> None:
    """A call that is repeated is one claim, and dies once."""
    incident_id = await desk.incident_for(alert())
    queue = StoredQueue(desk.store, consumer="one", lease_seconds=1)
    await queue.open()
    [turn] = await queue.read(1)

    async def claim(owner: str) -> int:
        held = await desk.journal.claim(incident_id, owner)
        assert isinstance(held, Held)
        return held.deaths

    async def dies() -> None:
        await desk.store.command("HSET", f"{{hemostat}}:incident:{incident_id}", "lease", 1)

    assert await claim("a") == 0
    await dies()
    assert [await claim("b"), await claim("b")] == [1, 1]
    await dies()
    assert await claim("c") == 2
    number = int(await desk.store.command("HGET", f"{{hemostat}}:incident:{incident_id}", "claim"))
    await queue.later(turn, claim=number, seconds=0)
    assert await claim("d") == 0


async def test_a_silent_workers_turn_is_taken_over_and_a_beating_ones_is_not(desk: Desk) -> None:
    """The lease decides, and only as many are taken as there are free slots."""
    await desk.take(*(alert(f"c{n}", fingerprint=f"s{n}") for n in range(3)))
    dead = StoredQueue(desk.store, consumer="dead", lease_seconds=0.2)
    await dead.open()
    turns = await dead.read(3)
    heir = StoredQueue(desk.store, consumer="heir", lease_seconds=0.2)
    assert await heir.sweep(5) == []
    taken: list[Turn] = []
    async with asyncio.timeout(5):
        while len(taken) < 2:
            await dead.beat(turns[:1])
            taken += await heir.sweep(1)
    assert {turn.id for turn in taken} == {turn.id for turn in turns[1:]}


async def test_a_journal_with_nothing_in_it_answers(journal: StoredJournal) -> None:
    """An empty store is a normal state."""
    assert await journal.newest(IncidentQuery()) == ([], None)
    assert await journal.read("nothing") is None
    assert await journal.open_count() == 0
    assert await journal.known_targets() == []


async def test_a_cancellation_is_never_lost(desk: Desk) -> None:
    """Python 3.11 can lose one that meets the end of a wait; a worker that went on reading could not be stopped."""

    async def talk() -> None:
        while True:
            await desk.store.command("PING")

    draw = random.Random(20261120)
    for _ in range(100):
        task = asyncio.create_task(talk())
        for _ in range(draw.randrange(5, 60)):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        assert done


def of_compose(config: str, *, made_ago: float = 0.0, **changes: Any) -> ContainerFacts:
    """A container as Compose made it so many seconds ago."""
    labels = {"com.docker.compose.config-hash": config}
    return running(labels=labels, created_at=datetime.now(UTC) - timedelta(seconds=made_ago), **changes)


async def test_what_became_another_is_told_with_the_age_of_the_container_that_brought_it(desk: Desk) -> None:
    """Nothing is known to have changed at the first look, nor while nothing does."""
    target, journal = Target(host="local", name="web"), desk.journal
    first = of_compose("a1")
    assert await journal.changes(target, first) == []
    await journal.saw_container(target, first)
    assert await journal.changes(target, first) == []

    deployed = of_compose("b2", made_ago=300.0, id="new", image_id="sha256:2")
    for _ in range(2):  # noticed, and remembered
        changes = await journal.changes(target, deployed)
        assert [(change.id, change.kind) for change in changes] == [
            ("C1", Changed.IMAGE),
            ("C2", Changed.CONFIG),
            ("C3", Changed.CONTAINER),
        ]
        assert {change.at for change in changes} == {deployed.created_at}
        await journal.saw_container(target, deployed)

    moved = of_compose("b2", id="newer", image_id="sha256:2")
    await journal.saw_container(target, moved)
    told = {change.kind: change.at for change in await journal.changes(target, moved)}
    assert told[Changed.CONTAINER] > told[Changed.IMAGE]


async def test_a_deploy_of_the_day_before_yesterday_is_no_news(desk: Desk) -> None:
    """However late HemoStat hears of it."""
    target = Target(host="local", name="web")
    await desk.journal.saw_container(target, of_compose("a1"))
    assert await desk.journal.changes(target, of_compose("a1", id="new", made_ago=2 * 86_400.0)) == []


async def test_an_alert_that_flaps_is_known_by_how_often_it_began_to_fire(desk: Desk) -> None:
    """Re-sends and resolveds are none; of several alerts the one that fires most counts."""
    assert await desk.journal.fires_last_hour(["aa"]) is None
    for n in range(3):
        await desk.take(alert(at=n * 10), alert(at=n * 10, fingerprint="calm"))
        await desk.take(alert(at=n * 10))
        assert await desk.journal.fires_last_hour(["aa"]) == n + 1
        if n < 2:
            await desk.take(alert(at=n * 10, ended=n * 10 + 5))
    assert await desk.journal.fires_last_hour(["calm", "unknown"]) == 1
    assert await desk.journal.fires_last_hour(["calm", "aa"]) == 3
    assert await desk.journal.fires_last_hour([]) is None


async def test_of_firing_only_the_last_hour_is_remembered_and_twenty_times_at_most(desk: Desk) -> None:
    """So that an alert that flaps for days keeps a short row."""
    now = int((await desk.journal.now()).timestamp() * 1000)
    old = ",".join(str(now - minutes * 60_000) for minutes in (30, 59, 61, 90))
    await desk.store.command("SET", key("episode:aa"), f"resolved 1 2 - {now} {old}")
    assert await desk.journal.fires_last_hour(["aa"]) == 2
    await desk.take(alert())
    assert await desk.journal.fires_last_hour(["aa"]) == 3
    assert (await desk.store.command("GET", key("episode:aa"))).count(",") == 2
    many = ",".join([str(now)] * 40)
    await desk.store.command("SET", key("episode:aa"), f"resolved 1 2 - {now} {many}")
    await desk.take(alert(at=99))
    assert await desk.journal.fires_last_hour(["aa"]) == 20


async def test_an_episode_written_before_firing_was_counted_is_read(desk: Desk) -> None:
    """By the version before."""
    await desk.store.command("SET", key("episode:aa"), "resolved 1 2 - 3")
    assert await desk.journal.fires_last_hour(["aa"]) is None
    await desk.take(alert())
    assert await desk.journal.fires_last_hour(["aa"]) == 1
