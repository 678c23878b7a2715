"""A model asked over HTTP through the real SDK, about scenarios and within a sum."""

import json
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.evaluation.consulting import Purse
from bridge.roles import Overspent, Reservation
from tests.servers.anthropic import AnthropicServer
from tests.servers.language_model import AGREES, VETOES, Mode
from tests.servers.openai import OpenAiServer

GOOD, NO, BAD = 0, 1, 2


@pytest.fixture
def cases(tmp_path: Path) -> str:
    (tmp_path / "case.yml").write_text(
        "id: hang\nevidence: {container: {status: running, health: unhealthy}}\ngold: restart\n---\n"
        "id: stop\nevidence: {container: {status: paused}}\ngold: wait\n"
    )
    return str(tmp_path)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-not-a-key")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def test_a_model_that_agrees_turns_both_keys(cases: str, capsys: pytest.CaptureFixture[str]) -> None:
    with AnthropicServer(says=AGREES) as server:
        asked = ["eval", "--provider", "anthropic", "--base-url", server.url, "--set", cases, "-o", "json"]
        assert main(asked) == GOOD
        assert len(server.asked) == 1, "what a person paused is nothing to ask about"
    values = json.loads(capsys.readouterr().out)
    assert values["provider"] == "anthropic:claude-haiku-5-5"
    assert {case["id"]: (case["done"], case["source"]) for case in values["cases"]} == {
        "hang": ("repair", "two_keys"),
        "stop": ("wait", "rules"),
    }
    assert values["metrics"]["tokens"] > 0
    assert values["metrics"]["usd"] > 0


def test_every_repetition_asks_anew(cases: str) -> None:
    with AnthropicServer(says=VETOES) as server:
        asked = ["eval", "--provider", "anthropic", "--base-url", server.url, "--set", cases, "--repeat", "3"]
        assert main(asked) == GOOD
        assert len(server.asked) == 3


def test_another_server_needs_no_key_but_a_model(cases: str, capsys: pytest.CaptureFixture[str]) -> None:
    with OpenAiServer(says=AGREES) as server:
        asked = ["eval", "--provider", "openai", "--base-url", server.url, "--set", cases]
        assert main(asked) == BAD
        assert "--provider openai needs --model" in capsys.readouterr().err
        assert main([*asked, "--model", "qwen3"]) == GOOD
    assert "openai:qwen3" in capsys.readouterr().out


def test_a_model_that_cannot_be_asked_is_told(cases: str, capsys: pytest.CaptureFixture[str]) -> None:
    with AnthropicServer(mode=Mode.UNAUTHORISED) as server:
        asked = ["eval", "--provider", "anthropic", "--base-url", server.url, "--set", cases]
        assert main([*asked, "--fail-under", "fallbacks=0"]) == NO
    said = capsys.readouterr()
    assert "no opinion, 1 time: rejected" in said.out
    assert "fallbacks is 0.5, must be at most 0" in said.err
    assert "hunter2" not in said.out + said.err


def test_nothing_is_asked_beyond_the_sum(cases: str, capsys: pytest.CaptureFixture[str]) -> None:
    with AnthropicServer(says=AGREES) as server:
        asked = [
            "eval",
            "--provider",
            "anthropic",
            "--base-url",
            server.url,
            "--set",
            cases,
            "--max-usd",
            "0",
        ]
        assert main(asked) == NO
        assert server.asked == []
    assert "--max-usd 0 did not suffice: 1 question left to the rules" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("provider", "variable"), [("anthropic", "ANTHROPIC_API_KEY"), ("openai", "OPENAI_API_KEY")]
)
def test_without_a_key_nobody_is_asked(
    cases: str,
    provider: str,
    variable: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    assert main(["eval", "--provider", provider, "--model", "m", "--set", cases]) == BAD
    assert f"--provider {provider} needs a key: set ${variable}" in capsys.readouterr().err


async def test_what_was_set_aside_and_not_taken_comes_back() -> None:
    purse = Purse(1.0)
    first = await purse.reserve(tokens=10, usd=0.9)
    assert isinstance(first, Reservation)
    assert isinstance(await purse.reserve(tokens=10, usd=0.9), Overspent)
    await purse.settle(first, tokens=1, usd=0.05)
    assert isinstance(await purse.reserve(tokens=10, usd=0.9), Reservation)
