"""A real model, asked through the same consultant, prompt and two keys as in the walk, and within a sum of its own."""

from __future__ import annotations

import time
from collections import Counter

from bridge.consulting import Consultant, Question, Terms
from bridge.evaluation.providers import by_rules
from bridge.evaluation.scenario import Scenario
from bridge.evaluation.scoring import Answer
from bridge.metrics import Metrics
from bridge.model.consultation import ModelAnswer, ModelRequest, OnFailure
from bridge.model.verdict import ModelResult
from bridge.roles import Model, Overspent, Reservation
from bridge.triage import rules, two_keys
from bridge.triage.untrusted import Redact


class Purse:
    """``Spending`` for one evaluation: nothing is asked that might cost more than is left."""

    def __init__(self, usd: float) -> None:
        self._left = usd
        self._set_aside: dict[str, float] = {}

    async def reserve(self, *, tokens: int, usd: float) -> Reservation | Overspent:
        """Set this much aside, if it is there."""
        if usd > self._left:
            return Overspent(limit="--max-usd")
        self._left -= usd
        reservation = Reservation(id=str(len(self._set_aside)))
        self._set_aside[reservation.id] = usd
        return reservation

    async def settle(self, reservation: Reservation, *, tokens: int, usd: float) -> None:
        """Put back what it did not take."""
        self._left += self._set_aside.get(reservation.id, usd) - usd


class _Borrowed:
    """A model whose connections outlive whoever asks it."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.provider = model.provider

    async def ask(self, request: ModelRequest, *, deadline_seconds: float) -> ModelAnswer:
        return await self._model.ask(request, deadline_seconds=deadline_seconds)

    async def close(self) -> None:
        """Not ours to close."""


class Asked:
    """Rules and model together. ``problems`` counts why there was no opinion; ``unpaid`` what was not asked for money."""

    guarded = True

    def __init__(
        self,
        *,
        model: Model,
        terms: Terms,
        thresholds: rules.Thresholds,
        on_failure: OnFailure,
        max_usd: float,
        redact: Redact,
    ) -> None:
        self.name = f"{model.provider}:{terms.model}"
        self.problems: Counter[str] = Counter()
        self.unpaid = 0
        self._model = model
        self._terms = terms
        self._thresholds = thresholds
        self._on_failure = on_failure
        self._purse = Purse(max_usd)
        self._redact = redact
        self._metrics = Metrics()

    async def decide(self, scenario: Scenario, run: int) -> Answer:
        """What both say. Each question is asked anew: nothing is remembered from another one."""
        ruled = by_rules(scenario, self._thresholds)
        if not two_keys.worth_asking(ruled):
            return Answer(verdict=ruled)
        consultant = Consultant(
            model=_Borrowed(self._model),
            spending=self._purse,
            metrics=self._metrics,
            terms=self._terms,
            redact=self._redact,
        )
        began = time.perf_counter()
        said = await consultant.consult(
            Question(
                evidence=scenario.evidence,
                policy=scenario.target_policy,
                alerts=scenario.firing,
                rules=ruled,
                now=scenario.now,
            )
        )
        seconds = time.perf_counter() - began
        await consultant.close(finish=True)
        for one in said:
            self.unpaid += one.result is ModelResult.BUDGET
            if one.opinion is None:
                self.problems[f"{one.result}: {'; '.join(one.problems)}"[:200]] += 1
        return Answer(
            verdict=two_keys.combine(ruled, said, on_failure=self._on_failure),
            seconds=seconds,
            consultations=said,
        )

    async def close(self) -> None:
        """Let go of the model's connections."""
        await self._model.close()
