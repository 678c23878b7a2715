"""What an evaluation came to: a table with intervals, every miss, as JSON or as text; and whether it is good enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.errors import ScenarioError
from bridge.evaluation.running import Outcome
from bridge.evaluation.scoring import HIGHER_IS_BETTER, LOWER_IS_BETTER, METRICS, Result, Score, Share
from bridge.model.consultation import Consultation
from bridge.triage.answer import WORTH

ROWS: tuple[tuple[str, str], ...] = (
    ("cases", "cases"),
    ("acts", "repairs"),
    ("act_precision", "act precision"),
    ("restart_recall", "restart recall"),
    ("wrong_acts", "wrong acts"),
    ("forbidden", "forbidden verdicts"),
    ("page_precision", "page precision"),
    ("accuracy", "accuracy"),
    ("changed_by_text", "changed by hostile text"),
    ("citations", "citations valid"),
    ("mean_cost", "mean cost"),
    ("schema_valid", "model's answers valid"),
    ("refusals", "model's refusals"),
    *((f"right_when_{word}", f"right when {word} ({counts:g})") for word, counts in WORTH.items()),
    ("brier", "Brier score"),
)
"""Metrics in the order in which people read them."""

REPEATED: tuple[tuple[str, str], ...] = (
    ("accuracy_worst", "accuracy, worst run"),
    ("mean_cost_worst", "mean cost, worst run"),
    ("flips", "flipped"),
)
ASKED: tuple[tuple[str, str], ...] = (
    ("fallbacks", "decided without the model"),
    ("p50_seconds", "p50 seconds"),
    ("p95_seconds", "p95 seconds"),
    ("tokens", "tokens"),
    ("usd", "US dollars"),
)


Values = Mapping[str, Any]
"""An outcome as JSON has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """A figure that must be reached. At least, where more is better, else at most."""

    metric: str
    value: float

    def broken_by(self, score: Score) -> str | None:
        """Why it does not hold; ``None`` if it does. What could not be measured breaks nothing."""
        found = score.metric(self.metric)
        at_least = self.metric in HIGHER_IS_BETTER
        if found is None or (found >= self.value if at_least else found <= self.value):
            return None
        return f"{self.metric} is {found:.4g}, must be at {'least' if at_least else 'most'} {self.value:g}"


def bound_of(text: str) -> Bound:
    """``metric=value``. Raises ScenarioError: it is none."""
    name, equals, value = text.partition("=")
    name = name.strip()
    if not equals or name not in METRICS:
        known = ", ".join((*HIGHER_IS_BETTER, *LOWER_IS_BETTER))
        raise ScenarioError([f"--fail-under {text!r}: write metric=value with one of {known}"])
    try:
        return Bound(metric=name, value=float(value))
    except ValueError:
        raise ScenarioError([f"--fail-under {text!r}: {value!r} is no number"]) from None


def as_values(outcome: Outcome, *, command: Values) -> dict[str, Any]:
    """The outcome for machines; ``--compare`` reads it again."""
    return {
        "provider": outcome.provider,
        **command,
        "runs": outcome.score.runs,
        "metrics": {name: outcome.score.metric(name) for name in sorted(METRICS)},
        "intervals": {name: share.interval for name, share in _shares(outcome.score)},
        "counts": {name: (share.part, share.of) for name, share in _shares(outcome.score)},
        "cases": [_case(result) for result in outcome.results],
    }


def _case(result: Result) -> dict[str, object]:
    verdict = result.answer.verdict
    return {
        "id": result.scenario.id,
        "run": result.run,
        "gold": result.scenario.gold.verdict,
        "done": result.done,
        "right": result.right,
        "cost": result.cost,
        "verdict": verdict.kind,
        "rule": verdict.rule,
        "source": verdict.source,
        "refused_by": result.refused_by,
        "reason": verdict.reason,
        "cites": verdict.cites,
        "seconds": round(result.answer.seconds, 4),
        "model": [_asked(one) for one in result.answer.consultations],
    }


