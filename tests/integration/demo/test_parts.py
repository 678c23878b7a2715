"""Each part starts, answers, can be broken as a test needs it, and leaves neither process, mount nor file."""

import contextlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests
from docker.models.containers import Container

from bridge.demo import parts

FOREVER = "while :; do sleep 0.2; done"


def processes_naming(text: str) -> list[int]:
    """Every process of this machine whose command line holds `text`."""
    found = []
    for cmdline in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in cmdline.read_bytes():
                found.append(int(cmdline.parent.name))
    return found


def mounts_naming(text: str) -> list[str]:
    """Every mount below `text`, in whichever mount namespace a process has it."""
    found = set()
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            found |= {line for line in mounts.read_text().splitlines() if text in line}
    return sorted(found)


def cgroups_of(container_id: str) -> list[Path]:
    """Every control group of that name; those of others may go while one looks."""
    return [
        Path(place, name)
        for place, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name == container_id
    ]


def health(container: Container) -> str:
    container.reload()
    status: str = container.attrs["State"]["Health"]["Status"]
    return status


# Docker Engine


def test_engine_tells_a_healthy_container_from_a_sick_one(run_container: Callable[..., Container]) -> None:
    check = parts.Healthcheck(command="test ! -e /tmp/sick", interval_seconds=0.1)
    container = run_container("patient", FOREVER, healthcheck=check, stop_signal="KILL")
    assert parts.wait_until(lambda: health(container) == "healthy", seconds=10)

    container.exec_run("touch /tmp/sick")
    assert parts.wait_until(lambda: health(container) == "unhealthy", seconds=10)


def test_engine_restarts_a_container_as_its_policy_says(run_container: Callable[..., Container]) -> None:
    container = run_container("phoenix", "sleep 0.2; exit 3", restart="on-failure:2")

    def given_up() -> bool:
        container.reload()
        return container.attrs["RestartCount"] == 2 and container.status == "exited"

    assert parts.wait_until(given_up, seconds=15)


def test_the_process_ids_an_engine_tells_are_this_machines(run_container: Callable[..., Container]) -> None:
    container = run_container("open-book", FOREVER)
    container.reload()
    assert str(container.id) in Path(f"/proc/{container.attrs['State']['Pid']}/cgroup").read_text()


def test_containers_live_on_without_dockerd(private_engine: parts.DockerEngine) -> None:
    container = private_engine.run("survivor", FOREVER)
    container.reload()
    pid = container.attrs["State"]["Pid"]

    private_engine.kill_daemon()
    with pytest.raises(requests.ConnectionError):
        private_engine.client.ping()
    assert parts.process_state(pid)

    private_engine.restart_daemon()
    container.reload()
    assert (container.status, container.attrs["State"]["Pid"]) == ("running", pid)


def test_a_paused_dockerd_takes_requests_and_answers_none(private_engine: parts.DockerEngine) -> None:
    impatient = docker.DockerClient(base_url=private_engine.url, timeout=2)
    assert impatient.ping()
    private_engine.pause_daemon()
    with pytest.raises(requests.ReadTimeout):
        impatient.ping()
    private_engine.resume_daemon()
    assert impatient.ping()
    impatient.close()


@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
@pytest.mark.parametrize("mishap", ["pause_daemon", "kill_daemon", None])
def test_a_stopped_engine_leaves_nothing(
    private_engine: parts.DockerEngine, mishap: str | None, paused: bool
) -> None:
    place = str(private_engine.directory)
    container = private_engine.run("leftover", f": {place}; {FOREVER}")
    assert len(processes_naming(place)) >= 4  # keeper, dockerd, containerd, shim; the script itself
    assert mounts_naming(place)
    assert cgroups_of(str(container.id))
    if paused:
        container.pause()
    if mishap:
        getattr(private_engine, mishap)()

    private_engine.stop()

    assert processes_naming(place) == []
    assert mounts_naming(place) == []
    assert cgroups_of(str(container.id)) == []
    assert not private_engine.directory.exists()


OWNER = """
import pathlib, signal, sys
from bridge.demo import parts
engine = parts.DockerEngine().start()
engine.run("orphan", f": {engine.directory}; while :; do sleep 0.2; done")
redis = parts.RedisServer(pathlib.Path(sys.argv[1])).start()
print(engine.directory, redis.pid, flush=True)
signal.pause()
"""


