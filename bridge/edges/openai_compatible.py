"""The only file that imports OpenAI's SDK: one question to any server that speaks its chat completions.

OpenAI, Ollama (0.5 and newer) and vLLM do; not every one enforces the schema, so nobody may rely on it. The SDK is the
extra ``hemostat[openai]``. Source: openai 3.52, chat completions. Retries, judgement and budgets are not here.
"""

from __future__ import annotations

import time
from typing import Any

import openai
from openai.types.chat import ChatCompletion

from bridge.edges.model_sdk import CONNECT_SECONDS, TIMEOUT_SECONDS, counted, keep_quiet, translated
from bridge.model.consultation import ModelAnswer, ModelRequest, Stop, Usage
from bridge.model.secret import Secret

EDGE = "openai"
BASE_URL = "https://api.openai.com/v1"
NO_KEY = "none"
"""A server of one's own needs no key, the SDK needs something."""

_STOPS = {"stop": Stop.END, "length": Stop.MAX_TOKENS, "content_filter": Stop.REFUSAL}

keep_quiet("openai")


class OpenAiCompatible:
    """Implements ``roles.Model``. ``limit_name`` is what the server calls the most tokens it may answer with."""

    def __init__(
        self,
        *,
        api_key: Secret | None,
        base_url: str | None = None,
        limit_name: str = "max_completion_tokens",
    ) -> None:
        self.provider = EDGE
        self._limit_name = limit_name
        # Given even where they are the default: a stray variable of the environment must not send evidence elsewhere.
        self._client = openai.AsyncOpenAI(
            api_key=api_key.reveal() if api_key is not None else NO_KEY,
            base_url=base_url or BASE_URL,
            max_retries=0,
            timeout=openai.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
        )

    async def ask(self, request: ModelRequest, *, deadline_seconds: float) -> ModelAnswer:
        """See ``roles.Model.ask``."""
        began = time.monotonic()
        async with translated(openai, EDGE, deadline_seconds=deadline_seconds):
            completion = await self._client.chat.completions.create(**self._parameters(request))
            return _answer(completion, time.monotonic() - began)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()

    def _parameters(self, request: ModelRequest) -> dict[str, Any]:
        schema = {"name": "verdict", "schema": dict(request.schema), "strict": True}
        parameters: dict[str, Any] = {
            "model": request.model,
            "messages": [
                {"role": "system", "content": f"{request.system}\n{request.preamble}"},
                {"role": "user", "content": request.user},
            ],
            "response_format": {"type": "json_schema", "json_schema": schema},
            self._limit_name: request.max_output_tokens,
        }
        if request.effort is not None:
            parameters["reasoning_effort"] = request.effort
        return parameters


def _answer(completion: ChatCompletion, latency_seconds: float) -> ModelAnswer:
    # Nothing checks a 200 with something else than a completion in it before this.
    choice = completion.choices[0]
    refused = bool(choice.message.refusal)
    usage = completion.usage
    details = usage.prompt_tokens_details if usage is not None else None
    cached = counted(details.cached_tokens) if details is not None else 0
    return ModelAnswer(
        text=str(choice.message.content or ""),
        stop=Stop.REFUSAL if refused else _STOPS.get(str(choice.finish_reason), Stop.OTHER),
        model=str(completion.model),
        request_id=str(completion._request_id or completion.id or ""),
        usage=Usage(
            input_tokens=max(0, counted(usage.prompt_tokens) - cached) if usage is not None else 0,
            output_tokens=counted(usage.completion_tokens) if usage is not None else 0,
            cache_read_tokens=cached,
        ),
        latency_seconds=latency_seconds,
    )
