"""What is known of each model, as data: which parameters it takes, what it costs, how much it may say. Pure.

An unknown model gets no parameter that it might refuse, and the price of the dearest one known.
Source: the providers' model and price pages of 2026-11; ``thinking`` differs per model, and the wrong one is a 400.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.model.consultation import Usage

_DATED = re.compile(r"-20[0-9]{6}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """One model. ``None``: the parameter is not sent. Prices are US dollars for a million tokens.

    ``thinking`` is the ``type`` of Anthropic's parameter. ``effort`` is Anthropic's ``effort`` and OpenAI's
    ``reasoning_effort``. Reading the provider's cache costs a tenth of an input token, writing it a quarter more.
    """

    thinking: str | None = None
    effort: str | None = None
    usd_per_million_input: float = 0.0
    usd_per_million_output: float = 0.0
    max_output_tokens: int = 1024

    def cost_usd(self, usage: Usage) -> float:
        """What this use cost."""
        read = usage.input_tokens + 0.1 * usage.cache_read_tokens + 1.25 * usage.cache_write_tokens
        return (
            read * self.usd_per_million_input + usage.output_tokens * self.usd_per_million_output
        ) / 1_000_000

    def highest_cost_usd(self, input_tokens: int) -> float:
        """What a question of this size may cost at most: nothing of it cached, and the longest answer."""
        usage = Usage(cache_write_tokens=input_tokens, output_tokens=self.max_output_tokens)
        return self.cost_usd(usage)


_THINKING_TOKENS = 4096
"""Where thinking cannot be turned off it counts as output."""

TABLE: Mapping[str, Traits] = {
    "claude-haiku-5-5": Traits(
        thinking="disabled", effort="low", usd_per_million_input=0.10, usd_per_million_output=0.50
    ),
    "claude-sonnet-5-5": Traits(
        thinking="between_tools", effort="low", usd_per_million_input=2.0, usd_per_million_output=10.0
    ),
    "claude-opus-5-5": Traits(
        effort="low",
        usd_per_million_input=4.0,
        usd_per_million_output=20.0,
        max_output_tokens=_THINKING_TOKENS,
    ),
    "claude-haiku-4-5": Traits(usd_per_million_input=1.0, usd_per_million_output=5.0),
    "gpt-6-luna": Traits(effort="none", usd_per_million_input=0.10, usd_per_million_output=0.50),
}

DEAREST = max(TABLE.values(), key=lambda traits: traits.usd_per_million_output)


def traits_of(model: str, *, own_server: bool = False) -> Traits:
    """A dated id (``…-20261007``) is the model it is of. An unknown one on one's ``own_server`` costs nothing."""
    known = TABLE.get(model) or TABLE.get(_DATED.sub("", model))
    if known is not None:
        return known
    if own_server:
        return Traits()
    return Traits(
        usd_per_million_input=DEAREST.usd_per_million_input,
        usd_per_million_output=DEAREST.usd_per_million_output,
    )
