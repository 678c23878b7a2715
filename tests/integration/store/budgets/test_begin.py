"""From a grant to its use: begun only if it still stands and every limit still allows it, else given back."""

from dataclasses import replace

import pytest

from bridge import errors
from bridge.edges.store.connection import milliseconds
from bridge.model.incident import Outcome, Target
from bridge.model.policy import BreakerPolicy, Cap, Limits
from bridge.model.refusal import Reason
from bridge.roles import Grant, Held
from tests.integration.desk import FREE, OPEN_LIMITS, Desk, acting
from tests.integration.store.budgets.granting import END, HOUR, WINDOWS, finish, grant, refused

ONE_IN_AN_HOUR = Cap(max=1, per_seconds=HOUR)
ONE_ON_A_HOST = replace(OPEN_LIMITS, host=ONE_IN_AN_HOUR)
IN_AN_HOUR = "redis.call('TIME')[1] * 1000 + 3600000"
LOCK = "{hemostat}:lock:local/web"


async def test_a_grant_that_was_not_begun_is_given_back(desk: Desk) -> None:
    """The alert ended in between: nothing was done, so nothing is used up."""
    held = await desk.judged()
    policy = replace(FREE, cooldown_seconds=HOUR)
    await desk.acquire(held, policy=policy)
    now = await desk.journal.now()
    closed = held.incident.closing(Outcome.RESOLVED, "over", now=now, reconsider_at=now)
    await desk.journal.close(
        replace(held, incident=closed), END, healed=None, breaker=BreakerPolicy(), refund=True
    )
    assert await desk.store.command("EXISTS", *WINDOWS) == 0
    assert isinstance(await grant(desk, policy=policy), Grant)


async def test_a_grant_counts_from_when_it_is_begun(desk: Desk) -> None:
    """Docker was away in between for as long as the cooldown: the next action would come right after this one."""
    held, policy = await desk.judged(), replace(FREE, cooldown_seconds=HOUR)
    granted = await desk.acquire(held, policy=policy)
    assert isinstance(granted, Grant)
    long_ago = milliseconds(await desk.journal.now()) - 3_600_000
    for window in WINDOWS:
        await desk.store.command("ZADD", window, "XX", long_ago, granted.token)
    began = acting(held, granted)
    assert await desk.begin(began) is None
    await finish(desk, began)
    assert refused(await grant(desk, policy=policy)) is Reason.COOLDOWN
    for window in WINDOWS:
        assert float(await desk.store.command("ZSCORE", window, granted.token)) > long_ago + 3_500_000
        assert await desk.store.command("ZCARD", window) == 1


async def granted_to(desk: Desk, *names: str, limits: Limits) -> list[Held]:
    """Each has its grant, and has not begun."""
    held = []
    for name in names:
        one = await desk.judged(name)
        answer = await desk.acquire(one, limits=limits)
        assert isinstance(answer, Grant)
        held.append(acting(one, answer))
    return held


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        pytest.param(ONE_ON_A_HOST, Reason.HOST_CAP, id="host"),
        pytest.param(replace(OPEN_LIMITS, fleet=ONE_IN_AN_HOUR), Reason.FLEET_CAP, id="fleet"),
    ],
)
async def test_a_grant_that_has_left_its_window_is_not_begun_beside_those_that_were_given_since(
    desk: Desk, limits: Limits, reason: Reason
) -> None:
    """Nobody was at work for an hour, or Docker away: then it begins, and so does what was granted meanwhile."""
    (web,) = await granted_to(desk, "web", limits=limits)
    assert web.incident.intent is not None
    long_ago = milliseconds(await desk.journal.now()) - 3_600_000
    for window in WINDOWS:
        await desk.store.command("ZADD", window, "XX", long_ago, web.incident.intent.token)
    (db,) = await granted_to(desk, "db", limits=limits)
    assert await desk.begin(db, limits=limits) is None
    late = await desk.begin(web, limits=limits)
    assert (late and late.reason, late and late.until is not None) == (reason, True)
    assert await desk.store.command("HGET", f"{{hemostat}}:incident:{web.incident.id}", "state") == "reserved"


async def test_a_limit_that_was_lowered_after_the_grant_holds_when_it_begins(desk: Desk) -> None:
    """A reload in between: what had begun by then counts, what is begun now is one too many."""
    web, db = await granted_to(desk, "web", "db", limits=OPEN_LIMITS)
    assert await desk.begin(web) is None
    late = await desk.begin(db, limits=ONE_ON_A_HOST)
    assert late is not None
    assert late.reason is Reason.HOST_CAP


