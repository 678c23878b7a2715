"""Which incidents a webhook opens, joins or leaves alone: episodes on a real Redis."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.connection import Store
from bridge.edges.store.episodes import StoredEpisodes
from bridge.intake import read_webhook, subject_of
from bridge.model.incident import Entry, Outcome
from bridge.model.policy import BreakerPolicy
from tests.integration.desk import START, Desk, alert
from tests.waiting import until_true

PAYLOADS = Path(__file__).parents[2] / "payloads"


async def close(
    desk: Desk, incident_id: str, *, reconsider_in: float = 3600.0, unpaused_in: float | None = None
) -> None:
    """Close an incident as refused."""
    held = await desk.claim(incident_id)
    now = await desk.journal.now()
    closed = held.incident.closing(
        Outcome.REFUSED,
        "for the test",
        now=now,
        reconsider_at=now + timedelta(seconds=reconsider_in),
        reconsider_unpaused_at=None if unpaused_in is None else now + timedelta(seconds=unpaused_in),
    )
    await desk.journal.close(
        replace(held, incident=closed), Entry(event="closed", fields={}), healed=None, breaker=BreakerPolicy()
    )


async def test_a_firing_alert_opens_one_incident_and_one_turn_of_work(desk: Desk) -> None:
    """What was accepted is in the journal and in the work stream."""
    incident_id = await desk.incident_for(alert())
    assert await desk.store.command("XLEN", "{hemostat}:work") == 1
    record = await desk.journal.read(incident_id)
    assert record is not None
    assert [episode.alert for episode in record.episodes] == [alert()]
    assert [entry.event for entry in record.timeline] == ["opened"]


async def test_it_is_crowded_while_webhooks_wait_for_those_before_them(desk: Desk) -> None:
    """Which is when a worker of the same process holds back."""
    taking = [asyncio.create_task(desk.take(alert(f"c{n}", fingerprint=f"f{n}"))) for n in range(20)]
    await asyncio.sleep(0)
    assert desk.acceptor.crowded
    await asyncio.gather(*taking)
    assert not desk.acceptor.crowded


async def test_what_nobody_waits_for_any_more_is_not_written(desk: Desk, store: Store) -> None:
    """Its sender was told 503 and sends it again: while the store hangs, what was given up must not pile up."""
    await store.command("CLIENT", "PAUSE", 60_000, "WRITE")
    under_way = []
    for n in range(2):
        under_way.append(asyncio.create_task(desk.take(alert(f"c{n}", fingerprint=f"f{n}"))))
        await asyncio.sleep(0)
        await until_true(lambda: not desk.acceptor.crowded)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await desk.take(alert("given-up", fingerprint="ff"))
    await store.command("CLIENT", "UNPAUSE")
    await asyncio.gather(*under_way)
    assert await store.command("EXISTS", "{hemostat}:episode:ff") == 0


async def test_a_resend_joins_and_writes_nothing(desk: Desk) -> None:
    """The same alert again, however often, is the same incident and no new work."""
    first = await desk.incident_for(alert())
    before = await desk.store.command("INFO", "persistence")
    for _ in range(5):
        assert await desk.incident_for(alert()) == first
    assert await desk.store.command("XLEN", "{hemostat}:work") == 1
    assert before["aof_current_size"] == (await desk.store.command("INFO", "persistence"))["aof_current_size"]


@pytest.mark.parametrize("moved", [-5.0, 5.0], ids=["back", "forward"])
async def test_a_moved_start_is_the_same_episode(desk: Desk, moved: float) -> None:
    """startsAt moves in both directions within one episode in practice."""
    first = await desk.incident_for(alert())
    assert await desk.incident_for(alert(at=moved)) == first


async def test_alerts_about_one_container_join_one_incident(desk: Desk) -> None:
    """Everything that is wrong with one target now is one incident."""
    down, slow = alert(fingerprint="aa"), alert(fingerprint="bb")
    assert len((await desk.take(down, slow)).incidents) == 1
    assert await desk.incident_for(alert(fingerprint="cc")) == await desk.incident_for(down)


async def test_a_resolved_that_was_never_seen_firing_opens_nothing(desk: Desk) -> None:
    """It is accepted, and that is all."""
    answer = await desk.take(alert(at=0, ended=10))
    assert (answer.accepted, answer.incidents) == (1, ())
    assert await desk.store.command("XLEN", "{hemostat}:work") == 0


async def test_a_resolved_marks_the_alert_of_its_incident(desk: Desk) -> None:
    """The walk sees that nothing fires any more."""
    incident_id = await desk.incident_for(alert())
    await desk.take(alert(ended=30))
    assert (await desk.claim(incident_id)).resolved


async def test_a_resolved_of_an_incident_that_was_swept_writes_nothing_of_it_again(desk: Desk) -> None:
    """What is written under it now nobody would ever sweep."""
    incident_id = await desk.incident_for(alert())
    await close(desk, incident_id)
    of_it = f"{{hemostat}}:incident:{incident_id}*"
    await desk.store.command("DEL", *await desk.store.command("KEYS", of_it))
    answer = await desk.take(alert(ended=30))
    assert answer.accepted == 1
    assert await desk.store.command("KEYS", of_it) == []


async def test_one_of_two_resolved_is_not_all(desk: Desk) -> None:
    """An incident is over only when every alert of it is."""
    incident_id = await desk.incident_for(alert(fingerprint="aa"), alert(fingerprint="bb"))
    await desk.take(alert(fingerprint="aa", ended=30))
    assert not (await desk.claim(incident_id)).resolved


async def test_a_firing_after_a_resolved_that_began_later_is_a_new_episode(desk: Desk) -> None:
    """A flap with a resolved in between opens a new incident once the old one is closed, and it is not suspect."""
    first = await desk.incident_for(alert())
    await desk.take(alert(ended=30))
    await close(desk, first)
    second = await desk.incident_for(alert(at=40))
    assert second != first
    assert not (await desk.claim(second)).incident.suspect


async def test_a_firing_that_began_before_the_last_end_is_suspect(desk: Desk) -> None:
    """Stale from a slow replica, or true from a twin: byte for byte the same, so it is marked, neither dropped nor trusted."""
    first = await desk.incident_for(alert())
    await desk.take(alert(ended=30))
    await close(desk, first)
    second = await desk.incident_for(alert())
    assert (await desk.claim(second)).incident.suspect


async def test_a_suspect_firing_makes_an_open_incident_suspect_if_nothing_else_fires(desk: Desk) -> None:
    """Firing, resolved and the stale firing again, before anybody worked on it."""
    alone = await desk.incident_for(alert())
    await desk.take(alert(ended=30))
    await desk.take(alert())
    assert (await desk.claim(alone)).incident.suspect
    pair = await desk.incident_for(alert("db", fingerprint="bb"), alert("db", fingerprint="cc"))
    await desk.take(alert("db", fingerprint="bb", ended=30))
    await desk.take(alert("db", fingerprint="bb"))
    assert not (await desk.claim(pair)).incident.suspect


async def test_a_firing_that_began_after_the_last_end_clears_the_suspicion(desk: Desk) -> None:
    """The stale firing opened it, and then the alert fires indeed: it is looked at now, not held until nobody can say."""
    first = await desk.incident_for(alert())
    await desk.take(alert(ended=30))
    await close(desk, first)
    second = await desk.incident_for(alert())
    far = (await desk.journal.now()).timestamp() * 1000 + 600_000
    await desk.store.command("ZADD", "{hemostat}:later", far, second)
    await desk.take(alert(at=10))  # before that end, too: that tells nothing
    assert (await desk.claim(second)).incident.suspect
    assert await desk.incident_for(alert(at=40)) == second
    await desk.store.command("HSET", f"{{hemostat}}:incident:{second}", "lease", 0)
    assert not (await desk.claim(second)).incident.suspect
    assert float(await desk.store.command("ZSCORE", "{hemostat}:later", second)) < far


@pytest.mark.parametrize("minutes", [-10, 10], ids=["behind", "ahead"])
async def test_a_flap_is_told_by_the_clock_of_those_who_tell_it(desk: Desk, minutes: int) -> None:
    """No resolved came in between. By the store's clock the alert began before its incident closed, or the old one after."""
    episodes, now = StoredEpisodes(desk.store), await desk.journal.now()
    theirs = now + timedelta(minutes=minutes)
    await episodes.note_clock(theirs)
    began = replace(alert(), starts_at=theirs - timedelta(minutes=5))
    first = await desk.incident_for(began)
    await close(desk, first)
    before_it_closed = replace(began, starts_at=theirs - timedelta(minutes=2))
    assert await desk.incident_for(before_it_closed) == first
    after_it_closed = replace(began, starts_at=theirs + timedelta(minutes=1))
    assert await desk.incident_for(after_it_closed) != first


