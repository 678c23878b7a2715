"""Which model is asked, and what is known of it."""

from __future__ import annotations

from pathlib import Path

from tests.unit.settings.loading import loaded


def test_a_model_turned_off_in_the_file_stays_off(tmp_path: Path) -> None:
    for text in ("llm: {provider: none}", "llm: {enabled: false}"):
        assert not loaded(tmp_path, text, {"ANTHROPIC_API_KEY": "k"}).llm.active


def test_a_second_opinion_is_asked_for_where_the_provider_is_known_to_have_the_model(tmp_path: Path) -> None:
    key = {"ANTHROPIC_API_KEY": "k"}
    for text, model in (
        ("{}", "claude-sonnet-5-5"),
        ("llm: {provider: anthropic, hard_model: none}", ""),
        ("llm: {provider: anthropic, base_url: 'http://gateway'}", ""),
        ("llm: {provider: anthropic, base_url: 'http://gateway', hard_model: big}", "big"),
        ("llm: {provider: openai, model: m, base_url: 'http://localhost:11434/v1'}", ""),
    ):
        assert loaded(tmp_path, text, key).llm.hard_model == model, text


def test_what_an_operator_says_of_a_model_lies_on_top_of_the_table(tmp_path: Path) -> None:
    text = """
        llm:
          provider: anthropic
          models:
            - {name: claude-haiku-5-5, thinking: omit, usd_per_million_input: 0.3}
            - {name: unheard-of}
    """
    models = loaded(tmp_path, text, {"ANTHROPIC_API_KEY": "k"}).llm.models
    haiku = models["claude-haiku-5-5"]
    assert (haiku.thinking, haiku.effort, haiku.usd_per_million_input) == (None, "low", 0.3)
    assert haiku.usd_per_million_output == 0.5
    assert models["unheard-of"].usd_per_million_output == 20.0


def test_a_server_of_ones_own_is_told_the_longest_answer_in_the_words_it_knows(tmp_path: Path) -> None:
    own = loaded(tmp_path, "llm: {provider: openai, model: m, base_url: 'http://localhost:11434/v1'}").llm
    theirs = loaded(tmp_path, "llm: {provider: openai, model: m, api_key: k}").llm
    assert (own.max_tokens_parameter, theirs.max_tokens_parameter) == ("max_tokens", "max_completion_tokens")
