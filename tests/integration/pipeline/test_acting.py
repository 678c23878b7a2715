"""From a granted budget to an action: once, within its lease, and only where everything is still as it was judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge import errors
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.judgement import Ruleset
from bridge.model.evidence import ContainerStatus, Health
from bridge.model.incident import Entry, Outcome, State
from bridge.model.policy import Cap, Limits, MaintenanceWindow, Mode, Policy
from bridge.model.refusal import Reason, Refusal
from bridge.model.time_interval import TimeInterval
from bridge.model.verdict import Action
from bridge.pipeline import MAX_FAILURES
from bridge.roles import Held
from tests.in_memory_containers import BOOT, InMemoryContainers
from tests.integration.walking import AT_ONCE, NoDeadman, Walk, pipeline_on


class RecordingDeadman(NoDeadman):
    """Says whether the timer runs now."""

    def __init__(self) -> None:
        self.armed: set[str] = set()

    def arm(self, key: str, seconds: float) -> None:
        """It runs."""
        self.armed.add(key)

    def disarm(self, key: str) -> None:
        """It does not."""
        self.armed.discard(key)


async def test_a_sick_container_is_restarted_once_and_found_healed(walk: Walk) -> None:
    """The whole walk, each step written before the next."""
    incident_id = await walk.alert()
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, incident.watch_until) == (Outcome.HEALED, None)
    assert [verb for verb, _ in walk.docker.actions] == ["restart"]
    story = await walk.events(incident_id)
    assert [event for event in story if event != "looked"] == [
        "opened",
        "judged",
        "reserved",
        "acting",
        "acted",
        "closed",
    ]


@pytest.mark.parametrize("half", [False, True], ids=["whole", "half"])
async def test_the_timer_runs_from_before_the_lease_is_renewed_until_the_call_is_over(
    walk: Walk, redis_url: str, half: bool
) -> None:
    """Else a worker that is paused between the store's answer and the timer would act after its lease."""
    deadman, seen = RecordingDeadman(), []
    store = Store(redis_url)

    class Journal(StoredJournal):
        async def save(self, held: Held, entry: Entry | None) -> Held:
            if entry is not None and entry.event == "starting":
                seen.append(("save", bool(deadman.armed)))
            return await super().save(held, entry)

    class Budgets(StoredBudgets):
        async def begin(self, held: Held, entry: Entry, **asked: Any) -> Refusal | None:
            seen.append(("begin", bool(deadman.armed)))
            return await super().begin(held, entry, **asked)

    class Docker(InMemoryContainers):
        def _act(self, verb: str, container_id: str) -> None:
            seen.append((verb, bool(deadman.armed)))
            super()._act(verb, container_id)

    docker = Docker()
    docker.run("web")
    walk.docker = docker
    walk.pipeline = pipeline_on(
        store,
        docker,
        ruleset=walk.pipeline.desk.judge.ruleset,
        journal=Journal(store, lease_seconds=30),
        budgets=Budgets(store, lease_seconds=30, trust_empty=True),
        deadman=deadman,
    )
    incident_id = await walk.alert()
    if half:
        await walk.dies_while(State.ACTING, incident_id)
        docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=137)
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED
    assert seen == ([("save", True), ("start", True)] if half else [("begin", True), ("restart", True)])
    assert not deadman.armed
    await store.close()


async def test_a_crashed_container_is_started(walk: Walk) -> None:
    """Start is preferred where policy allows it and nothing runs."""
    walk.docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=1, finished_at=BOOT)
    incident = await walk.until_closed(await walk.alert())
    assert (incident.outcome, [verb for verb, _ in walk.docker.actions]) == (Outcome.HEALED, ["start"])


ALWAYS = MaintenanceWindow(name="move", intervals=(TimeInterval(),))