async def test_a_late_resolved_of_an_earlier_episode_ends_nothing(desk: Desk) -> None:
    """A resolved whose end lies before the present episode's start belongs to the one before."""
    first = await desk.incident_for(alert())
    await desk.take(alert(ended=30))
    await close(desk, first)
    second = await desk.incident_for(alert(at=40))
    await desk.take(alert(ended=30))
    assert not (await desk.claim(second)).resolved


async def test_a_resend_with_another_start_is_written_down_at_once(desk: Desk) -> None:
    """Whether it began after its incident closed is told by the start it had last."""
    incident_id = await desk.incident_for(alert(at=0))
    await desk.take(alert(at=60))
    record = await desk.journal.read(incident_id)
    assert record is not None
    assert [episode.alert.starts_at for episode in record.episodes] == [START + timedelta(seconds=60)]


async def test_a_resend_of_a_closed_incident_writes_nothing_under_it(desk: Desk) -> None:
    """It is the record of what was known when it ended."""
    incident_id = await desk.incident_for(alert(at=0))
    await close(desk, incident_id)
    before = await desk.store.command("HGETALL", f"{{hemostat}}:incident:{incident_id}")
    await desk.take(alert(at=-60))
    assert await desk.store.command("HGETALL", f"{{hemostat}}:incident:{incident_id}") == before
    record = await desk.journal.read(incident_id)
    assert record is not None
    assert [episode.alert.starts_at for episode in record.episodes] == [START]


