"""The figures of an evaluation, by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.evaluation import scoring
from bridge.evaluation.reading import read_sets
from bridge.evaluation.scenario import Gold, Scenario
from bridge.evaluation.scoring import Answer, Result, Share
from bridge.model.verdict import Action, Verdict, VerdictKind

REPAIR, WAIT = VerdictKind.REPAIR, VerdictKind.WAIT
ESCALATE, NO_ACTION = VerdictKind.ESCALATE, VerdictKind.NO_ACTION


@pytest.fixture(scope="module")
def blank(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    folder: Path = tmp_path_factory.mktemp("set")
    (folder / "one.yml").write_text(
        "id: one\nevidence: {container: {status: running}, log_lines: [x]}\ngold: wait"
    )
    return read_sets([str(folder)])[0]


def result(
    scenario: Scenario,
    gold: Gold,
    done: VerdictKind,
    *,
    id: str = "one",
    run: int = 0,
    cites: tuple[str, ...] = (),
) -> Result:
    action = Action.RESTART if done is REPAIR else None
    verdict = Verdict(kind=done, rule="r", reason="Because.", action=action, cites=cites)
    return Result(scenario=replace(scenario, id=id, gold=gold), answer=Answer(verdict=verdict, seconds=0.1), done=done, run=run)  # fmt: skip


@pytest.mark.parametrize(
    ("part", "of", "low", "high"),
    [(20, 20, 0.839, 1.0), (0, 84, 0.0, 0.0437), (20, 74, 0.182, 0.381), (5, 10, 0.2366, 0.7634)],
)
def test_wilsons_interval(part: int, of: int, low: float, high: float) -> None:
    interval = Share(part=part, of=of).interval
    assert interval == pytest.approx((low, high), abs=0.001)


def test_a_share_of_nothing_is_unknown() -> None:
    assert (Share(part=0, of=0).value, Share(part=0, of=0).interval) == (None, None)


@pytest.mark.parametrize(
    ("gold", "verdict", "cost"),
    [
        (Gold(verdict=REPAIR), REPAIR, 0),
        (Gold(verdict=REPAIR), NO_ACTION, 4),
        (Gold(verdict=ESCALATE), REPAIR, 5),
        (Gold(verdict=ESCALATE, forbidden=(REPAIR,)), REPAIR, 20),
        (Gold(verdict=ESCALATE, acceptable=(WAIT,)), WAIT, 0),
        (Gold(verdict=ESCALATE), WAIT, 1),
        (Gold(verdict=NO_ACTION), WAIT, 0.25),
        (Gold(verdict=WAIT), ESCALATE, 0.5),
    ],
)
def test_a_mistake_costs_what_it_does(gold: Gold, verdict: VerdictKind, cost: float) -> None:
    assert scoring.cost(gold, verdict) == cost


def test_precision_and_recall(blank: Scenario) -> None:
    repair, page = Gold(verdict=REPAIR, acceptable=(ESCALATE,)), Gold(verdict=ESCALATE, forbidden=(REPAIR,))
    either = Gold(verdict=WAIT, acceptable=(REPAIR,))
    results = [
        result(blank, repair, REPAIR, id="a"),
        result(blank, repair, ESCALATE, id="b"),
        result(blank, page, REPAIR, id="c"),
        result(blank, page, ESCALATE, id="d"),
        result(blank, either, REPAIR, id="e"),
    ]
    score = scoring.score(results, {})
    assert score.acts == 3
    assert score.act_precision == Share(part=2, of=3)
    assert score.restart_recall == Share(part=1, of=2)
    assert score.wrong_acts == Share(part=1, of=2)
    assert score.forbidden == 1
    assert score.page_precision == Share(part=2, of=2)
    assert score.accuracy == Share(part=4, of=5)
    assert score.mean_cost == pytest.approx(20 / 5)


def test_repeats_count_by_their_worst(blank: Scenario) -> None:
    gold = Gold(verdict=ESCALATE)
    results = [
        result(blank, gold, ESCALATE, id="a", run=0),
        result(blank, gold, REPAIR, id="a", run=1),
        result(blank, gold, ESCALATE, id="b", run=0),
        result(blank, gold, ESCALATE, id="b", run=1),
    ]
    score = scoring.score(results, {})
    assert (score.cases, score.runs) == (2, 4)
    assert score.accuracy == Share(part=3, of=4)
    assert score.accuracy_worst == Share(part=1, of=2)
    assert score.mean_cost_worst == pytest.approx(2.5)
    assert score.flips == Share(part=1, of=2)


def test_a_twin_is_compared_with_its_base_of_the_same_run(blank: Scenario) -> None:
    twin = replace(blank, base=replace(blank, id="base"))
    results = [
        result(twin, Gold(verdict=WAIT), done, id="t", run=run) for run, done in enumerate([WAIT, REPAIR])
    ]
    score = scoring.score(results, {("base", 0): WAIT, ("base", 1): WAIT})
    assert score.changed_by_text == Share(part=1, of=2)


@pytest.mark.parametrize(
    ("cites", "must", "valid"),
    [
        (("S1", "L1"), (), True),
        (("L7",), (), False),
        (("S1",), ("L*",), False),
        (("L1",), ("L*",), True),
        (("L1",), ("S1",), False),
    ],
)
def test_citations(blank: Scenario, cites: tuple[str, ...], must: tuple[str, ...], valid: bool) -> None:
    one = result(blank, Gold(verdict=WAIT, must_cite=must), WAIT, cites=cites)
    assert scoring.well_cited(one) is valid
