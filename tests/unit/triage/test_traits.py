"""What is known of each model."""

import pytest

from bridge.model.consultation import Usage
from bridge.triage import traits
from bridge.triage.traits import traits_of


def test_a_model_that_refuses_a_parameter_is_not_sent_it() -> None:
    assert traits_of("claude-haiku-5-5").thinking == "disabled"
    assert traits_of("claude-sonnet-5-5").thinking == "between_tools"
    assert (traits_of("claude-haiku-4-5").thinking, traits_of("claude-haiku-4-5").effort) == (None, None)


def test_a_dated_id_is_the_model_it_is_of() -> None:
    assert traits_of("claude-haiku-5-5-20261007") == traits_of("claude-haiku-5-5")


def test_an_unknown_model_gets_no_parameter_and_the_highest_price_unless_it_is_ones_own() -> None:
    unknown = traits_of("claude-next")
    assert (unknown.thinking, unknown.effort) == (None, None)
    assert unknown.usd_per_million_output == max(t.usd_per_million_output for t in traits.TABLE.values())
    assert traits_of("qwen", own_server=True).cost_usd(Usage(input_tokens=10**6)) == 0


def test_a_triage_of_the_small_model_costs_a_tenth_of_a_cent() -> None:
    haiku = traits_of("claude-haiku-5-5")
    assert haiku.cost_usd(Usage(input_tokens=5000, output_tokens=350)) == pytest.approx(0.000675)
    assert haiku.cost_usd(Usage(cache_read_tokens=10**6)) == pytest.approx(0.01)
    assert haiku.highest_cost_usd(5000) > haiku.cost_usd(Usage(input_tokens=5000, output_tokens=1024))
