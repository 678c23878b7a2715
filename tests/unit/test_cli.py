"""What the command line makes of bad usage and of an output that cannot be written. No bridge is asked."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import cli
from bridge.cli.arguments import URL, parser
from bridge.demo import parts

SECRET = "a-token-that-nobody-may-see"


@pytest.fixture
def empty_bridge() -> Iterator[str]:
    """The URL of a bridge that knows no incident."""
    yield from answering(200, b'{"incidents": [], "cursor": null}')


@pytest.fixture
def nameless_incident() -> Iterator[str]:
    """The URL of a bridge with one incident, whose alerts name no container."""
    subject = {"kind": "unknown", "host": "local", "name": "", "container_id": ""}
    row: dict[str, object] = {
        "id": "1",
        "opened_at": "",
        "subject": subject,
        "target": None,
        "state": "open",
        "outcome": None,
    }
    row |= {"reason": "", "alert_names": ["InstanceDown", "InstanceDown", "Lost\x1b"]}
    yield from answering(200, json.dumps({"incidents": [row], "cursor": None}).encode())


@pytest.fixture
def strict_bridge() -> Iterator[str]:
    """The URL of a bridge to which no token is good enough."""
    yield from answering(
        401, b'{"error": {"code": "unauthorized", "message": "a valid bearer token is needed"}}'
    )


def answering(code: int, body: bytes) -> Iterator[str]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing on the test's own output."""

    with http.server.ThreadingHTTPServer((parts.LOOPBACK, 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{parts.LOOPBACK}:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def written_to(output: int, *words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command whose standard output is this file descriptor."""
    return subprocess.run(
        [sys.executable, "-m", "bridge", *map(str, words)],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        timeout=50,
        check=False,
    )


@pytest.mark.parametrize(("words", "unbuffered"), [(["check-config", os.devnull], "1"), (["--help"], "")])
def test_a_reader_who_has_seen_enough_hears_nothing_more(words: list[str], unbuffered: str) -> None:
    """As with `| head`: the code of whoever SIGPIPE ends, and not a word."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = written_to(writer, *words, PYTHONUNBUFFERED=unbuffered)
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (128 + 13, "")


def test_an_answer_that_could_not_be_written_is_a_no() -> None:
    with Path("/dev/full").open("wb") as full:
        ended = written_to(full.fileno(), "check-config", os.devnull, PYTHONUNBUFFERED="")
    assert (ended.returncode, ended.stderr) == (1, "hemostat: [Errno 28] No space left on device\n")


def test_a_terminal_that_knows_no_unicode_is_told_all_the_same() -> None:
    ended = written_to(subprocess.PIPE, "serve", "--help", PYTHONIOENCODING="ascii")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "--roles ROLE,\\u2026" in ended.stdout


@pytest.mark.parametrize(
    "url", ["localhost:9095", "ftp://h", "http://", "http://[::1", "http://h:port", "http://me:hidden@h"]
)
def test_what_is_no_url_of_a_bridge_is_bad_usage(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A password in it is not repeated."""
    assert cli.main(["incidents", "--url", url]) == cli.BAD
    assert capsys.readouterr().err == "hemostat: --url: must be http://HOST:PORT or https://HOST:PORT\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no such file or directory"),
        (b"\n", "is empty"),
        (b"\xff\xfe" + SECRET.encode(), "one line of printable ASCII"),
        (f"{SECRET}\n{SECRET}".encode(), "one line of printable ASCII"),
    ],
)
def test_a_token_file_that_holds_no_token_is_bad_usage_and_is_not_shown(
    content: bytes | None, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    assert cli.main(["incidents", "--token-file", str(file)]) == cli.BAD
    said = capsys.readouterr().err
    assert said.startswith(f"hemostat: --token-file: {file}")
    assert told in said
    assert SECRET not in said


def test_a_token_of_the_environment_that_is_none_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEMOSTAT_TOKEN", f"{SECRET}\n{SECRET}")
    assert cli.main(["incidents"]) == cli.BAD
    said = capsys.readouterr().err
    assert said.startswith("hemostat: $HEMOSTAT_TOKEN: ")
    assert SECRET not in said


def test_an_empty_url_of_the_environment_counts_as_not_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HEMOSTAT_URL", "")
    with pytest.raises(SystemExit):
        cli.main(["incidents", "--help"])
    assert f"else {URL})" in " ".join(capsys.readouterr().out.split())
    assert parser().parse_args(["incidents"]).url == URL


def test_a_bridge_on_this_machine_is_asked_without_a_proxy(
    empty_bridge: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As promtool and amtool do: whoever has a proxy set need not list loopback as an exception."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://{parts.LOOPBACK}:{parts.free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    assert cli.main(["incidents", "--url", empty_bridge, "-o", "json"]) == cli.GOOD, capsys.readouterr().err


def test_an_incident_without_a_target_is_listed_by_its_alert(
    nameless_incident: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["incidents", "--url", nameless_incident]) == cli.GOOD
    assert "no target named (InstanceDown, Lost?)" in capsys.readouterr().out


def test_whoever_interrupts_a_command_while_it_is_loaded_hears_nothing_more() -> None:
    """Loading takes a second on a busy machine. The bridge that is asked never answers, so it cannot be done before."""
    with socket.create_server((parts.LOOPBACK, 0)) as deaf:
        # Whoever runs the tests in the background of a script has SIGINT ignored, and so has all that they start.
        words = [
            "env",
            "--default-signal=INT",
            sys.executable,
            "-X",
            "importtime",
            "-m",
            "bridge",
            "incidents",
        ]
        url = f"http://{parts.LOOPBACK}:{deaf.getsockname()[1]}"
        with subprocess.Popen([*words, "--url", url], stderr=subprocess.PIPE, text=True) as asking:
            assert asking.stderr is not None
            next(
                line for line in asking.stderr if "msgspec" in line
            )  # of what is loaded for the command's sake
            asking.send_signal(signal.SIGINT)
            said = [line for line in asking.stderr if not line.startswith("import time:")]
    assert (said, asking.returncode) == ([], 128 + signal.SIGINT)


def test_whoever_gave_no_token_is_told_how_to_give_one(
    strict_bridge: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hint = "; --token-file FILE or $HEMOSTAT_TOKEN gives one"
    monkeypatch.delenv("HEMOSTAT_TOKEN", raising=False)
    assert cli.main(["incidents", "--url", strict_bridge]) == cli.NO
    assert capsys.readouterr().err.strip().endswith(f"a valid bearer token is needed{hint}")
    (tmp_path / "token").write_text(SECRET)
    assert cli.main(["incidents", "--url", strict_bridge, "--token-file", str(tmp_path / "token")]) == cli.NO
    assert hint not in capsys.readouterr().err


def test_a_configuration_that_serve_takes_only_with_a_flag_is_good_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hemostat.yml"
    for address, noted in (("0.0.0.0:9095", True), ("127.0.0.1:9095", False)):
        file.write_text(f'web: {{listen_address: "{address}"}}', encoding="utf-8")
        assert cli.main(["check-config", str(file)]) == cli.GOOD
        assert ("--web.insecure" in capsys.readouterr().out) is noted


@pytest.mark.parametrize("number", ["0", "-5", "ten", ""])
def test_a_limit_that_leaves_nothing_is_bad_usage(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("incidents", "backtest"):
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--limit", number])
        assert ended.value.code == cli.BAD
        assert "a number from 1" in capsys.readouterr().err


def test_a_command_that_asks_once_logs_as_it_is_told(tmp_path: Path) -> None:
    """Nothing but errors unless told: its answer is what counts."""
    words = ("backtest", "--storage.path", tmp_path / "store")
    alone, told = (written_to(subprocess.DEVNULL, *words, *more) for more in ((), ("--log.level", "info")))
    assert (alone.returncode, alone.stderr) == (0, "")
    assert "event=store_started" in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["incidents", "--token", SECRET],
        ["restore", "backup", "--fo"],
        ["serve", "--config=hemostat.yml"],
        ["eval", "--prov", "rules"],
    ],
)
def test_a_flag_that_is_cut_short_is_bad_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As in Prometheus: none is guessed, and a token is not taken for the name of its file."""
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == cli.BAD
    assert "unrecognized arguments" in capsys.readouterr().err


def test_an_unknown_role_is_told_beside_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["serve", "--roles", "web,boss"]) == cli.BAD
    assert (
        capsys.readouterr().err
        == "hemostat: --roles: 'boss' is no role; it takes one or more of web, worker\n"
    )


@pytest.mark.skipif(os.getuid() != 0, reason="to be somebody else takes root")
def test_a_user_without_a_name_may_pull_the_kill_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a number: that nobody is there is all that goes wrong."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    words = ["pause", "--url", f"http://{parts.LOOPBACK}:{parts.free_port()}"]
    child = os.fork()
    if child == 0:
        code = cli.BAD
        try:
            os.setuid(54321)
            code = cli.main(words)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == cli.NO
