"""The walk on a real Redis: resumed at every step, never acting twice, never calling unknown a success."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import pytest

from bridge import errors, evidence
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.intake import subject_of
from bridge.judgement import Ruleset
from bridge.model.alert import Alert, AlertStatus
from bridge.model.evidence import ContainerStatus, Health
from bridge.model.incident import Entry, Outcome, State, Target
from bridge.model.policy import Cap, Limits, MaintenanceWindow, Mode, Policy, VerifyPolicy
from bridge.model.refusal import Reason, Refusal
from bridge.model.time_interval import TimeInterval
from bridge.model.verdict import Action
from bridge.pipeline import MAX_FAILURES, deciding
from bridge.roles import AlertView, Held
from tests.in_memory_containers import BOOT, InMemoryContainers
from tests.integration.walking import (
    AT_ONCE,
    FIRES,
    HOLDS_NO_MORE,
    NEVER_HAD_IT,
    NoDeadman,
    Walk,
    pipeline_on,
)
from tests.waiting import until


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


async def test_an_engine_that_hung_gets_its_time_anew(walk: Walk) -> None:
    """It may still hold a call that it has not read: from its first answer on it has a whole stop timeout."""
    walk.policy(verify=VerifyPolicy(within_seconds=120, stable_for_seconds=0, relapse_watch_seconds=0))
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.away = True
    assert (await walk.turn(incident_id)).state is State.ACTING
    walk.docker.away = False
    assert (await walk.turn(incident_id)).state is State.ACTING
    assert walk.docker.actions == []
    walk.docker.started()
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.HEALED, [])


async def test_a_crashed_container_is_started(walk: Walk) -> None:
    """Start is preferred where policy allows it and nothing runs."""
    walk.docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=1, finished_at=BOOT)
    incident = await walk.until_closed(await walk.alert())
    assert (incident.outcome, [verb for verb, _ in walk.docker.actions]) == (Outcome.HEALED, ["start"])


async def test_a_repair_that_does_not_help_is_not_healed(walk: Walk) -> None:
    """Facts bad at the deadline."""
    walk.docker.heals = False
    walk.policy(verify=VerifyPolicy(within_seconds=0.2, stable_for_seconds=0, relapse_watch_seconds=0))
    assert (await walk.until_closed(await walk.alert())).outcome is Outcome.NOT_HEALED


@pytest.mark.parametrize("state", [State.JUDGED, State.RESERVED, State.ACTING, State.VERIFYING])
async def test_a_worker_that_dies_leaves_an_incident_that_another_finishes(walk: Walk, state: State) -> None:
    """Whatever the state, the action happens exactly once in the end."""
    incident_id = await walk.alert()
    if state is State.JUDGED:
        held = await walk.claim(incident_id)
        found = await walk.docker.inspect("local", "web")
        assert found is not None
        where = evidence.Found(target=Target(host="local", name="web"), facts=found)
        await deciding.judge(
            walk.pipeline.desk, replace(held, incident=held.incident.found(where.target)), where
        )
        assert (await walk.written(incident_id)).state is State.JUDGED
    else:
        left = await walk.dies_while(state, incident_id)
        assert left.state is state
    if state is State.VERIFYING:
        walk.docker.started()
    incident = await walk.until_closed(incident_id)
    assert incident.outcome is Outcome.HEALED
    assert len(walk.docker.actions) == (0 if state is State.VERIFYING else 1)
    assert await walk.store.command("ZCARD", "{hemostat}:window:fleet") == 1


async def test_an_action_that_happened_before_the_crash_is_not_repeated(walk: Walk) -> None:
    """StartedAt differs from the intent: it happened."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.started()
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.HEALED, [])
    assert incident.repair is not None
    assert incident.repair.settled


async def test_a_half_done_restart_gets_its_missing_start(walk: Walk) -> None:
    """Stopped and never started, as some Engines leave it when their client dies: no second restart."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=137)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, [verb for verb, _ in walk.docker.actions]) == (Outcome.HEALED, ["start"])


async def test_what_a_deploy_stopped_and_renamed_meanwhile_is_not_started(walk: Walk) -> None:
    """To Docker it looks like half a restart; started again it would hold the port that the new one needs."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=137)
    walk.docker.rename("web", "0123456789ab_web")
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.refusals[-1].reason is Reason.TARGET_CHANGED


