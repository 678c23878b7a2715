"""Who can be asked for a verdict: the rules, the baseline, two constants, and answers written beforehand.

Those that stand for a model answer through the two keys, as a model does.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bridge.errors import ScenarioError
from bridge.evaluation import baseline
from bridge.evaluation.carrying import shares_of
from bridge.evaluation.scenario import WORDS, Scenario
from bridge.evaluation.scoring import Answer
from bridge.model.consultation import Cause, Confidence, Consultation, Helps, OnFailure, Opinion
from bridge.model.verdict import Action, ModelResult, Verdict, VerdictKind
from bridge.triage import rules, two_keys

SIMULATED_ACCURACY = 0.8


class Provider(Protocol):
    """Somebody who judges scenarios. ``guarded``: its repairs go through guards and budgets, as ours do."""

    @property
    def name(self) -> str:
        """For people, and for the table."""
        ...

    @property
    def guarded(self) -> bool:
        """Whether guards and budgets are asked about its repairs."""
        ...

    async def decide(self, scenario: Scenario, run: int) -> Answer:
        """Its verdict. ``run`` counts repetitions from 0."""
        ...


def by_rules(scenario: Scenario, thresholds: rules.Thresholds) -> Verdict:
    """What the rules say."""
    return rules.judge(
        scenario.evidence,
        policy=scenario.target_policy,
        alert_names=scenario.alert_names,
        now=scenario.now,
        thresholds=thresholds,
        suspect=any(share.suspect for share in shares_of(scenario)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules alone."""

    thresholds: rules.Thresholds = rules.DEFAULTS
    name: str = "rules"
    guarded: bool = True

    async def decide(self, scenario: Scenario, run: int) -> Answer:
        """What the rules say."""
        return Answer(verdict=by_rules(scenario, self.thresholds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The design that HemoStat grew out of."""

    name: str = "baseline"
    guarded: bool = False

    async def decide(self, scenario: Scenario, run: int) -> Answer:
        """What it would have done."""
        return Answer(verdict=baseline.judge(scenario.evidence))


@dataclass(frozen=True, slots=True, kw_only=True)
class Always:
    """Says the same of everything: what any policy must beat."""

    kind: VerdictKind
    name: str
    guarded: bool = False

    async def decide(self, scenario: Scenario, run: int) -> Answer:
        """The one verdict it knows."""
        action = Action.RESTART if self.kind is VerdictKind.REPAIR else None
        return Answer(verdict=Verdict(kind=self.kind, rule=self.name, reason="As always.", action=action))


Script = Callable[[Scenario, int], VerdictKind | None]
"""What a written model says of a scenario in a run; ``None``: it gives no usable answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripted:
    """A model whose answers are known beforehand, joined with the rules by the two keys."""

    script: Script
    name: str
    thresholds: rules.Thresholds = rules.DEFAULTS
    on_failure: OnFailure = OnFailure.RULES
    guarded: bool = True

    async def decide(self, scenario: Scenario, run: int) -> Answer:
        """What both say."""
        verdict = by_rules(scenario, self.thresholds)
        if not two_keys.worth_asking(verdict):
            return Answer(verdict=verdict)
        said = self.script(scenario, run)
        consultation = Consultation(
            provider="scripted",
            model=self.name,
            result=ModelResult.INVALID if said is None else ModelResult.OK,
            prompt_version="",
            opinion=None if said is None else _opinion(said),
        )
        both = two_keys.combine(verdict, (consultation,), on_failure=self.on_failure)
        return Answer(verdict=both, consultations=(consultation,))


def _opinion(said: VerdictKind) -> Opinion:
    action = Action.RESTART if said is VerdictKind.REPAIR else None
    return Opinion(
        verdict=said,
        action=action,
        said=action.value if action else said.value,
        cause=Cause.PROCESS_HANG if action else Cause.UNKNOWN,
        confidence=Confidence.HIGH,
        restart_would_help=Helps.YES if action else Helps.UNKNOWN,
    )


def scripted(model: str, thresholds: rules.Thresholds, on_failure: OnFailure) -> Scripted:
    """``always-<verdict>``, ``simulated`` or ``simulated-90``, or a file of answers.

    Raises:
        ScenarioError: it is none of these, or the file cannot be used.
    """
    name = f"scripted:{Path(model).name}"
    return Scripted(script=_script(model), name=name, thresholds=thresholds, on_failure=on_failure)


def _script(model: str) -> Script:
    word = model.removeprefix("always-").replace("-", "_")
    if model.startswith("always-") and word in WORDS:
        return lambda scenario, run: WORDS[word]
    kind, _, percent = model.partition("-")
    if kind == "simulated" and (not percent or percent.isdigit()):
        return simulated(int(percent) / 100 if percent else SIMULATED_ACCURACY)
    if Path(model).is_file():
        answers = _answers(Path(model))
        return lambda scenario, run: answers.get(scenario.id)
    words = ", ".join(f"always-{word}" for word in ("restart", "no_action", "wait", "escalate"))
    raise ScenarioError([f"there is no script {model!r}: write {words}, simulated-80, or a file of answers"])


def simulated(accuracy: float) -> Script:
    """A model that is right so often, and else says anything else; the same for the same scenario and run."""

    def say(scenario: Scenario, run: int) -> VerdictKind:
        dice = random.Random(f"{scenario.id}/{run}")  # noqa: S311  # repeatable on purpose
        gold = scenario.gold.verdict
        if dice.random() < accuracy:
            return gold
        return dice.choice([kind for kind in VerdictKind if kind is not gold])

    return say


def _answers(path: Path) -> Mapping[str, VerdictKind | None]:
    """``{"<scenario>": "<verdict>"}``; ``null`` is an answer that cannot be used."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScenarioError([f"{path}: cannot be read as JSON: {error}"]) from None
    if not isinstance(found, dict):
        raise ScenarioError([f"{path}: must be a mapping of scenarios to verdicts"])
    wrong = [name for name, word in found.items() if word is not None and word not in WORDS]
    if wrong:
        raise ScenarioError(
            [f"{path}: {name}: is no verdict; write one of {', '.join(WORDS)}" for name in wrong]
        )
    return {name: None if word is None else WORDS[word] for name, word in found.items()}