@pytest.mark.usefixtures("engine")
def test_nothing_outlives_an_owner_that_is_killed(tmp_path: Path) -> None:
    """No clean-up code runs on SIGKILL: the kernel and the keeper have to do it."""
    command = [sys.executable, "-c", OWNER, str(tmp_path / "redis")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout
        place, redis_pid = owner.stdout.readline().split()
        assert processes_naming(place)
        owner.kill()
    assert parts.wait_until(lambda: not processes_naming(place), seconds=10)
    assert parts.wait_until(lambda: not parts.process_state(int(redis_pid)), seconds=10)
    assert parts.wait_until(lambda: not Path(place).exists(), seconds=10)
    assert mounts_naming(place) == []


# Redis


def test_redis_keeps_what_it_acknowledged_through_a_kill(
    start_redis: Callable[..., parts.RedisServer],
) -> None:
    server = start_redis()
    assert server.command("SET", "journal", "written down") == "+OK"
    server.kill()
    assert server.returncode == -signal.SIGKILL
    assert not server.answers()

    server.restart()
    assert server.command("STRLEN", "journal") == ":12"


def test_a_paused_redis_answers_again_when_resumed(start_redis: Callable[..., parts.RedisServer]) -> None:
    server = start_redis()
    server.pause()
    with pytest.raises(TimeoutError):
        server.command("PING")
    server.resume()
    assert server.command("PING") == "+PONG"


def test_redis_takes_settings_and_listens_on_a_socket(
    start_redis: Callable[..., parts.RedisServer], tmp_path: Path
) -> None:
    path = tmp_path / "redis.sock"
    server = start_redis(maxmemory_policy="allkeys-lru", unixsocket=path, extra=["--maxclients", "50"])
    assert path.is_socket()
    assert server.command("CONFIG", "GET", "maxclients") == "*2"


@pytest.mark.parametrize("turn", ["first", "second"])
def test_redis_url_is_a_store_with_nothing_in_it(
    redis_url: str, redis_server: parts.RedisServer, turn: str
) -> None:
    assert redis_url == redis_server.url
    assert redis_server.command("DBSIZE") == ":0"
    redis_server.command("SET", turn, "left behind")


# Prometheus and Alertmanager


@pytest.fixture
def webhook() -> Iterator[tuple[str, list[tuple[str | None, dict[str, Any]]]]]:
    """An address that takes Alertmanager's notifications, and the (authorization, payload) it was sent."""
    received: list[tuple[str | None, dict[str, Any]]] = []

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.headers["Authorization"], json.loads(body)))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer((parts.LOOPBACK, 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://{parts.LOOPBACK}:{server.server_port}/", received
        server.shutdown()
        thread.join()


ALWAYS_ON = """\
groups:
  - name: one
    rules:
      - alert: AlwaysOn
        expr: up{job="itself"} == 1
        for: 10m
"""


def test_a_rule_that_holds_reaches_the_webhook(
    start_prometheus: Callable[..., parts.Prometheus],
    start_alertmanager: Callable[..., parts.Alertmanager],
    webhook: tuple[str, list[tuple[str | None, dict[str, Any]]]],
    tmp_path: Path,
) -> None:
    url, received = webhook
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/one.yml").write_text(ALWAYS_ON)
    port = parts.free_port()
    alertmanager = start_alertmanager(webhook_url=url, token="s3cret")
    prometheus = start_prometheus(
        rules=parts.shortened_rules(tmp_path / "rules", tmp_path / "short", hold="0s"),
        alertmanager_address=alertmanager.address,
        exporter_address=f"{parts.LOOPBACK}:{port}",
        jobs={"itself": f"{parts.LOOPBACK}:{port}"},
        port=port,
    )

    assert parts.wait_until(lambda: received, seconds=20), prometheus.log_tail() + alertmanager.log_tail()
    authorization, payload = received[0]
    assert authorization == "Bearer s3cret"
    assert (payload["status"], payload["commonLabels"]["alertname"]) == ("firing", "AlwaysOn")
    jobs = "count(count by (job) (up == 1)) == 2"
    assert parts.wait_until(lambda: prometheus.query(jobs), seconds=10), prometheus.query("up")


def test_a_posted_alert_is_sent_when_it_fires_and_when_it_ends(
    start_alertmanager: Callable[..., parts.Alertmanager],
    webhook: tuple[str, list[tuple[str | None, dict[str, Any]]]],
) -> None:
    url, received = webhook
    alertmanager = start_alertmanager(webhook_url=url)
    labels = {"alertname": "ContainerDown", "name": "web"}

    alertmanager.fire(labels, {"summary": "web is down"})
    assert parts.wait_until(lambda: len(received) == 1, seconds=10)
    alertmanager.resolve(labels)
    assert parts.wait_until(lambda: len(received) == 2, seconds=10)

    assert [payload["status"] for _, payload in received] == ["firing", "resolved"]
    assert received[0][1]["alerts"][0]["annotations"] == {"summary": "web is down"}


def test_prometheus_refuses_to_reload_what_is_no_configuration(
    start_prometheus: Callable[..., parts.Prometheus],
) -> None:
    prometheus = start_prometheus()
    prometheus.reload()
    prometheus.config.write_text("nonsense: true")
    with pytest.raises(parts.PartFailed, match="refused to reload"):
        prometheus.reload()


@pytest.mark.parametrize("kind", ["redis", "prometheus", "alertmanager"])
def test_a_stopped_part_leaves_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    start = request.getfixturevalue(f"start_{kind}")
    part = start(webhook_url="http://127.0.0.1:1/") if kind == "alertmanager" else start()
    place, pid = part.directory, part.pid
    assert part.answers()

    part.stop()

    assert not parts.process_state(pid)
    assert processes_naming(str(place)) == []
    assert not place.exists()


# Any process


def test_a_process_that_ends_early_shows_its_last_words() -> None:
    doomed = parts.Process(["sh", "-c", "echo cannot bind; exit 3"], name="doomed", url="http://127.0.0.1:1")
    with pytest.raises(parts.PartFailed, match=r"(?s)doomed exited 3.*cannot bind"):
        doomed.start()
    assert not doomed.directory.exists()


def test_a_process_that_never_answers_is_stopped_at_its_deadline() -> None:
    mute = parts.Process(["sleep", "60"], name="mute", url="http://127.0.0.1:1", start_seconds=0.2)
    with pytest.raises(parts.PartFailed, match=r"mute did not answer within 0\.2 s"):
        mute.start()
    assert not mute.running


def test_a_process_deaf_to_term_is_killed_with_all_it_started(
    start_process: Callable[..., parts.Process],
) -> None:
    script = 'trap "" TERM; sleep 61 & echo $!; while :; do sleep 0.1; done'
    deaf = start_process(["sh", "-c", script], name="deaf", stop_seconds=0.2)
    assert parts.wait_until(deaf.log_text, seconds=15)
    started = int(deaf.log_text())

    deaf.stop()

    assert deaf.returncode == -signal.SIGKILL
    assert parts.wait_until(lambda: parts.process_state(started) in ("", "Z"), seconds=15)


def test_a_process_stands_still_while_paused(start_process: Callable[..., parts.Process]) -> None:
    ticking = start_process(["sh", "-c", "while :; do echo tick; sleep 0.01; done"], name="ticking")
    assert parts.wait_until(ticking.log_text, seconds=15)
    ticking.pause()
    before = ticking.log_text()
    assert not parts.wait_until(lambda: ticking.log_text() != before, seconds=0.2)
    ticking.resume()
    assert parts.wait_until(lambda: ticking.log_text() != before, seconds=15)


def test_a_process_started_from_a_passing_thread_lives_on(
    start_process: Callable[..., parts.Process],
) -> None:
    """The kernel's death signal is about the thread that forked; ours is one that lasts."""
    started: list[parts.Process] = []
    thread = threading.Thread(target=lambda: started.append(start_process(["sleep", "60"], name="sleeper")))
    thread.start()
    thread.join()
    assert not parts.wait_until(lambda: not started[0].running, seconds=0.3)


def test_a_process_gets_the_environment_and_says_how_it_ended(
    start_process: Callable[..., parts.Process],
) -> None:
    process = start_process(["sh", "-c", 'echo "$COLOUR"; exit 7'], name="brief", env={"COLOUR": "red"})
    assert process.wait(15) == 7
    assert process.log_text() == "red\n"
    assert "PATH" in os.environ