async def test_a_pause_does_not_leave_stopped_what_a_restart_of_ours_stopped(walk: Walk) -> None:
    """It begins nothing; what was begun before it is brought to its end."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=137)
    await walk.budgets.pause(by="ann", why="night", until=None)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, [verb for verb, _ in walk.docker.actions]) == (Outcome.HEALED, ["start"])


async def test_a_restart_that_did_not_happen_is_not_begun_again_in_a_pause(walk: Walk) -> None:
    """Nothing of it is under way: it would be a new one."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    await walk.budgets.pause(by="ann", why="night", until=None)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])


@pytest.mark.parametrize(
    "changed",
    [{"health": Health.HEALTHY}, {"status": ContainerStatus.PAUSED}],
    ids=["well again", "paused by a person"],
)
async def test_a_restart_that_did_not_happen_is_not_begun_again_where_it_is_not_as_it_was_judged(
    walk: Walk, changed: dict[str, Any]
) -> None:
    """Perhaps an hour later, after an outage of ours: what would have kept it from beginning keeps it from that too."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    walk.docker.change(**changed)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.refusals[-1].reason is Reason.TARGET_CHANGED


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


async def test_what_still_fires_when_a_pause_ends_is_repaired_at_its_next_resend(walk: Walk) -> None:
    """Not only after a cooldown, as after a refusal without an end; and once."""
    await walk.budgets.pause(by="ann", why="night", until=None)
    paused = await walk.alert()
    assert (await walk.until_closed(paused)).outcome is Outcome.REFUSED
    assert await walk.alert() == paused
    await walk.budgets.resume()
    resumed = await walk.alert()
    assert resumed != paused
    assert (await walk.until_closed(resumed)).outcome is Outcome.HEALED
    assert await walk.alert() == resumed
    assert len(walk.docker.actions) == 1


@pytest.mark.parametrize("gone", [True, False], ids=["removed", "recreated"])
async def test_a_container_that_changed_during_the_action_is_left_alone(walk: Walk, gone: bool) -> None:
    """The intent was about another container."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    if gone:
        walk.docker.containers.clear()
    else:
        walk.docker.change(id="f" * 64)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.FAILED, [])


async def test_an_answer_that_never_came_is_settled_by_the_facts(walk: Walk) -> None:
    """Docker restarted it, and the answer was lost: one restart, no second call."""
    walk.docker.break_action = [errors.EdgeUnavailable("docker", "cut")]
    incident_id = await walk.alert()
    assert (await walk.turn(incident_id)).state is State.ACTING
    walk.docker.started()
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, len(walk.docker.actions)) == (Outcome.HEALED, 1)


async def test_an_engine_that_only_answers_with_errors_ends_as_failed(walk: Walk) -> None:
    """Bounded: a call that fails is settled and tried again a few times, never for ever."""
    walk.docker.break_action = [errors.EdgeUnavailable("docker", "500")] * 50
    incident_id = await walk.alert()
    while not (incident := await walk.turn(incident_id)).closed:
        await walk.much_later(incident_id)
    assert (incident.outcome, len(walk.docker.actions)) == (Outcome.FAILED, MAX_FAILURES)


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


async def test_an_engine_that_refuses_ends_as_failed(walk: Walk) -> None:
    """A clear no is final."""
    walk.docker.break_action = [errors.EdgeRejected("docker", "409 conflict", 409)]
    incident = await walk.until_closed(await walk.alert())
    assert (incident.outcome, len(walk.docker.actions)) == (Outcome.FAILED, 1)


async def test_an_alert_that_ended_before_the_walk_is_resolved_without_an_action(walk: Walk) -> None:
    """A resolved cancels work that has not begun."""
    incident_id = await walk.alert()
    await walk.alert(ended=30)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.RESOLVED, [])


async def test_an_alert_that_joins_while_the_incident_is_being_closed_is_looked_at(walk: Walk) -> None:
    """The worker saw only ended alerts; another one joined before it could close: nothing is lost."""
    incident_id = await walk.alert(fingerprint="aa")
    await walk.alert(fingerprint="aa", ended=30)
    held = await walk.claim(incident_id)
    assert await walk.alert(fingerprint="bb") == incident_id
    assert await walk.pipeline.walk(held) == 0.0
    assert (await walk.written(incident_id)).state is State.OPEN
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, len(walk.docker.actions)) == (Outcome.HEALED, 1)