@pytest.mark.parametrize("state", [State.RESERVED, State.ACTING], ids=["granted", "intended and not done"])
@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        (Policy(root=replace(AT_ONCE, mode=Mode.OBSERVE)), Reason.OBSERVE_MODE),
        (Policy(root=replace(AT_ONCE, mode=Mode.APPROVE)), Reason.APPROVAL_REQUIRED),
        (Policy(root=replace(AT_ONCE, actions=(Action.START,))), Reason.ACTION_NOT_ALLOWED),
        (Policy(root=AT_ONCE, protected=("web",)), Reason.PROTECTED),
        (Policy(root=AT_ONCE, maintenance=(ALWAYS,)), Reason.MAINTENANCE),
        (Policy(root=AT_ONCE, limits=Limits(host=Cap(max=0, per_seconds=60))), Reason.HOST_CAP),
    ],
    ids=["observe", "approve", "another action", "protected", "maintenance", "host cap"],
)
async def test_what_an_operator_says_after_the_decision_counts_until_the_action_begins(
    walk: Walk, policy: Policy, reason: Reason, state: State
) -> None:
    """A restart of ours, or an Engine that is away, may lie between the two; a reload or a window's begin may, too."""
    incident_id = await walk.alert()
    await walk.dies_while(state, incident_id)
    walk.pipeline.desk.judge.ruleset = Ruleset(policy=policy)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.refusals[-1].reason is reason


@pytest.mark.parametrize("state", [State.RESERVED, State.ACTING], ids=["granted", "intended and not done"])
async def test_a_container_that_a_deploy_renamed_after_the_judgement_is_left_alone(
    walk: Walk, state: State
) -> None:
    """``docker compose up`` and others move the old one out of the way before the new one starts."""
    incident_id = await walk.alert()
    await walk.dies_while(state, incident_id)
    walk.docker.rename("web", "0123456789ab_web")
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])


async def test_an_engine_that_only_answers_with_errors_ends_as_failed(walk: Walk) -> None:
    """Bounded: a call that fails is settled and tried again a few times, never for ever."""
    walk.docker.break_action = [errors.EdgeUnavailable("docker", "500")] * 50
    incident_id = await walk.alert()
    while not (incident := await walk.turn(incident_id)).closed:
        await walk.much_later(incident_id)
    assert (incident.outcome, len(walk.docker.actions)) == (Outcome.FAILED, MAX_FAILURES)


async def test_an_engine_that_refuses_ends_as_failed(walk: Walk) -> None:
    """A clear no is final."""
    walk.docker.break_action = [errors.EdgeRejected("docker", "409 conflict", 409)]
    incident = await walk.until_closed(await walk.alert())
    assert (incident.outcome, len(walk.docker.actions)) == (Outcome.FAILED, 1)


async def test_an_alert_that_ended_before_the_action_gives_the_budget_back(walk: Walk) -> None:
    """Granted, not begun: refunded."""
    incident_id = await walk.alert()
    await walk.dies_while(State.RESERVED, incident_id)
    await walk.alert(ended=30)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.RESOLVED, [])
    assert await walk.store.command("ZCARD", "{hemostat}:window:fleet") == 0


async def test_a_container_that_somebody_paused_after_the_judgement_is_left_alone(walk: Walk) -> None:
    """Neither its id nor its start says so."""
    incident_id = await walk.alert()
    await walk.dies_while(State.RESERVED, incident_id)
    walk.docker.change(status=ContainerStatus.PAUSED)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.refusals[-1].reason is Reason.TARGET_CHANGED


async def test_a_container_that_somebody_restarted_after_the_judgement_is_not_restarted_again(
    walk: Walk,
) -> None:
    """Looked at once more right before the intent."""
    incident_id = await walk.alert()
    await walk.dies_while(State.RESERVED, incident_id)
    walk.docker.started()
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.refusals[-1].reason is Reason.TARGET_CHANGED
    assert await walk.store.command("ZCARD", "{hemostat}:window:target:local/web") == 1, (
        "it may have been us, before a failover that lost the intent"
    )
