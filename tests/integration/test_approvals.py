"""A person decides: once, in time, about the container that was asked about, and no guard but one is answered by it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from bridge.edges.store.approvals import StoredApprovals
from bridge.edges.store.queue import StoredQueue
from bridge.judgement import Ruleset
from bridge.model.evidence import ContainerStatus, Health
from bridge.model.incident import Answer, Outcome, State
from bridge.model.policy import Cap, Mode, Policy
from bridge.model.refusal import Reason
from bridge.model.verdict import Action
from bridge.roles import AnswerResult, Turn
from tests.in_memory_containers import BOOT
from tests.integration.walking import Walk
from tests.waiting import until

KEY = "{hemostat}:incident:"


@pytest.fixture
def approvals(walk: Walk) -> StoredApprovals:
    """What web and Slack answer with."""
    walk.policy(mode=Mode.APPROVE)
    return StoredApprovals(walk.store)


async def asked(walk: Walk) -> str:
    """An incident that waits for an answer."""
    incident_id = await walk.alert()
    incident = await walk.turn(incident_id)
    assert incident.state is State.WAITING
    assert incident.proposal is not None
    return incident_id


def actions(walk: Walk) -> list[str]:
    """What was done to the container."""
    return [verb for verb, _ in walk.docker.actions]


async def test_mode_approve_asks_and_does_nothing_until_it_is_answered(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """Bound to the container as it was, for as long as the policy gives people; no budget is held meanwhile."""
    incident = await walk.written(await asked(walk))
    proposal, container = incident.proposal, await walk.docker.inspect("local", "web")
    assert proposal is not None
    assert container is not None
    assert (proposal.container_id, proposal.started_at) == (container.id, container.started_at)
    assert proposal.until - proposal.at == timedelta(minutes=15)
    assert len(proposal.id) == 32
    assert incident.look_again_at == proposal.until
    assert incident.reason.startswith("asks whether to restart it, until ")
    assert actions(walk) == []
    assert await walk.store.command("ZCARD", "{hemostat}:window:fleet") == 0


async def test_an_approved_repair_is_done_once_and_says_who_approved_it(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """Judged anew, every guard asked anew, the budget reserved as ever."""
    incident_id = await asked(walk)
    answered = await approvals.answer(incident_id, Answer.APPROVE, by="ada", through="Slack")
    assert (answered.result, answered.by) == (AnswerResult.DONE, "ada")
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, actions(walk)) == (Outcome.HEALED, ["restart"])
    assert incident.decision is not None
    (mode,) = [answer for answer in incident.decision.guards if answer.guard == "mode"]
    assert mode.inputs == {"mode": "approve", "approved by": "ada"}
    record = await walk.journal.read(incident_id)
    assert record is not None
    (said,) = [entry for entry in record.timeline if entry.event == "approved"]
    assert said.fields == {"by": "ada", "through": "Slack"}
    assert await walk.store.command("ZCARD", "{hemostat}:window:fleet") == 1


async def test_the_time_until_a_person_answered_is_not_held_against_the_repair(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """Docker is away for a moment after an approval that took a quarter of an hour."""
    incident_id = await asked(walk)
    held = await walk.claim(incident_id)
    early = replace(held.incident, opened_at=held.incident.opened_at - timedelta(minutes=15))
    await walk.journal.save(replace(held, incident=early), None)
    await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    walk.docker.away = True
    assert (await walk.turn(incident_id)).state is State.WAITING
    walk.docker.away = False
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED


async def test_a_rejected_repair_is_refused(walk: Walk, approvals: StoredApprovals) -> None:
    """And says by whom."""
    incident_id = await asked(walk)
    await approvals.answer(incident_id, Answer.REJECT, by="ada")
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, actions(walk)) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.refusals[-1].reason is Reason.REJECTED
    assert "ada said no" in incident.reason


async def test_what_nobody_answers_escalates(walk: Walk, approvals: StoredApprovals) -> None:
    """When the time to answer is over; an answer that comes later changes nothing."""
    walk.policy(approval_ttl_seconds=0.05)
    incident_id = await asked(walk)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, actions(walk)) == (Outcome.ESCALATED, [])
    assert incident.reason.startswith("nobody approved the restart within ")
    answered = await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    assert (answered.result, answered.outcome) == (AnswerResult.ENDED, Outcome.ESCALATED)


async def test_an_answer_after_its_time_is_too_late_though_nobody_has_looked_yet(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """By Redis' clock, not by when a worker comes round."""
    walk.policy(approval_ttl_seconds=0.05)
    incident_id = await asked(walk)
    proposal = (await walk.written(incident_id)).proposal
    assert proposal is not None
    await until(walk.journal.now, lambda now: now > proposal.until)
    assert (await approvals.answer(incident_id, Answer.APPROVE, by="ada")).result is AnswerResult.EXPIRED
    assert (await walk.until_closed(incident_id)).outcome is Outcome.ESCALATED


