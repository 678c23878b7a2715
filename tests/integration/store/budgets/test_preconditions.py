"""What must hold before any target is granted anything: no pause, and a store that forgets nothing and lost nothing."""

from dataclasses import replace
from datetime import timedelta

from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.connection import Store, milliseconds
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant
from tests.integration.desk import FREE, LEASE_SECONDS, Desk, acting
from tests.integration.store.budgets.granting import HOUR, grant, refused


async def test_a_new_store_leaves_young_containers_alone_for_one_cooldown(store: Store, desk: Desk) -> None:
    """A total loss of the store cannot cause a second restart: the container's own age is the second record."""
    desk.budgets = StoredBudgets(store, lease_seconds=LEASE_SECONDS, trust_empty=False)
    policy = replace(FREE, cooldown_seconds=HOUR)
    assert refused(await grant(desk, "young", policy=policy, up=60.0)) is Reason.RECENTLY_STARTED
    assert refused(await grant(desk, "unknown", policy=policy, up=None)) is Reason.RECENTLY_STARTED
    assert refused(await grant(desk, "old", policy=policy, up=2 * HOUR)) is None


async def test_a_store_that_was_empty_on_purpose_may_be_trusted_later(store: Store, desk: Desk) -> None:
    """Whoever reads why it refuses, sets `store.trust_empty` and starts again must not wait for the cooldown."""
    policy = replace(FREE, cooldown_seconds=HOUR)
    desk.budgets = StoredBudgets(store, lease_seconds=LEASE_SECONDS, trust_empty=False)
    await desk.budgets.open()
    assert refused(await grant(desk, "young", policy=policy, up=60.0)) is Reason.RECENTLY_STARTED
    desk.budgets = StoredBudgets(store, lease_seconds=LEASE_SECONDS, trust_empty=True)
    await desk.budgets.open()
    assert refused(await grant(desk, "young", policy=policy, up=60.0)) is None


async def test_what_was_lost_is_not_trusted_later(store: Store, desk: Desk) -> None:
    """A birth that a failover or a restore wrote into the store says that something was lost."""
    for trust_empty in (False, True):
        desk.budgets = StoredBudgets(store, lease_seconds=LEASE_SECONDS, trust_empty=trust_empty)
        await desk.budgets.open()
        if not trust_empty:
            await store.command("SET", "{hemostat}:born", milliseconds(await desk.journal.now()) + 1)
    policy = replace(FREE, cooldown_seconds=HOUR)
    assert refused(await grant(desk, "young", policy=policy, up=60.0)) is Reason.RECENTLY_STARTED


async def test_an_old_store_repairs_young_containers(store: Store, desk: Desk) -> None:
    """In normal running a container that falls sick after a deploy is repairable."""
    now = await desk.journal.now()
    await store.command("SET", "{hemostat}:born", milliseconds(now - timedelta(hours=2)))
    desk.budgets = StoredBudgets(store, lease_seconds=LEASE_SECONDS, trust_empty=False)
    assert refused(await grant(desk, policy=replace(FREE, cooldown_seconds=HOUR), up=60.0)) is None


async def test_a_pause_refuses_until_it_ends(desk: Desk) -> None:
    """The kill switch stands before every grant and every beginning."""
    held = await desk.judged()
    await desk.budgets.pause(by="ann", why="deploy", until=None)
    assert refused(await desk.acquire(held)) is Reason.PAUSED
    await desk.budgets.resume()
    granted = await desk.acquire(held)
    assert isinstance(granted, Grant)
    await desk.budgets.pause(by="ann", why="deploy", until=await desk.journal.now() + timedelta(hours=1))
    begun = await desk.begin(acting(held, granted))
    assert refused_at(begun) is Reason.PAUSED


def refused_at(answer: Refusal | None) -> Reason | None:
    """The reason, if there is one."""
    return answer.reason if answer else None


async def test_a_pause_that_has_ended_is_none(desk: Desk) -> None:
    """Nobody has to resume it."""
    await desk.budgets.pause(by="ann", why="", until=await desk.journal.now() - timedelta(seconds=1))
    assert await desk.budgets.paused() is None
    assert isinstance(await grant(desk), Grant)


async def test_a_store_that_may_evict_grants_nothing(desk: Desk) -> None:
    """Any maxmemory-policy but noeviction may forget a cooldown."""
    await desk.store.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        assert refused(await grant(desk)) is Reason.STORE_UNSAFE
    finally:
        await desk.store.command("CONFIG", "SET", "maxmemory-policy", "noeviction")


async def test_a_clock_that_jumped_back_grants_nothing(desk: Desk) -> None:
    """A new master an hour behind must not shorten a cooldown."""
    ahead = await desk.journal.now() + timedelta(hours=1)
    await desk.store.command("SET", "{hemostat}:clock", milliseconds(ahead))
    assert refused(await grant(desk)) is Reason.CLOCK_SKEW
