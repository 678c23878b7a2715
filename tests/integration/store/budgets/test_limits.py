"""Budgets on a real Redis: each limit refuses, says until when, and holds under a race."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

from bridge.edges.store.connection import milliseconds
from bridge.model.incident import Outcome, Target
from bridge.model.policy import Cap, Limits
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant
from tests.integration.desk import FREE, OPEN_LIMITS, Desk, as_judged
from tests.integration.store.budgets.granting import HOUR, WINDOWS, finish, grant, refused
from tests.unit.triage.builders import running


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


async def test_fifty_racing_workers_break_no_limit(desk: Desk) -> None:
    """Checked and reserved in one step: whatever the order, exactly as many grants as the caps allow."""
    policy = replace(FREE, caps=(Cap(max=1, per_seconds=HOUR),))
    limits = Limits(fleet=Cap(max=7, per_seconds=HOUR), host=Cap(max=100, per_seconds=HOUR))
    held = await asyncio.gather(*(desk.judged(f"c{n % 25}", fingerprint=f"r{n}") for n in range(25)))
    twice = [*held, *(as_judged(h, f"c{n % 5}") for n, h in enumerate(held))]
    answers = await asyncio.gather(*(desk.acquire(h, policy=policy, limits=limits) for h in twice))
    assert len({a.token for a in answers if isinstance(a, Grant)}) == 7