async def test_an_alert_that_ended_before_the_action_gives_the_budget_back(walk: Walk) -> None:
    """Granted, not begun: refunded."""
    incident_id = await walk.alert()
    await walk.dies_while(State.RESERVED, incident_id)
    await walk.alert(ended=30)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.RESOLVED, [])
    assert await walk.store.command("ZCARD", "{hemostat}:window:fleet") == 0


async def test_a_restart_that_did_not_happen_is_not_begun_again_for_an_alert_that_has_ended(
    walk: Walk,
) -> None:
    """It got well by itself while we were away."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    await walk.alert(ended=30)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.RESOLVED, [])


async def test_a_container_that_somebody_paused_after_the_judgement_is_left_alone(walk: Walk) -> None:
    """Neither its id nor its start says so."""
    incident_id = await walk.alert()
    await walk.dies_while(State.RESERVED, incident_id)
    walk.docker.change(status=ContainerStatus.PAUSED)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.refusals[-1].reason is Reason.TARGET_CHANGED


async def test_each_look_at_an_action_in_doubt_counts_from_the_first(walk: Walk) -> None:
    """Else Docker's time would never be over."""
    incident_id = await walk.alert()
    await walk.dies_while(State.ACTING, incident_id)
    held = await walk.claim(incident_id)
    assert held.incident.intent is not None
    intent = replace(held.incident.intent, unchanged_since=None, stop_timeout_seconds=60.0)
    await walk.journal.save(replace(held, incident=replace(held.incident, intent=intent)), None)
    looks = [(await walk.turn(incident_id)).intent for _ in range(2)]
    assert [look and look.unchanged_since for look in looks] == [looks[0] and looks[0].unchanged_since] * 2
    assert looks[0] is not None
    assert looks[0].unchanged_since is not None


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


async def test_docker_away_waits_and_then_tells_a_human(walk: Walk) -> None:
    """Unknown is neither repaired nor forgotten."""
    walk.docker.away = True
    incident_id = await walk.alert()
    incident = await walk.turn(incident_id)
    assert incident.state is State.WAITING
    assert b'hemostat_edge_errors_total{edge="docker"} 1.0' in walk.pipeline.desk.metrics.page()
    walk.policy(wait_for_seconds=-1)
    assert (await walk.turn(incident_id)).outcome is Outcome.ESCALATED


async def test_a_target_that_another_incident_repairs_is_waited_for(walk: Walk) -> None:
    """Two alerts may name one container in two ways; when the other one is through, its cooldown will tell."""
    lock = "{hemostat}:lock:local/web"
    await walk.store.command("HSET", lock, "incident", "another", "token", 1)
    incident_id = await walk.alert()
    assert (await walk.turn(incident_id)).state is State.WAITING
    assert walk.docker.actions == []
    await walk.store.command("DEL", lock)
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED


async def test_docker_back_is_repaired_after_all(walk: Walk) -> None:
    """The wait ends as soon as there is something to see."""
    walk.docker.away = True
    incident_id = await walk.alert()
    await walk.turn(incident_id)
    walk.docker.away = False
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED


async def test_docker_away_during_verification_is_unverified_never_healed(walk: Walk) -> None:
    """Nobody could look."""
    walk.policy(verify=VerifyPolicy(within_seconds=0.2, stable_for_seconds=5, relapse_watch_seconds=0))
    incident_id = await walk.alert()
    await walk.turn(incident_id)
    walk.docker.away = True
    assert (await walk.until_closed(incident_id)).outcome is Outcome.UNVERIFIED


@pytest.mark.parametrize(
    ("view", "outcome"),
    [
        pytest.param(FIRES, Outcome.NOT_HEALED, id="fires"),
        pytest.param(replace(FIRES, told_seconds_ago=3600.0), Outcome.UNVERIFIED, id="old news"),
        pytest.param(HOLDS_NO_MORE, Outcome.UNVERIFIED, id="never listed it"),
        pytest.param(None, Outcome.UNVERIFIED, id="away"),
    ],
)
async def test_alertmanager_has_a_say_in_the_outcome(
    walk: Walk, view: AlertView | None, outcome: Outcome
) -> None:
    """A healthy container whose alert fires on is not healed; an Alertmanager that is silent, or that never had the alert
    because its twin did, leaves it unverified."""
    walk.policy(verify=VerifyPolicy(within_seconds=0.2, stable_for_seconds=0, relapse_watch_seconds=0))
    walk.alerts.view, walk.pipeline.desk.alerts = view, walk.alerts
    assert (await walk.until_closed(await walk.alert())).outcome is outcome


