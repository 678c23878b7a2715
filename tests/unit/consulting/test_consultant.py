"""A model asked once, in time, within the budget; whatever goes wrong is a result."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from bridge import errors
from bridge.consulting import AT_ONCE, Consultant, Question, Terms
from bridge.consulting.memory import QUESTION_SECONDS, SICKNESS_SECONDS
from bridge.metrics import Metrics
from bridge.model.consultation import Consultation, ModelRequest, Stop, Usage
from bridge.model.evidence import Evidence
from bridge.model.verdict import Action, ModelResult, Verdict, VerdictKind
from bridge.triage.traits import Traits
from tests.in_memory_model import InMemoryModel, InMemorySpending
from tests.unit.triage.asking import HUNG, alert
from tests.unit.triage.builders import BOTH, NOW, evidence, lines, unhealthy

RESTART = Verdict(kind=VerdictKind.REPAIR, rule="unhealthy", reason="sick", action=Action.RESTART)
VETO = {**HUNG, "verdict": "escalate"}


class Room:
    """A consultant with a scripted model, a purse, and a clock of its own."""

    def __init__(self, says: Any = HUNG, **terms: Any) -> None:
        self.model = InMemoryModel(says)
        self.spending = InMemorySpending()
        self.metrics = Metrics()
        self.now = 0.0
        self.consultant = Consultant(
            model=self.model,
            spending=self.spending,
            metrics=self.metrics,
            terms=Terms(model="claude-haiku-5-5", **terms),
            redact=lambda text: text.replace("hunter2", "[REDACTED]"),
            clock=self._clock,
        )
        self._loop_start = asyncio.get_running_loop().time()

    def _clock(self) -> float:
        return self.now + asyncio.get_running_loop().time() - getattr(self, "_loop_start", 0.0)

    async def ask(self, collected: Evidence | None = None, **changes: Any) -> tuple[Consultation, ...]:
        question = Question(
            evidence=collected or evidence(unhealthy(), log_lines=lines("pool exhausted")),
            policy=BOTH,
            alerts=(alert(),),
            rules=RESTART,
            now=NOW,
        )
        return await self.consultant.consult(replace(question, **changes))

    async def result(self, *args: Any, **changes: Any) -> ModelResult:
        return (await self.ask(*args, **changes))[0].result

    def counted(self, result: ModelResult) -> float:
        value = self.metrics.registry.get_sample_value(
            "hemostat_llm_requests_total", {"provider": "anthropic", "result": result.value}
        )
        assert value is not None
        return value


def other(number: int) -> Evidence:
    """Another container's sickness."""
    return evidence(unhealthy(id=f"{number:064}"))


async def test_an_opinion_comes_with_everything_the_audit_keeps() -> None:
    room = Room(keep_prompts=True)
    (one,) = await room.ask()
    assert one.opinion is not None
    assert (one.result, one.provider, one.model) == (ModelResult.OK, "anthropic", "claude-haiku-5-5")
    assert (one.usage.input_tokens, one.cost_usd) == (1000, 0.00015)
    assert one.prompt is not None
    assert "pool exhausted" in one.prompt
    assert len(one.prompt_hash) == 64
    assert '"restart"' in one.raw
    assert room.counted(ModelResult.OK) == 1
    assert room.metrics.registry.get_sample_value("hemostat_llm_tokens_total", {"kind": "output"}) == 100
    assert room.metrics.registry.get_sample_value("hemostat_llm_cost_usd_total") == pytest.approx(0.00015)


async def test_prompts_are_not_kept_unless_wanted_and_answers_lose_their_secrets() -> None:
    room = Room({**HUNG, "summary": "the password is hunter2"})
    (one,) = await room.ask()
    assert one.prompt is None
    assert "hunter2" not in str(one)
    assert "[REDACTED]" in one.raw


