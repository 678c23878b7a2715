"""The ``llm:`` section as values. Defaults live here, as those of the other sections do in ``sections``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bridge.model.consultation import OnFailure
from bridge.model.secret import Secret
from bridge.triage.prompt import SendLogs
from bridge.triage.traits import Traits


class Provider(StrEnum):
    """Who is asked for a verdict beside the rules."""

    ANTHROPIC = "anthropic"
    OPENAI = "openai"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmBudget:
    """What the model may cost; at the limit the rules decide alone."""

    usd_per_hour: float = 1.0
    """US dollars. Default 1: hundreds of verdicts, and a storm cannot run up a bill."""
    usd_per_day: float = 10.0
    """US dollars. Default 10: less than 24 bad hours."""
    tokens_per_hour: int | None = None
    """Input and output together. Default none: money is the limit that matters."""
    tokens_per_day: int | None = None
    """Likewise, in a day. Default none."""


DEFAULT_MODEL = {Provider.ANTHROPIC: "claude-haiku-5-5", Provider.OPENAI: "", Provider.NONE: ""}
"""A small fast model suffices for a verdict. OpenAI's protocol is spoken by too many servers to have a default."""

DEFAULT_HARD_MODEL = {Provider.ANTHROPIC: "claude-sonnet-5-5", Provider.OPENAI: "", Provider.NONE: ""}
"""For a second opinion where the provider's own server is asked; another one may not have it."""

NO_MODEL = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Llm:
    """The model that may narrow what the rules propose."""

    provider: Provider = Provider.NONE
    """Default ``anthropic`` if ``$ANTHROPIC_API_KEY`` is set, else ``none``: rules only."""
    model: str = ""
    """Its name. Default ``claude-haiku-5-5`` with ``anthropic``; ``openai`` has none."""
    hard_model: str = ""
    """Who gives a second opinion; ``""``: nobody. Default ``claude-sonnet-5-5`` with ``anthropic`` and no ``base_url``."""
    api_key: Secret | None = None
    """Default none."""
    base_url: str | None = None
    """Another server that speaks the provider's protocol. Default none: the provider's own."""
    timeout_seconds: float = 3.5
    """For one opinion from the question on. Default 3.5: with a second for the evidence a decision takes less than 5."""
    on_failure: OnFailure = OnFailure.RULES
    """Default ``rules``: a deaf model must not stop repairs that the rules alone would have made."""
    confidence_threshold: float = 0.7
    """0 to 1, against low 0.3, medium 0.7, high 1. Default 0.7, kept from the design this grew out of: medium suffices."""
    send_logs: SendLogs = SendLogs.TAIL
    """Default ``tail``: the last lines of log and health check, redacted."""
    audit_prompts: bool = False
    """Default false: what was sent is not kept, its hash is."""
    max_tokens_parameter: str = "max_completion_tokens"
    """Default that, or ``max_tokens`` where ``base_url`` is given: Ollama and older vLLM know no other."""
    budget: LlmBudget = field(default_factory=LlmBudget)
    """What it may cost."""
    models: Mapping[str, Traits] = field(default_factory=dict)
    """What the operator says of models, by name. Default none: the built-in table."""
    enabled: bool = True
    """False turns it off and keeps its configuration. Default true."""

    @property
    def active(self) -> bool:
        """Whether a model is asked at all."""
        return self.enabled and self.provider is not Provider.NONE
