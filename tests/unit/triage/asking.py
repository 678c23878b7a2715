"""A question and answers to it, as tests of the model's side speak of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from bridge.model.alert import Alert, AlertStatus
from bridge.model.consultation import (
    Cause,
    Confidence,
    Consultation,
    Helps,
    ModelAnswer,
    Opinion,
    Stop,
    Usage,
)
from bridge.model.evidence import Evidence
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import Action, ModelResult, VerdictKind
from bridge.triage import prompt
from bridge.triage.prompt import Prompt
from tests.unit.triage.builders import BOTH, NOW, evidence, lines, unhealthy

FENCE, CANARY = "f3nc3f3nc3f3nc3f", "c4n4ryc4n4ryc4n4"
HUNG = {
    "verdict": "restart",
    "cause_class": "process_hang",
    "confidence": "high",
    "restart_would_help": "yes",
    "summary": "It hangs.",
    "reasons": [{"claim": "Its health check fails.", "cites": ["S1"]}],
    "against": [],
    "missing": [],
    "injection_suspected": False,
}
"""A well-founded restart."""


def alert(name: str = "ContainerUnhealthy", **annotations: str) -> Alert:
    """An alert that began two minutes ago."""
    return Alert(
        fingerprint="aa",
        status=AlertStatus.FIRING,
        labels={"alertname": name, "severity": "warning", "customer": "ada@example.org"},
        annotations=annotations,
        starts_at=NOW - timedelta(seconds=120),
    )


def asked(
    collected: Evidence | None = None,
    *,
    policy: TargetPolicy = BOTH,
    alerts: Sequence[Alert] = (),
    **options: Any,
) -> Prompt:
    """The question about a sick container with two log lines, unless the test says otherwise."""
    if collected is None:
        collected = evidence(unhealthy(), log_lines=lines("started", "pool exhausted"))
    options = {"fence": FENCE, "canary": CANARY, "redact": str, **options}
    return prompt.build(collected, policy=policy, alerts=alerts or [alert()], now=NOW, **options)


def answered(text: str | dict[str, Any], *, stop: Stop = Stop.END) -> ModelAnswer:
    """What a provider gave back."""
    said = text if isinstance(text, str) else json.dumps(text)
    return ModelAnswer(
        text=said, stop=stop, model="m-1", request_id="r-1", usage=Usage(), latency_seconds=0.1
    )


def opinion(verdict: VerdictKind, **changes: Any) -> Opinion:
    """A sure one."""
    fields: dict[str, Any] = {
        "verdict": verdict,
        "action": Action.RESTART if verdict is VerdictKind.REPAIR else None,
        "said": verdict.value,
        "cause": Cause.PROCESS_HANG,
        "confidence": Confidence.HIGH,
        "restart_would_help": Helps.YES,
        **changes,
    }
    return Opinion(**fields)


def consulted(
    said: Opinion | VerdictKind | None, result: ModelResult = ModelResult.OK
) -> tuple[Consultation, ...]:
    """One asking and what it came to."""
    if isinstance(said, VerdictKind):
        said = opinion(said)
    return (
        Consultation(
            provider="anthropic", model="m-1", result=result, prompt_version=prompt.VERSION, opinion=said
        ),
    )