def _asked(one: Consultation) -> dict[str, object]:
    said = {} if one.opinion is None else {"said": one.opinion.said, "confidence": one.opinion.confidence}
    return {"model": one.model, "result": one.result, **said}


def _shares(score: Score) -> Iterable[tuple[str, Share]]:
    for name in sorted(METRICS):
        value = getattr(score, name)
        if isinstance(value, Share):
            yield name, value


def table(outcomes: Sequence[Values]) -> list[list[str]]:
    """Heading and rows, one column for each outcome as ``as_values`` gives it."""
    repeated = any(_number(outcome, "runs") > _metric(outcome, "cases") for outcome in outcomes)
    asked = any(_metric(outcome, "tokens") or _metric(outcome, "fallbacks") for outcome in outcomes)
    rows = (*ROWS, *(REPEATED if repeated else ()), *(ASKED if asked else ()))
    return [
        ["", *(str(outcome.get("provider", "?")) for outcome in outcomes)],
        *([told, *(_figure(outcome, name) for outcome in outcomes)] for name, told in rows),
    ]


def _figure(outcome: Values, name: str) -> str:
    value, interval, count = (_part(outcome, part).get(name) for part in ("metrics", "intervals", "counts"))
    if value is None:
        return "n/a"
    if not isinstance(interval, list | tuple) or not isinstance(count, list | tuple):
        return f"{value:.3g}" if isinstance(value, float) else str(value)
    return f"{value:.2f} [{interval[0]:.2f}-{interval[1]:.2f}] {count[0]}/{count[1]}"


def _part(outcome: Values, name: str) -> Values:
    found = outcome.get(name)
    return found if isinstance(found, dict) else {}


def _metric(outcome: Values, name: str) -> float:
    return _number(_part(outcome, "metrics"), name)


def _number(values: Values, name: str) -> float:
    found = values.get(name)
    return float(found) if isinstance(found, int | float) else 0.0


def as_text(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """A table for a terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def as_markdown(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """The same for a page."""
    yield f"| {' | '.join(rows[0])} |"
    yield "|---" * len(rows[0]) + "|"
    for row in rows[1:]:
        yield f"| {' | '.join(row)} |"


def misses(outcome: Outcome) -> Iterable[str]:
    """A line for each answer that is a mistake, the dearest first."""
    wrong = sorted((one for one in outcome.results if not one.right), key=lambda one: -one.cost)
    for one in wrong:
        gold, verdict = one.scenario.gold, one.answer.verdict
        done = f"{one.done} ({one.refused_by})" if one.refused_by else one.done.value
        forbidden = " FORBIDDEN" if one.done in gold.forbidden else ""
        yield (
            f"{one.scenario.id}: {gold.verdict} wanted, {done} given{forbidden}, cost {one.cost:g}"
            f" - {verdict.rule}: {verdict.reason}"
        )


def differences(first: Values, second: Values) -> Iterable[str]:
    """A line for each case on which two outcomes differ; ``+`` is right, ``-`` is not."""
    ours, theirs = _by_case(first), _by_case(second)
    names = str(first.get("provider", "first")), str(second.get("provider", "second"))
    for key, mine in ours.items():
        other = theirs.get(key)
        if other is None or mine.get("done") == other.get("done"):
            continue
        marks = "".join("+" if one.get("right") else "-" for one in (mine, other))
        told = f"{names[0]} {mine.get('done')}, {names[1]} {other.get('done')}"
        yield f"{marks} {key[0]}: {mine.get('gold')} wanted, {told}"
    for name, one, other_one in ((names[0], ours, theirs), (names[1], theirs, ours)):
        missing = [key[0] for key in one if key not in other_one]
        if missing:
            yield f"only {name} was asked about {len(missing)}: {', '.join(missing[:5])}"


def _by_case(values: Values) -> dict[tuple[str, int], Values]:
    cases = values.get("cases")
    found: dict[tuple[str, int], Values] = {}
    for case in cases if isinstance(cases, list) else []:
        if isinstance(case, dict):
            found[str(case.get("id")), int(case.get("run") or 0)] = case
    return found
