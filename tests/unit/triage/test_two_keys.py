"""Rules and model together."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.consultation import Cause, Confidence, Consultation, Helps, OnFailure
from bridge.model.verdict import Action, ModelResult, Source, Verdict, VerdictKind
from bridge.triage import two_keys
from bridge.triage.rules import RULES, STRONG
from tests.unit.triage.asking import consulted, opinion

REPAIR, WAIT, NO_ACTION, ESCALATE = (
    VerdictKind.REPAIR,
    VerdictKind.WAIT,
    VerdictKind.NO_ACTION,
    VerdictKind.ESCALATE,
)
NO_ANSWER = [result for result in ModelResult if result not in {ModelResult.OK, ModelResult.CACHED}]


def ruled(kind: VerdictKind, rule: str = "unhealthy") -> Verdict:
    action = Action.RESTART if kind is REPAIR else None
    return Verdict(kind=kind, rule=rule, reason="web is sick.", action=action, cites=("S1",))


@pytest.mark.parametrize(
    ("rules", "model", "final", "source"),
    [
        (REPAIR, REPAIR, REPAIR, Source.TWO_KEYS),
        (REPAIR, WAIT, WAIT, Source.LLM),
        (REPAIR, ESCALATE, ESCALATE, Source.LLM),
        (REPAIR, NO_ACTION, ESCALATE, Source.LLM),
        (ESCALATE, REPAIR, ESCALATE, Source.RULES),
        (ESCALATE, ESCALATE, ESCALATE, Source.TWO_KEYS),
        (ESCALATE, WAIT, ESCALATE, Source.RULES),
        (ESCALATE, NO_ACTION, ESCALATE, Source.RULES),
        (NO_ACTION, ESCALATE, ESCALATE, Source.LLM),
        (NO_ACTION, REPAIR, NO_ACTION, Source.RULES),
        (NO_ACTION, WAIT, NO_ACTION, Source.RULES),
        (NO_ACTION, NO_ACTION, NO_ACTION, Source.TWO_KEYS),
        (WAIT, ESCALATE, ESCALATE, Source.LLM),
        (WAIT, REPAIR, WAIT, Source.RULES),
        (WAIT, NO_ACTION, WAIT, Source.RULES),
        (WAIT, WAIT, WAIT, Source.TWO_KEYS),
    ],
)
def test_the_table_of_both_keys(
    rules: VerdictKind, model: VerdictKind, final: VerdictKind, source: Source
) -> None:
    verdict = two_keys.combine(ruled(rules), consulted(model))
    assert (verdict.kind, verdict.source) == (final, source)
    assert verdict.reason.startswith("web is sick.")


@pytest.mark.parametrize("result", NO_ANSWER)
def test_without_an_answer_a_strong_rule_suffices_and_the_verdict_says_so(result: ModelResult) -> None:
    verdict = two_keys.combine(ruled(REPAIR), consulted(None, result))
    assert (verdict.kind, verdict.unconfirmed, verdict.source) == (REPAIR, False, Source.RULES)
    assert verdict.decided_by == f"rules (model: {result.value})"


@pytest.mark.parametrize(
    ("on_failure", "rule", "kind", "unconfirmed"),
    [
        (OnFailure.RULES, "unhealthy", REPAIR, False),
        (OnFailure.RULES, "some_weak_rule", REPAIR, True),
        (OnFailure.APPROVE, "unhealthy", REPAIR, True),
        (OnFailure.ESCALATE, "unhealthy", ESCALATE, False),
    ],
)
def test_on_failure_decides_what_the_rules_alone_may_do(
    on_failure: OnFailure, rule: str, kind: VerdictKind, unconfirmed: bool
) -> None:
    verdict = two_keys.combine(
        ruled(REPAIR, rule), consulted(None, ModelResult.TIMEOUT), on_failure=on_failure
    )
    assert (verdict.kind, verdict.unconfirmed) == (kind, unconfirmed)


def test_where_no_model_is_configured_the_rules_decide_as_they_always_did() -> None:
    for rule in RULES:
        verdict = ruled(REPAIR, rule.id)
        assert two_keys.combine(verdict, ()) is verdict


def test_the_opinion_that_counts_is_the_last_there_is() -> None:
    first, hard = consulted(ESCALATE), consulted(REPAIR)
    assert two_keys.combine(ruled(REPAIR), (*first, *hard)).kind is REPAIR
    failed = consulted(None, ModelResult.TIMEOUT)
    assert two_keys.combine(ruled(REPAIR), (*first, *failed)).kind is ESCALATE


def test_a_waiting_verdict_is_looked_at_again() -> None:
    assert two_keys.combine(ruled(REPAIR), consulted(WAIT)).recheck_seconds == two_keys.VETO_RECHECK_SECONDS


def test_a_model_is_asked_about_repairs_and_pages_not_about_plain_facts() -> None:
    assert two_keys.worth_asking(ruled(REPAIR))
    assert two_keys.worth_asking(ruled(ESCALATE, "undecided"))
    assert not two_keys.worth_asking(ruled(WAIT, "starting"))
    assert not two_keys.worth_asking(ruled(NO_ACTION, "always_firing"))
    assert {rule.id for rule in RULES} >= two_keys.UNASKED
    assert not STRONG & two_keys.UNASKED


OPINIONS = st.builds(
    opinion,
    st.sampled_from(VerdictKind),
    cause=st.sampled_from(Cause),
    confidence=st.sampled_from(Confidence),
    restart_would_help=st.sampled_from(Helps),
    summary=st.text(max_size=30),
)
CONSULTATIONS = st.lists(
    st.builds(consulted, st.none() | OPINIONS, st.sampled_from(ModelResult)), max_size=3
).map(lambda each: tuple(one for ones in each for one in ones))
RULED = st.builds(ruled, st.sampled_from(VerdictKind), st.sampled_from([rule.id for rule in RULES]))


@given(RULED, CONSULTATIONS, st.sampled_from(OnFailure))
def test_no_answer_of_a_model_raises_a_verdict_or_changes_an_action(
    rules: Verdict, consultations: tuple[Consultation, ...], on_failure: OnFailure
) -> None:
    final = two_keys.combine(rules, consultations, on_failure=on_failure)
    assert final.kind in VerdictKind
    if final.kind is REPAIR:
        assert (rules.kind, rules.action) == (REPAIR, final.action)
    if rules.kind is ESCALATE:
        assert final.kind is ESCALATE
    if rules.kind is REPAIR:
        assert final.kind is not NO_ACTION


@given(RULED, st.text(min_size=5), st.sampled_from(VerdictKind))
def test_no_free_text_of_a_model_reaches_the_reason(rules: Verdict, text: str, kind: VerdictKind) -> None:
    changes: Any = {"summary": f"§{text}§", "missing": (f"§{text}§",)}
    final = two_keys.combine(rules, consulted(opinion(kind, **changes)))
    assert "§" not in final.reason
