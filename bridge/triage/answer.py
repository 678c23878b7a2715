"""A model's answer: the schema it is asked for, and what of it counts. Pure.

The schema's verdicts are built for each request from what the policy allows, so that a forbidden action has no word.
What does not fit is no verdict at all; a repair that fits but is not well founded counts as ``escalate``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bridge.model.consultation import Cause, Claim, Confidence, Helps, ModelAnswer, Opinion, Stop
from bridge.model.verdict import Action, VerdictKind
from bridge.triage import untrusted
from bridge.triage.prompt import REPAIRS, Prompt
from bridge.triage.untrusted import Redact

ANSWER_CHARACTERS = 16_384
"""Of a whole answer. A verdict has about a thousand."""

SUMMARY_CHARACTERS = 240
CLAIM_CHARACTERS = 200
CLAIMS = 5
CITES = 12
MISSING = 5

RESTARTABLE = frozenset(
    {
        Cause.PROCESS_HANG,
        Cause.CRASH_ONCE,
        Cause.OOM_LEAK,
        Cause.CPU_RUNAWAY,
        Cause.RESOURCE_EXHAUSTED_IN_PROCESS,
        Cause.STALE_CONNECTION,
    }
)
"""Causes that a fresh process cures. A repair for any other, ``unknown`` included, is a person's to decide."""

WORTH = {Confidence.LOW: 0.3, Confidence.MEDIUM: 0.7, Confidence.HIGH: 1.0}
"""What each word counts for against ``llm.confidence_threshold``."""


class _Reason(msgspec.Struct, forbid_unknown_fields=True):
    claim: str
    cites: list[str]


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    verdict: str
    cause_class: Cause
    confidence: Confidence
    restart_would_help: Helps
    summary: str
    reasons: list[_Reason]
    against: list[str]
    missing: list[str]
    injection_suspected: bool


_decoder = msgspec.json.Decoder(_Answer)


def schema(words: Sequence[str]) -> dict[str, object]:
    """The JSON Schema of an answer that may give these verdicts.

    Only what every provider's strict mode knows: all properties required, no extra ones, enumerations, no bounds.
    """
    texts: dict[str, object] = {"type": "array", "items": {"type": "string"}}
    reason = _object({"claim": {"type": "string"}, "cites": texts})
    return _object(
        {
            "verdict": {"type": "string", "enum": list(words)},
            "cause_class": {"type": "string", "enum": [cause.value for cause in Cause]},
            "confidence": {"type": "string", "enum": [word.value for word in Confidence]},
            "restart_would_help": {"type": "string", "enum": [word.value for word in Helps]},
            "summary": {"type": "string"},
            "reasons": {"type": "array", "items": reason},
            "against": texts,
            "missing": texts,
            "injection_suspected": {"type": "boolean"},
        }
    )


