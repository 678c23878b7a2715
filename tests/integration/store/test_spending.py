"""What the model may cost, on a real Redis."""

import asyncio

import pytest

from bridge import errors
from bridge.edges.store.connection import Store
from bridge.edges.store.spending import StoredSpending
from bridge.model.consultation import SpendingLimits
from bridge.roles import Overspent, Reservation

DOLLAR = SpendingLimits(usd_per_hour=1.0, usd_per_day=10.0)


def limited(store: Store, **limits: float) -> StoredSpending:
    return StoredSpending(store, SpendingLimits(**{"usd_per_hour": 1.0, "usd_per_day": 10.0, **limits}))  # type: ignore[arg-type]


async def age(store: Store, hours: int) -> None:
    """Move everything that was spent into the past."""
    for unit, steps in (("minute", 60 * hours), ("hour", hours)):
        for name in sorted(await store.command("KEYS", f"{{hemostat}}:spent:{unit}:*")):  # oldest first
            head, _, number = name.rpartition(":")
            await store.command("RENAME", name, f"{head}:{int(number) - steps}")


@pytest.mark.parametrize(
    ("limits", "tokens", "usd", "limit"),
    [
        pytest.param({"usd_per_hour": 0.5}, 1, 0.3, "usd_per_hour", id="hour-of-dollars"),
        pytest.param({"usd_per_day": 0.5}, 1, 0.3, "usd_per_day", id="day-of-dollars"),
        pytest.param({"tokens_per_hour": 500}, 300, 0.0, "tokens_per_hour", id="hour-of-tokens"),
        pytest.param({"tokens_per_day": 500}, 300, 0.0, "tokens_per_day", id="day-of-tokens"),
    ],
)
async def test_what_exceeds_a_limit_is_not_granted(
    store: Store, limits: dict[str, float], tokens: int, usd: float, limit: str
) -> None:
    spending = limited(store, **limits)
    assert isinstance(await spending.reserve(tokens=tokens, usd=usd), Reservation)
    assert await spending.reserve(tokens=tokens, usd=usd) == Overspent(limit=limit)


async def test_an_hour_and_a_day_later_there_is_room_again(store: Store) -> None:
    spending = limited(store, usd_per_hour=1.0, usd_per_day=2.0)
    await spending.reserve(tokens=1, usd=1.0)
    assert await spending.reserve(tokens=1, usd=1.0) == Overspent(limit="usd_per_hour")
    await age(store, hours=2)
    assert isinstance(await spending.reserve(tokens=1, usd=1.0), Reservation)
    await age(store, hours=2)
    assert await spending.reserve(tokens=1, usd=1.0) == Overspent(limit="usd_per_day")
    await age(store, hours=26)
    assert isinstance(await spending.reserve(tokens=1, usd=1.0), Reservation)


@pytest.mark.parametrize(
    ("unit", "steps", "limit"),
    [
        pytest.param("minute", 60, "usd_per_hour", id="an-hour"),
        pytest.param("hour", 24, "usd_per_day", id="a-day"),
    ],
)
async def test_a_window_is_never_shorter_than_it_says(
    store: Store, unit: str, steps: int, limit: str
) -> None:
    """What was spent at the end of a minute or an hour counts for all of its window."""
    spending = limited(store, usd_per_hour=1.0, usd_per_day=1.0)
    await spending.reserve(tokens=1, usd=1.0)
    for name in await store.command("KEYS", "{hemostat}:spent:*"):
        head, _, number = name.rpartition(":")
        if head.endswith(unit):
            await store.command("RENAME", name, f"{head}:{int(number) - steps}")
        else:
            await store.command("DEL", name)
    assert await spending.reserve(tokens=1, usd=1.0) == Overspent(limit=limit)


async def test_a_settled_reservation_gives_back_what_it_did_not_take_and_once_only(store: Store) -> None:
    spending = limited(store, usd_per_hour=1.0)
    first = await spending.reserve(tokens=9000, usd=0.9)
    assert isinstance(first, Reservation)
    await spending.settle(first, tokens=100, usd=0.1)
    await spending.settle(first, tokens=0, usd=0.0)
    assert isinstance(await spending.reserve(tokens=1, usd=0.9), Reservation)
    assert isinstance(await spending.reserve(tokens=1, usd=0.01), Overspent)


async def test_what_is_never_settled_stays_spent(store: Store) -> None:
    spending = limited(store, usd_per_hour=1.0)
    await spending.reserve(tokens=1, usd=1.0)
    assert isinstance(await limited(store, usd_per_hour=1.0).reserve(tokens=1, usd=0.1), Overspent)


async def test_a_bill_higher_than_the_reservation_counts_in_full(store: Store) -> None:
    spending = limited(store, usd_per_hour=1.0)
    reserved = await spending.reserve(tokens=1, usd=0.1)
    assert isinstance(reserved, Reservation)
    await spending.settle(reserved, tokens=1, usd=0.95)
    assert isinstance(await spending.reserve(tokens=1, usd=0.1), Overspent)


async def test_a_repeated_call_reserves_once(store: Store) -> None:
    for _ in range(3):
        answer = await store.script("spend", "reserve", "same", 10, 600_000, "", 1_000_000, "", 10_000_000)
        assert answer == ["ok"]


async def test_racing_replicas_never_spend_more_than_the_limit(store: Store) -> None:
    replicas = [limited(store, usd_per_hour=1.0) for _ in range(3)]
    asked = [replicas[n % 3].reserve(tokens=1, usd=0.1) for n in range(50)]
    answers = await asyncio.gather(*asked)
    assert sum(isinstance(answer, Reservation) for answer in answers) == 10


async def test_nothing_is_granted_by_a_store_that_is_away() -> None:
    store = Store("unix:///nowhere/redis.sock")
    with pytest.raises(errors.EdgeUnavailable):
        await StoredSpending(store, DOLLAR).reserve(tokens=1, usd=0.0)
    await store.close()


async def test_every_key_forgets_itself(store: Store) -> None:
    await limited(store).reserve(tokens=1, usd=0.1)
    for name in await store.command("KEYS", "{hemostat}:*"):
        assert await store.command("PTTL", name) > 0, name
