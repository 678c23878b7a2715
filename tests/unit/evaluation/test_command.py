"""`hemostat eval` at the command line: its exit codes, and what it prints."""

import json
from pathlib import Path

import pytest

from bridge.cli import main

GOOD, NO, BAD = 0, 1, 2


def scenario(folder: Path, gold: str = "restart") -> str:
    path = folder / "one.yml"
    path.write_text(f"id: one\nevidence: {{container: {{status: running, health: unhealthy}}}}\ngold: {gold}")
    return str(path)


def test_a_good_answer_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["eval", "--set", scenario(tmp_path), "--fail-under", "act_precision=1", "forbidden=0"]) == GOOD
    )
    said = capsys.readouterr()
    assert "act precision            1.00 [0.21-1.00] 1/1" in said.out
    assert "not as wanted" not in said.out


def test_a_broken_bound_is_no(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["eval", "--set", scenario(tmp_path, "escalate"), "--fail-under", "wrong_acts=0", "mean_cost=1"]
    assert main(command) == NO
    said = capsys.readouterr()
    assert "wrong_acts is 1, must be at most 0" in said.err
    assert "mean_cost is 5, must be at most 1" in said.err
    assert "one: escalate wanted, repair given, cost 5 - unhealthy: " in said.out


def test_what_cannot_be_measured_breaks_no_bound(tmp_path: Path) -> None:
    path = tmp_path / "one.yml"
    path.write_text("id: one\ngold: escalate")
    assert main(["eval", "--set", str(path), "--fail-under", "act_precision=1", "restart_recall=1"]) == GOOD


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "nowhere"], "there is no set 'nowhere': name one of adversarial, core"),
        (["--fail-under", "precision=1"], "write metric=value with one of act_precision"),
        (["--fail-under", "accuracy=high"], "'high' is no number"),
        (["--compare", "rules"], "--compare: name at least two"),
        (["--compare", "rules", "nobody"], "there is no provider 'nobody'"),
        (["--provider", "scripted", "--model", "sometimes"], "there is no script 'sometimes'"),
    ],
)
def test_what_cannot_be_used_is_bad_usage(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", *arguments]) == BAD
    assert said in capsys.readouterr().err


def test_a_bad_scenario_is_named_by_file_and_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yml").write_text(
        "id: x\ngold: wait\nevidence:\n  container: {status: running, exitcode: 3}"
    )
    assert main(["eval", "--set", str(tmp_path)]) == BAD
    assert (
        f"hemostat: {tmp_path}/bad.yml: x: line 4: evidence.container.exitcode: unknown key; did you mean 'exit_code'?"
        in capsys.readouterr().err
    )


def test_json_can_be_compared_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--set", scenario(tmp_path), "--output", "json"]) == GOOD
    out = capsys.readouterr().out
    values = json.loads(out)
    assert values["metrics"]["restart_recall"] == 1.0
    assert values["cases"][0]["rule"] == "unhealthy"
    kept = tmp_path / "kept.json"
    kept.write_text(out)
    compared = ["eval", "--set", scenario(tmp_path), "--compare", str(kept), "always-escalate"]
    assert main(compared) == GOOD
    assert "+- one: repair wanted, rules repair, always-escalate escalate" in capsys.readouterr().out


def test_answers_can_be_replayed_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps({"one": "escalate"}))
    asked = ["eval", "--set", scenario(tmp_path), "--provider", "scripted", "--model", str(answers)]
    assert main(asked) == GOOD
    assert "one: repair wanted, escalate given, cost 1" in capsys.readouterr().out


def test_without_an_answer_the_rules_decide_and_it_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = tmp_path / "answers.json"
    answers.write_text("{}")
    asked = ["eval", "--set", scenario(tmp_path), "--provider", "scripted", "--model", str(answers)]
    assert main(asked) == GOOD
    said = capsys.readouterr().out
    assert "decided without the model  1.00" in said
    assert "not as wanted" not in said


def test_a_simulated_model_says_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = [
        "eval",
        "--set",
        "core",
        "--provider",
        "scripted",
        "--model",
        "simulated-50",
        "--repeat",
        "2",
        "-o",
        "json",
    ]

    def verdicts() -> list[str]:
        assert main(asked) == GOOD
        return [case["done"] for case in json.loads(capsys.readouterr().out)["cases"]]

    assert verdicts() == verdicts()


def test_the_rules_of_a_configuration_can_be_tried(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "case.yml"
    path.write_text(
        "id: one\nevidence: {container: {status: running, health: unhealthy}, log_lines: [parking ticket expired]}\ngold: escalate"
    )
    config = tmp_path / "hemostat.yml"
    config.write_text("triage: {phrases: [{class: parking, pattern: 'ticket expired'}]}")
    assert main(["eval", "--set", str(path), "--fail-under", "accuracy=1"]) == NO
    assert (
        main(["eval", "--set", str(path), "--fail-under", "accuracy=1", "--config.file", str(config)]) == GOOD
    )
    capsys.readouterr()
