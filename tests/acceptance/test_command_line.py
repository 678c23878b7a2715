"""`hemostat` as people run it: real processes against a running bridge, judged by exit code and output."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.demo import parts
from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import TOKENS, Bridge, Said, firing, hemostat, webhook

GOOD, NO, BAD = 0, 1, 2
OPERATOR = {"HEMOSTAT_TOKEN": TOKENS["operator"]}


@pytest.fixture
def ask(bridge: Bridge) -> Callable[..., Said]:
    """`hemostat ...` as the operator of the running bridge."""
    return lambda *words: hemostat(*words, env={**OPERATOR, "HEMOSTAT_URL": bridge.url})


def test_incidents_and_explain_tell_what_happened_and_why(
    bridge: Bridge, ask: Callable[..., Said], start_service: StartService
) -> None:
    """The list has a line per incident; the explanation has every guard, the evidence and the story."""
    shop = start_service().fall_sick()
    incident = bridge.repair(firing(shop.name))
    listed = ask("incidents")
    assert listed.code == GOOD
    assert [incident["id"], shop.target, "closed", "healed"] == [
        word for word in listed.out.split() if word in {incident["id"], shop.target, "closed", "healed"}
    ]
    assert [row["id"] for row in ask("incidents", "--outcome", "healed", "-o", "json").json] == [
        incident["id"]
    ]
    assert ask("incidents", "--outcome", "refused", "--output", "json").json == []

    explained = ask("explain", incident["id"])
    assert explained.code == GOOD
    for guard in ("opted_in", "protected", "paused", "maintenance", "target_unchanged", "mode"):
        assert guard in explained.out
    assert "restart" in explained.out
    assert "healed" in explained.out
    assert ask("explain", incident["id"], "-o", "json").json == bridge.incident(incident["id"])

    again = hemostat("backtest", "--config.file", bridge.config)
    assert again.code == GOOD, again
    assert "1 incident judged again, 0 never judged; repairs wanted: 1 then, 1 today; 0 differ" in again.out


def test_a_question_with_no_answer_is_a_no(bridge: Bridge, ask: Callable[..., Said]) -> None:
    """Exit code 1 and one line on standard error: no such incident, no access, nobody there."""
    nobody = f"http://{parts.LOOPBACK}:{parts.free_port()}"
    answers = [
        ask("explain", "0123456789ab"),
        ask("incidents", "--outcome", "splendid"),
        hemostat("incidents", "--url", bridge.url),
        hemostat("pause", "--url", bridge.url, env={"HEMOSTAT_TOKEN": TOKENS["viewer"]}),
        ask("incidents", "--url", nobody),
    ]
    assert [answer.code for answer in answers] == [NO] * len(answers)
    assert all(len(answer.err.splitlines()) == 1 and not answer.out for answer in answers), answers
    for code, answer in zip(("404", "400", "401", "403", "is it running?"), answers, strict=True):
        assert code in answer.err


def test_pause_and_resume(bridge: Bridge, ask: Callable[..., Said]) -> None:
    """The kill switch from a terminal; a token's name is who pulled it."""
    paused = ask("pause", "--for", "1h", "--why", "moving house", "--by", "somebody else")
    assert paused.code == GOOD
    assert "paused by operator until" in paused.out
    assert {k: v for k, v in bridge.get("/api/v1/pause").items() if k in {"paused", "by", "why"}} == {
        "paused": True,
        "by": "operator",
        "why": "moving house",
    }
    assert bridge.metric("hemostat_paused") == 1
    resumed = ask("resume")
    assert (resumed.code, resumed.out) == (GOOD, "not paused: repairs go on\n")
    assert bridge.get("/api/v1/pause") == {"paused": False}
    assert ask("pause", "--for", "soon").code == NO


def test_simulate_says_what_would_be_done_and_does_nothing(
    bridge: Bridge, start_service: StartService, tmp_path: Path
) -> None:
    """0 and the action where it would act, 1 where it would not, 2 for a file that is no webhook; nothing changes."""
    shop, stranger = start_service().fall_sick(), start_service(labels={}).fall_sick()
    payload = tmp_path / "payload.json"

    def simulated(*words: str, stdin: str = "") -> Said:
        return hemostat("simulate", *words, "--config.file", bridge.config, stdin=stdin)

    payload.write_text(json.dumps(webhook(firing(shop.name))))
    would = simulated(str(payload))
    assert would.code == GOOD, would
    assert "would restart" in would.out
    would_not = simulated("-", stdin=json.dumps(webhook(firing(stranger.name), firing("nowhere"))))
    assert would_not.code == NO, would_not
    assert "not_opted_in" in would_not.out
    assert "would escalate" in would_not.out
    payload.write_text("[]")
    assert simulated(str(payload)).code == BAD
    assert simulated(str(tmp_path / "absent.json")).code == BAD
    assert bridge.incidents() == []
    assert (shop.boots, stranger.boots) == (1, 1)


def test_doctor_finds_everything_well_or_says_what_to_do(start_bridge: StartBridge, tmp_path: Path) -> None:
    """0 while every neighbour is well; 1 and an advice for each that is not."""
    bridge = start_bridge()
    well = hemostat("doctor", "--config.file", bridge.config)
    assert well.code == GOOD, well
    assert "reached: local" in well.out
    config = json.loads(bridge.config.read_text())
    config["docker"]["hosts"][0]["url"] = f"unix://{tmp_path}/docker.sock"
    config["prometheus"] = {"url": f"http://{parts.LOOPBACK}:{parts.free_port()}"}
    broken = tmp_path / "hemostat.yml"
    broken.write_text(json.dumps(config))
    ill = hemostat("doctor", "--config.file", broken, "--output", "json")
    assert ill.code == NO
    assert [check["name"] for check in ill.json if not check["ok"]] == ["docker/local", "prometheus"]
    assert all(check["advice"] for check in ill.json if not check["ok"])


def test_check_config_says_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    """0 for a good file; 2 with path and line of every problem, and the process does not start with it either."""
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text("policy: {mode: observe}\n")
    bad.write_text("policy:\n  mode: sometimes\n  cooldwon: 1h\nworker: {lease: 1s}\n")
    assert hemostat("check-config", good).code == GOOD
    checked, served = hemostat("check-config", bad), hemostat("serve", "--config.file", bad)
    assert (checked.code, served.code) == (BAD, BAD)
    for problem in ("policy.mode", "policy.cooldwon", "worker.lease"):
        assert problem in checked.err
        assert problem in served.err
    assert hemostat("check-config", tmp_path / "absent.yml").code == BAD
    assert hemostat("no-such-command").code == BAD


def test_listening_to_the_world_without_a_token_is_refused(tmp_path: Path) -> None:
    """Whoever reaches the port could cause restarts: exit code 2, and the message says what to do instead."""
    refused = hemostat("serve", "--web.listen-address", "0.0.0.0:0", "--storage.path", tmp_path / "store")
    assert refused.code == BAD
    assert "web.tokens" in refused.err
    assert not (tmp_path / "store").exists()


def test_an_address_that_is_taken_is_a_no(bridge: Bridge, redis_url: str) -> None:
    """A second bridge on the same port ends with 1 and says which address."""
    taken = hemostat("serve", "--config.file", bridge.config)
    assert taken.code == NO
    assert str(bridge.port) in taken.err
    assert "Traceback" not in taken.err
