"""The ``llm:`` section: who is asked, with which key, within which limits; the environment's key may turn it on."""

from __future__ import annotations

from dataclasses import replace

from bridge.model.consultation import OnFailure
from bridge.settings.environment import Overrides
from bridge.settings.llm_values import (
    DEFAULT_HARD_MODEL,
    DEFAULT_MODEL,
    NO_MODEL,
    Llm,
    LlmBudget,
    Provider,
)
from bridge.settings.notation import parse_http_url
from bridge.settings.reading import Section
from bridge.triage.prompt import SendLogs
from bridge.triage.traits import Traits, traits_of

LONGEST_SECONDS = 60.0
OMITTED = "omit"


def build_llm(section: Section, overrides: Overrides) -> Llm:
    """Who is asked, if anybody."""
    default = Llm()
    provider = section.parsed("provider", Provider, None) or _provider_by_key(overrides)
    if not section.has("provider") and (section.has("api_key") or section.has("api_key_file")):
        section.note("provider", "is missing: whose key is it, anthropic's or openai's?")
    keys = {Provider.ANTHROPIC: overrides.anthropic_api_key, Provider.OPENAI: overrides.openai_api_key}
    file_key = section.secret("api_key")
    base_url = section.parsed("base_url", parse_http_url, default.base_url)
    hard_model = section.text("hard_model", "" if base_url else DEFAULT_HARD_MODEL[provider])
    limit_name = "max_tokens" if base_url else default.max_tokens_parameter
    threshold = section.number("confidence_threshold", default.confidence_threshold)
    if overrides.confidence_threshold is not None:
        threshold = overrides.confidence_threshold
    llm = Llm(
        provider=provider,
        model=overrides.model or section.text("model", "") or DEFAULT_MODEL[provider],
        hard_model="" if hard_model == NO_MODEL else hard_model,
        api_key=keys.get(provider) or file_key,
        base_url=base_url,
        timeout_seconds=_timeout(section, default.timeout_seconds),
        on_failure=section.parsed("on_failure", OnFailure, default.on_failure),
        confidence_threshold=threshold,
        send_logs=section.parsed("send_logs", SendLogs, default.send_logs),
        audit_prompts=section.flag("audit_prompts", default=default.audit_prompts),
        max_tokens_parameter=section.text("max_tokens_parameter", limit_name),
        budget=_budget(section.section("budget")),
        models=_models(section, own_server=base_url is not None),
        enabled=section.flag("enabled", default=default.enabled),
    )
    if llm.active:
        _check(section, llm)
    return llm


def _provider_by_key(overrides: Overrides) -> Provider:
    """Which provider the environment means. OpenAI's key alone is too common to mean anything without a model."""
    if overrides.anthropic_api_key is not None:
        return Provider.ANTHROPIC
    return Provider.OPENAI if overrides.openai_api_key and overrides.model else Provider.NONE


def _check(section: Section, llm: Llm) -> None:
    key_given = llm.api_key is not None or section.has("api_key") or section.has("api_key_file")
    if llm.provider is Provider.ANTHROPIC and not key_given:
        section.note("api_key", "is missing: give api_key, api_key_file or $ANTHROPIC_API_KEY")
    if llm.provider is Provider.OPENAI and not key_given and llm.base_url is None:
        section.note(
            "api_key",
            "is missing: give api_key, api_key_file or $OPENAI_API_KEY, or a base_url that needs none",
        )
    if not llm.model and not section.has("model"):
        section.note("model", "is missing: openai has no default model; give model or $AI_MODEL")


def _timeout(section: Section, default: float) -> float:
    seconds = section.seconds("timeout", default, least=0.1)
    if seconds > LONGEST_SECONDS:
        section.note("timeout", f"must be at most {LONGEST_SECONDS:g}s: a sick container waits for it")
        return default
    return seconds


def _budget(section: Section) -> LlmBudget:
    default = LlmBudget()
    return LlmBudget(
        usd_per_hour=section.number("usd_per_hour", default.usd_per_hour),
        usd_per_day=section.number("usd_per_day", default.usd_per_day),
        tokens_per_hour=section.whole("tokens_per_hour", default.tokens_per_hour),
        tokens_per_day=section.whole("tokens_per_day", default.tokens_per_day),
    )


def _models(section: Section, *, own_server: bool) -> dict[str, Traits]:
    """Each on top of what the table says; what is not given stays."""
    models: dict[str, Traits] = {}
    for node in section.sections("models"):
        name = node.text("name", "")
        if name in models:
            node.note("name", "another model has the same name")
        known = traits_of(name, own_server=own_server)
        models[name] = replace(
            known,
            thinking=_parameter(node, "thinking", known.thinking),
            effort=_parameter(node, "effort", known.effort),
            usd_per_million_input=node.number("usd_per_million_input", known.usd_per_million_input),
            usd_per_million_output=node.number("usd_per_million_output", known.usd_per_million_output),
            max_output_tokens=node.whole("max_output_tokens", known.max_output_tokens),
        )
    return models


def _parameter(node: Section, key: str, known: str | None) -> str | None:
    given = node.text(key, known)
    return None if given == OMITTED else given
