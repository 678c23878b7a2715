"""The exporter as a process: it serves whatever the Engine does, and ends when told to."""

import gzip
import http.client
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bridge.demo import parts
from tests.integration.exporters.conftest import SCRAPE_SECONDS, Exporter, until
from tests.integration.exporters.scripted_engine import ScriptedEngine

StartExporter = Callable[..., Exporter]


@pytest.fixture
def serving(scripted: ScriptedEngine, start_exporter: StartExporter) -> Exporter:
    scripted.add("a1", "web")
    exporter = start_exporter(scripted.url, "--docker.resync-interval=1h")
    exporter.shows("docker_up", 1)
    return exporter


@pytest.fixture(scope="module")
def unharmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporter]:
    """One that serves all tests which only look."""
    engine = ScriptedEngine(tmp_path_factory.mktemp("engine"))
    engine.add("a1", "web")
    with Exporter(engine.url) as exporter:
        exporter.shows("docker_up", 1)
        yield exporter
    engine.stop()


def connect(exporter: Exporter) -> http.client.HTTPConnection:
    address = urlsplit(exporter.url)
    return http.client.HTTPConnection(address.hostname or "", address.port, timeout=SCRAPE_SECONDS)


def test_a_scrape_asks_the_engine_nothing(serving: Exporter, scripted: ScriptedEngine) -> None:
    before = scripted.requests.copy()
    for _ in range(50):
        serving.page()
    assert (scripted.requests - before).keys() <= {"ping"}
    # Pings go by the clock (1 s here), not by the scrape.
    assert (scripted.requests - before)["ping"] < 25


def test_the_page_is_served_while_the_engine_hangs(serving: Exporter, scripted: ScriptedEngine) -> None:
    scripted.hanging |= {"ping", "list", "events", "inspect a1"}
    serving.shows("docker_up", 0)
    assert serving.value("docker_container_state", name="web", state="running") == 1
    age = serving.value("docker_exporter_inventory_age_seconds")
    assert age is not None
    assert age > 1
    assert parts.answers_200(f"{serving.url}/-/ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("hanging", [False, True], ids=["quiet", "engine hangs"])
def test_a_signal_ends_it_with_0_and_waits_for_no_engine(
    scripted: ScriptedEngine, start_exporter: StartExporter, number: signal.Signals, hanging: bool
) -> None:
    exporter = start_exporter(scripted.url, "--docker.timeout=30s")
    exporter.shows("docker_up", 1)
    if hanging:
        scripted.hanging.add("inspect a1")
        scripted.emit("die", "a1")
        until(lambda: scripted.requests["inspect a1"])
    os.kill(exporter.pid, number)
    assert exporter.wait(20) == 0  # the Engine it asked would be given 30 s
    assert "Traceback" not in exporter.log_text()


def test_a_connection_is_kept_for_the_next_scrape(unharmed: Exporter) -> None:
    connection = connect(unharmed)
    for _ in range(3):
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        assert (response.status, response.version) == (200, 11)
        assert response.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        response.read()
        assert connection.sock is not None
    connection.close()


def test_connections_that_nobody_closes_are_bounded(
    scripted: ScriptedEngine, start_exporter: StartExporter
) -> None:
    """Each is a thread. One too many takes the place of the one that has been silent for longest."""
    exporter = start_exporter(scripted.url)
    silent = [connect(exporter) for _ in range(200)]
    for connection in silent:
        connection.connect()

    def threads() -> int:
        return len(list(Path(f"/proc/{exporter.pid}/task").iterdir()))

    assert "docker_up" in exporter.page()
    assert 128 <= threads() < 145
    for connection in silent:
        connection.close()
    until(lambda: threads() < 40)
    assert "docker_up" in exporter.page()
    assert "Traceback" not in exporter.log_text()


def test_gzip_is_given_where_asked_and_says_the_same(unharmed: Exporter) -> None:
    connection = connect(unharmed)
    connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
    response = connection.getresponse()
    assert response.getheader("Content-Encoding") == "gzip"
    body = gzip.decompress(response.read())
    connection.close()
    assert b'docker_container_info{id="a1",name="web"' in body


def test_head_tells_the_length_and_sends_no_body(unharmed: Exporter) -> None:
    connection = connect(unharmed)
    connection.request("HEAD", "/metrics")
    response = connection.getresponse()
    assert int(response.getheader("Content-Length", "0")) > 1000
    assert response.read() == b""
    connection.request("GET", "/-/healthy")
    assert connection.getresponse().read() == b"Healthy.\n"
    connection.close()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 200),
        ("GET", "/metrics?x=1", 200),
        ("GET", "/-/healthy", 200),
        ("GET", "/-/ready", 200),
        ("GET", "/nothing", 404),
        ("POST", "/metrics", 405),
        ("OPTIONS", "/metrics", 405),
        ("BREW", "/metrics", 501),
    ],
)
def test_each_path_has_its_answer(unharmed: Exporter, method: str, path: str, status: int) -> None:
    assert parts.http_request(method, unharmed.url + path)[0] == status


def test_a_method_that_would_change_something_is_told_which_ones_there_are(unharmed: Exporter) -> None:
    connection = connect(unharmed)
    connection.request("POST", "/metrics", body=b"GET /metrics HTTP/1.1\r\n\r\n")
    response = connection.getresponse()
    assert response.getheader("Allow") == "GET, HEAD"
    assert response.read() == b"Method not allowed.\n"
    # What nobody read must not be taken for the next request.
    assert response.getheader("Connection") == "close"
    connection.close()


def test_the_landing_page_links_to_the_metrics(
    scripted: ScriptedEngine, start_exporter: StartExporter
) -> None:
    exporter = start_exporter(scripted.url, "--web.telemetry-path=/figures")
    page = parts.http_request("GET", f"{exporter.url}/")[1]
    assert b'href="/figures"' in page
    assert parts.http_request("GET", f"{exporter.url}/figures")[0] == 200
    assert parts.http_request("GET", f"{exporter.url}/metrics")[0] == 404


def test_without_an_engine_it_serves_and_is_not_ready(tmp_path: Path, start_exporter: StartExporter) -> None:
    exporter = start_exporter(f"unix://{tmp_path}/nobody.sock")
    assert exporter.value("docker_up") == 0
    assert parts.http_request("GET", f"{exporter.url}/-/ready")[0] == 503
    until(lambda: "engine_lost" in exporter.log_text())


def test_port_0_is_chosen_by_the_system_and_logged(
    scripted: ScriptedEngine, start_exporter: StartExporter
) -> None:
    # The later flag wins, so `url` is not where this one listens.
    exporter = Exporter(scripted.url, "--web.listen-address=127.0.0.1:0")
    exporter.url = ""
    with exporter:
        until(lambda: "listening" in exporter.log_text())
        found = re.search(r'"address": "(127\.0\.0\.1:\d+)"', exporter.log_text())
        assert found
        assert parts.answers_200(f"http://{found[1]}/-/healthy")


def test_an_address_in_use_ends_it_with_1_and_says_so(unharmed: Exporter) -> None:
    second = Exporter("unix:///nobody", f"--web.listen-address={urlsplit(unharmed.url).netloc}")
    second.url = ""
    with second:
        assert second.wait(20) == 1
        assert "listen_failed" in second.log_text()