def _object(properties: dict[str, object]) -> dict[str, object]:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What an answer came to. ``opinion`` ``None``: no verdict, for the reasons in ``problems``."""

    opinion: Opinion | None
    problems: tuple[str, ...] = ()
    refused: bool = False


def read(answer: ModelAnswer, prompt: Prompt, *, canary: str, threshold: float, redact: Redact) -> Read:
    """Never raises, whatever the answer: what cannot be understood is no verdict."""
    if answer.stop is Stop.REFUSAL:
        return Read(opinion=None, problems=("it declined to answer",), refused=True)
    if answer.stop is not Stop.END:
        return Read(opinion=None, problems=(f"it did not finish: {answer.stop}",))
    if len(answer.text) > ANSWER_CHARACTERS:
        return Read(opinion=None, problems=(f"longer than {ANSWER_CHARACTERS} characters",))
    if canary in answer.text:
        return Read(opinion=None, problems=(CANARY_SEEN,))
    try:
        said = _decoded(answer.text)
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        return Read(
            opinion=None, problems=(untrusted.prepared(f"not the answer asked for: {error}", redact),)
        )
    if canary in msgspec.json.encode(said).decode():  # written with escapes
        return Read(opinion=None, problems=(CANARY_SEEN,))
    if said.verdict not in prompt.words:
        return Read(opinion=None, problems=("its verdict is none of the allowed ones",))
    return _weighed(said, prompt, threshold, redact)


def fits(text: str) -> bool:
    """Whether it has the shape that was asked for, whatever it says."""
    try:
        _decoded(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return False
    return True


def _decoded(text: str) -> _Answer:
    """Raises: DecodeError, RecursionError, ValueError: it is not the one object asked for."""
    json.loads(text, object_pairs_hook=_once_each)
    return _decoder.decode(text)


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # Of a key that stands twice each reader takes another one: what people see on record must be what was decided by.
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands in it twice")
    return dict(pairs)


CANARY_SEEN = "it repeated the secret word of its instructions"


def _weighed(said: _Answer, prompt: Prompt, threshold: float, redact: Redact) -> Read:
    known = prompt.facts | prompt.texts
    cited = [cite for reason in said.reasons for cite in reason.cites]
    strangers = {cite for cite in (*cited, *said.against) if cite not in known}
    problems = _too_long(said)
    if strangers:
        problems.append(f"cites {len(strangers)} ids that were not shown")
    action: Action | None = REPAIRS.get(said.verdict)
    against = _against_repair(said, cited, strangers, prompt, threshold) if action is not None else ()
    kind = VerdictKind.REPAIR if action is not None else VerdictKind(said.verdict)
    if against:
        kind, action = VerdictKind.ESCALATE, None

    def text(raw: str, most: int) -> str:
        return untrusted.prepared(raw, redact, limit=most)

    opinion = Opinion(
        verdict=kind,
        action=action,
        said=said.verdict,
        cause=said.cause_class,
        confidence=said.confidence,
        restart_would_help=said.restart_would_help,
        summary=text(said.summary, SUMMARY_CHARACTERS),
        claims=tuple(
            Claim(
                text=text(reason.claim, CLAIM_CHARACTERS),
                cites=tuple(cite for cite in reason.cites if cite in known)[:CITES],
            )
            for reason in said.reasons[:CLAIMS]
        ),
        against=tuple(cite for cite in said.against if cite in known)[:CITES],
        missing=tuple(text(each, CLAIM_CHARACTERS) for each in said.missing[:MISSING]),
        injection_suspected=said.injection_suspected,
        downgraded=against,
    )
    return Read(opinion=opinion, problems=tuple(problems))


def _too_long(said: _Answer) -> list[str]:
    """Length harms nobody: it is cut, and noted."""
    found = []
    if len(said.summary) > SUMMARY_CHARACTERS:
        found.append(f"its summary has more than {SUMMARY_CHARACTERS} characters")
    if len(said.reasons) > CLAIMS:
        found.append(f"it gives more than {CLAIMS} reasons")
    if any(len(reason.claim) > CLAIM_CHARACTERS for reason in said.reasons):
        found.append(f"a reason has more than {CLAIM_CHARACTERS} characters")
    return found


def _against_repair(
    said: _Answer, cited: Sequence[str], strangers: set[str], prompt: Prompt, threshold: float
) -> tuple[str, ...]:
    """Why a wanted repair does not count as one; empty if it does."""
    checks = {
        "it suspects that a text tries to steer it": said.injection_suspected,
        "it does not say that a restart would help": said.restart_would_help is not Helps.YES,
        f"a restart does not cure {said.cause_class}": said.cause_class not in RESTARTABLE,
        "it is not sure": said.confidence is Confidence.LOW,
        "it is less sure than llm.confidence_threshold asks for": WORTH[said.confidence] < threshold,
        "it cites what it was not shown": bool(strangers),
        "it cites no fact": not any(cite in prompt.facts for cite in cited),
    }
    return tuple(why for why, holds in checks.items() if holds)