async def test_the_first_answer_counts(walk: Walk, approvals: StoredApprovals) -> None:
    """Twenty people click at once, on any replica: one decision, and all others hear of it."""
    incident_id = await asked(walk)
    answers = await asyncio.gather(
        *(
            approvals.answer(incident_id, Answer.REJECT if n % 2 else Answer.APPROVE, by=f"person {n}")
            for n in range(20)
        )
    )
    (first,) = [one for one in answers if one.result is AnswerResult.DONE]
    assert {(one.answer, one.by) for one in answers} == {(first.answer, first.by)}
    await walk.until_closed(incident_id)
    again = await approvals.answer(incident_id, Answer.APPROVE, by="late")
    assert (again.result, again.by) == (AnswerResult.ALREADY, first.by)


async def test_a_snoozed_incident_is_judged_and_asked_anew_later(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """With another proposal: the buttons of the first decide nothing any more."""
    incident_id = await asked(walk)
    first = (await walk.written(incident_id)).proposal
    assert first is not None
    await approvals.answer(incident_id, Answer.SNOOZE, by="ada")
    incident = await walk.turn(incident_id)
    assert (incident.state, incident.proposal) == (State.WAITING, None)
    now = await walk.journal.now()
    assert incident.look_again_at is not None
    assert incident.look_again_at - now == pytest.approx(timedelta(minutes=30), abs=timedelta(seconds=5))
    nothing = await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    assert nothing.result is AnswerResult.NOT_ASKED
    second = (await walk.turn(incident_id)).proposal
    assert second is not None
    assert second.id != first.id
    old = await approvals.answer(incident_id, Answer.APPROVE, by="ada", proposal_id=first.id)
    assert old.result is AnswerResult.VOID
    new = await approvals.answer(incident_id, Answer.APPROVE, by="ada", proposal_id=second.id)
    assert new.result is AnswerResult.DONE


@pytest.mark.parametrize("change", ["recreated", "started again"])
async def test_an_approval_is_for_one_container_as_it_was(
    walk: Walk, approvals: StoredApprovals, change: str
) -> None:
    """What came after it is judged, and asked about, for itself."""
    incident_id = await asked(walk)
    await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    container = await walk.docker.inspect("local", "web")
    assert container is not None
    assert container.started_at is not None
    if change == "recreated":
        walk.docker.change(id="f" * 64)
    else:
        walk.docker.change(started_at=container.started_at + timedelta(seconds=1))
    incident = await walk.turn(incident_id)
    assert (incident.proposal, actions(walk)) == (None, [])
    assert "approval_void" in await walk.events(incident_id)
    incident = await walk.turn(incident_id)
    assert incident.proposal is None or incident.proposal.answer is None
    assert actions(walk) == []


async def test_an_approval_answers_no_guard_but_the_one_that_asks_for_it(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """The kill switch that was pulled meanwhile still counts."""
    incident_id = await asked(walk)
    await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    await walk.budgets.pause(by="bob", why="stop", until=None)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, actions(walk)) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert Reason.PAUSED in [refusal.reason for refusal in incident.decision.refusals]


async def test_an_approval_of_one_action_is_none_of_another(walk: Walk, approvals: StoredApprovals) -> None:
    """It has ended meanwhile, so it would be started and not restarted: that is asked anew."""
    incident_id = await asked(walk)
    await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    walk.docker.change(status=ContainerStatus.EXITED, health=Health.NONE, exit_code=1, finished_at=BOOT)
    incident = await walk.turn(incident_id)
    assert (incident.proposal, actions(walk)) == (None, [])
    assert "the approval does not count: by now it wants to start" in incident.reason
    again = await walk.turn(incident_id)
    assert again.proposal is not None
    assert (again.proposal.action, actions(walk)) == (Action.START, [])


async def test_nobody_is_asked_for_what_the_budget_refuses(walk: Walk, approvals: StoredApprovals) -> None:
    """A person's time is not spent on a question whose answer changes nothing."""
    walk.policy(caps=(Cap(max=0, per_seconds=60),))
    incident = await walk.until_closed(await walk.alert())
    assert (incident.outcome, incident.proposal) == (Outcome.REFUSED, None)


async def test_an_approval_that_could_not_be_carried_out_in_time_is_void(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """Docker was away for as long as people had to answer."""
    incident_id = await asked(walk)
    await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    proposal = (await walk.written(incident_id)).proposal
    assert proposal is not None
    long_ago = proposal.at - timedelta(hours=1)
    await walk.store.command("HSET", KEY + incident_id, "answered_at", round(long_ago.timestamp() * 1000))
    incident = await walk.turn(incident_id)
    assert (incident.proposal, actions(walk)) == (None, [])


async def test_an_incident_whose_alerts_end_while_it_asks_is_resolved(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """Nobody is asked any more."""
    incident_id = await asked(walk)
    await walk.alert(ended=30)
    assert (await walk.until_closed(incident_id)).outcome is Outcome.RESOLVED
    late = await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    assert late.result is AnswerResult.ENDED


async def test_a_worker_killed_after_the_approval_leaves_it_to_the_next(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """The answer is in Redis, beside the incident, and not in a process."""
    incident_id = await asked(walk)
    await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    dead = await walk.claim(incident_id)
    assert dead.incident.proposal is not None
    assert dead.incident.proposal.answer is Answer.APPROVE
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED
    assert actions(walk) == ["restart"]


async def test_an_answer_wakes_an_incident_that_waits_and_one_that_is_held(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """Whether it is due later, or its worker is just about to say so."""
    later, work = "{hemostat}:later", "{hemostat}:work"
    queue = StoredQueue(walk.store, consumer="one", lease_seconds=30)
    await queue.open()
    incident_id = await asked(walk)
    (turn,) = await queue.read(1)
    assert turn.incident_id == incident_id
    await queue.later(turn, claim=None, seconds=900)
    await approvals.answer(incident_id, Answer.SNOOZE, by="ada")
    now = (await walk.journal.now()).timestamp() * 1000
    assert float(await walk.store.command("ZSCORE", later, incident_id)) <= now
    await walk.turn(incident_id)
    await walk.turn(incident_id)
    await queue.due()
    assert await walk.store.command("XLEN", work) == 1
    (turn,) = await queue.read(1)
    await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    await queue.later(Turn(id=turn.id, incident_id=incident_id), claim=None, seconds=900)
    now = (await walk.journal.now()).timestamp() * 1000
    assert float(await walk.store.command("ZSCORE", later, incident_id)) <= now


async def test_alerts_that_end_while_it_is_being_judged_are_seen_before_the_question_runs_out(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """The worker that asks has looked at the alerts before: it must look again at once, not when nobody has answered."""
    queue = StoredQueue(walk.store, consumer="one", lease_seconds=30)
    await queue.open()
    incident_id = await walk.alert()
    (turn,) = await queue.read(1)
    held = await walk.claim(incident_id)
    await walk.alert(ended=30)
    seconds = await walk.pipeline.walk(held)
    assert seconds is not None
    await queue.later(turn, claim=held.claim, seconds=seconds)
    await queue.due()
    assert [one.incident_id for one in await queue.read(1)] == [incident_id]


async def test_an_unknown_incident_and_one_that_asks_nothing(walk: Walk, approvals: StoredApprovals) -> None:
    """Each is told apart."""
    assert (await approvals.answer("nobody", Answer.APPROVE, by="ada")).result is AnswerResult.UNKNOWN
    fresh = await walk.alert()
    assert (await approvals.answer(fresh, Answer.APPROVE, by="ada")).result is AnswerResult.NOT_ASKED


def stateful(walk: Walk) -> None:
    """A sick container that keeps state: the rules escalate, and propose what a person may approve."""
    walk.policy(mode=Mode.AUTO)
    walk.docker.change(labels={"hemostat.enable": "true", "hemostat.class": "stateful"})


async def test_what_escalates_with_a_proposal_asks_where_people_can_answer(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """And is repaired like any other once it is approved."""
    stateful(walk)
    judge = walk.pipeline.desk.judge
    judge.ruleset = Ruleset(policy=Policy(root=judge.ruleset.policy.root), people_are_asked=True)
    incident_id = await asked(walk)
    await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, actions(walk)) == (Outcome.HEALED, ["restart"])


async def test_what_escalates_with_a_proposal_escalates_at_once_where_nobody_can_answer(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """A page must not wait for an answer that nobody is asked for."""
    stateful(walk)
    assert (await walk.until_closed(await walk.alert())).outcome is Outcome.ESCALATED


async def test_a_container_that_recovers_while_it_is_asked_about_is_left_alone(
    walk: Walk, approvals: StoredApprovals
) -> None:
    """The approval is for a repair of what was sick; what is well is judged to need none."""
    incident_id = await asked(walk)
    walk.docker.change(health=Health.HEALTHY, status=ContainerStatus.RUNNING)
    await approvals.answer(incident_id, Answer.APPROVE, by="ada")
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, actions(walk)) == (Outcome.NO_ACTION, [])
