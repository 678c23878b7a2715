"""A model asked over HTTP through the real SDK, about scenarios and within a sum."""

import json
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.evaluation.consulting import Purse
from bridge.roles import Overspent, Reservation
from tests.servers.anthropic import AnthropicServer
from tests.servers.language_model import AGREES, VETOES, Json, Mode, ModelServer
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


@pytest.mark.parametrize(
    ("mode", "valid", "refused"),
    [
        pytest.param(Mode.OK, 1.0, 0.0, id="fits"),
        pytest.param(Mode.WRONG_ENUM, 0.0, 0.0, id="a-verdict-of-its-own"),
        pytest.param(Mode.CUT_OFF, 0.0, 0.0, id="unfinished"),
        pytest.param(Mode.HTML, 0.0, 0.0, id="html"),
        pytest.param(Mode.REFUSAL, None, 1.0, id="declined"),
        pytest.param(Mode.OVERLOADED, None, None, id="no-answer"),
    ],
)
@pytest.mark.parametrize("kind", [AnthropicServer, OpenAiServer])
def test_a_models_answers_are_counted_by_whether_they_fit_and_were_given_at_all(
    cases: str,
    kind: type[ModelServer],
    mode: Mode,
    valid: float | None,
    refused: float | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    provider = "anthropic" if kind is AnthropicServer else "openai"
    with kind(mode) as server:
        asked = ["eval", "--provider", provider, "--model", "m", "--base-url", server.url, "--set", cases]
        assert main([*asked, "-o", "json"]) == GOOD
    metrics = json.loads(capsys.readouterr().out)["metrics"]
    assert (metrics["schema_valid"], metrics["refusals"]) == (valid, refused)
    assert (metrics["brier"] is None) is (mode is not Mode.OK)


def test_confidence_is_held_against_what_was_right(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the model's own word: a restart said with low confidence counts as right, though none follows from it."""
    sick = "evidence: {container: {status: running, health: unhealthy, failing_streak: %d}}"
    case = f"id: c%d\n{sick}\ngold: %s\n"
    golds = ["restart", "restart", "escalate", "restart"]
    (tmp_path / "case.yml").write_text("---\n".join(case % (n, n, gold) for n, gold in enumerate(golds)))

    def says(body: Json) -> Json:
        streak = next(n for n in range(4) if f'"failing_streak":{n}' in body["messages"][0]["content"])
        return {**AGREES, "confidence": ["high", "medium", "medium", "low"][streak]}

    with AnthropicServer(says=says) as server:
        asked = ["eval", "--provider", "anthropic", "--base-url", server.url, "--set", str(tmp_path)]
        assert main([*asked, "-o", "json", "--fail-under", "brier=0.25"]) == NO
        values = json.loads(capsys.readouterr().out)
        assert main(asked) == GOOD
    counted = {word: values["counts"][f"right_when_{word}"] for word in ("low", "medium", "high")}
    assert counted == {"low": [1, 1], "medium": [1, 2], "high": [1, 1]}
    assert values["metrics"]["brier"] == pytest.approx((0.7**2 + 0.3**2 + 0.7**2 + 0) / 4)
    assert values["cases"][3]["model"][0]["confidence"] == "low"
    assert "right when medium (0.7) 0.50 [0.09-0.91] 1/2" in " ".join(capsys.readouterr().out.split())


def test_what_only_a_model_can_be_measured_by_is_not_zero_without_one(
    cases: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ("schema_valid", "refusals", "right_when_low", "right_when_medium", "right_when_high", "brier")
    assert main(["eval", "--set", cases, "-o", "json"]) == GOOD
    values = json.loads(capsys.readouterr().out)
    assert [values["metrics"][name] for name in own] == [None] * len(own)
    assert main(["eval", "--set", cases, "--fail-under", "schema_valid=1", "refusals=0"]) == GOOD
    assert capsys.readouterr().out.partition("mean cost")[2].count(" n/a\n") == len(own)


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
