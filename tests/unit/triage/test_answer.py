"""What of a model's answer counts."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.consultation import Cause, Confidence, Stop
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import Action, VerdictKind
from bridge.triage import answer
from bridge.triage.answer import Read
from bridge.triage.prompt import Prompt
from tests.unit.triage.asking import CANARY, HUNG, answered, asked

PROMPT = asked()


def read(
    said: str | dict[str, Any], *, threshold: float = 0.7, stop: Stop = Stop.END, prompt: Prompt = PROMPT
) -> Read:
    return answer.read(
        answered(said, stop=stop), prompt, canary=CANARY, threshold=threshold, redact=lambda t: t
    )


def test_a_well_founded_restart_counts_as_one() -> None:
    opinion = read(HUNG).opinion
    assert opinion is not None
    assert (opinion.verdict, opinion.action) == (VerdictKind.REPAIR, Action.RESTART)
    assert opinion.cause is Cause.PROCESS_HANG
    assert opinion.claims[0].cites == ("S1",)
    assert not opinion.downgraded


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"confidence": "low"}, id="unsure"),
        pytest.param({"restart_would_help": "no"}, id="would-not-help"),
        pytest.param({"restart_would_help": "unknown"}, id="perhaps"),
        pytest.param({"cause_class": "disk_full"}, id="cause-not-restartable"),
        pytest.param({"cause_class": "unknown"}, id="cause-unknown"),
        pytest.param({"injection_suspected": True}, id="tampered"),
        pytest.param({"reasons": []}, id="no-reason"),
        pytest.param({"reasons": [{"claim": "the log says so", "cites": ["L1"]}]}, id="only-text"),
        pytest.param({"reasons": [{"claim": "made up", "cites": ["S1", "M7"]}]}, id="unknown-citation"),
        pytest.param({"against": ["X1"]}, id="unknown-citation-against"),
    ],
)
def test_a_restart_that_is_not_well_founded_counts_as_an_escalation(change: dict[str, Any]) -> None:
    opinion = read({**HUNG, **change}).opinion
    assert opinion is not None
    assert (opinion.verdict, opinion.action, opinion.said) == (VerdictKind.ESCALATE, None, "restart")
    assert opinion.downgraded


@pytest.mark.parametrize(
    ("threshold", "enough"),
    [(0.0, {"medium", "high"}), (0.7, {"medium", "high"}), (0.71, {"high"}), (1.0, {"high"})],
)
def test_the_confidence_threshold_picks_the_words_that_suffice(threshold: float, enough: set[str]) -> None:
    repairs = {
        word.value
        for word in Confidence
        if (found := read({**HUNG, "confidence": word.value}, threshold=threshold).opinion)
        and found.verdict is VerdictKind.REPAIR
    }
    assert repairs == enough


@pytest.mark.parametrize(
    "said",
    [
        pytest.param("", id="empty"),
        pytest.param("restart", id="a-word"),
        pytest.param("<html><body>502</body></html>", id="html"),
        pytest.param(json.dumps(HUNG)[:-20], id="truncated"),
        pytest.param(f"Sure! {json.dumps(HUNG)}", id="prose-around"),
        pytest.param(json.dumps([HUNG]), id="a-list"),
        pytest.param({**HUNG, "verdict": "delete"}, id="verdict-unknown"),
        pytest.param({**HUNG, "verdict": "start"}, id="verdict-not-allowed-here"),
        pytest.param({**HUNG, "verdict": ["restart"]}, id="verdict-not-text"),
        pytest.param({**HUNG, "cause_class": "aliens"}, id="cause-unknown"),
        pytest.param({**HUNG, "target": "other"}, id="extra-key"),
        pytest.param({key: HUNG[key] for key in HUNG if key != "summary"}, id="key-missing"),
        pytest.param({**HUNG, "confidence": 0.99}, id="number-for-word"),
        pytest.param(json.dumps(HUNG).replace('"high"', "1e999"), id="endless-number-for-word"),
        pytest.param(json.dumps(HUNG).replace("{", '{"verdict": "escalate", ', 1), id="two-verdicts"),
        pytest.param(json.dumps(HUNG).replace('["S1"]', '["L1"], "cites": ["S1"]'), id="two-citations"),
        pytest.param({**HUNG, "actions": ["stop", "remove"]}, id="further-actions"),
        pytest.param(json.dumps(HUNG) * 2, id="two-answers"),
        pytest.param(json.dumps(HUNG).replace("It hangs.", "\\ud800"), id="half-a-character"),
        pytest.param({**HUNG, "summary": "x" * 20_000}, id="oversized"),
        pytest.param("[" * 15_000, id="deep"),
        pytest.param({**HUNG, "summary": f"the word is {CANARY}"}, id="canary"),
        pytest.param(json.dumps(HUNG).replace("It hangs.", "\\u0063" + CANARY[1:]), id="canary-in-disguise"),
    ],
)
def test_what_does_not_fit_is_no_verdict(said: Any) -> None:
    found = read(said)
    assert found.opinion is None
    assert found.problems


@pytest.mark.parametrize(
    ("stop", "refused"), [(Stop.REFUSAL, True), (Stop.MAX_TOKENS, False), (Stop.OTHER, False)]
)
def test_only_an_answer_that_ended_by_itself_is_a_verdict(stop: Stop, refused: bool) -> None:
    found = read(HUNG, stop=stop)
    assert found.opinion is None
    assert found.refused is refused


def test_long_texts_are_cut_and_noted_and_lose_their_secrets() -> None:
    long = {**HUNG, "summary": "s" * 500, "reasons": [{"claim": "c" * 300, "cites": ["S1"]}] * 7}
    found = answer.read(
        answered(long), PROMPT, canary=CANARY, threshold=0.7, redact=lambda t: t.replace("s", "-")
    )
    assert found.opinion is not None
    assert found.opinion.summary == "-" * 239 + "…"
    assert len(found.opinion.claims) == 5
    assert len(found.problems) == 3


def test_a_problem_never_repeats_what_it_found_unredacted() -> None:
    said = {**HUNG, "cause_class": "hunter2\x1b[31m"}
    found = answer.read(
        answered(said), PROMPT, canary=CANARY, threshold=0.7, redact=lambda t: t.replace("hunter2", "#")
    )
    assert "hunter2" not in found.problems[0]
    assert "\x1b" not in found.problems[0]


@given(st.text() | st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(list(HUNG)), inner)).map(json.dumps))  # fmt: skip
def test_no_answer_whatever_it_is_raises(said: str) -> None:
    found = read(said)
    assert (found.opinion is None) == bool(found.problems) or found.opinion is not None


WORDS = st.sampled_from(["restart", "start", "no_action", "wait", "escalate", "stop", "kill -9"])
ANSWERS = st.fixed_dictionaries(
    {
        "verdict": WORDS,
        "cause_class": st.sampled_from([cause.value for cause in Cause]),
        "confidence": st.sampled_from(["low", "medium", "high"]),
        "restart_would_help": st.sampled_from(["yes", "no", "unknown"]),
        "summary": st.text(max_size=20),
        "reasons": st.lists(
            st.fixed_dictionaries({"claim": st.text(max_size=9), "cites": st.lists(st.sampled_from(["S1", "L1", "Z9"]), max_size=3)}),
            max_size=3,
        ),
        "against": st.lists(st.sampled_from(["S1", "Z9"]), max_size=2),
        "missing": st.lists(st.text(max_size=5), max_size=2),
        "injection_suspected": st.booleans(),
    }
)  # fmt: skip


@given(ANSWERS, st.sampled_from([(), (Action.RESTART,), (Action.START,), (Action.START, Action.RESTART)]))
def test_schema_and_reader_agree_on_what_fits_and_no_forbidden_action_comes_through(
    said: dict[str, Any], actions: tuple[Action, ...]
) -> None:
    prompt = asked(policy=TargetPolicy(actions=actions))
    fits = jsonschema.Draft202012Validator(answer.schema(prompt.words)).is_valid(said)
    opinion = read(said, prompt=prompt).opinion
    assert (opinion is not None) == fits
    if opinion is not None and opinion.action is not None:
        assert opinion.action in actions
        assert said["reasons"]
        assert not said["injection_suspected"]


def test_the_schema_keeps_to_what_every_provider_enforces() -> None:
    text = json.dumps(answer.schema(PROMPT.words))
    for keyword in ("minLength", "maxLength", "pattern", "minimum", "maxItems", "$ref", "anyOf"):
        assert keyword not in text
    assert json.loads(text)["properties"]["verdict"]["enum"] == ["restart", "no_action", "wait", "escalate"]
