"""`hemostat demo` as its user runs it: it shows what it promises, and leaves nothing, whenever it is ended."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from docker.models.containers import Container

from bridge.demo import parts

ROOT = Path(__file__).parents[2]
NOWHERE = "unix:///nowhere/docker.sock"
FOREVER = "while :; do sleep 1000 & wait; done"

SUMMARY = re.compile(r"^Summary$(.*)^2 healed, 1 escalated", re.MULTILINE | re.DOTALL)


def take_terminal() -> None:
    """Standard input becomes the terminal whose end hangs us up. Source: ioctl_tty(2)."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Demo:
    """One run of the demo in a terminal-less process, all of its files below a directory of our own."""

    def __init__(self, *flags: str, docker_host: str = NOWHERE, terminal: int | None = None) -> None:
        self.place = Path(tempfile.mkdtemp(prefix="demo-"))
        environment = {**os.environ, "TMPDIR": str(self.place), "DOCKER_HOST": docker_host, "COLUMNS": "100"}
        self._log = (self.place.parent / f"{self.place.name}.log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "demo", *flags],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=self._log if terminal is None else terminal,
            stderr=subprocess.STDOUT,
            start_new_session=terminal is not None,
            preexec_fn=None if terminal is None else take_terminal,
        )

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text()

    def says(self, text: str) -> None:
        """Waits until it has printed this."""
        assert parts.wait_until(lambda: text in self.output or self.process.poll() is not None, seconds=100)
        self.skip_if_something_is_missing()
        assert text in self.output

    def ends(self, *, within: float) -> int:
        code = self.process.wait(within)
        self.skip_if_something_is_missing()
        assert "Traceback" not in self.output
        assert "\x1b" not in self.output
        return code

    def skip_if_something_is_missing(self) -> None:
        if self.process.poll() == 2 and os.environ.get("CI", "").lower() != "true":
            pytest.skip(self.output.strip().splitlines()[-2])

    def leftovers(self) -> list[str]:
        """Files, processes and mounts of this run; a container shows by the mounts of its own namespace."""
        found = [str(path) for path in self.place.rglob("*")]
        for process in Path("/proc").glob("[0-9]*"):
            for record in ("cmdline", "mountinfo", "environ"):
                with contextlib.suppress(OSError):
                    if str(self.place).encode() in (process / record).read_bytes():
                        found.append(str(process / record))
        return found

    def owns(self, process: Path) -> bool:
        """Whether it is of this run: a descendant inherits our TMPDIR."""
        with contextlib.suppress(OSError):
            return str(self.place).encode() in (process / "environ").read_bytes()
        return False

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self._log.close()
        Path(self._log.name).unlink()
        shutil.rmtree(self.place, ignore_errors=True)


StartDemo = Callable[..., Demo]


@contextlib.contextmanager
def demos() -> Iterator[StartDemo]:
    """`Demo(...)`, each ended in the end."""
    running: list[Demo] = []

    def start(*flags: str, **options: Any) -> Demo:
        running.append(Demo(*flags, **options))
        return running[-1]

    try:
        yield start
    finally:
        for demo in running:
            demo.close()


@pytest.fixture
def start_demo() -> Iterator[StartDemo]:
    """`Demo(...)`, ended when the test ends."""
    with demos() as start:
        yield start


class Guest(NamedTuple):
    """A run on an Engine that is there, beside a container that is just as sick and has even opted in."""

    demo: Demo
    bystander: Container
    began: str
    images: set[str | None]


class Runs(NamedTuple):
    """Three that go on to their end, begun at once: each mostly watches, for half a minute."""

    whole: Demo
    kept: Demo
    guest: Guest


@pytest.fixture(scope="module")
def runs(engine: parts.DockerEngine) -> Iterator[Runs]:
    """As their user would start them: just so, with `--keep`, and with an Engine there."""
    sick = parts.Healthcheck(command="false", interval_seconds=0.5)
    bystander = engine.run(
        "bystander", FOREVER, labels={"hemostat.enable": "true"}, healthcheck=sick, stop_signal="KILL"
    )
    try:
        bystander.reload()
        began = bystander.attrs["State"]["StartedAt"]
        images = {image.id for image in engine.client.images.list()}
        with demos() as start:
            guest = Guest(start(docker_host=engine.url), bystander, began, images)
            yield Runs(start(), start("--keep"), guest)
    finally:
        bystander.remove(force=True, v=True)


def row(table: str, heading: str) -> list[str]:
    """The cells of a row of the summary, for web, worker and mailer."""
    [line] = [line for line in table.splitlines() if line.startswith(heading)]
    return re.split(r"\s{2,}", line.removeprefix(heading).strip())


def assert_shown(output: str) -> None:
    summary = SUMMARY.search(output)
    assert summary, output
    table = summary[1]
    assert row(table, "outcome") == ["healed", "healed", "escalated"]
    assert row(table, "verdict") == ["repair: restart", "repair: start", "escalate"]
    assert row(table, "starts by HemoStat") == ["1", "1", "0"]
    assert row(table, "boots in its log")[:2] == ["2", "2"]
    boots, restarts = (int(row(table, name)[2]) for name in ("boots in its log", "restarts by Docker"))
    assert boots == restarts + 1 > 5


