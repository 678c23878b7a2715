"""Budgets on a real Redis: each limit refuses, says until when, and holds under a race."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge import errors
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.connection import Store, milliseconds
from bridge.model.evidence import ContainerFacts
from bridge.model.identity import target_of
from bridge.model.incident import Entry, Outcome, Target
from bridge.model.policy import BreakerPolicy, Cap, Limits, TargetPolicy
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant, Held
from tests.integration.desk import FREE, LEASE_SECONDS, OPEN_LIMITS, Desk, acting, as_judged
from tests.unit.triage.builders import running

HOUR = 3600.0
WINDOWS = [f"{{hemostat}}:window:{of}" for of in ("target:local/web", "host:local", "fleet")]
END = Entry(event="closed", fields={})


async def finish(
    desk: Desk,
    held: Held,
    outcome: Outcome = Outcome.HEALED,
    *,
    healed: bool | None = True,
    failures: int = 3,
) -> None:
    """Close an incident, so that its target is free."""
    now = await desk.journal.now()
    closed = held.incident.closing(outcome, "for the test", now=now, reconsider_at=now)
    breaker = BreakerPolicy(failures=failures, open_for_seconds=HOUR)
    await desk.journal.close(replace(held, incident=closed), END, healed=healed, breaker=breaker)


async def grant(desk: Desk, name: str = "web", fingerprint: str = "", **asked: object) -> Grant | Refusal:
    """One incident from alert to grant to end; what the budget said."""
    held = await desk.judged(name, fingerprint=fingerprint or f"{name}-{time.monotonic_ns()}")
    answer = await desk.acquire(held, **asked)  # type: ignore[arg-type]
    await finish(desk, held)
    return answer


def refused(answer: Grant | Refusal) -> Reason | None:
    """The reason of a refusal."""
    return answer.reason if isinstance(answer, Refusal) else None


async def test_within_the_cooldown_a_second_action_is_refused_until_its_end(desk: Desk) -> None:
    """The time until which is exact."""
    policy = replace(FREE, cooldown_seconds=HOUR)
    assert isinstance(await grant(desk, policy=policy), Grant)
    granted_at = await desk.store.command("ZRANGE", "{hemostat}:window:target:local/web", 0, 0, "WITHSCORES")
    answer = await grant(desk, policy=policy)
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.COOLDOWN
    assert answer.until is not None
    assert (
        milliseconds(answer.until)
        == int(granted_at[-1][-1] if isinstance(granted_at[-1], list) else granted_at[-1]) + 3_600_000
    )


async def test_after_the_cooldown_the_next_action_is_granted(desk: Desk) -> None:
    """Waits on the store's own clock, not on ours."""
    policy = replace(FREE, cooldown_seconds=0.3)
    assert isinstance(await grant(desk, policy=policy), Grant)
    deadline = time.monotonic() + 5
    while isinstance(answer := await grant(desk, policy=policy), Refusal) and time.monotonic() < deadline:
        assert answer.reason is Reason.COOLDOWN
    assert isinstance(answer, Grant)


async def test_the_fourth_action_in_an_hour_is_refused(desk: Desk) -> None:
    """The cap counts actions, healed ones too, and frees when the oldest leaves the window."""
    policy = replace(FREE, caps=(Cap(max=3, per_seconds=HOUR),))
    answers = [await grant(desk, policy=policy) for _ in range(4)]
    assert [refused(answer) for answer in answers] == [None, None, None, Reason.TARGET_CAP]
    last = answers[-1]
    assert isinstance(last, Refusal)
    assert last.until is not None
    left = last.until - await desk.journal.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


