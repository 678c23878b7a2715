"""Who counts as sick, and when nothing is repaired for it: on a real Redis, in the script that grants."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.edges.store.storms import StoredStorms
from bridge.model.alert import Alert
from bridge.model.incident import Entry, Outcome, Target
from bridge.model.policy import BreakerPolicy, Limits
from bridge.model.refusal import Reason, Refusal
from bridge.model.share import Part, Population, Share, ShareScope
from bridge.roles import Grant, Held
from tests.integration.desk import FREE, OPEN_LIMITS, START, Desk, acting, alert, as_judged
from tests.unit.triage.builders import running

END = Entry(event="closed", fields={})
NAMES = tuple(f"c{n}" for n in range(8))
SHOP = Population(
    scope=ShareScope.PROJECT, host="local", name="shop", parts=(Part(host="local", up=8, members=NAMES),)
)
LIMITS = replace(OPEN_LIMITS, project_share=0.34, share_quiet_seconds=30.0)


def fleet(up: int, *down: str) -> Population:
    """All containers of the only host."""
    return Population(scope=ShareScope.FLEET, parts=(Part(host="local", up=up, down=down),))


async def look(desk: Desk, population: Population = SHOP, limits: Limits = LIMITS) -> Share:
    """How many are sick now."""
    (share,) = await StoredStorms(desk.store).shares([population], limits=limits)
    return share


async def note(desk: Desk, population: Population = SHOP, limits: Limits = LIMITS) -> list[bool]:
    """What the watch notes: ``True`` for a beginning, ``False`` for an end."""
    turned = await StoredStorms(desk.store).note_shares([population], limits=limits)
    return [change.began for change in turned]


async def acquire(
    desk: Desk, held: Held, population: Population = SHOP, limits: Limits = LIMITS
) -> Grant | Refusal:
    """Ask for the budget of a container of this population."""
    return await desk.budgets.acquire(
        held, policy=FREE, limits=limits, facts=running(), entry=END, populations=[population]
    )


async def close(desk: Desk, held: Held, outcome: Outcome) -> Held:
    """The incident ends so."""
    now = await desk.journal.now()
    closed = held.incident.closing(outcome, "for the test", now=now, reconsider_at=now + timedelta(hours=1))
    return await desk.journal.close(replace(held, incident=closed), END, healed=None, breaker=BreakerPolicy())


async def backdate(desk: Desk, seconds: float) -> None:
    """The same as waiting so long, for what is suspect and for marks that run out."""
    shares, sick = "{hemostat}:shares", "{hemostat}:sick:local"
    for name in await desk.store.command("HKEYS", shares):
        text = await desk.store.command("HGET", shares, name)
        since, below, seen, *counts = (int(number) for number in text.split())
        times = [max(0, at - round(1000 * seconds)) for at in (since, below, seen)]
        await desk.store.command("HSET", shares, name, " ".join(map(str, [*times, *counts])))
    for name in await desk.store.command("ZRANGE", sick, 0, -1):
        await desk.store.command("ZINCRBY", sick, -1000 * seconds, name)


async def sicken(desk: Desk, *names: str) -> list[Held]:
    """Each has an incident, claimed and judged."""
    return [await desk.judged(name) for name in names]


async def test_a_container_is_sick_from_the_moment_its_alert_is_accepted(desk: Desk) -> None:
    """Nobody need have looked at it: with five of eight in one webhook, the first to ask is refused."""
    await desk.take(*(alert(name, fingerprint=name) for name in NAMES[:5]))
    share = await look(desk)
    assert (share.sick, share.known, share.over) == (5, 8, True)


async def test_alerts_about_others_do_not_count(desk: Desk) -> None:
    """Another host's, an unknown thing's, and a container outside the project."""
    far = replace(alert("c1"), labels={"alertname": "A", "name": "c1", "docker_host": "far"})
    await desk.take(
        far, replace(alert(fingerprint="x"), labels={"alertname": "Watchdog"}), alert("lone", fingerprint="l")
    )
    assert (await look(desk)).sick == 0
    assert (await look(desk, fleet(20))).sick == 1


async def test_with_five_of_eight_sick_nothing_of_the_project_is_repaired(desk: Desk) -> None:
    """The refusal has the numbers; there is no time at which it surely ends."""
    held = await sicken(desk, *NAMES[:5])
    answers = [await acquire(desk, one) for one in held]
    assert all(isinstance(answer, Refusal) for answer in answers)
    refusal = answers[0]
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.until) == (Reason.PROJECT_SHARE, None)
    assert refusal.detail.startswith("5 of 8 containers of project shop are sick, more than 34%")


async def test_what_was_granted_before_the_others_fell_sick_is_not_begun(desk: Desk) -> None:
    """Docker was away between the two, and with it what they all stand on."""
    first, second = await sicken(desk, *NAMES[:2])
    answers = [await acquire(desk, held) for held in (first, second)]
    granted = [answer for answer in answers if isinstance(answer, Grant)]
    assert await desk.begin(acting(first, granted[0]), limits=LIMITS, populations=[SHOP]) is None
    await sicken(desk, *NAMES[2:5])
    refusal = await desk.begin(acting(second, granted[1]), limits=LIMITS, populations=[SHOP])
    assert refusal is not None
    assert refusal.reason is Reason.PROJECT_SHARE
    assert refusal.detail.startswith("5 of 8 containers of project shop are sick")


async def test_two_of_eight_are_repaired(desk: Desk) -> None:
    """A quarter is below the share."""
    for held in await sicken(desk, *NAMES[:2]):
        assert isinstance(await acquire(desk, held), Grant)


async def test_the_only_container_of_a_project_is_repaired(desk: Desk) -> None:
    """All of it is sick, and that is one."""
    alone = replace(SHOP, parts=(Part(host="local", up=1, members=("c0",)),))
    (held,) = await sicken(desk, "c0")
    assert isinstance(await acquire(desk, held, alone), Grant)


async def test_racing_workers_slip_past_no_share(desk: Desk) -> None:
    """Whatever the order: three of eight are too many, and each grants or refuses with the others in view."""
    held = await sicken(desk, *NAMES[:3])
    answers = await asyncio.gather(*(acquire(desk, one) for one in held))
    assert [isinstance(answer, Grant) for answer in answers] == [False] * 3


async def test_containers_that_do_not_run_count_only_while_they_are_sick(desk: Desk) -> None:
    """A finished job is not a well container."""
    parts = (Part(host="local", up=2, down=("c2", "c3", "job"), members=("c0", "c1", "c2", "c3", "job")),)
    await sicken(desk, "c2", "c3")
    share = await look(desk, replace(SHOP, parts=parts))
    assert (share.sick, share.known) == (2, 4)


async def test_more_alerts_than_containers_is_all_of_them(desk: Desk) -> None:
    """Alerts about what Docker does not know any more make the monitor suspect, not a share above one."""
    await desk.take(*(alert(f"old{n}", fingerprint=f"o{n}") for n in range(12)))
    share = await look(desk, fleet(3))
    assert (share.sick, share.known, share.over) == (12, 12, True)


async def test_an_alert_by_container_id_counts_once_under_the_containers_name(desk: Desk) -> None:
    """From the moment it is known which container bears the id."""
    by_id = replace(alert(fingerprint="id"), labels={"alertname": "A", "container_id": "a" * 64})
    held = as_judged(await desk.claim(await desk.incident_for(by_id)), "c0")
    assert (await look(desk)).sick == 0
    await acquire(desk, held)
    assert ((await look(desk)).sick, (await look(desk, fleet(20))).sick) == (1, 1)


@pytest.mark.parametrize("outcome", [Outcome.HEALED, Outcome.RESOLVED, Outcome.NO_ACTION])
async def test_who_is_well_again_counts_no_more(desk: Desk, outcome: Outcome) -> None:
    """At the end of its incident."""
    (held,) = await sicken(desk, "c0")
    await close(desk, held, outcome)
    assert (await look(desk)).sick == 0


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.ESCALATED, Outcome.NOT_HEALED])
async def test_who_was_left_sick_counts_until_its_alert_ends(desk: Desk, outcome: Outcome) -> None:
    """Else the first refusals would make room for the next repairs."""
    (held,) = await sicken(desk, "c0")
    await close(desk, held, outcome)
    assert (await look(desk)).sick == 1
    await desk.take(alert("c0", ended=60, fingerprint="c0"))
    assert (await look(desk)).sick == 0


async def test_who_was_left_sick_and_was_named_by_its_id_counts_until_that_alert_ends(desk: Desk) -> None:
    """Its name is known from the container, not from the alert."""
    by_id = replace(alert(fingerprint="id"), labels={"alertname": "A", "container_id": "a" * 64})
    held = as_judged(await desk.claim(await desk.incident_for(by_id)), "c0")
    await acquire(desk, held)
    await close(desk, held, Outcome.NOT_HEALED)
    assert (await look(desk)).sick == 1
    await desk.take(replace(alert(fingerprint="id", ended=60), labels=by_id.labels))
    assert (await look(desk)).sick == 0


async def test_who_was_left_sick_is_forgotten_after_a_while(desk: Desk) -> None:
    """No resolved need ever come."""
    (held,) = await sicken(desk, "c0")
    await close(desk, held, Outcome.REFUSED)
    await backdate(desk, 601)
    assert (await look(desk)).sick == 0


async def test_a_relapse_is_sick_again(desk: Desk) -> None:
    """Though its incident had closed as healed."""
    (held,) = await sicken(desk, "c0")
    held = await close(desk, held, Outcome.HEALED)
    now = await desk.journal.now()
    relapsed = replace(held, incident=held.incident.relapsed("again", now=now))
    await desk.journal.close(relapsed, END, healed=False, breaker=BreakerPolicy())
    assert (await look(desk)).sick == 1


async def test_a_relapse_beside_an_open_incident_shortens_nothing(desk: Desk) -> None:
    """It is sick for as long as that one is open."""
    (held,) = await sicken(desk, "c0")
    held = await close(desk, held, Outcome.HEALED)
    await desk.take(alert("c0", fingerprint="again"))
    relapsed = replace(held, incident=held.incident.relapsed("again", now=await desk.journal.now()))
    await desk.journal.close(relapsed, END, healed=False, breaker=BreakerPolicy())
    await backdate(desk, 3600)
    assert (await look(desk)).sick == 1


async def test_what_no_container_was_found_for_is_sick_until_its_incident_ends(desk: Desk) -> None:
    """By the id that its alert names; nobody can look whether it is well."""
    by_id = replace(alert(fingerprint="id"), labels={"alertname": "A", "container_id": "a" * 64})
    held = await desk.claim(await desk.incident_for(by_id))
    assert (await look(desk, fleet(20))).sick == 1
    await close(desk, held, Outcome.ESCALATED)
    assert (await look(desk, fleet(20))).sick == 0


async def test_it_ends_only_after_half_the_share_for_the_quiet_time(desk: Desk) -> None:
    """Fewer than too many is not few: three, then two keep it, and one for the quiet time ends it."""
    held = await sicken(desk, *NAMES[:3])
    assert isinstance(await acquire(desk, held[0]), Refusal)
    await close(desk, held[0], Outcome.RESOLVED)
    assert await note(desk) == []
    refusal = await acquire(desk, held[1])
    assert isinstance(refusal, Refusal)
    assert refusal.detail.startswith("2 of 8 containers of project shop are sick; more than 34% were")
    await close(desk, held[1], Outcome.RESOLVED)
    assert await note(desk) == []
    left = (await look(desk)).until
    assert left is not None
    assert left - await desk.journal.now() <= timedelta(seconds=30)
    await backdate(desk, 20)
    assert await note(desk) == []
    await backdate(desk, 11)
    assert await note(desk) == [False]
    assert isinstance(await acquire(desk, held[2]), Grant)


async def test_a_rise_begins_the_quiet_time_anew(desk: Desk) -> None:
    """Two of eight in between are too many for calm."""
    held = await sicken(desk, *NAMES[:3])
    await note(desk)
    for one in held:
        await close(desk, one, Outcome.RESOLVED)
    await note(desk)
    await backdate(desk, 25)
    again = [await desk.judged(name, fingerprint=f"again-{name}") for name in NAMES[:2]]
    await note(desk)
    for one in again:
        await close(desk, one, Outcome.RESOLVED)
    await note(desk)
    await backdate(desk, 25)
    assert await note(desk) == []
    await backdate(desk, 11)
    assert await note(desk) == [False]


@pytest.mark.parametrize("how", ["nobody looked", "unknown"])
async def test_what_nobody_saw_was_not_quiet(desk: Desk, how: str) -> None:
    """All replicas were down meanwhile, or the host did not answer."""
    held = await sicken(desk, *NAMES[:3])
    await note(desk)
    for one in held:
        await close(desk, one, Outcome.RESOLVED)
    await note(desk)
    if how == "unknown":
        await backdate(desk, 25)
        await note(desk, replace(SHOP, parts=(), unseen=("local",)))
        await backdate(desk, 25)
    else:
        await backdate(desk, 3600)
    assert await note(desk) == []
    assert (await look(desk)).suspect


async def test_a_project_that_is_gone_is_quiet(desk: Desk) -> None:
    """What was taken down must not stay suspect for ever."""
    await sicken(desk, *NAMES[:3])
    gone = replace(SHOP, parts=())
    assert await note(desk) == [True]
    await note(desk, gone)
    await backdate(desk, 30)
    assert await note(desk, gone) == [False]
    assert await StoredStorms(desk.store).suspects() == []


async def test_a_share_of_one_never_stands_in_the_way(desk: Desk) -> None:
    """The way to turn it off."""
    (held, *_) = await sicken(desk, *NAMES)
    assert isinstance(await acquire(desk, held, limits=replace(LIMITS, project_share=1.0)), Grant)


async def test_beginning_and_end_are_told_once_with_the_numbers(desk: Desk) -> None:
    """In the stream of events, whoever noticed."""
    held = await sicken(desk, *NAMES[:3])
    for one in held:
        await acquire(desk, one)
        await close(desk, one, Outcome.RESOLVED)
    (suspect,) = await StoredStorms(desk.store).suspects()
    assert suspect.population.key == SHOP.key
    await note(desk)
    await backdate(desk, 30)
    await note(desk)
    entries = await desk.store.command("XRANGE", "{hemostat}:events", "-", "+")
    lines = [json.loads(fields["entry"]) for _, fields in entries]
    assert [(line["event"], line["fields"]) for line in lines if line["event"].startswith("share_")] == [
        ("share_began", {"population": SHOP.key, "sick": "3", "known": "8"}),
        ("share_ended", {"population": SHOP.key, "sick": "0", "known": "8"}),
    ]


async def test_a_dry_run_says_the_same_and_writes_nothing(desk: Desk) -> None:
    """``simulate`` and the view of a target ask without telling anybody."""
    await sicken(desk, *NAMES[:5])
    before = await desk.store.command("KEYS", "*")
    refusal = await desk.budgets.would_grant(
        Target(host="local", name="c0"), policy=FREE, limits=LIMITS, facts=running(), populations=[SHOP]
    )
    assert refusal is not None
    assert refusal.reason is Reason.PROJECT_SHARE
    assert await desk.store.command("KEYS", "*") == before


async def test_alert_and_incident_of_a_long_list_are_counted_whole(desk: Desk) -> None:
    """More names than one call to Redis takes."""
    names = tuple(f"n{n}" for n in range(2500))
    alerts: list[Alert] = [replace(alert(name, fingerprint=name), starts_at=START) for name in names[::5]]
    for first in range(0, len(alerts), 100):
        await desk.take(*alerts[first : first + 100])
    big = replace(SHOP, parts=(Part(host="local", up=2500, members=names),))
    share = await look(desk, big)
    assert (share.sick, share.known) == (500, 2500)