async def test_parameters_are_those_of_the_models_row_and_the_operators_word_comes_first() -> None:
    room = Room(traits={"claude-haiku-5-5": Traits(max_output_tokens=99)})
    await room.ask()
    request = room.model.asked[0]
    assert (request.thinking, request.effort, request.max_output_tokens) == (None, None, 99)
    room = Room()
    await room.ask()
    assert (room.model.asked[0].thinking, room.model.asked[0].effort) == ("disabled", "low")


@pytest.mark.parametrize(
    ("says", "result"),
    [
        (errors.EdgeTimeout("anthropic", "late"), ModelResult.TIMEOUT),
        (errors.RateLimited("anthropic", "429", 3600), ModelResult.RATE_LIMITED),
        (errors.EdgeUnavailable("anthropic", "529"), ModelResult.UNAVAILABLE),
        (errors.EdgeRejected("anthropic", "401", 401), ModelResult.REJECTED),
        (errors.UnfitAnswer("anthropic", "HTML"), ModelResult.INVALID),
        (ValueError("a bug"), ModelResult.INVALID),
        ("not json", ModelResult.INVALID),
    ],
)
async def test_whatever_goes_wrong_is_a_counted_result_with_a_reason(says: Any, result: ModelResult) -> None:
    room = Room(says)
    (one,) = await room.ask()
    assert (one.result, one.opinion) == (result, None)
    assert one.problems
    assert room.counted(result) == 1


async def test_a_refusal_is_told_apart_from_nonsense() -> None:
    room = Room("")
    room.model.stop = Stop.REFUSAL
    assert await room.result() is ModelResult.REFUSED


@pytest.mark.looptime
async def test_everything_ends_within_the_deadline_the_second_opinion_included() -> None:
    room = Room(VETO, hard_model="claude-sonnet-5-5")
    began = asyncio.get_running_loop().time()
    room.model.seconds = 60.0
    assert await room.result() is ModelResult.TIMEOUT
    assert asyncio.get_running_loop().time() - began <= 3.75
    room, began = Room(VETO, hard_model="claude-sonnet-5-5"), asyncio.get_running_loop().time()
    room.model.seconds = 1.9
    first, second = await room.ask()
    assert (first.result, second.result) == (ModelResult.OK, ModelResult.TIMEOUT)
    assert asyncio.get_running_loop().time() - began <= 3.75


@pytest.mark.looptime
async def test_an_edge_that_keeps_no_deadline_is_cut_off() -> None:
    class Deaf(InMemoryModel):
        async def ask(self, *_: Any, **__: Any) -> Any:
            await asyncio.sleep(3600)

    room = Room()
    room.consultant.model = Deaf(HUNG)
    assert await room.result() is ModelResult.TIMEOUT


async def test_a_spent_budget_and_a_store_that_is_away_leave_the_model_unasked() -> None:
    room = Room()
    room.spending.limit = "usd_per_hour"
    (one,) = await room.ask()
    assert one.result is ModelResult.BUDGET
    assert "llm.budget.usd_per_hour" in one.problems[0]
    room.spending.limit, room.spending.away = "", True
    assert await room.result() is ModelResult.STORE_AWAY
    assert not room.model.asked


async def test_what_was_set_aside_is_settled_by_the_bill_and_kept_where_nobody_knows_it() -> None:
    room = Room()
    await room.ask()
    room.model.says = errors.EdgeTimeout("anthropic", "late")
    await room.ask(other(1))
    room.model.says = errors.RateLimited("anthropic", "429", 1)
    await room.ask(other(2))
    await room.consultant.close(finish=True)
    assert room.spending.settled == {"1": (1100, pytest.approx(0.00015)), "3": (0, 0.0)}
    tokens, usd = room.spending.reserved["1"]
    assert tokens > 1100
    assert usd > 0.00015


async def test_a_server_that_counts_no_tokens_keeps_what_was_set_aside() -> None:
    room = Room()
    room.model.usage = Usage()
    await room.ask()
    await room.consultant.close(finish=True)
    assert room.spending.settled == {}