async def test_a_cap_that_was_lowered_is_free_when_only_the_newest_are_left(desk: Desk) -> None:
    """More were granted than it allows today: those beyond it do not say when."""
    now = milliseconds(await desk.journal.now())
    for token, minutes in enumerate((50, 30, 10), start=1):
        await desk.store.command("ZADD", "{hemostat}:window:target:local/web", now - minutes * 60_000, token)
    answer = await grant(desk, policy=replace(FREE, caps=(Cap(max=2, per_seconds=HOUR),)))
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.TARGET_CAP
    assert answer.until is not None
    assert milliseconds(answer.until) == now + 30 * 60_000


async def test_the_narrowest_of_several_windows_decides(desk: Desk) -> None:
    """Two a day refuses although five an hour would allow."""
    policy = replace(FREE, caps=(Cap(max=5, per_seconds=HOUR), Cap(max=2, per_seconds=24 * HOUR)))
    answers = [await grant(desk, policy=policy) for _ in range(3)]
    assert [refused(answer) for answer in answers] == [None, None, Reason.TARGET_CAP]


async def test_a_cap_of_none_refuses_always(desk: Desk) -> None:
    """``max: 0`` is a way to say never."""
    assert (
        refused(await grant(desk, policy=replace(FREE, caps=(Cap(max=0, per_seconds=HOUR),))))
        is Reason.TARGET_CAP
    )


async def test_the_host_and_the_fleet_have_caps_of_their_own(desk: Desk) -> None:
    """Different targets share them."""
    host = replace(OPEN_LIMITS, host=Cap(max=1, per_seconds=HOUR))
    fleet = replace(OPEN_LIMITS, fleet=Cap(max=2, per_seconds=HOUR))
    assert refused(await grant(desk, "one", limits=host)) is None
    assert refused(await grant(desk, "two", limits=host)) is Reason.HOST_CAP
    assert refused(await grant(desk, "two", limits=fleet)) is None
    assert refused(await grant(desk, "three", limits=fleet)) is Reason.FLEET_CAP


async def test_one_repair_at_a_time_on_a_target(desk: Desk) -> None:
    """Two incidents about one container (by name, by id): the second waits."""
    one = await desk.judged("web", fingerprint="1")
    assert isinstance(await desk.acquire(one), Grant)
    other = as_judged(await desk.judged("alias", fingerprint="2"), "web")
    assert refused(await desk.acquire(other)) is Reason.TARGET_BUSY
    await finish(desk, one)
    assert isinstance(await desk.acquire(other), Grant)


async def test_the_breaker_opens_after_repairs_that_did_not_heal_and_one_success_closes_it(
    desk: Desk,
) -> None:
    """Failures in a row count; then nothing is granted for a while."""
    for n in range(2):
        held = await desk.judged(fingerprint=f"f{n}")
        assert isinstance(await desk.acquire(held), Grant)
        await finish(desk, held, Outcome.NOT_HEALED, healed=False, failures=2)
    answer = await grant(desk)
    assert isinstance(answer, Refusal)
    assert (answer.reason, answer.until is not None) == (Reason.BREAKER_OPEN, True)
    await desk.budgets.reset(Target(host="local", name="web"))
    assert isinstance(await grant(desk), Grant)


async def test_each_failure_after_the_breaker_opened_opens_it_for_twice_as_long_up_to_sixteen_times(
    desk: Desk,
) -> None:
    breaker, hours = "{hemostat}:breaker:local/web", []
    for n in range(8):
        held = await desk.judged(fingerprint=f"f{n}")
        assert isinstance(await desk.acquire(held), Grant)
        await finish(desk, held, Outcome.NOT_HEALED, healed=False, failures=2)
        if until := await desk.store.command("HGET", breaker, "until"):
            left = int(until) - milliseconds(await desk.journal.now())
            hours.append(round(left / 3_600_000))
            await desk.store.command("HSET", breaker, "until", 0)  # as if that time had passed
    assert hours == [1, 2, 4, 8, 16, 16, 16]


