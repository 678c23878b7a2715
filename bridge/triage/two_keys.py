"""Rules and model together: the rules propose, the model may veto or ask for a person, and can never raise. Pure.

An automatic repair needs both keys. The action, the target and the words of the reason are always the rules' own.

| rules | model | final |
|---|---|---|
| repair | repair | the rules' repair, by two keys |
| repair | wait | wait, and look again |
| repair | no_action, escalate | escalate: never silent while the facts are bad |
| repair | no usable answer | as ``llm.on_failure`` says |
| escalate | anything | escalate |
| no_action, wait | escalate | escalate |
| no_action, wait | anything else | as the rules say |
"""

from __future__ import annotations

from dataclasses import replace

from bridge.model.consultation import Consultation, OnFailure, Opinion
from bridge.model.verdict import ModelResult, Source, Verdict, VerdictKind
from bridge.triage.rules import STRONG

VETO_RECHECK_SECONDS = 60.0
"""Until a target that the model wants to wait for is looked at again; ``wait_for`` bounds how often."""

UNASKED = frozenset(
    {
        "always_firing",
        "alert_over",
        "evidence_missing",
        "silenced",
        "operator_stop",
        "paused",
        "created",
        "being_removed",
    }
)
"""Rules that rest on a plain fact and act on nothing: a model has nothing to add to them."""


def worth_asking(verdict: Verdict) -> bool:
    """Whether a model's opinion could change the verdict or help the person who is told.

    Not for a wait: it is looked at again anyway, and asked about when it has become something else.
    """
    return verdict.kind is not VerdictKind.WAIT and verdict.rule not in UNASKED


def counted(consultations: tuple[Consultation, ...]) -> tuple[ModelResult | None, Opinion | None]:
    """What asking came to, and the opinion that counts: the last one there is."""
    for consultation in reversed(consultations):
        if consultation.opinion is not None:
            return consultation.result, consultation.opinion
    return (consultations[0].result if consultations else None), None


def combine(
    rules: Verdict, consultations: tuple[Consultation, ...], *, on_failure: OnFailure = OnFailure.RULES
) -> Verdict:
    """The verdict of both. Without a consultation it is the rules' own."""
    result, opinion = counted(consultations)
    if result is None:
        return rules
    if opinion is None:
        return _alone(replace(rules, model=result), on_failure)
    rules = replace(rules, model=result)
    match rules.kind, opinion.verdict:
        case VerdictKind.REPAIR, VerdictKind.REPAIR:
            return replace(rules, source=Source.TWO_KEYS)
        case VerdictKind.REPAIR, VerdictKind.WAIT:
            why = f"{rules.reason} The model would rather wait ({_grounds(opinion)})."
            return replace(
                _instead(rules, VerdictKind.WAIT, why, opinion), recheck_seconds=VETO_RECHECK_SECONDS
            )
        case VerdictKind.REPAIR, VerdictKind.NO_ACTION:
            why = f"{rules.reason} The model sees nothing to do ({_grounds(opinion)}), and the facts are bad."
            return _instead(rules, VerdictKind.ESCALATE, why, opinion)
        case VerdictKind.ESCALATE, VerdictKind.REPAIR:
            return replace(
                rules, reason=f"{rules.reason} The model would {opinion.action} it ({_grounds(opinion)})."
            )
        case ((VerdictKind.REPAIR | VerdictKind.NO_ACTION | VerdictKind.WAIT), VerdictKind.ESCALATE):
            why = f"{rules.reason} The model wants a person to look ({_grounds(opinion)})."
            return _instead(rules, VerdictKind.ESCALATE, why, opinion)
        case _ if rules.kind is opinion.verdict:
            return replace(rules, source=Source.TWO_KEYS)
        case _:
            return rules


def _alone(rules: Verdict, on_failure: OnFailure) -> Verdict:
    if rules.kind is not VerdictKind.REPAIR:
        return rules
    if on_failure is OnFailure.ESCALATE:
        return replace(
            rules,
            kind=VerdictKind.ESCALATE,
            action=None,
            reason=f"{rules.reason} Without the model's word a person decides (llm.on_failure: escalate).",
        )
    confirmed = on_failure is OnFailure.RULES and rules.rule in STRONG
    return rules if confirmed else replace(rules, unconfirmed=True)


def _instead(rules: Verdict, kind: VerdictKind, reason: str, opinion: Opinion) -> Verdict:
    # A remembered opinion cites the evidence of its own time, under whose ids other lines may stand now.
    its = () if rules.model is ModelResult.CACHED else [c for claim in opinion.claims for c in claim.cites]
    cites = tuple(dict.fromkeys((*rules.cites, *its)))
    return replace(
        rules,
        kind=kind,
        action=None,
        source=Source.LLM,
        reason=reason,
        cites=cites[:12],
        recheck_seconds=None,
    )


def _grounds(opinion: Opinion) -> str:
    """Words of closed lists only: a model's free text may be anybody's."""
    return f"{opinion.cause}, confidence {opinion.confidence}"
