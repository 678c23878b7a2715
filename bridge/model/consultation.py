"""What a language model is asked, what it answers, and what became of asking it. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bridge.model.verdict import Action, ModelResult, Verdict, VerdictKind

PROVIDERS = ("anthropic", "openai")
"""Who can be asked; also the label ``provider`` of the model's metrics."""


class OnFailure(StrEnum):
    """What happens to a repair that the rules want when the model gives no usable answer.

    ``rules``: the rules alone suffice where they are strong, else a person must approve. ``approve``: a person must
    approve. ``escalate``: a person is told.
    """

    RULES = "rules"
    APPROVE = "approve"
    ESCALATE = "escalate"


class Stop(StrEnum):
    """Why the model stopped. Only ``end`` can be a verdict."""

    END = "end"
    MAX_TOKENS = "max_tokens"
    REFUSAL = "refusal"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One question, and no tools to go with it.

    ``system`` is the same for every request of a prompt version, so that a provider may cache it; ``preamble`` is the
    part of the instructions that differs (markers, canary); ``user`` is the evidence. ``schema`` is the JSON Schema
    of the answer. ``thinking`` and ``effort`` are sent as they are; ``None`` leaves them out.
    """

    model: str
    system: str
    preamble: str
    user: str
    schema: Mapping[str, object]
    max_output_tokens: int = 1024
    thinking: str | None = None
    effort: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens as the provider counted them. ``input_tokens`` does not hold those read from or written to its cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelAnswer:
    """What came back, unjudged. ``text`` is untrusted; ``model`` is the one that the provider says answered."""

    text: str
    stop: Stop
    model: str
    request_id: str
    usage: Usage
    latency_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpendingLimits:
    """What the model may cost in any hour and any day; ``None``: as many tokens as the money buys."""

    usd_per_hour: float
    usd_per_day: float
    tokens_per_hour: int | None = None
    tokens_per_day: int | None = None


class Confidence(StrEnum):
    """How sure the model says it is. A number from it would mean nothing."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Helps(StrEnum):
    """Whether a restart would help, says the model."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


class Cause(StrEnum):
    """What a model may call the cause: a closed list, since free text would be somebody else's."""

    PROCESS_HANG = "process_hang"
    CRASH_ONCE = "crash_once"
    CRASH_LOOP = "crash_loop"
    OOM_LEAK = "oom_leak"
    OOM_LIMIT_TOO_LOW = "oom_limit_too_low"
    CPU_RUNAWAY = "cpu_runaway"
    RESOURCE_EXHAUSTED_IN_PROCESS = "resource_exhausted_in_process"
    STALE_CONNECTION = "stale_connection"
    DISK_FULL = "disk_full"
    CONFIG_ERROR = "config_error"
    BAD_DEPLOY = "bad_deploy"
    DEPLOY_IN_PROGRESS = "deploy_in_progress"
    STARTING_UP = "starting_up"
    DEPENDENCY_DOWN = "dependency_down"
    EXTERNAL_LIMIT = "external_limit"
    CERTIFICATE = "certificate"
    DATA_MAINTENANCE = "data_maintenance"
    HOST_PRESSURE = "host_pressure"
    TRAFFIC_SURGE = "traffic_surge"
    SECURITY_SUSPECT = "security_suspect"
    EXPECTED_LOAD = "expected_load"
    TRANSIENT = "transient"
    ALERT_NOISE = "alert_noise"
    MONITORING_FAULT = "monitoring_fault"
    OPERATOR_ACTION = "operator_action"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One reason the model gave, with the evidence it cites. ``text`` is untrusted."""

    text: str
    cites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """A model's answer that fits the schema, and what it counts for.

    ``verdict`` and ``action`` are what it counts for; ``said`` is the word it used. They differ where
    ``downgraded`` is not empty: it says why a wanted repair became ``escalate``. ``summary``, ``claims`` and
    ``missing`` are untrusted text: shown to people, never acted on.
    """

    verdict: VerdictKind
    action: Action | None
    said: str
    cause: Cause
    confidence: Confidence
    restart_would_help: Helps
    summary: str = ""
    claims: tuple[Claim, ...] = ()
    against: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    injection_suspected: bool = False
    downgraded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Consultation:
    """One asking of one model, as it is kept for the audit.

    ``raw`` is what it answered, redacted and cut; ``prompt`` what was sent, redacted, only where the operator wants it
    kept. ``problems`` says what was wrong with the answer, or why there is none. ``cost_usd`` is by the price table.
    """

    provider: str
    model: str
    result: ModelResult
    prompt_version: str
    prompt_hash: str = ""
    opinion: Opinion | None = None
    problems: tuple[str, ...] = ()
    raw: str = ""
    prompt: str | None = None
    request_id: str = ""
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    latency_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """How a decision came about, enough to make it again.

    ``rules`` is what the rules alone said, ``asked`` the ids of the rules asked until one matched, in order.
    ``evidence_hash`` is of the evidence as it was judged, text included. ``consultations`` is empty where no model was
    asked; the last one that holds an opinion is the one that counted.
    """

    decided_at: datetime
    evidence_hash: str
    rules: Verdict
    asked: tuple[str, ...]
    alert_names: tuple[str, ...]
    consultations: tuple[Consultation, ...] = ()