async def test_an_outcome_feeds_the_breaker_once_however_often_it_is_told(desk: Desk) -> None:
    """A close whose answer was lost is repeated by the client."""
    held = await desk.judged()
    await desk.acquire(held)
    for _ in range(3):
        await finish(desk, held, Outcome.NOT_HEALED, healed=False, failures=9)
    assert await desk.store.command("HGET", "{hemostat}:breaker:local/web", "fails") == "1"


async def test_a_grant_asked_for_twice_is_one_grant(desk: Desk) -> None:
    """The same token again, and one place in the window."""
    held = await desk.judged()
    policy = replace(FREE, cooldown_seconds=HOUR, caps=(Cap(max=1, per_seconds=HOUR),))
    first, second = await desk.acquire(held, policy=policy), await desk.acquire(held, policy=policy)
    assert first == second
    assert await desk.store.command("ZCARD", "{hemostat}:window:fleet") == 1


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


async def test_a_dry_run_checks_everything_and_writes_nothing(desk: Desk) -> None:
    """``simulate`` and mode ``observe`` ask without reserving."""
    before = await desk.store.command("DBSIZE"), await desk.store.command("KEYS", "*")
    target = Target(host="local", name="web")
    asked = {"policy": FREE, "limits": OPEN_LIMITS, "facts": running()}
    assert await desk.budgets.would_grant(target, **asked) is None  # type: ignore[arg-type]
    assert (await desk.store.command("DBSIZE"), await desk.store.command("KEYS", "*")) == before
    await grant(desk, policy=replace(FREE, cooldown_seconds=HOUR))
    asked["policy"] = replace(FREE, cooldown_seconds=HOUR)
    answer = await desk.budgets.would_grant(target, **asked)  # type: ignore[arg-type]
    assert answer is not None
    assert answer.reason is Reason.COOLDOWN


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


ONE_IN_AN_HOUR = Cap(max=1, per_seconds=HOUR)
ONE_ON_A_HOST = replace(OPEN_LIMITS, host=ONE_IN_AN_HOUR)


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


IN_AN_HOUR = "redis.call('TIME')[1] * 1000 + 3600000"


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


async def test_the_windows_keep_twice_what_todays_limits_need(desk: Desk) -> None:
    """So that a longer limit set by a reload still sees what was granted before."""
    window = "{hemostat}:window:target:local/web"
    now = milliseconds(await desk.journal.now())
    for token, hours in enumerate((50, 46, 30), start=1):
        await desk.store.command("ZADD", window, now - hours * 3_600_000, f"old-{token}")
    assert isinstance(await grant(desk), Grant)
    kept = await desk.store.command("ZRANGE", window, 0, -1)
    assert kept[:-1] == ["old-2", "old-3"]
    day = 86_400_000  # the least that is kept, whatever the limits are
    for each in WINDOWS:
        assert 2 * day < await desk.store.command("PTTL", each) <= 2 * day + 60_000


LOCK = "{hemostat}:lock:local/web"


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


async def test_fifty_racing_workers_break_no_limit(desk: Desk) -> None:
    """Checked and reserved in one step: whatever the order, exactly as many grants as the caps allow."""
    policy = replace(FREE, caps=(Cap(max=1, per_seconds=HOUR),))
    limits = Limits(fleet=Cap(max=7, per_seconds=HOUR), host=Cap(max=100, per_seconds=HOUR))
    held = await asyncio.gather(*(desk.judged(f"c{n % 25}", fingerprint=f"r{n}") for n in range(25)))
    twice = [*held, *(as_judged(h, f"c{n % 5}") for n, h in enumerate(held))]
    answers = await asyncio.gather(*(desk.acquire(h, policy=policy, limits=limits) for h in twice))
    assert len({a.token for a in answers if isinstance(a, Grant)}) == 7


def refused_at(answer: Refusal | None) -> Reason | None:
    """The reason, if there is one."""
    return answer.reason if answer else None


def policy_of(**changes: object) -> TargetPolicy:
    """A policy with these changes."""
    return replace(FREE, **changes)  # type: ignore[arg-type]


# Names


