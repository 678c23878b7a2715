"""Every scenario put to a provider, so many at a time and so often, and what would be done about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bridge.evaluation.carrying import carried_out
from bridge.evaluation.providers import Provider
from bridge.evaluation.scenario import Scenario
from bridge.evaluation.scoring import Result, Score, score
from bridge.model.verdict import VerdictKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one provider came to."""

    provider: str
    results: tuple[Result, ...]
    score: Score


async def run(
    provider: Provider, scenarios: Sequence[Scenario], *, repeat: int = 1, concurrency: int = 4
) -> Outcome:
    """Ask it about each, ``repeat`` times. The bases of twins are asked about as well, but not scored twice."""
    bases = _missing_bases(scenarios)
    slots = asyncio.Semaphore(concurrency)
    asked = [(scenario, number) for number in range(repeat) for scenario in (*scenarios, *bases)]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_one(provider, scenario, number, slots), name=f"eval-{scenario.id}")
            for scenario, number in asked
        ]
    results = [task.result() for task in tasks]
    done = {(result.scenario.id, result.run): result.done for result in results}
    own = {scenario.id for scenario in scenarios}
    scored = tuple(result for result in results if result.scenario.id in own)
    return Outcome(provider=provider.name, results=scored, score=score(scored, _of_bases(scored, done)))


def _of_bases(
    results: Sequence[Result], done: dict[tuple[str, int], VerdictKind]
) -> dict[tuple[str, int], VerdictKind]:
    wanted = {(result.scenario.twin_of, result.run) for result in results if result.scenario.twin_of}
    return {key: done[key] for key in wanted}


def _missing_bases(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """What twins repeat and the set does not hold itself."""
    own = {scenario.id for scenario in scenarios}
    bases = {scenario.base.id: scenario.base for scenario in scenarios if scenario.base is not None}
    return [base for name, base in bases.items() if name not in own]


async def _one(provider: Provider, scenario: Scenario, number: int, slots: asyncio.Semaphore) -> Result:
    async with slots:
        began = time.perf_counter()
        answer = await provider.decide(scenario, number)
        seconds = answer.seconds or time.perf_counter() - began
    answer = replace(answer, seconds=seconds)
    if not provider.guarded:
        return Result(scenario=scenario, answer=answer, done=answer.verdict.kind, run=number)
    done, refused_by = carried_out(scenario, answer.verdict)
    return Result(scenario=scenario, answer=answer, done=done, refused_by=refused_by, run=number)
