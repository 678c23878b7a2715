"""The budget of a Swarm task, which may stand under the service's name or its own from before: all of them count."""

import time
from dataclasses import replace

import pytest

from bridge.edges.store.connection import milliseconds
from bridge.model.evidence import ContainerFacts
from bridge.model.identity import target_of
from bridge.model.incident import Entry, Outcome
from bridge.model.policy import Cap, TargetPolicy
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant
from tests.integration.desk import FREE, OPEN_LIMITS, Desk
from tests.integration.store.budgets.granting import HOUR, finish, grant, refused
from tests.unit.triage.builders import running


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
