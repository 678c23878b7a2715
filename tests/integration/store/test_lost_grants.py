"""A store that has lost a grant: whoever was given it knows, and young containers are left alone for one cooldown."""

from __future__ import annotations

from dataclasses import replace

from bridge.edges.store.connection import Store, milliseconds
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant
from tests.integration.desk import FREE, Desk
from tests.waiting import until

POLICY = replace(FREE, cooldown_seconds=3600.0)
CLOCK, BORN = "{hemostat}:clock", "{hemostat}:born"


async def lose_a_grant(desk: Desk) -> str:
    """Granted, and nothing of it is left; when it was granted."""
    assert isinstance(await desk.acquire(await desk.judged(), policy=POLICY), Grant)
    at = str(await desk.store.command("GET", CLOCK))
    await desk.store.command("FLUSHALL")
    return at


async def ask(desk: Desk, fingerprint: str = "again") -> Refusal:
    """What a container that was started a minute ago is told."""
    answer = await desk.acquire(await desk.judged(fingerprint=fingerprint), policy=POLICY, up=60.0)
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.RECENTLY_STARTED
    return answer


async def test_a_young_container_is_left_alone_until_it_is_older_than_a_cooldown(
    desk: Desk, store: Store
) -> None:
    """If its start was the lost repair, that is when the next one may come."""
    await lose_a_grant(desk)
    answer = await ask(desk)
    assert answer.until is not None
    assert milliseconds(answer.until) == int(await store.command("GET", BORN)) + 3_540_000


async def test_a_lost_grant_is_reckoned_with_once(desk: Desk, store: Store) -> None:
    """From when it was noticed: else each question would begin the cooldown anew, and nothing would ever be repaired."""
    granted_at = await lose_a_grant(desk)
    await ask(desk)
    noticed = await store.command("GET", BORN)
    assert await store.command("GET", CLOCK) == granted_at
    await until(desk.journal.now, lambda now: milliseconds(now) > int(noticed) + 5)
    await store.command("DEL", "{hemostat}:open")
    await ask(desk, "and again")
    assert await store.command("GET", BORN) == noticed