def task_of(slot: str) -> ContainerFacts:
    """The container of a Swarm task, whose budget may stand under the service's name or its own from before."""
    labels = {"com.docker.swarm.service.name": "web", "com.docker.swarm.task.id": "x8f3"}
    return running(name=f"{slot}.x8f3", labels=labels)


async def asked(desk: Desk, facts: ContainerFacts, policy: TargetPolicy) -> Grant | Refusal:
    """What a new incident of the task's target is told."""
    name = target_of(facts).name
    held = await desk.judged(name, fingerprint=f"{name}-{time.monotonic_ns()}")
    entry = Entry(event="reserved", fields={})
    answer = await desk.budgets.acquire(held, policy=policy, limits=OPEN_LIMITS, facts=facts, entry=entry)
    await finish(desk, held)
    return answer


@pytest.mark.parametrize("before", ["web", "web.1.x8f3", "web.1"], ids=["service", "task", "slot"])
@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        pytest.param(replace(FREE, cooldown_seconds=HOUR), Reason.COOLDOWN, id="cooldown"),
        pytest.param(replace(FREE, caps=(Cap(max=1, per_seconds=HOUR),)), Reason.TARGET_CAP, id="cap"),
    ],
)
async def test_what_was_granted_under_any_of_its_names_counts(
    desk: Desk, before: str, policy: TargetPolicy, reason: Reason
) -> None:
    """An older version kept a task's budget by whatever the alert said; and so it is shown, and reset."""
    facts = task_of("web.1")
    assert isinstance(await grant(desk, before, policy=policy), Grant)
    assert refused(await asked(desk, facts, policy)) is reason
    shown = await desk.budgets.state(target_of(facts), policy=policy, limits=OPEN_LIMITS, facts=facts)
    assert shown.refusal is not None
    assert (shown.refusal.reason, shown.actions_last_hour) == (reason, 1)
    assert shown.last_action_at is not None
    await desk.budgets.reset(target_of(facts), facts=facts)
    assert isinstance(await asked(desk, facts, policy), Grant)


async def test_grants_under_several_names_are_counted_together(desk: Desk) -> None:
    """Free again when the oldest of them leaves the window."""
    policy = replace(FREE, caps=(Cap(max=3, per_seconds=HOUR),))
    first, *others = [await grant(desk, name, policy=policy) for name in ("web.1.x8f3", "web", "web.1")]
    assert isinstance(first, Grant)
    assert all(isinstance(each, Grant) for each in others)
    answer = await asked(desk, task_of("web.1"), policy)
    assert isinstance(answer, Refusal)
    assert answer.reason is Reason.TARGET_CAP
    oldest = await desk.store.command("ZSCORE", "{hemostat}:window:target:local/web.1.x8f3", first.token)
    assert answer.until is not None
    assert milliseconds(answer.until) == int(float(oldest)) + 3_600_000


@pytest.mark.parametrize("before", ["web", "web.1.x8f3"])
async def test_what_is_under_way_or_broken_under_another_name_stands_in_the_way(
    desk: Desk, before: str
) -> None:
    """A repair that was begun before an upgrade holds its lock under the old name."""
    begun = await desk.judged(before)
    assert isinstance(await desk.acquire(begun), Grant)
    facts = task_of("web.1")
    assert refused(await asked(desk, facts, FREE)) is Reason.TARGET_BUSY
    await finish(desk, begun, Outcome.NOT_HEALED, healed=False, failures=1)
    assert refused(await asked(desk, facts, FREE)) is Reason.BREAKER_OPEN


async def test_a_replica_does_not_count_for_another(desk: Desk) -> None:
    """Each place of a service has its own budget, as each container of a Compose service has."""
    policy = replace(FREE, cooldown_seconds=HOUR)
    assert isinstance(await asked(desk, task_of("web.1"), policy), Grant)
    assert isinstance(await asked(desk, task_of("web.2"), policy), Grant)
