"""When two moments are the same question, and which evidence a decision was made on: hashes of evidence. Pure."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Sequence

import msgspec

from bridge.model.evidence import Evidence, TextLine
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import Verdict

_VARIABLE = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|[0-9]+", re.IGNORECASE)
"""What changes from line to line without changing what a line says."""

_encoder = msgspec.json.Encoder(order="sorted")


def evidence_hash(evidence: Evidence) -> str:
    """SHA-256 of exactly this evidence."""
    return _hash(evidence)


def text_hash(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def sickness(evidence: Evidence, *, policy: TargetPolicy, verdict: Verdict) -> str:
    """The same container, in the same run, in the same state, judged alike by the rules under the same policy."""
    facts = evidence.container
    return _hash(
        [
            None
            if facts is None
            else [
                *(facts.id, facts.image_id, facts.status, facts.health, facts.exit_code, facts.oom_killed),
                *(facts.started_at, facts.finished_at, facts.restart_count),
            ],
            [policy.actions, policy.target_class],
            [verdict.kind, verdict.action, verdict.rule],
        ]
    )


def question(
    evidence: Evidence, *, policy: TargetPolicy, verdict: Verdict, alert_names: Sequence[str], asked: str
) -> str:
    """The same sickness, and as good as the same evidence: figures in steps, lines as templates, no times.

    ``asked`` is whatever else makes an answer another one: prompt version, model, parameters.
    """
    return _hash(
        [
            sickness(evidence, policy=policy, verdict=verdict),
            asked,
            sorted(set(alert_names)),
            [evidence.alert_active, evidence.alert_silenced, evidence.runbook],
            [[each.name, _step(each.last), _step(each.max)] for each in evidence.measures],
            [[event.action, event.exit_code, event.signal] for event in evidence.events],
            [[each.at, each.outcome] for each in evidence.past_repairs],
            sorted([each.name, each.status, each.health] for each in evidence.neighbours),
            sorted([each.name, each.suppressed] for each in evidence.related_alerts),
            [[each.kind, each.at] for each in evidence.changes],
            sorted(_templates(evidence.log_lines)),
            sorted(_templates(evidence.health_log)),
            sorted(gap.source for gap in evidence.gaps),
        ]
    )


def _templates(lines: Iterable[TextLine]) -> set[str]:
    return {_VARIABLE.sub("#", line.text) for line in lines}


def _step(figure: float) -> float | None:
    """Figures within about a tenth of each other are alike."""
    if not math.isfinite(figure) or figure == 0:
        return None if figure else 0.0
    return math.copysign(round(math.log(abs(figure), 1.1)), figure)


def _hash(value: object) -> str:
    return hashlib.sha256(_encoder.encode(value)).hexdigest()
