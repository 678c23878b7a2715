"""The edges to language models, through the vendors' real SDKs, against servers that speak their protocols."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.anthropic_claude import AnthropicClaude
from bridge.edges.openai_compatible import OpenAiCompatible
from bridge.model.consultation import ModelRequest, Stop
from bridge.model.secret import Secret
from bridge.roles import Model
from bridge.triage.answer import schema
from tests.servers.anthropic import AnthropicServer
from tests.servers.language_model import AGREES, Mode, ModelServer
from tests.servers.openai import OpenAiServer

KEY = Secret("sk-ant-of-the-tests")
DEADLINE_SECONDS = 1.0
REQUEST = ModelRequest(
    model="m-1",
    system="You are on call.",
    preamble="Markers.",
    user="Evidence.",
    schema=schema(["restart", "escalate"]),
    thinking="disabled",
    effort="low",
)


@pytest.fixture(params=[AnthropicServer, OpenAiServer])
def server(request: pytest.FixtureRequest) -> Iterator[ModelServer]:
    with request.param() as server:
        yield server


@pytest.fixture
async def model(server: ModelServer) -> AsyncIterator[Model]:
    model = edge(server)
    yield model
    await model.close()


def edge(server: ModelServer) -> Model:
    if isinstance(server, AnthropicServer):
        return AnthropicClaude(api_key=KEY, base_url=server.url)
    return OpenAiCompatible(api_key=KEY, base_url=server.url)


async def test_an_answer_comes_with_its_text_its_end_and_its_cost(server: ModelServer, model: Model) -> None:
    answer = await model.ask(REQUEST, deadline_seconds=5)
    assert json.loads(answer.text) == AGREES
    assert answer.stop is Stop.END
    assert answer.usage.total == 2520
    assert (answer.usage.cache_read_tokens, answer.usage.output_tokens) == (1500, 120)
    assert answer.latency_seconds > 0
    assert answer.model.startswith(("claude-haiku-5-5", "gpt-6-luna"))


@pytest.mark.parametrize("tokens", [-1_000_000, 10**30, float("nan"), None, []])
async def test_a_number_of_tokens_that_can_be_none_is_not_counted(
    server: ModelServer, model: Model, tokens: object
) -> None:
    """Less than nothing would make room in the budget, and more than all would end it."""
    server.bill = dict.fromkeys(("output_tokens", "completion_tokens"), tokens)
    usage = (await model.ask(REQUEST, deadline_seconds=5)).usage
    assert (usage.input_tokens, usage.output_tokens) == (900, 0)


@pytest.mark.parametrize(
    ("mode", "stop"),
    [(Mode.CUT_OFF, Stop.MAX_TOKENS), (Mode.REFUSAL, Stop.REFUSAL), (Mode.TRUNCATED, Stop.END)],
)
async def test_why_it_stopped_is_told_apart(
    server: ModelServer, model: Model, mode: Mode, stop: Stop
) -> None:
    server.mode = mode
    assert (await model.ask(REQUEST, deadline_seconds=5)).stop is stop


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        (Mode.RATE_LIMITED, errors.RateLimited),
        (Mode.RATE_LIMITED_FOR_AN_HOUR, errors.RateLimited),
        (Mode.OVERLOADED, errors.EdgeUnavailable),
        (Mode.BROKEN, errors.EdgeUnavailable),
        (Mode.DISCONNECT, errors.EdgeUnavailable),
        (Mode.UNAUTHORISED, errors.EdgeRejected),
        (Mode.UNKNOWN_MODEL, errors.EdgeRejected),
        (Mode.HTML, errors.UnfitAnswer),
        (Mode.HANG, errors.EdgeTimeout),
        (Mode.SLOW_DRIP, errors.EdgeTimeout),
    ],
)
async def test_whatever_goes_wrong_is_told_once_within_the_deadline_and_in_our_words(
    server: ModelServer, model: Model, mode: Mode, kind: type[errors.EdgeError]
) -> None:
    server.mode = mode
    began = time.monotonic()
    with pytest.raises(errors.EdgeError) as caught:
        await model.ask(REQUEST, deadline_seconds=DEADLINE_SECONDS)
    # The SDKs themselves would wait ten minutes, and as long as a Retry-After says.
    assert time.monotonic() - began < DEADLINE_SECONDS + 10
    assert type(caught.value) is kind
    assert "hunter2" not in str(caught.value)
    assert len(server.asked) == 1, "the SDK repeats nothing by itself"


async def test_how_long_to_stay_away_is_passed_on(server: ModelServer, model: Model) -> None:
    server.mode = Mode.RATE_LIMITED_FOR_AN_HOUR
    with pytest.raises(errors.RateLimited) as caught:
        await model.ask(REQUEST, deadline_seconds=5)
    assert caught.value.retry_after_seconds == 3600
    server.mode = Mode.RATE_LIMITED
    with pytest.raises(errors.RateLimited) as caught:
        await model.ask(REQUEST, deadline_seconds=5)
    assert caught.value.retry_after_seconds is None


@pytest.mark.parametrize("kind", [AnthropicClaude, OpenAiCompatible])
async def test_a_server_that_is_away_is_unavailable(kind: type[AnthropicClaude | OpenAiCompatible]) -> None:
    model = kind(api_key=KEY, base_url=f"http://{parts.LOOPBACK}:{parts.free_port()}")
    with pytest.raises(errors.EdgeUnavailable):
        await model.ask(REQUEST, deadline_seconds=5)
    await model.close()


async def test_asking_can_be_given_up(server: ModelServer, model: Model) -> None:
    server.mode = Mode.HANG
    asking = asyncio.create_task(model.ask(REQUEST, deadline_seconds=60))
    await asyncio.to_thread(parts.wait_until, lambda: server.asked, seconds=10)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_claude_is_asked_in_its_own_protocol_and_given_no_tools(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    with AnthropicServer() as server:
        model = edge(server)
        await model.ask(REQUEST, deadline_seconds=5)
        await model.close()
    body = server.asked[0].body
    assert body["output_config"] == {
        "format": {"type": "json_schema", "schema": REQUEST.schema},
        "effort": "low",
    }
    assert body["thinking"] == {"type": "disabled"}
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert not {"tools", "temperature", "stream", "top_p"} & set(body)
    assert server.asked[0].headers["Authorization"] == f"Bearer {KEY.reveal()}"
    assert "Evidence." not in caplog.text


async def test_an_openai_compatible_server_is_asked_with_a_strict_schema() -> None:
    with OpenAiServer() as server:
        model = OpenAiCompatible(api_key=None, base_url=server.url, limit_name="max_tokens")
        await model.ask(REQUEST, deadline_seconds=5)
        await model.close()
    body = server.asked[0].body
    assert body["response_format"]["json_schema"]["strict"] is True
    assert body["max_tokens"] == 1024
    assert body["reasoning_effort"] == "low"
    assert not {"tools", "temperature", "stream", "max_completion_tokens"} & set(body)


async def test_what_a_model_might_refuse_is_left_out_when_nobody_asks_for_it() -> None:
    plain = ModelRequest(model="m", system="s", preamble="p", user="u", schema=schema(["wait"]))
    with AnthropicServer() as server:
        model = edge(server)
        await model.ask(plain, deadline_seconds=5)
        await model.close()
    assert "thinking" not in server.asked[0].body
    assert "effort" not in server.asked[0].body["output_config"]


async def test_a_stray_environment_redirects_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/elsewhere")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "somebody-elses")
    monkeypatch.setenv("OPENAI_API_KEY", "somebody-elses")
    for kind in (AnthropicServer, OpenAiServer):
        with kind() as server:
            model = edge(server)
            await model.ask(REQUEST, deadline_seconds=5)
            await model.close()
            assert server.asked[0].headers["Authorization"] == f"Bearer {KEY.reveal()}"
    assert "127.0.0.1" not in str(AnthropicClaude(api_key=KEY)._client.base_url)
    assert "127.0.0.1" not in str(OpenAiCompatible(api_key=KEY)._client.base_url)