async def test_the_same_question_is_asked_once_for_five_minutes() -> None:
    room = Room()
    assert await room.result() is ModelResult.OK
    (again,) = await room.ask()
    assert (again.result, again.cost_usd, again.usage.total) == (ModelResult.CACHED, 0.0, 0)
    assert again.opinion is not None
    room.now = QUESTION_SECONDS - 1
    assert await room.result() is ModelResult.CACHED
    room.now = QUESTION_SECONDS + 1
    assert await room.result() is ModelResult.OK
    assert len(room.model.asked) == 2


async def test_the_same_sickness_told_in_other_words_is_asked_once_a_minute() -> None:
    room = Room()
    await room.ask()
    assert await room.result(evidence(unhealthy(), log_lines=lines("something new"))) is ModelResult.CACHED
    room.now = SICKNESS_SECONDS + 1
    assert await room.result(evidence(unhealthy(), log_lines=lines("something new"))) is ModelResult.OK
    assert await room.result(evidence(unhealthy(up=5.0))) is ModelResult.OK


async def test_that_nobody_answered_is_not_remembered() -> None:
    room = Room(errors.EdgeUnavailable("anthropic", "529"))
    await room.ask()
    room.model.says = HUNG
    assert await room.result() is ModelResult.OK


@pytest.mark.looptime
async def test_questions_about_one_sickness_at_once_are_one_question() -> None:
    room = Room()
    room.model.seconds = 1.0
    results = await asyncio.gather(*(room.result() for _ in range(20)))
    assert len(room.model.asked) == 1
    assert sorted(results) == [ModelResult.CACHED] * 19 + [ModelResult.OK]


@pytest.mark.looptime
async def test_a_flight_goes_on_for_the_others_when_the_first_is_taken_away() -> None:
    room = Room()
    room.model.seconds = 1.0
    first = asyncio.create_task(room.ask())
    await asyncio.sleep(0.5)
    second = asyncio.create_task(room.ask())
    await asyncio.sleep(0.1)
    first.cancel()
    (one,) = await second
    assert one.opinion is not None
    assert first.cancelled()


@pytest.mark.looptime
async def test_only_four_are_asked_at_once_and_nobody_queues_longer_than_half_a_second() -> None:
    room = Room()
    room.model.seconds = 2.0
    began = asyncio.get_running_loop().time()
    results = await asyncio.gather(*(room.result(other(n)) for n in range(50)))
    assert results.count(ModelResult.OK) == AT_ONCE
    assert results.count(ModelResult.BUSY) == 50 - AT_ONCE
    assert asyncio.get_running_loop().time() - began < 3.0


async def test_a_thousand_alerts_on_fifty_targets_ask_at_most_fifty_times() -> None:
    room = Room(hard_model="claude-sonnet-5-5")
    for wave in range(20):
        room.now = float(wave)
        said = [evidence(unhealthy(id=f"{n:064}"), log_lines=lines(f"wave {'x' * wave}")) for n in range(50)]
        names = [(alert(f"Alert{wave}"),)] * 50
        await asyncio.gather(*(room.ask(each, alerts=name) for each, name in zip(said, names, strict=True)))
    assert len(room.model.asked) == 50


async def test_a_provider_that_fails_five_times_is_left_alone_for_a_minute() -> None:
    room = Room(errors.EdgeUnavailable("anthropic", "529"))
    results = [await room.result(other(n)) for n in range(8)]
    assert results == [ModelResult.UNAVAILABLE] * 5 + [ModelResult.BREAKER_OPEN] * 3
    gauge = {"provider": "anthropic"}
    assert room.metrics.registry.get_sample_value("hemostat_llm_breaker_open", gauge) == 1
    room.now, room.model.says = 61.0, HUNG
    assert await room.result(other(9)) is ModelResult.OK
    assert room.metrics.registry.get_sample_value("hemostat_llm_breaker_open", gauge) == 0