async def test_a_cooldown_that_was_raised_after_the_grant_holds_when_it_begins(desk: Desk) -> None:
    """The repair before this one was long enough ago for the policy of then."""
    assert isinstance(await grant(desk), Grant)
    (held,) = await granted_to(desk, "web", limits=OPEN_LIMITS)
    late = await desk.begin(held, policy=replace(FREE, cooldown_seconds=HOUR))
    assert late is not None
    assert late.reason is Reason.COOLDOWN


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (f"redis.call('HSET', '{{hemostat}}:breaker:local/web', 'until', {IN_AN_HOUR})", Reason.BREAKER_OPEN),
        (f"redis.call('SET', '{{hemostat}}:clock', {IN_AN_HOUR})", Reason.CLOCK_SKEW),
    ],
    ids=["the repair before relapsed", "a failover to a clock that is behind"],
)
async def test_what_refuses_a_grant_refuses_its_begin(desk: Desk, happens: str, reason: Reason) -> None:
    """It came between the two."""
    (held,) = await granted_to(desk, "web", limits=OPEN_LIMITS)
    await desk.store.command("EVAL", happens, 0)
    lease = f"{{hemostat}}:incident:{held.incident.id}", "lease", 10**15
    await desk.store.command("HSET", *lease)  # by the time of now, whatever it is
    late = await desk.begin(held)
    assert late is not None
    assert late.reason is reason


async def test_a_store_that_may_evict_begins_nothing(desk: Desk) -> None:
    """A failover put a server in its place that is configured otherwise."""
    (held,) = await granted_to(desk, "web", limits=OPEN_LIMITS)
    await desk.store.command("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        late = await desk.begin(held)
    finally:
        await desk.store.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    assert late is not None
    assert late.reason is Reason.STORE_UNSAFE


async def test_a_grant_does_not_stand_in_its_own_way(desk: Desk) -> None:
    """Nor does the answer that was lost: the same call again."""
    policy = replace(FREE, cooldown_seconds=HOUR, caps=(ONE_IN_AN_HOUR,))
    (held,) = await granted_to(desk, "web", limits=ONE_ON_A_HOST)
    assert await desk.begin(held, policy=policy, limits=ONE_ON_A_HOST) is None
    assert await desk.begin(held, policy=policy, limits=ONE_ON_A_HOST) is None


async def test_a_grant_that_an_operator_has_reset_is_not_counted_again(desk: Desk) -> None:
    """Begun after the reset: it is the operator's wish that nothing stands against the next one."""
    held = await desk.judged()
    granted = await desk.acquire(held)
    assert isinstance(granted, Grant)
    await desk.budgets.reset(Target(host="local", name="web"))
    assert await desk.begin(acting(held, granted)) is None
    assert await desk.store.command("EXISTS", "{hemostat}:window:target:local/web") == 0


async def test_whoever_lost_the_claim_gets_no_grant_and_cannot_begin(desk: Desk) -> None:
    """A worker that was away too long is told so by the script itself."""
    held = await desk.judged()
    granted = await desk.acquire(held)
    assert isinstance(granted, Grant)
    await desk.store.command("HSET", f"{{hemostat}}:incident:{held.incident.id}", "lease", 0)
    await desk.claim(held.incident.id)
    with pytest.raises(errors.ClaimLost):
        await desk.acquire(held)
    with pytest.raises(errors.ClaimLost):
        await desk.begin(acting(held, granted))


@pytest.mark.parametrize(
    "change",
    [("DEL", LOCK), ("HSET", LOCK, "token", 0), ("HSET", LOCK, "incident", "another")],
    ids=["gone", "another token", "another incident's"],
)
async def test_nothing_begins_without_the_very_grant_it_was_given(
    desk: Desk, change: tuple[str | int, ...]
) -> None:
    """A failover may have lost it, and given the target to somebody else."""
    held = await desk.judged()
    granted = await desk.acquire(held)
    assert isinstance(granted, Grant)
    await desk.store.command(*change)
    with pytest.raises(errors.ClaimLost):
        await desk.begin(acting(held, granted))


async def test_whoever_ends_frees_no_lock_but_its_own(desk: Desk) -> None:
    """A failover lost its grant and gave the target to another one, which acts at this moment."""
    held = await desk.judged()
    await desk.acquire(held)
    await desk.store.command("HSET", LOCK, "incident", "another", "token", 99)
    await finish(desk, held)
    assert await desk.store.command("HGETALL", LOCK) == {"incident": "another", "token": "99"}