async def test_a_firing_that_begins_where_the_last_one_ended_is_believed(desk: Desk) -> None:
    """A flap: only what began before that end may be stale."""
    first = await desk.incident_for(alert(at=0))
    await desk.take(alert(at=0, ended=60))
    await close(desk, first)
    held = await desk.claim(await desk.incident_for(alert(at=60)))
    assert not held.incident.suspect


@pytest.mark.parametrize("ended", [0.0, None], ids=["at its start", "without an end"])
async def test_a_resolved_that_is_not_known_to_be_late_ends_it(desk: Desk, ended: float | None) -> None:
    """Only an end before the present firing began is one of an earlier firing."""
    incident_id = await desk.incident_for(alert(at=0))
    over = replace(alert(at=0, ended=0.0), ends_at=None if ended is None else START)
    await desk.take(over)
    assert (await desk.claim(incident_id)).resolved


async def test_an_end_never_moves_back(desk: Desk) -> None:
    """A slow replica repeats an earlier one; a stale firing from before the later end must still be suspect."""
    await desk.take(alert(at=0))
    await desk.take(alert(at=0, ended=60))
    await desk.take(alert(at=0, ended=30))
    held = await desk.claim(await desk.incident_for(alert(at=45)))
    assert held.incident.suspect


@pytest.mark.parametrize("again", ["another firing", "a resend that opens another incident"])
async def test_the_last_end_is_remembered_while_it_fires(desk: Desk, again: str) -> None:
    """A resolved without an end of its own leaves the one before."""
    await desk.take(alert(at=0))
    await desk.take(alert(at=0, ended=60))
    incident_id = await desk.incident_for(alert(at=100))
    if again != "another firing":
        await close(desk, incident_id, reconsider_in=0.0)
        assert await desk.incident_for(alert(at=100)) != incident_id
    await desk.take(replace(alert(at=100, ended=0.0), ends_at=None))
    held = await desk.claim(await desk.incident_for(alert(at=45)))
    assert held.incident.suspect


async def test_the_end_of_an_alert_has_its_incident_looked_at_now(desk: Desk) -> None:
    """Not at the end of its pause, which may be minutes; if it is held this moment, once it is given back."""
    waits, is_held = (await desk.take(alert(fingerprint="aa"), alert("db", fingerprint="bb"))).incidents
    far = (await desk.journal.now()).timestamp() * 1000 + 600_000
    await desk.store.command("ZADD", "{hemostat}:later", far, waits)
    await desk.take(alert(fingerprint="aa", ended=30), alert("db", fingerprint="bb", ended=30))
    due = float(await desk.store.command("ZSCORE", "{hemostat}:later", waits))
    assert due <= (await desk.journal.now()).timestamp() * 1000
    assert await desk.store.command("HGET", f"{{hemostat}}:incident:{is_held}", "woken") == "1"


async def test_a_resend_after_the_incident_closed_opens_nothing_before_its_time(desk: Desk) -> None:
    """A target that was refused is not asked about again at every repetition."""
    first = await desk.incident_for(alert())
    await close(desk, first)
    assert await desk.incident_for(alert()) == first


async def test_a_resend_after_the_time_of_reconsideration_opens_a_new_incident(desk: Desk) -> None:
    """An alert that still fires when its refusal has run out is taken up again."""
    first = await desk.incident_for(alert())
    await close(desk, first, reconsider_in=-1)
    assert await desk.incident_for(alert()) != first


async def test_a_resend_after_the_end_of_the_pause_that_refused_it_opens_a_new_incident(desk: Desk) -> None:
    """Not before, however often it comes; and not while something else that refused it goes on."""
    longer = await desk.incident_for(alert("db", fingerprint="db"))
    await close(desk, longer, unpaused_in=1800)
    first = await desk.incident_for(alert())
    await desk.budgets.pause(by="ann", why="deploy", until=None)
    await close(desk, first, unpaused_in=0)
    assert await desk.incident_for(alert()) == first
    await desk.budgets.resume()
    second = await desk.incident_for(alert())
    assert second != first
    assert await desk.incident_for(alert()) == second
    assert await desk.incident_for(alert("db", fingerprint="db")) == longer


