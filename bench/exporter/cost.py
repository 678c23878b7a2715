"""What a scrape costs, beside the Engine's API and beside a program in C that only reads."""

from __future__ import annotations

import shutil
import statistics
import sys
import time

from bench.exporter.subject import SPACING_SECONDS, Exporter, cpu_seconds, scheduled, spaced
from bench.figures import Figure, figure
from bench.floor import Floor
from bridge.demo import parts
from exporters.docker.engine import parse_address
from exporters.docker.volley import volley
from tests.servers.docker_engine import DockerEngineProxy

IDLE_SECONDS = 60
"""One list of all containers is among them, as in every minute."""


def scrapes(exporter: Exporter, engine: parts.DockerEngine, count: int, *, rounds: int) -> list[Figure]:
    exporter.scrape()
    kinds: dict[bool, tuple[list[float], list[float], int]] = {}
    for gzip in (False, True):
        walls, size = [], 0
        before = exporter.value("process_cpu_seconds_total")
        for _ in range(rounds):
            time.sleep(SPACING_SECONDS)
            wall, body = exporter.scrape(gzip=gzip)
            walls.append(wall * 1e3)
            size = len(body)
        time.sleep(SPACING_SECONDS)
        # Looking at the CPU time is a scrape too, and its own cost is not yet in what it says.
        cpu = (exporter.value("process_cpu_seconds_total") - before) / (rounds + 1) * 1e3
        kinds[gzip] = walls, [cpu], size
    page = exporter.scrape()[1]
    series = sum(not line.startswith(b"#") for line in page.splitlines())
    at_once, base = _quickest_api_rounds(engine, count)
    plain, packed = kinds[False], kinds[True]
    return [
        figure(
            f"scrape (baseline: the API's statistics, {at_once} at once)",
            "ms",
            plain[0],
            [wall for wall, _, _ in base],
            goal=f"≤ 15; baseline ÷ {20 if _answers_at_once(engine) else 100}",
        ),
        figure(
            "CPU of a scrape (baseline: client and dockerd)",
            "ms",
            plain[1],
            [statistics.median(client + daemon for _, client, daemon in base)],
            goal="≤ 20",
        ),
        figure("scrape, gzip", "ms", packed[0]),
        figure(
            "gzip on top",
            "ms",
            [statistics.median(packed[0]) - statistics.median(plain[0])],
            goal="≤ 4",
        ),
        figure("CPU of a scrape, gzip", "ms", packed[1]),
        figure("CPU per container", "µs", [plain[1][0] * 1e3 / count], goal="≤ 45"),
        figure("series", "", [series]),
        figure("page, plain", "kB", [plain[2] / 1e3]),
        figure("page, gzip", "kB", [packed[2] / 1e3]),
        figure("RSS", "MiB", [exporter.rss()], goal="≤ 30"),
        figure("read errors", "", [exporter.value("docker_exporter_read_errors_total")], goal="0"),
    ]


def beside_the_floor(exporter: Exporter, *, rounds: int) -> list[Figure]:
    """In turns with a C program that reads the same files and makes nothing of them: what no exporter can go below.

    Unlike milliseconds, the ratio is nearly the same on a fast machine and in a slow hour.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        print("There is no C compiler (cc): the floor under a scrape is left out.", file=sys.stderr)
        return []
    walls, floors = [], []
    with Floor(exporter.pid, compiler) as floor:
        begun = exporter.value("process_cpu_seconds_total")
        for _ in range(rounds):
            walls.append(spaced(exporter))
            time.sleep(SPACING_SECONDS)
            floors.append(floor.round())
        time.sleep(SPACING_SECONDS)
        cpu = (exporter.value("process_cpu_seconds_total") - begun) / (rounds + 1) * 1e3
    name = f"(baseline: C reads the same {len(floor.paths)} files)"
    return [
        figure(f"scrape {name}", "ms", walls, [wall for wall, _ in floors]),
        figure(
            f"CPU of it {name}",
            "ms",
            [cpu],
            [statistics.mean(used for _, used in floors)],
            goal="≤ 2 x; stretch 1.4",
        ),
    ]


def idle(exporter: Exporter) -> Figure:
    """What it costs to be there, for as much time as is between two scrapes of Prometheus."""
    before = scheduled(exporter.pid)
    time.sleep(IDLE_SECONDS)
    used = (scheduled(exporter.pid) - before) * 1e3
    return figure("CPU in 15 s without a scrape", "ms", [used * 15 / IDLE_SECONDS])


def _answers_at_once(engine: parts.DockerEngine) -> bool:
    """Before 25.0 each one-shot answer waits for the Engine's own second (moby #46448)."""
    return int(engine.client.version()["Version"].partition(".")[0]) >= 25


def _quickest_api_rounds(
    engine: parts.DockerEngine, count: int
) -> tuple[int, list[tuple[float, float, float]]]:
    """How many at once is quickest, and rounds of it: all, or about 32 where it is the Engine's CPU they wait for."""
    widths = (32, count) if _answers_at_once(engine) else (count,)
    taken = {width: [_api_round(engine, width) for _ in range(3)] for width in widths}
    quickest = min(taken, key=lambda width: statistics.median(wall for wall, _, _ in taken[width]))
    return quickest, taken[quickest]


def _api_round(engine: parts.DockerEngine, at_once: int) -> tuple[float, float, float]:
    """Milliseconds of one round of one-shot statistics over all containers: wall, client's CPU, dockerd's CPU."""
    ids = [each["Id"] for each in engine.client.api.containers()]
    requests = [(one, f"/containers/{one}/stats?stream=false&one-shot=true") for one in ids]
    daemon, begun, client = cpu_seconds(engine.daemon_pid), time.perf_counter(), time.process_time()
    answers = list(volley(parse_address(engine.url).dial, requests, at_once=at_once, timeout=60))
    assert all(isinstance(answer, bytes) for _, answer in answers)
    wall, used = time.perf_counter() - begun, time.process_time() - client
    return wall * 1e3, used * 1e3, (cpu_seconds(engine.daemon_pid) - daemon) * 1e3


def quiet_requests(engine: parts.DockerEngine, count: int) -> Figure:
    """Engine requests during 50 scrapes while nothing happens, on any account but the health checks' inspects."""
    proxy = DockerEngineProxy(engine.url).start()
    try:
        with Exporter(proxy.url, "--docker.timeout=1h", "--docker.resync-interval=1h") as exporter:
            exporter.wait_for(count)
            before = len(proxy.requests)
            for _ in range(50):
                exporter.scrape()
                time.sleep(0.11)
            asked = len(proxy.requests) - before
    finally:
        proxy.stop()
    return figure("Engine requests per quiet scrape", "", [asked / 50], goal="0")
