"""The only file that imports Anthropic's SDK: one question to Claude, its answer, its errors translated once.

Importing it takes most of a second and tens of megabytes, so that only who asks Claude does. Source: anthropic 2.11,
Messages API 2026-10-21. Retries, judgement and budgets are not here.
"""

from __future__ import annotations

import time
from typing import Any, cast

import anthropic
from anthropic.types import Message

from bridge.edges.model_sdk import CONNECT_SECONDS, TIMEOUT_SECONDS, counted, keep_quiet, translated
from bridge.model.consultation import ModelAnswer, ModelRequest, Stop, Usage
from bridge.model.secret import Secret

EDGE = "anthropic"
BASE_URL = "https://api.anthropic.com"

_STOPS = {"end_turn": Stop.END, "max_tokens": Stop.MAX_TOKENS, "refusal": Stop.REFUSAL}
"""Whatever else it stops for is no end: a tool it was not given, a sequence, a window that is full."""

keep_quiet("anthropic")


class AnthropicClaude:
    """Implements ``roles.Model``."""

    def __init__(self, *, api_key: Secret, base_url: str | None = None) -> None:
        self.provider = EDGE
        # Key and address are given even where they are the default, so that a stray variable of the environment
        # cannot send evidence elsewhere. Its own retries sleep as long as a server tells them to.
        self._client = anthropic.AsyncAnthropic(
            api_key=api_key.reveal(),
            base_url=base_url or BASE_URL,
            max_retries=0,
            timeout=anthropic.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
        )

    async def ask(self, request: ModelRequest, *, deadline_seconds: float) -> ModelAnswer:
        """See ``roles.Model.ask``."""
        began = time.monotonic()
        async with translated(anthropic, EDGE, deadline_seconds=deadline_seconds):
            message = await self._client.messages.create(**self._parameters(request))
            return _answer(message, time.monotonic() - began)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()

    def _parameters(self, request: ModelRequest) -> dict[str, Any]:
        config: dict[str, Any] = {"format": {"type": "json_schema", "schema": dict(request.schema)}}
        if request.effort is not None:
            config["effort"] = request.effort
        parameters: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_output_tokens,
            "system": [
                # Only what comes before the mark is kept, and only while it is the same to the byte.
                {"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}},
                {"type": "text", "text": request.preamble},
            ],
            "messages": [{"role": "user", "content": request.user}],
            "output_config": config,
            "metadata": {"user_id": "hemostat"},
        }
        if request.thinking is not None:
            parameters["thinking"] = {"type": request.thinking}
        return parameters


def _answer(message: Message, latency_seconds: float) -> ModelAnswer:
    # Nothing checks a 200 with something else than a message in it before this.
    texts = [block.text for block in message.content if block.type == "text"]
    usage = message.usage
    return ModelAnswer(
        text="".join(texts),
        stop=_STOPS.get(cast(str, message.stop_reason), Stop.OTHER),
        model=str(message.model),
        request_id=str(message._request_id or ""),
        usage=Usage(
            input_tokens=counted(usage.input_tokens),
            output_tokens=counted(usage.output_tokens),
            cache_read_tokens=counted(usage.cache_read_input_tokens),
            cache_write_tokens=counted(usage.cache_creation_input_tokens),
        ),
        latency_seconds=latency_seconds,
    )
