"""A model's opinion on one incident, or why there is none: asked once, in time, within the budget, and written down.

Whatever goes wrong here is a result, never an error: the rules then decide. What an opinion counts for is said in
``bridge.triage.two_keys``.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bridge import errors
from bridge.consulting.breaker import LONGEST_SECONDS, OPEN_SECONDS, ProviderBreaker
from bridge.consulting.memory import Consultations, Memory
from bridge.consulting.terms import Question, Terms
from bridge.metrics import Metrics
from bridge.model.consultation import (
    Confidence,
    Consultation,
    ModelAnswer,
    ModelRequest,
    Opinion,
    Usage,
)
from bridge.model.verdict import ModelResult, Verdict, VerdictKind
from bridge.roles import Model, Overspent, Reservation, Spending
from bridge.triage import answer, fingerprint, prompt, untrusted
from bridge.triage.prompt import Prompt
from bridge.triage.traits import Traits
from bridge.triage.two_keys import counted

log = logging.getLogger("hemostat.model")

AT_ONCE = 4
SLOT_SECONDS = 0.5
"""How long a question waits for one of the slots: in a storm the rules decide, they do not queue."""

RESERVE_SECONDS = 1.5
"""For the store's answer; what it takes is taken from the model's time."""

LEAST_SECONDS = 0.1
"""With less time left nobody is asked: that no answer came would say nothing about the model."""

SECOND_SECONDS = 1.5
"""With less time left no second model is asked."""

GRACE_SECONDS = 0.2
"""Beyond the deadline an edge was given, should it not keep it."""

LEFT_ALONE = "it failed, and is left alone for a while"
OWN_ERROR = "an error of HemoStat's own; see its log"
RAW_CHARACTERS = 4000
FEWEST_BYTES_PER_TOKEN, MOST_BYTES_PER_TOKEN = 1.5, 6.0


class Consultant:
    """Asks one provider. Breakers and memory are this process'; the budget is shared by all replicas.

    Each model has a breaker of its own, so that a second one that is slow or unknown does not silence the first.
    """

    def __init__(
        self,
        *,
        model: Model,
        spending: Spending,
        metrics: Metrics,
        terms: Terms,
        redact: untrusted.Redact,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.terms = terms
        self.provider = model.provider
        self.model = model
        self._spending = spending
        self._metrics = metrics
        self._redact = redact
        self._clock = clock
        self._breakers = {name: ProviderBreaker() for name in (terms.model, terms.hard_model)}
        self._memory = Memory()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._flights: dict[str, asyncio.Task[Consultations]] = {}
        self._aside: set[asyncio.Task[None]] = set()
        self._bytes_per_token = 2.5
        self._show_breaker()

    async def close(self, *, finish: bool = False) -> None:
        """Let go of the connections. ``finish``: what is under way may end first, which its deadline bounds."""
        under_way = (*self._flights.values(), *self._aside)
        for task in () if finish else under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await self.model.close()

    async def consult(self, question: Question) -> Consultations:
        """One or two consultations, in the order in which they were made. Questions about one sickness share them."""
        evidence, policy, rules = question.evidence, question.policy, question.rules
        sickness = fingerprint.sickness(evidence, policy=policy, verdict=rules)
        key = fingerprint.question(
            evidence,
            policy=policy,
            verdict=rules,
            alert_names=[alert.name for alert in question.alerts],
            asked=f"{prompt.VERSION} {self.terms.model} {self.terms.hard_model}",
        )
        if known := self._memory.find(question=key, sickness=sickness, now=self._clock()):
            return self._again(known)
        flight = self._flights.get(sickness)
        mine = flight is None
        if flight is None:
            flight = self._flights[sickness] = asyncio.create_task(self._fly(question), name="consult")
            flight.add_done_callback(lambda _: self._flights.pop(sickness, None))
        try:
            # Shielded: whoever else waits for it must get it, even if this incident is taken over meanwhile.
            consultations = await asyncio.shield(flight)
        except asyncio.CancelledError:
            if flight.cancelled() and not _being_cancelled():
                return (self._unasked(self.terms.model, ModelResult.BUSY, "HemoStat is stopping"),)
            raise
        if counted(consultations)[1] is None:
            return consultations
        if not mine:
            return self._again(consultations)
        self._memory.keep(consultations, question=key, sickness=sickness, now=self._clock())
        return consultations

    def _again(self, known: Consultations) -> Consultations:
        """An earlier opinion, which cost nothing this time."""
        _, opinion = counted(known)
        last = next(each for each in reversed(known) if each.opinion is opinion)
        self._count(ModelResult.CACHED)
        cached = replace(last, result=ModelResult.CACHED, usage=Usage(), cost_usd=0.0, latency_seconds=0.0)
        return (cached,)

    async def _fly(self, question: Question) -> Consultations:
        try:
            return await self._in_time(question, self._clock() + self.terms.deadline_seconds)
        except Exception:  # a bug of ours must not keep the rules from deciding
            log.exception("consultation_crashed")
            return (self._unasked(self.terms.model, ModelResult.INVALID, OWN_ERROR),)

    async def _in_time(self, question: Question, until: float) -> Consultations:
        if self._breakers[self.terms.model].is_open(self._clock()):
            return (self._unasked(self.terms.model, ModelResult.BREAKER_OPEN, LEFT_ALONE),)
        try:
            async with asyncio.timeout(SLOT_SECONDS):
                await self._slots.acquire()
        except TimeoutError:
            why = f"{AT_ONCE} other questions are under way"
            return (self._unasked(self.terms.model, ModelResult.BUSY, why),)
        try:
            first = await self._ask(question, self.terms.model, until)
            if not self._hard(question.rules, first.opinion, until):
                return (first,)
            return (first, await self._ask(question, self.terms.hard_model, until))
        finally:
            self._slots.release()

    def _hard(self, rules: Verdict, opinion: Opinion | None, until: float) -> bool:
        """Whether another model should say, too. Not where a text tries to steer: both would read the same text.

        Nor while others are asked about: a storm is no time for second opinions.
        """
        if opinion is None or not self.terms.hard_model or opinion.injection_suspected:
            return False
        matters = rules.kind in (VerdictKind.REPAIR, VerdictKind.NO_ACTION)
        unsure = opinion.verdict is not rules.kind or opinion.confidence is Confidence.LOW
        if not (matters and unsure) or self._breakers[self.terms.hard_model].is_open(self._clock()):
            return False
        return len(self._flights) == 1 and until - self._clock() >= SECOND_SECONDS

    async def _ask(self, question: Question, model: str, until: float) -> Consultation:
        traits = self.terms.traits_of(model)
        canary = secrets.token_hex(8)
        asked = prompt.build(
            question.evidence,
            policy=question.policy,
            alerts=question.alerts,
            now=question.now,
            fence=secrets.token_hex(8),
            canary=canary,
            redact=self._redact,
            send_logs=self.terms.send_logs,
            bytes_per_token=self._bytes_per_token,
        )
        reserved = await self._reserve(model, asked, traits)
        if isinstance(reserved, Consultation):
            return reserved
        asking = _Asking(model=model, traits=traits, prompt=asked, canary=canary, reserved=reserved)
        left = until - self._clock()
        if left < LEAST_SECONDS:
            return self._given_up(asking, ModelResult.TIMEOUT, "no time was left to ask it")
        if not self._breakers[model].admit(self._clock()):
            return self._given_up(asking, ModelResult.BREAKER_OPEN, LEFT_ALONE)
        request = ModelRequest(
            model=model,
            system=asked.system,
            preamble=asked.preamble,
            user=asked.user,
            schema=answer.schema(asked.words),
            max_output_tokens=traits.max_output_tokens,
            thinking=traits.thinking,
            effort=traits.effort,
        )
        try:
            async with asyncio.timeout(left + GRACE_SECONDS):
                said = await self.model.ask(request, deadline_seconds=left)
        except (errors.EdgeError, TimeoutError) as error:
            return self._failed(error, asking)
        except Exception:
            log.exception("model_edge_crashed")
            return self._failed(errors.UnfitAnswer(self.provider, OWN_ERROR), asking)
        return self._heard(said, asking)

    def _heard(self, said: ModelAnswer, asking: _Asking) -> Consultation:
        found = answer.read(
            said,
            asking.prompt,
            canary=asking.canary,
            threshold=self.terms.confidence_threshold,
            redact=self._redact,
        )
        if found.opinion is not None:
            result = ModelResult.OK
        else:
            result = ModelResult.REFUSED if found.refused else ModelResult.INVALID
        if answer.CANARY_SEEN in found.problems:
            log.error("model_repeated_its_secret", extra={"model": said.model, "request_id": said.request_id})
        # It answered. That it refused, or answered nonsense, may be the doing of whoever wrote the text, who must not
        # be able to have the model ignored for everybody else.
        self._breakers[asking.model].succeeded()
        cost = asking.traits.cost_usd(said.usage)
        self._learn(said.usage, asking.prompt)
        self._metrics.model_spent(said.usage, cost)
        self._metrics.model_duration.labels(self.provider).observe(said.latency_seconds)
        if said.usage.total:  # a server that does not count keeps what was set aside
            self._settle(asking, said.usage)
        self._count(result)
        return replace(
            self._consultation(said.model, result, asking.prompt),
            opinion=found.opinion,
            problems=found.problems,
            raw=untrusted.prepared(said.text, self._redact, limit=RAW_CHARACTERS),
            request_id=untrusted.prepared(said.request_id, self._redact, limit=100),
            usage=said.usage,
            cost_usd=round(cost, 6),
            latency_seconds=round(said.latency_seconds, 3),
        )

    def _failed(self, error: errors.EdgeError | TimeoutError, asking: _Asking) -> Consultation:
        result = _result_of(error)
        stay_away = None
        if isinstance(error, errors.RateLimited):
            stay_away = error.retry_after_seconds if error.retry_after_seconds is not None else OPEN_SECONDS
        elif result is ModelResult.REJECTED:
            stay_away = LONGEST_SECONDS
            log.error(
                "model_refuses_us", extra={"error": str(error), "advice": "check llm.api_key and llm.model"}
            )
        self._breakers[asking.model].failed(self._clock(), stay_away_seconds=stay_away)
        if result in (ModelResult.RATE_LIMITED, ModelResult.REJECTED):
            self._settle(asking, Usage())  # a refusal is not billed; all else may be
        self._count(result)
        problem = str(error) or f"{self.provider}: no answer in time"
        log.warning("model_failed", extra={"result": result.value, "error": problem})
        return replace(self._consultation(asking.model, result, asking.prompt), problems=(problem,))

    def _given_up(self, asking: _Asking, result: ModelResult, why: str) -> Consultation:
        self._settle(asking, Usage())
        return self._unasked(asking.model, result, why)

    def _unasked(self, model: str, result: ModelResult, why: str) -> Consultation:
        self._count(result)
        return Consultation(
            provider=self.provider, model=model, result=result, prompt_version=prompt.VERSION, problems=(why,)
        )

    def _consultation(self, model: str, result: ModelResult, asked: Prompt) -> Consultation:
        sent = f"{asked.preamble}\n{asked.user}"
        return Consultation(
            provider=self.provider,
            model=untrusted.prepared(model, self._redact, limit=100),
            result=result,
            prompt_version=asked.version,
            prompt_hash=fingerprint.text_hash(f"{asked.system}\n{sent}"),
            prompt=sent if self.terms.keep_prompts else None,
        )

    def _learn(self, usage: Usage, asked: Prompt) -> None:
        read = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
        if not read:
            return
        seen = len((asked.system + asked.preamble + asked.user).encode()) / read
        mean = 0.8 * self._bytes_per_token + 0.2 * seen
        self._bytes_per_token = min(max(mean, FEWEST_BYTES_PER_TOKEN), MOST_BYTES_PER_TOKEN)

    def _count(self, result: ModelResult) -> None:
        self._metrics.model_requests.labels(self.provider, result.value).inc()
        self._show_breaker()

    def _show_breaker(self) -> None:
        is_open = self._breakers[self.terms.model].is_open(self._clock())
        self._metrics.model_breaker_open.labels(self.provider).set(1 if is_open else 0)

    async def _reserve(self, model: str, asked: Prompt, traits: Traits) -> Reservation | Consultation:
        """Money set aside, or the consultation that did not take place for want of it."""
        tokens = asked.estimated_tokens + traits.max_output_tokens
        usd = traits.highest_cost_usd(asked.estimated_tokens)
        try:
            async with asyncio.timeout(RESERVE_SECONDS):
                granted = await self._spending.reserve(tokens=tokens, usd=usd)
        except (TimeoutError, errors.EdgeError):
            why = "the store did not answer, so nothing could be set aside"
            return self._unasked(model, ModelResult.STORE_AWAY, why)
        if isinstance(granted, Overspent):
            why = f"llm.budget.{granted.limit} does not hold another question"
            return self._unasked(model, ModelResult.BUDGET, why)
        return granted

    def _settle(self, asking: _Asking, usage: Usage) -> None:
        """Beside the decision, which need not wait for it."""
        task = asyncio.create_task(self._settled(asking, usage), name="settle-spending")
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)

    async def _settled(self, asking: _Asking, usage: Usage) -> None:
        try:
            await self._spending.settle(
                asking.reserved, tokens=usage.total, usd=asking.traits.cost_usd(usage)
            )
        except errors.EdgeError as error:  # then it stays spent, which only makes the budget tighter
            log.warning("spending_not_settled", extra={"error": str(error)})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asking:
    """One question to one model, paid for and not yet answered."""

    model: str
    traits: Traits
    prompt: Prompt
    canary: str
    reserved: Reservation


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _result_of(error: errors.EdgeError | TimeoutError) -> ModelResult:
    match error:
        case TimeoutError() | errors.EdgeTimeout():
            return ModelResult.TIMEOUT
        case errors.RateLimited():
            return ModelResult.RATE_LIMITED
        case errors.EdgeRejected():
            return ModelResult.REJECTED
        case errors.UnfitAnswer():
            return ModelResult.INVALID
        case _:
            return ModelResult.UNAVAILABLE
