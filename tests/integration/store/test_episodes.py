"""Episodes as a comparison reads them, and what webhooks show of their way: on a real Redis."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bridge.edges.store.connection import Store
from bridge.edges.store.episodes import StoredEpisodes
from bridge.model.episode import Sighting
from bridge.model.incident import Entry, Outcome
from bridge.model.policy import BreakerPolicy
from tests.integration.desk import START, Desk, alert


async def test_an_episode_is_known_with_its_end_and_the_end_of_its_incident(desk: Desk) -> None:
    """And one that was never heard of is not."""
    episodes = StoredEpisodes(desk.store)
    assert await episodes.known(["aa"]) == {}
    assert await episodes.known([]) == {}
    incident_id = await desk.incident_for(alert())
    known = (await episodes.known(["aa", "bb"]))["aa"]
    assert (known.firing, known.starts_at, known.ended_at, known.closed_at) == (True, START, None, None)
    held = await desk.claim(incident_id)
    now = await desk.journal.now()
    closed = held.incident.closing(
        Outcome.REFUSED,
        "test",
        now=now,
        reconsider_at=now + timedelta(hours=1),
        reconsider_unpaused_at=START,
    )
    await desk.journal.close(
        replace(held, incident=closed), Entry(event="closed", fields={}), healed=None, breaker=BreakerPolicy()
    )
    await desk.take(alert(ended=60))
    known = (await episodes.known(["aa"]))["aa"]
    assert (known.firing, known.ended_at) == (False, START + timedelta(seconds=60))
    assert known.closed_at is not None
    assert known.reconsider_unpaused_at == START


async def test_open_are_the_firing_alerts_of_open_incidents(desk: Desk) -> None:
    """Those that ended, and those that are suspect, are not among them."""
    await desk.take(
        alert("web", fingerprint="1"), alert("web", fingerprint="2"), alert("db", fingerprint="3")
    )
    await desk.take(alert("web", ended=60, fingerprint="2"))
    await desk.take(alert("old", ended=60, fingerprint="4"))
    await desk.take(alert("old", fingerprint="4"))
    assert sorted(a.fingerprint for a in await StoredEpisodes(desk.store).open()) == ["1", "3"]


async def test_what_was_seen_is_kept_whole_and_nothing_else(store: Store) -> None:
    """Each comparison replaces what the last one saw."""
    episodes = StoredEpisodes(store)
    one = Sighting(updated_at=START, ends_at=START + timedelta(minutes=4), up_since=START - timedelta(days=1))
    await episodes.keep({f"f{n}": one for n in range(3000)})
    assert len(await episodes.sightings()) == 3000
    await episodes.keep({"aa": one})
    assert await episodes.sightings() == {"aa": one}
    await episodes.keep({})
    assert await episodes.sightings() == {}


async def test_one_at_a_time_compares(store: Store) -> None:
    """The lease ends by itself."""
    episodes = StoredEpisodes(store)
    assert [await episodes.lease("one", 60), await episodes.lease("two", 60)] == [True, False]
    assert 0 < await store.command("PTTL", "{hemostat}:reconcile") <= 60_000


async def test_receivers_are_remembered_as_they_are_configured(store: Store) -> None:
    """Webhooks have them with the characters of regular expressions escaped; there are never many."""
    episodes = StoredEpisodes(store)
    for told in (r"hemostat\.web-hook", "b", "b", ""):
        await episodes.heard(told, watchdog=False)
    assert sorted(await episodes.receivers()) == ["b", "hemostat.web-hook"]
    for n in range(100):
        await episodes.heard(f"r{n}", watchdog=False)
    assert len(await episodes.receivers()) == 50


async def test_a_watchdog_is_timed_from_its_second_time_on(store: Store) -> None:
    """Twins that send it within seconds are one time."""
    episodes, key = StoredEpisodes(store), "{hemostat}:heard"
    assert await episodes.watchdog() == (None, 0.0)

    async def earlier(seconds: int) -> None:
        for field in ("watchdog", "watchdog_from"):
            await store.command("HINCRBY", key, field, -1000 * seconds)

    await episodes.heard("", watchdog=True)
    at, every = await episodes.watchdog()
    assert (at is not None, every) == (True, 0.0)
    await earlier(300)
    await episodes.heard("", watchdog=True)
    await earlier(15)
    await episodes.heard("", watchdog=True)
    at, every = await episodes.watchdog()
    assert 300 <= every < 305
    await earlier(120)
    await episodes.heard("", watchdog=True)
    _, every = await episodes.watchdog()
    assert 135 <= every < 140
