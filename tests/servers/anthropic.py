"""Anthropic's Messages API as its SDK expects it. Source: the API reference, version 2026-10-21."""

from __future__ import annotations

from tests.servers.language_model import Json, ModelServer

STOPS = {"end": "end_turn", "max_tokens": "max_tokens", "refusal": "refusal"}
KINDS = {
    401: "authentication_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}


class AnthropicServer(ModelServer):
    """``POST /v1/messages``."""

    PATH = "/v1/messages"
    REQUEST_ID = "request-id"

    def envelope(self, text: str, *, stop: str) -> Json:
        return {
            "id": "msg_01",
            "type": "message",
            "role": "assistant",
            "model": "claude-haiku-5-5-20261007",
            # Thinking may come first: what a caller wants is found by its type.
            "content": [
                {"type": "thinking", "thinking": "{}", "signature": "s"},
                *([{"type": "text", "text": text}] if text else []),
            ],
            "stop_reason": STOPS[stop],
            "stop_sequence": None,
            "usage": {
                "input_tokens": 900,
                "output_tokens": 120,
                "cache_read_input_tokens": 1500,
                "cache_creation_input_tokens": 0,
            },
        }

    def error(self, status: int) -> Json:
        kind = KINDS.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": "hunter2"}, "request_id": "req_1"}
