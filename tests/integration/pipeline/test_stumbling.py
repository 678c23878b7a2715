"""A bug of ours in the middle of a walk ends with a human: neither in silence, nor in going round for ever."""

from __future__ import annotations

from typing import NoReturn

import pytest

from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.journal import StoredJournal
from bridge.model.evidence import Health
from bridge.model.incident import Outcome, State, Target
from bridge.model.policy import VerifyPolicy
from bridge.roles import Held
from tests.integration.walking import Walk
from tests.waiting import until


async def test_a_walk_that_stumbles_for_too_long_ends_with_a_human(walk: Walk) -> None:
    """A bug of ours is an outcome too: not silence, and never a success."""
    incident_id = await walk.alert()
    assert await walk.pipeline.stumbled(await walk.claim(incident_id)) is not None
    walk.policy(wait_for_seconds=-1)
    assert await walk.pipeline.stumbled(await walk.claim(incident_id)) is None
    assert (await walk.written(incident_id)).outcome is Outcome.ESCALATED


async def test_a_walk_that_writes_before_it_stumbles_ends_with_a_human_too(walk: Walk) -> None:
    """Each turn writes something; that is no progress, or it would be judged again for ever."""

    class Buggy(StoredBudgets):
        async def acquire(self, *_: object, **__: object) -> NoReturn:
            raise ZeroDivisionError

    walk.pipeline.desk.budgets = Buggy(walk.store, lease_seconds=30, trust_empty=True)
    walk.policy(wait_for_seconds=0.5)
    incident_id = await walk.alert()

    async def stumbled() -> bool:
        held = await walk.claim(incident_id)
        with pytest.raises(ZeroDivisionError):
            await walk.pipeline.walk(held)
        return await walk.pipeline.stumbled(held) is None

    await until(stumbled, seconds=10)
    assert (await walk.written(incident_id)).outcome is Outcome.ESCALATED


async def test_a_stumble_that_an_alert_joined_meanwhile_is_not_the_end(walk: Walk) -> None:
    """Nothing was closed: without another turn nobody would ever look at it again."""
    incident_id = await walk.alert(fingerprint="aa")
    walk.policy(wait_for_seconds=-1)

    class Joined(StoredJournal):
        async def load(self, held: Held) -> Held:
            loaded = await super().load(held)
            await walk.alert(fingerprint="bb")
            return loaded

    walk.pipeline.desk.journal = Joined(walk.store, lease_seconds=30)
    assert await walk.pipeline.stumbled(await walk.claim(incident_id)) is not None
    assert not (await walk.written(incident_id)).closed


async def test_a_watch_that_stumbles_is_over_when_it_would_have_been(walk: Walk) -> None:
    """Not each ten seconds for ever."""
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=0.2))
    incident_id = await walk.alert()
    incident = await walk.until_closed(incident_id)
    watched_until = incident.watch_until
    assert watched_until is not None
    held = await walk.claim(incident_id)
    await until(walk.journal.now, lambda now: now >= watched_until)
    assert await walk.pipeline.stumbled(held) is None
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=600))
    walk.docker.change(health=Health.UNHEALTHY)
    await walk.budgets.reset(Target(host="local", name="web"))
    another = await walk.alert(fingerprint="bb")
    await walk.until_closed(another)
    assert await walk.pipeline.stumbled(await walk.claim(another)) is not None


async def test_a_stumble_after_the_intent_is_unverified(walk: Walk) -> None:
    """Something may have been done, and nobody can say what."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.policy(wait_for_seconds=-1)
    await walk.pipeline.stumbled(await walk.claim(incident_id))
    assert (await walk.written(incident_id)).outcome is Outcome.UNVERIFIED
