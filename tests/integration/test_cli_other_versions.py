"""The command line against a bridge of another version, or against something that is none: never a traceback."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from bridge import cli
from bridge.demo import parts

SUBJECT = {"kind": "container", "host": "local", "name": "shop"}
INCIDENT = {
    "id": "0123456789ab",
    "opened_at": "2026-11-20T12:00:00Z",
    "subject": SUBJECT,
    "target": {"host": "local", "name": "shop"},
    "state": "pondering",
    "outcome": "transcended",
    "reason": "a word of tomorrow",
}
VERDICT = {"kind": "relocate", "action": "move", "decided_by": "oracle", "rule": "r99", "reason": "because"}

Serve = Callable[..., str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(answer, status=, headers=)` gives the URL of somebody who answers every request so."""
    with ExitStack() as stack:

        def start(answer: object, status: int = 200, headers: dict[str, str] | None = None) -> str:
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()

            class Answer(http.server.BaseHTTPRequestHandler):
                asked = 0

                def do_GET(self) -> None:
                    type(self).asked += 1
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    for name, value in (headers or {}).items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

                do_POST = do_PUT = do_DELETE = do_GET

                def log_message(self, *_: object) -> None:
                    """Nothing on the test's own output."""

            server = stack.enter_context(http.server.ThreadingHTTPServer((parts.LOOPBACK, 0), Answer))
            threading.Thread(target=server.serve_forever, daemon=True).start()
            stack.callback(server.shutdown)
            return f"http://{parts.LOOPBACK}:{server.server_address[1]}"

        yield start


@pytest.mark.parametrize(
    "gone", [(), ("reason",), ("target",), ("subject", "target"), ("outcome", "state", "opened_at")], ids=str
)
def test_a_list_with_words_unknown_and_fields_gone_is_a_list(
    serve: Serve, gone: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    row = {key: value for key, value in INCIDENT.items() if key not in gone} | {"mood": {"of": "tomorrow"}}
    assert cli.main(["incidents", "--url", serve({"incidents": [row], "more": 1})]) == cli.GOOD
    told = capsys.readouterr().out
    for key in ("id", "state", "outcome", "reason"):
        assert (str(INCIDENT[key]) in told) == (key not in gone)


@pytest.mark.parametrize(
    "answer", [INCIDENT, {"id": "x", "alerts": [1], "timeline": {}}, {"id": "x"}], ids=str
)
def test_an_incident_that_we_cannot_read_is_shown_as_it_came(
    serve: Serve, answer: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explain", "x", "--url", serve({**answer, "note": "\x1b[31mred"})]) == cli.GOOD
    told = capsys.readouterr()
    assert "another version" in told.err
    assert len(told.err.splitlines()) == 1
    assert f"id: {answer['id']}" in told.out
    assert "note: ?[31mred" in told.out
    if "state" in answer:
        assert "state: pondering" in told.out
        assert "  name: shop" in told.out


def test_verdicts_of_tomorrow_are_told_in_their_words(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve({"recorded": VERDICT, "verdict": {"kind": "repair"}, "differs": True})
    assert cli.main(["explain", "x", "--replay", "--url", url]) == cli.NO
    assert "relocate(move) by oracle, rule r99: because" in capsys.readouterr().out


def test_a_pause_by_nobody_until_no_time_is_one(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["pause", "--url", serve({"paused": True})]) == cli.GOOD
    assert "paused by somebody until somebody resumes" in capsys.readouterr().out


@pytest.mark.parametrize("answer", [{}, [], 7, "x", None, {"incidents": 7}, {"status": "success"}], ids=repr)
@pytest.mark.parametrize(
    "words", [["incidents"], ["pause"], ["resume"], ["explain", "x", "--replay"]], ids=str
)
def test_silence_is_no_answer(
    serve: Serve, words: list[str], answer: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Above all not to whether it is paused."""
    assert cli.main([*words, "--url", serve(answer)]) == cli.NO
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines())) == ("", 1)
    assert "is it a bridge?" in told.err


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 200),
        (b"", 200),
        (b"\xff", 200),
        (b"[" * 100_000, 200),
        (b"<html>", 502),
        (b'{"error": "x"}', 500),
        (b'["x"]', 404),
        (b'{"error": {"message": {"x": "\\u001b[31m"}}}', 400),
    ],
)
@pytest.mark.parametrize("words", [["incidents", "-o", "json"], ["pause"], ["approve", "x"]], ids=str)
def test_what_is_no_answer_of_a_bridge_is_a_no_in_one_line(
    serve: Serve, words: list[str], body: bytes, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*words, "--url", serve(body, status)]) == cli.NO
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines()), told.err.isprintable() or "\x1b" not in told.err) == (
        "",
        1,
        True,
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirection_is_told_and_not_followed_with_the_token(
    serve: Serve, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEMOSTAT_TOKEN", "a-token-that-nobody-may-see")
    elsewhere = serve({"incidents": []})
    assert cli.main(["incidents", "--url", serve(b"", status, {"Location": elsewhere})]) == cli.NO
    told = capsys.readouterr().err
    assert f"answers {status}" in told
    assert f"to {elsewhere}; --url says where" in told
