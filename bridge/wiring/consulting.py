"""The model that is asked, and how: its SDK is imported only where one is configured."""

from __future__ import annotations

from bridge import settings
from bridge.consulting import Consultant, Terms
from bridge.edges.store.connection import Store
from bridge.edges.store.spending import StoredSpending
from bridge.metrics import Metrics
from bridge.model.consultation import SpendingLimits
from bridge.roles import Model
from bridge.wiring.deciding import redactor_of
from bridge.wiring.extras import check_model


def model_of(config: settings.Settings) -> Model | None:
    """The edge to the configured model. Its SDK takes most of a second and tens of megabytes: only who asks pays.

    Raises SettingsError: the SDK is not installed.
    """
    check_model(config)
    llm = config.llm
    if not llm.active:
        return None
    if llm.provider is settings.Provider.ANTHROPIC:
        from bridge.edges.anthropic_claude import AnthropicClaude

        return AnthropicClaude(api_key=llm.api_key or settings.Secret(""), base_url=llm.base_url)
    from bridge.edges.openai_compatible import OpenAiCompatible

    return OpenAiCompatible(api_key=llm.api_key, base_url=llm.base_url, limit_name=llm.max_tokens_parameter)


def terms_of(config: settings.Settings) -> Terms:
    """How the model is asked."""
    llm = config.llm
    return Terms(
        model=llm.model,
        hard_model=llm.hard_model,
        confidence_threshold=llm.confidence_threshold,
        deadline_seconds=llm.timeout_seconds,
        send_logs=llm.send_logs,
        keep_prompts=llm.audit_prompts,
        own_server=llm.base_url is not None,
        traits=llm.models,
    )


def consultant_of(
    config: settings.Settings, model: Model | None, *, store: Store, metrics: Metrics
) -> Consultant | None:
    """Who asks the model, within its budget; ``None`` where there is none to ask."""
    if model is None:
        return None
    llm, redactor = config.llm, redactor_of(config)
    limits = SpendingLimits(
        usd_per_hour=llm.budget.usd_per_hour,
        usd_per_day=llm.budget.usd_per_day,
        tokens_per_hour=llm.budget.tokens_per_hour,
        tokens_per_day=llm.budget.tokens_per_day,
    )
    return Consultant(
        model=model,
        spending=StoredSpending(store, limits),
        metrics=metrics,
        terms=terms_of(config),
        redact=lambda text: redactor.text(text).text,
    )