@pytest.mark.parametrize(
    ("view", "outcome"),
    [
        pytest.param(HOLDS_NO_MORE, Outcome.HEALED, id="the one that listed it"),
        pytest.param(NEVER_HAD_IT, Outcome.UNVERIFIED, id="another one, or after a restart"),
        pytest.param(FIRES, Outcome.NOT_HEALED, id="fires"),
        pytest.param(replace(FIRES, up_since=NEVER_HAD_IT.up_since), Outcome.NOT_HEALED, id="told again"),
    ],
)
async def test_an_alert_has_ended_when_the_alertmanager_that_listed_it_lists_it_no_more(
    walk: Walk, view: AlertView, outcome: Outcome
) -> None:
    """Each keeps its alerts in memory: what another one, or one that was restarted, does not list may well fire."""
    walk.policy(verify=VerifyPolicy(within_seconds=0.2, stable_for_seconds=0, relapse_watch_seconds=0))
    walk.pipeline.desk.alerts = walk.alerts
    incident_id = await walk.alert()
    await walk.dies_while(State.RESERVED, incident_id)  # so that another replica must know who listed it
    walk.alerts.view = view
    assert (await walk.until_closed(incident_id)).outcome is outcome


@pytest.mark.parametrize(
    ("view", "outcome"),
    [
        pytest.param(HOLDS_NO_MORE, Outcome.HEALED, id="nor does it list it"),
        pytest.param(None, Outcome.HEALED, id="away"),
        pytest.param(FIRES, Outcome.NOT_HEALED, id="it lists it"),
    ],
)
async def test_a_resolved_that_alertmanager_contradicts_heals_nothing(
    walk: Walk, view: AlertView | None, outcome: Outcome
) -> None:
    """The other one of the cluster is cut off from Prometheus: what it has not been told of for minutes it calls resolved."""
    walk.policy(verify=VerifyPolicy(within_seconds=0.3, stable_for_seconds=0, relapse_watch_seconds=0))
    walk.pipeline.desk.alerts = walk.alerts
    incident_id = await walk.alert()
    await walk.dies_while(State.VERIFYING, incident_id)
    walk.docker.started()
    walk.alerts.view = view
    await walk.alert(ended=30)
    assert (await walk.until_closed(incident_id)).outcome is outcome


async def after_a_resolved(walk: Walk) -> str:
    """An incident opened by a firing that began before the last end."""
    await walk.until_closed(await walk.alert())
    await walk.alert(ended=30)
    await walk.store.command("DEL", "{hemostat}:window:target:local/web")
    walk.docker.actions.clear()
    walk.docker.change(health=Health.UNHEALTHY)
    return await walk.alert()


async def opened_ago(walk: Walk, incident_id: str, seconds: float) -> None:
    """As if it had been opened so long ago, by the store's clock."""
    at = round((await walk.journal.now()).timestamp() * 1000 - seconds * 1000)
    await walk.store.command("HSET", f"{{hemostat}}:incident:{incident_id}", "opened", at, "suspected", at)


async def test_a_stale_firing_is_not_acted_on(walk: Walk) -> None:
    """Alertmanager does not list it, and its resolved comes."""
    incident_id = await after_a_resolved(walk)
    walk.alerts.view, walk.pipeline.desk.alerts = HOLDS_NO_MORE, walk.alerts
    assert (await walk.turn(incident_id)).state is State.WAITING
    await walk.alert(ended=30)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.RESOLVED, [])


async def test_a_firing_that_alertmanager_does_not_list_is_not_over_before_its_resolved_came(
    walk: Walk,
) -> None:
    """The one that is asked may have been restarted, or be cut off from Prometheus, and the other one of the cluster have
    sent it: then it fires."""
    incident_id = await after_a_resolved(walk)
    walk.alerts.view, walk.pipeline.desk.alerts = NEVER_HAD_IT, walk.alerts
    waiting = await walk.turn(incident_id)
    assert (waiting.state, walk.docker.actions) == (State.WAITING, [])
    walk.alerts.view = replace(FIRES, up_since=NEVER_HAD_IT.up_since)  # by now Prometheus told it, too
    await walk.turn(incident_id)
    assert [verb for verb, _ in walk.docker.actions] == ["restart"]