async def test_an_alert_that_began_after_its_incident_closed_is_a_new_sickness(desk: Desk) -> None:
    """A flap inside one group interval sends no resolved, only a later startsAt."""
    first = await desk.incident_for(alert())
    await close(desk, first)
    closed_after_start = (await desk.journal.now() - START).total_seconds() + 60
    assert await desk.incident_for(alert(at=closed_after_start)) != first


async def test_a_resend_of_what_begins_in_the_future_is_no_new_sickness(desk: Desk) -> None:
    """A Prometheus whose clock is ahead says when the alert began, in our future; its re-sends say the same."""
    ahead = (await desk.journal.now() - START).total_seconds() + 600
    first = await desk.incident_for(alert(at=ahead))
    await close(desk, first)
    assert await desk.incident_for(alert(at=ahead)) == first
    assert await desk.incident_for(alert(at=ahead + 60)) != first


async def test_the_captured_pair_ends_with_a_suspect_and_its_resolved(desk: Desk) -> None:
    """Two Alertmanagers: firing, resolved, stale firing, resolved. Captured from real ones."""
    seen = [await feed(desk, line) for line in sequence("ha-pair-stale-firing-after-resolved")]
    assert len(seen) == 4
    (stale,) = set(seen[2]) - set(seen[0]) or {seen[2][0]}
    held = await desk.claim(stale)
    assert held.resolved


async def test_the_captured_duplicate_of_a_pair_is_one_incident(desk: Desk) -> None:
    """A receiver slower than 15 s gets the message twice; it is one incident."""
    seen = [await feed(desk, line) for line in sequence("ha-pair-duplicate-when-receiver-slower-than-15s")]
    assert len({incident for ids in seen for incident in ids}) == 1


async def test_sixty_alerts_are_sixty_incidents_and_their_end_ends_all(desk: Desk) -> None:
    """A 22 kB body of sixty containers."""
    opened = await feed(desk, json.loads((PAYLOADS / "firing-group-60.json").read_text()))
    assert len(opened) == 60
    await feed(desk, json.loads((PAYLOADS / "resolved-group-60.json").read_text()))
    assert all([(await desk.claim(incident)).resolved for incident in opened])


def sequence(name: str) -> list[object]:
    """The bodies of a captured sequence."""
    lines = (PAYLOADS / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line)["body"] for line in lines]


async def feed(desk: Desk, body: object) -> tuple[str, ...]:
    """One captured webhook through the product's own intake."""
    raw = body if isinstance(body, str) else json.dumps(body)
    return (await desk.take(*read_webhook(raw.encode()).alerts)).incidents


async def test_over_the_backlog_limit_nothing_of_a_webhook_is_written(store: Store, desk: Desk) -> None:
    """Overload refuses the whole webhook."""
    small = Desk(store, desk.journal, Acceptor(store, backlog_limit=1))
    await small.take(alert("one", fingerprint="1"))
    keys = sorted(await store.command("KEYS", "*"))
    with pytest.raises(errors.EdgeUnavailable, match="backlog"):
        await small.take(alert("two", fingerprint="2"), alert("three", fingerprint="3"))
    assert sorted(await store.command("KEYS", "*")) == keys


async def test_requests_that_share_a_round_trip_get_their_own_answers(desk: Desk) -> None:
    """Group commit mixes up nobody's incidents."""
    names = [f"c{n}" for n in range(200)]
    answers = await asyncio.gather(*(desk.take(alert(name, fingerprint=name)) for name in names))
    for name, answer in zip(names, answers, strict=True):
        record = await desk.journal.read(answer.incidents[0])
        assert record is not None
        assert record.incident.subject == subject_of({"name": name}, hosts=["local"])


async def test_a_script_that_ran_twice_for_one_call_changes_nothing(desk: Desk, store: Store) -> None:
    """A client that repeats a call whose answer was lost gets the same incident."""
    one = await desk.incident_for(alert())
    two = await desk.incident_for(alert())
    assert (one, await store.command("ZCARD", "{hemostat}:incidents")) == (two, 1)


async def test_a_store_that_is_away_is_an_error_and_the_same_alert_is_accepted_later(
    start_redis: Callable[..., parts.RedisServer],
) -> None:
    """Fail closed: nothing is called accepted that was not written."""
    server = start_redis()
    store = Store(server.url)
    acceptor = Acceptor(store, backlog_limit=10)
    pair = (alert(), subject_of(alert().labels, hosts=["local"]))
    server.kill()
    with pytest.raises(errors.EdgeUnavailable):
        await acceptor.accept([pair])
    server.start()
    assert (await acceptor.accept([pair])).accepted == 1
    await store.close()
