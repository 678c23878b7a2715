"""OpenAI's chat completions as its SDK expects them, and as Ollama and vLLM speak them. Source: the API reference."""

from __future__ import annotations

from tests.servers.language_model import Json, ModelServer

FINISHES = {"end": "stop", "max_tokens": "length", "refusal": "stop"}


class OpenAiServer(ModelServer):
    """``POST /v1/chat/completions``."""

    PATH = "/v1/chat/completions"

    @property
    def url(self) -> str:
        return f"{super().url}/v1"

    def envelope(self, text: str, *, stop: str) -> Json:
        refusal = "I cannot help with that." if stop == "refusal" else None
        message = {"role": "assistant", "content": text or None, "refusal": refusal}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "gpt-6-luna",
            "choices": [{"index": 0, "message": message, "finish_reason": FINISHES[stop], "logprobs": None}],
            "usage": {
                "prompt_tokens": 2400,
                "completion_tokens": 120,
                "total_tokens": 2520,
                "prompt_tokens_details": {"cached_tokens": 1500},
            },
        }

    def error(self, status: int) -> Json:
        return {"error": {"message": "hunter2", "type": "error", "param": None, "code": str(status)}}