async def test_a_firing_that_stays_contradicted_is_told_to_a_human(walk: Walk) -> None:
    """It is neither dropped nor acted on: one of the two Alertmanagers is wrong, and nobody can say which."""
    incident_id = await after_a_resolved(walk)
    walk.alerts.view, walk.pipeline.desk.alerts = HOLDS_NO_MORE, walk.alerts
    await opened_ago(walk, incident_id, deciding.SUSPECT_HOLD_SECONDS + 1)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, incident.reason) == (Outcome.ESCALATED, deciding.CONTRADICTED)
    assert walk.docker.actions == []


async def test_its_true_twin_is_acted_on(walk: Walk) -> None:
    """Byte for byte the same, and Alertmanager says that it fires."""
    incident_id = await after_a_resolved(walk)
    walk.pipeline.desk.alerts = walk.alerts
    walk.policy(verify=VerifyPolicy(within_seconds=0.1, stable_for_seconds=0, relapse_watch_seconds=0))
    await walk.until_closed(incident_id)
    assert [verb for verb, _ in walk.docker.actions] == ["restart"]


async def test_a_suspect_firing_that_nobody_could_check_is_acted_on_when_its_resolved_would_have_come(
    walk: Walk,
) -> None:
    """It ends neither in silence nor in waiting for ever."""
    incident_id = await after_a_resolved(walk)
    await opened_ago(walk, incident_id, deciding.SUSPECT_HOLD_SECONDS + 1)
    await walk.until_closed(incident_id)
    assert [verb for verb, _ in walk.docker.actions] == ["restart"]


async def test_a_suspect_firing_waits_from_when_it_came(walk: Walk) -> None:
    """Its incident may have been open for long: nobody was at work, and the end came in between."""
    incident_id = await walk.alert()
    await opened_ago(walk, incident_id, deciding.SUSPECT_HOLD_SECONDS + 1)
    await walk.alert(ended=30)
    assert await walk.alert() == incident_id
    incident = await walk.turn(incident_id)
    assert (incident.state, walk.docker.actions) == (State.WAITING, [])


async def test_a_suspect_firing_that_nobody_can_check_waits(walk: Walk) -> None:
    """Neither dropped nor trusted."""
    incident_id = await after_a_resolved(walk)
    incident = await walk.turn(incident_id)
    assert (incident.state, walk.docker.actions) == (State.WAITING, [])


async def test_a_healed_container_that_falls_sick_within_the_watch_has_relapsed(walk: Walk) -> None:
    """The outcome changes and the breaker counts it; a healing counts only when the watch is over."""
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=600))
    incident_id = await walk.alert()
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED
    walk.docker.change(health=Health.UNHEALTHY)
    incident = await walk.turn(incident_id)
    assert (incident.outcome, incident.watch_until) == (Outcome.RELAPSED, None)
    assert await walk.store.command("HGET", "{hemostat}:breaker:local/web", "fails") == "1"


async def test_a_healing_forgives_what_failed_before_only_when_its_watch_is_over(walk: Walk) -> None:
    """Else a target that always relapses would never open the breaker."""
    breaker = "{hemostat}:breaker:local/web"
    await walk.store.command("HSET", breaker, "fails", 1)
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=600))
    incident_id = await walk.alert()
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED
    assert await walk.store.command("HGET", breaker, "fails") == "1"
    walk.docker.change(health=Health.UNHEALTHY)
    await walk.turn(incident_id)
    assert await walk.store.command("HGET", breaker, "fails") == "2"


async def test_a_watch_that_ends_well_changes_nothing_and_forgives_what_failed_before(walk: Walk) -> None:
    """Healed stays healed, and nobody looks any more."""
    await walk.store.command("HSET", "{hemostat}:breaker:local/web", "fails", 1)
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=0.01))
    incident_id = await walk.alert()
    await walk.until_closed(incident_id)
    incident = await walk.turn(incident_id)
    while incident.watch_until is not None:
        incident = await walk.turn(incident_id)
    assert incident.outcome is Outcome.HEALED
    assert await walk.store.command("EXISTS", "{hemostat}:breaker:local/web") == 0