@pytest.mark.parametrize(
    ("says", "seconds"),
    [
        (errors.RateLimited("anthropic", "429", 3600), 600),
        (errors.RateLimited("anthropic", "429", 20), 20),
        (errors.RateLimited("anthropic", "429"), 60),
        (errors.EdgeRejected("anthropic", "401", 401), 600),
    ],
)
async def test_one_refusal_to_be_asked_is_enough(says: Exception, seconds: float) -> None:
    room = Room(says)
    await room.ask(other(1))
    room.now, room.model.says = seconds - 1, HUNG
    assert await room.result(other(2)) is ModelResult.BREAKER_OPEN
    room.now = seconds + 1
    assert await room.result(other(3)) is ModelResult.OK


async def test_no_text_can_have_the_model_ignored_for_everybody_else() -> None:
    """Whoever writes a log may make the model refuse or babble about it; that is no fault of the provider."""
    room = Room("nonsense")
    for n in range(20):
        assert await room.result(other(n)) is ModelResult.INVALID


async def test_a_second_model_is_asked_where_the_first_disagrees_or_is_unsure() -> None:
    for says, models in (
        (HUNG, 1),
        (VETO, 2),
        ({**HUNG, "confidence": "low"}, 2),
        ({**VETO, "injection_suspected": True}, 1),
        ("nonsense", 1),
    ):
        room = Room(says, hard_model="claude-sonnet-5-5")
        assert len(await room.ask()) == models
        assert [request.model for request in room.model.asked][1:] == ["claude-sonnet-5-5"][: models - 1]


async def test_a_second_model_that_fails_silences_itself_and_not_the_first() -> None:
    def says(request: ModelRequest) -> Any:
        second = request.model == "claude-sonnet-5-5"
        return errors.EdgeRejected("anthropic", "404", 404) if second else VETO

    room = Room(says, hard_model="claude-sonnet-5-5")
    for n in range(12):
        first, *second = await room.ask(other(n))
        assert first.result is ModelResult.OK
        assert [each.result for each in second] == ([ModelResult.REJECTED] if n == 0 else [])
    gauge = {"provider": "anthropic"}
    assert room.metrics.registry.get_sample_value("hemostat_llm_breaker_open", gauge) == 0


@pytest.mark.looptime
async def test_that_the_store_took_all_the_time_is_not_held_against_the_model() -> None:
    class Slow(InMemorySpending):
        async def reserve(self, *, tokens: int, usd: float) -> Any:
            await asyncio.sleep(1.0)
            return await super().reserve(tokens=tokens, usd=usd)

    room = Room(deadline_seconds=1.05)
    room.consultant._spending = Slow()
    for n in range(6):
        assert await room.result(other(n)) is ModelResult.TIMEOUT
    assert room.model.asked == []


async def test_no_second_model_is_asked_about_what_a_person_sees_anyway() -> None:
    room = Room(HUNG, hard_model="claude-sonnet-5-5")
    page = Verdict(kind=VerdictKind.ESCALATE, rule="undecided", reason="unclear")
    assert len(await room.ask(rules=page)) == 1


async def test_the_rules_verdict_is_not_told_to_the_model() -> None:
    room = Room()
    await room.ask()
    request = room.model.asked[0]
    assert "unhealthy rule" not in request.user
    assert '"rule' not in request.user


async def test_marks_are_new_for_each_question() -> None:
    room = Room()
    await room.ask(other(1))
    await room.ask(other(2))
    first, second = room.model.asked
    assert first.preamble != second.preamble
    assert first.system == second.system


@pytest.mark.looptime
async def test_when_it_is_closed_those_who_wait_are_told() -> None:
    room = Room()
    room.model.seconds = 3.0
    waiting = asyncio.create_task(room.result())
    await asyncio.sleep(0.1)
    await room.consultant.close()
    assert await waiting is ModelResult.BUSY
    assert room.model.closed