@pytest.mark.timeout(120)
def test_the_demo_heals_two_leaves_the_loop_to_a_human_and_cleans_up(runs: Runs) -> None:
    demo = runs.whole

    assert demo.ends(within=110) == 0, demo.output

    assert_shown(demo.output)
    assert re.search(r"^hemostat explain [0-9a-z-]+\n(.*\n)*outcome +healed: ", demo.output, re.MULTILINE)
    assert demo.leftovers() == []


@pytest.mark.timeout(120)
def test_keep_leaves_everything_up_and_says_where_until_ctrl_c(runs: Runs) -> None:
    demo = runs.kept
    demo.says("docker ps -a")
    addresses = dict(
        re.findall(r"^  (bridge|prometheus|alertmanager|exporter) +(http://\S+)$", demo.output, re.M)
    )

    assert len(addresses) == 4
    assert all(parts.answers_200(f"{url}/-/ready") for url in addresses.values())
    demo.process.send_signal(signal.SIGINT)
    assert demo.ends(within=20) == 0, demo.output
    assert not any(parts.answers_200(f"{url}/-/ready") for url in addresses.values())
    assert demo.leftovers() == []


@pytest.mark.timeout(120)
def test_on_an_engine_that_is_there_it_touches_only_its_own(engine: parts.DockerEngine, runs: Runs) -> None:
    """The bystander is none of the demo's business."""
    demo, bystander, began, images = runs.guest

    assert demo.ends(within=110) == 0, demo.output

    assert_shown(demo.output)
    assert f"the one at {engine.url}" in demo.output
    assert "bystander" not in demo.output
    bystander.reload()
    assert bystander.attrs["State"]["StartedAt"] == began
    labelled = engine.client.containers.list(all=True, filters={"label": "hemostat.demo"})
    assert labelled == []
    assert {image.id for image in engine.client.images.list()} == images
    assert demo.leftovers() == []


def interrupt(demo: Demo, moment: str, *, impatient: bool) -> None:
    """Ctrl-C once it has said this; where one is impatient, again and again."""
    demo.says(moment)
    demo.process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + 20
    while impatient and demo.process.poll() is None and time.monotonic() < deadline:
        demo.process.send_signal(signal.SIGINT)
        time.sleep(0.05)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("moment", ["HemoStat demo", "Docker Engine", "HemoStat, with", "fault", "action"])
def test_ctrl_c_at_any_moment_leaves_nothing(start_demo: StartDemo, moment: str) -> None:
    """Once, and again and again: of two that run at the same time."""
    once, again = start_demo(), start_demo()
    with ThreadPoolExecutor(2) as people:
        for waiting in (
            people.submit(interrupt, once, moment, impatient=False),
            people.submit(interrupt, again, moment, impatient=True),
        ):
            waiting.result()

    for demo in (once, again):
        assert demo.ends(within=20) == 130, demo.output
        assert "Everything is stopped and removed" in demo.output
        assert demo.leftovers() == []


@pytest.mark.timeout(120)
def test_on_a_foreign_engine_sigterm_removes_containers_and_image(
    engine: parts.DockerEngine, start_demo: StartDemo
) -> None:
    images = {image.id for image in engine.client.images.list()}
    demo = start_demo(docker_host=engine.url)
    demo.says("alert")

    demo.process.send_signal(signal.SIGTERM)

    assert demo.ends(within=20) == 143, demo.output
    labelled = engine.client.containers.list(all=True, filters={"label": "hemostat.demo"})
    assert labelled == []
    assert {image.id for image in engine.client.images.list()} == images
    assert demo.leftovers() == []


@pytest.mark.timeout(120)
def test_a_closed_terminal_leaves_nothing(start_demo: StartDemo) -> None:
    """It hangs up, and whatever is written to it from then on fails."""
    ours, its = pty.openpty()
    demo = start_demo(terminal=its)
    os.close(its)
    written = b""
    while b"fault" not in written:
        written += os.read(ours, 4096)

    os.close(ours)

    assert demo.process.wait(20) in (128 + signal.SIGHUP, 128 + signal.SIGPIPE)
    assert demo.leftovers() == []


@pytest.mark.timeout(120)
def test_a_reader_who_has_seen_enough_ends_it() -> None:
    command = f"{sys.executable} -m bridge demo | head -n 3; exit ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "DOCKER_HOST": NOWHERE}

    ended = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )

    if ended.returncode == 2:
        pytest.skip(ended.stdout)
    assert ended.returncode == 128 + signal.SIGPIPE
    assert ended.stderr == ""


@pytest.mark.timeout(120)
def test_what_is_missing_is_said_before_anything_starts(
    start_demo: StartDemo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", "true")  # nothing is skipped here: a part *is* missing
    demo = start_demo()

    assert demo.ends(within=20) == 2
    assert "prometheus is not available: install the package prometheus" in demo.output
    assert demo.leftovers() == []


@pytest.mark.timeout(120)
def test_a_part_that_fails_is_named_with_the_end_of_its_log(start_demo: StartDemo) -> None:
    demo = start_demo()
    demo.says("fault")
    [exporter] = [
        int(process.name)
        for process in Path("/proc").glob("[0-9]*")
        if demo.owns(process) and b"exporters.docker" in (process / "cmdline").read_bytes()
    ]

    os.kill(exporter, signal.SIGKILL)

    assert demo.ends(within=30) == 1
    assert "hemostat demo: exporter exited -9" in demo.output
    assert re.search(r"^  \| .*listening", demo.output, re.MULTILINE)
    assert demo.leftovers() == []