async def test_a_watch_that_ends_unseen_is_not_said_to_have_gone_well(walk: Walk) -> None:
    """Docker is away when the watch ends: the breaker learns nothing of it, and the story says so."""
    walk.policy(verify=VerifyPolicy(within_seconds=5, stable_for_seconds=0, relapse_watch_seconds=0.01))
    incident_id = await walk.alert()
    await walk.until_closed(incident_id)
    await walk.store.command("HSET", "{hemostat}:breaker:local/web", "fails", "1")
    walk.docker.away = True
    incident = await walk.turn(incident_id)
    while incident.watch_until is not None:
        incident = await walk.turn(incident_id)
    record = await walk.journal.read(incident_id)
    assert record is not None
    assert record.timeline[-1].event == "watch_ended"
    assert "cannot look" in record.timeline[-1].fields["reason"]
    assert await walk.store.command("HGET", "{hemostat}:breaker:local/web", "fails") == "1"


async def test_observe_mode_acts_on_nothing_and_says_what_it_would_have_done(walk: Walk) -> None:
    """The same decision, not carried out, nothing reserved."""
    walk.policy(mode=Mode.OBSERVE)
    incident = await walk.until_closed(await walk.alert())
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.would is Action.RESTART
    assert "would have done: restart" in incident.reason
    assert await walk.store.command("ZCARD", "{hemostat}:window:fleet") == 0


async def test_observe_mode_tells_that_a_budget_would_have_refused(walk: Walk) -> None:
    """What would have been done is nothing."""
    walk.policy(mode=Mode.OBSERVE, caps=(Cap(max=0, per_seconds=60),))
    incident = await walk.until_closed(await walk.alert())
    assert incident.decision is not None
    assert incident.decision.would is None
    assert incident.decision.refusals[-1].reason is Reason.TARGET_CAP


async def test_the_troubles_of_a_container_that_never_opted_in_are_not_told(walk: Walk) -> None:
    """Refused whatever the verdict is, so that nobody is paged for it."""
    walk.docker.change(labels={}, status=ContainerStatus.EXITED, exit_code=127)
    incident = await walk.until_closed(await walk.alert())
    assert incident.outcome is Outcome.REFUSED
    assert incident.decision is not None
    assert incident.decision.refusals[0].reason is Reason.NOT_OPTED_IN


async def test_an_alert_that_always_fires_pages_nobody(walk: Walk) -> None:
    """A dead man's switch names no container, and is not an incident for a human."""
    always = Alert(
        fingerprint="dd",
        status=AlertStatus.FIRING,
        labels={"alertname": "Watchdog"},
        annotations={},
        starts_at=BOOT,
    )
    acceptor = Acceptor(walk.store, backlog_limit=10)
    (incident_id,) = (await acceptor.accept([(always, subject_of(always.labels, hosts=["local"]))])).incidents
    assert (await walk.until_closed(incident_id)).outcome is Outcome.NO_ACTION


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({}, "service_name)"),
        (
            {"container_id": "5A78FD", "name": " "},
            "service_name); no container can be called what container_id says",
        ),
    ],
)
async def test_an_alert_that_names_nothing_is_escalated_and_says_what_was_looked_at(
    walk: Walk, labels: dict[str, str], told: str
) -> None:
    """Also where a label is there, and cannot be what it should be."""
    lost = Alert(
        fingerprint="ee",
        status=AlertStatus.FIRING,
        labels={"alertname": "DiskFull", **labels},
        annotations={},
        starts_at=BOOT,
    )
    acceptor = Acceptor(walk.store, backlog_limit=10)
    (incident_id,) = (await acceptor.accept([(lost, subject_of(lost.labels, hosts=["local"]))])).incidents
    incident = await walk.until_closed(incident_id)
    assert incident.outcome is Outcome.ESCALATED
    assert incident.reason.startswith("no label names a target (looked at: container_id, ")
    assert incident.reason.endswith(told)


async def test_a_label_that_is_nobodys_business_is_not_kept(walk: Walk) -> None:
    """It may hold secrets of any shape."""
    walk.docker.change(labels={"hemostat.enable": "true", "traefik.auth": "admin:s3cret"})
    incident_id = await walk.alert()
    await walk.until_closed(incident_id)
    assert "s3cret" not in str(await walk.store.command("HGETALL", f"{{hemostat}}:incident:{incident_id}"))
