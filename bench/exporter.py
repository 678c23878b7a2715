"""`python -m bench.exporter`: what the Docker exporter costs and how soon it shows what happens, on a real fleet.

An Engine of its own with busybox containers, made once and removed at the end; the baseline of the same run is the
best that can be had from the Docker API: one-shot statistics, raw, as many at once as is quickest. Root only, as the
Engine is.

The fleet: 64 MiB limits, Compose labels, two in three on a bridge, one in ten spinning a little every second, one in
twenty with a health check; the rest wake every 5 s.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import http.client
import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from bench.figures import Figure, figure, table
from bench.floor import Floor
from bridge.demo import parts
from exporters.docker.engine import parse_address
from exporters.docker.volley import volley
from tests.integration.exporters.scripted_engine import ScriptedEngine
from tests.servers.docker_engine import DockerEngineProxy
from tests.unit.exporters.kernel_tree import KernelTree

SPACING_SECONDS = 0.25
"""Between scrapes: longer than the time within which the exporter gives the same figures again."""

NETWORK = "fleet"
BUSY = "while :; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; sleep 1; done"
IDLE = "while :; do sleep 5; done"
ROOT = Path(__file__).parents[1]


def main() -> int:
    """0: measured, whatever came out; 2: something that is needed is missing."""
    options = _arguments().parse_args()
    if options.repeat:
        print(json.dumps(repeated(options.docker, options.repeat)))
        return 0
    begun = time.monotonic()
    load = os.getloadavg()[0]
    try:
        found = measure(options)
    except parts.PartMissing as missing:
        print(missing, file=sys.stderr)
        return 2
    print(table(found))
    print(
        f"\ncontainers {options.containers} · Engine {_engine_version()} · cores {os.cpu_count()} · "
        f"load before {load:.2f} · {time.strftime('%F')} · took {time.monotonic() - begun:.0f} s"
    )
    print(" ".join(["python -m bench.exporter", *sys.argv[1:]]))
    return 0


def measure(options: argparse.Namespace) -> list[Figure]:
    found: list[Figure] = []
    with fleet(options.containers) as engine:
        with Exporter(engine.url) as exporter:
            exporter.wait_for(options.containers)
            found += scrapes(exporter, engine, options.containers, rounds=options.rounds)
            found += beside_the_floor(exporter, rounds=options.rounds)
            found += reaction(exporter, engine, times=options.reactions)
            found += churn(exporter, engine, seconds=options.churn)
            found += hung(exporter, engine, seconds=options.hang)
        found.append(quiet_requests(engine, options.containers))
        found += growth(engine)
    found += simulated(options.simulated)
    return found


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.exporter", description=__doc__.partition("\n")[0])
    parser.add_argument("--containers", type=int, default=300, help="size of the fleet (300)")
    parser.add_argument("--rounds", type=int, default=40, help="scrapes of each kind (40)")
    parser.add_argument("--reactions", type=int, default=20, help="containers started and killed (20)")
    parser.add_argument("--churn", type=float, default=60, help="seconds of containers coming and going (60)")
    parser.add_argument(
        "--hang", type=float, default=60, help="seconds for which the Engine stands still (60)"
    )
    parser.add_argument(
        "--simulated", type=int, default=5000, help="containers of the scripted Engine (5000)"
    )
    parser.add_argument("--repeat", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--docker", default="", help=argparse.SUPPRESS)
    return parser


# The fleet


@contextlib.contextmanager
def fleet(count: int) -> Iterator[parts.DockerEngine]:
    with parts.DockerEngine() as engine:
        engine.client.networks.create(NETWORK, driver="bridge")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: _container(engine, number), range(count)))
        yield engine


def _container(engine: parts.DockerEngine, number: int) -> None:
    check = parts.Healthcheck(command="true", interval_seconds=10) if number % 20 == 0 else None
    engine.run(
        f"fleet-{number:04d}",
        BUSY if number % 10 == 0 else IDLE,
        labels={
            "com.docker.compose.project": f"shop-{number % 30}",
            "com.docker.compose.service": f"service-{number}",
        },
        healthcheck=check,
        mem_limit="64m",
        network_mode=NETWORK if number % 3 else "none",
        stop_signal="KILL",
    )


class Exporter(parts.Process):
    """`python -m exporters.docker`, scraped over one kept connection."""

    def __init__(self, docker_host: str, *flags: str) -> None:
        port = parts.free_port()
        argv = [sys.executable, "-m", "exporters.docker", f"--web.listen-address=127.0.0.1:{port}"]
        argv += [f"--docker.host={docker_host}", "--docker.timeout=2s", *flags]
        super().__init__(
            argv, name="exporter", url=f"http://127.0.0.1:{port}", ready_path="/-/healthy", cwd=ROOT
        )
        address = urlsplit(self.url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)

    def scrape(self, *, gzip: bool = False) -> tuple[float, bytes]:
        """Seconds from the request to the last byte, and the body as sent. Raises: AssertionError: not 200."""
        begun = time.perf_counter()
        self._connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"} if gzip else {})
        response = self._connection.getresponse()
        body = response.read()
        taken = time.perf_counter() - begun
        assert response.status == 200, response.status
        return taken, body

    def value(self, name: str) -> float:
        """Of the one series of that name without labels, or with these."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.scrape()[1].decode(), re.MULTILINE)
        assert found, name
        return float(found[1])

    def wait_for(self, count: int, *, seconds: float = 120) -> None:
        """Until so many containers' figures are shown."""
        name = 'docker_exporter_containers{source="kernel"}'
        assert parts.wait_until(lambda: self.value(name) >= count, seconds=seconds, every=0.2)

    def rss(self) -> float:
        """MiB."""
        return _status(self.pid, "VmRSS") / 1024

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


# What a scrape costs


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
            walls.append(_spaced(exporter))
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
    daemon, begun, client = _cpu(engine.daemon_pid), time.perf_counter(), time.process_time()
    answers = list(volley(parse_address(engine.url).dial, requests, at_once=at_once, timeout=60))
    assert all(isinstance(answer, bytes) for _, answer in answers)
    wall, used = time.perf_counter() - begun, time.process_time() - client
    return wall * 1e3, used * 1e3, (_cpu(engine.daemon_pid) - daemon) * 1e3


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


# How soon


@dataclass
class Watcher:
    """Scrapes without a pause, and notes when each wanted text first stood on the page."""

    exporter: Exporter
    wanted: dict[tuple[str, str], re.Pattern[bytes]] = field(default_factory=dict)
    seen: dict[tuple[str, str], float] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopping.is_set():
            body = self.exporter.scrape()[1]
            now = time.time()
            for key, pattern in list(self.wanted.items()):
                if pattern.search(body):
                    self.seen[key] = now
                    del self.wanted[key]

    def expect(self, key: tuple[str, str], *patterns: bytes) -> None:
        """Before it can happen: what stands on the page at once was not shown late."""
        self.wanted[key] = re.compile(b"[\\s\\S]*?".join(patterns))

    def wait(self, key: tuple[str, str]) -> None:
        assert parts.wait_until(lambda: key in self.seen, seconds=10, every=0.005), key


def reaction(exporter: Exporter, engine: parts.DockerEngine, *, times: int) -> list[Figure]:
    """To the last byte of the first page that tells, figures of the started one included.

    From the Engine's event, and beside it how long the Engine itself takes from there to answer an inspect, without
    which nobody can tell; and from its answer to the command.
    """
    told: dict[tuple[str, str], float] = {}
    inspected: dict[tuple[str, str], float] = {}
    answered: dict[tuple[str, str], float] = {}
    stream = engine.client.events(decode=True, filters={"type": "container"})

    def listen() -> None:
        for event in stream:
            key = (event["Actor"]["Attributes"].get("name", ""), event["Action"])
            if key[1] in ("start", "die"):
                told[key] = event["timeNano"] / 1e9
                engine.client.api.inspect_container(event["Actor"]["ID"])
                inspected[key] = time.time()

    threading.Thread(target=listen, daemon=True).start()
    watcher = Watcher(exporter)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    try:
        for number in range(times):
            name = f"probe-{number}"
            state = rb'docker_container_state\{[^}]*name="%b"[^}]*state="%%b"\} 1\n' % name.encode()
            usage = rb'container_cpu_usage_seconds_total\{[^}]*name="%b"' % name.encode()
            watcher.expect((name, "start"), state % b"running", usage)
            container = engine.run(name, IDLE, mem_limit="64m", network_mode=NETWORK)
            answered[name, "start"] = time.time()
            watcher.wait((name, "start"))
            watcher.expect((name, "die"), state % b"exited")
            container.kill()
            answered[name, "die"] = time.time()
            watcher.wait((name, "die"))
            container.remove()
    finally:
        watcher.stopping.set()
        thread.join()
        stream.close()
    found = []
    for what, action in (("a start", "start"), ("a death", "die")):
        keys = [(f"probe-{number}", action) for number in range(times)]
        since_event = [(watcher.seen[key] - told[key]) * 1e3 for key in keys]
        engines_own = [(inspected[key] - told[key]) * 1e3 for key in keys]
        since_answer = [max(0.0, watcher.seen[key] - answered[key]) * 1e3 for key in keys]
        goal = "≤ 50, worst ≤ 250"
        name = f"{what} shown after the event (baseline: the Engine's own answer)"
        found.append(figure(name, "ms", since_event, engines_own, goal=goal))
        found.append(figure(f"{what} shown after the command's answer", "ms", since_answer, goal=goal))
    return found


def churn(exporter: Exporter, engine: parts.DockerEngine, *, seconds: float) -> list[Figure]:
    """Containers come, live for a second and go, 3.5 of them in a second, while it is scraped.

    Starting containers takes most of a small machine. How much of a slow scrape is that, a fixed piece of work tells
    that is done beside each scrape and takes as long as one while it is quiet.
    """
    work = _work_as_long_as(statistics.median(_spaced(exporter) for _ in range(40)))
    quiet, quiet_work, quiet_cpu = _side_by_side(exporter, work, seconds=10)
    memory, files = exporter.rss(), exporter.open_files()
    stopping = threading.Event()
    lives = []

    def come_and_go() -> None:
        number = 0
        while not stopping.wait(1 / 3.5):
            number += 1
            lives.append(pool.submit(_short_life, engine, number))

    with ThreadPoolExecutor(8) as pool:
        thread = threading.Thread(target=come_and_go)
        thread.start()
        try:
            # A scrape that fails ends it all: there is none in a run that has come to its end.
            walls, works, cpu = _side_by_side(exporter, work, seconds=seconds)
        finally:
            stopping.set()
            thread.join()
    lived = sum(future.result() for future in lives)
    time.sleep(1)
    goal = f"≤ 3 x {statistics.median(quiet):.0f}"
    return [
        figure("scrapes that failed in the churn", "", [0], goal="0"),
        figure("scrape in the churn (baseline: fixed work beside it)", "ms", walls, works),
        figure(
            "the slowest of 100 (baseline: of the fixed work)", "ms", [_p99(walls)], [_p99(works)], goal=goal
        ),
        figure(
            "the slowest of 100 while it was quiet (baseline likewise)",
            "ms",
            [_p99(quiet)],
            [_p99(quiet_work)],
        ),
        figure("CPU of a scrape in the churn, events included (baseline: quiet)", "ms", [cpu], [quiet_cpu]),
        figure("containers that came and went, per second", "", [lived / seconds]),
        figure("RSS after (baseline: before)", "MiB", [exporter.rss()], [memory], goal="flat"),
        figure("open files after (baseline: before)", "", [exporter.open_files()], [files], goal="flat"),
    ]


def _work_as_long_as(milliseconds: float) -> Callable[[], float]:
    """Work of about this length while the machine is quiet; gives how long it took, in milliseconds."""

    def work(turns: int) -> float:
        begun = time.perf_counter()
        for _ in range(turns):
            pass
        return (time.perf_counter() - begun) * 1e3

    turns = int(1_000_000 * milliseconds / min(work(1_000_000) for _ in range(10)))
    return lambda: work(turns)


def _side_by_side(
    exporter: Exporter, work: Callable[[], float], *, seconds: float
) -> tuple[list[float], list[float], float]:
    """Milliseconds of scrapes, of the work beside them, and of CPU that the exporter used for each scrape."""
    walls, works = [], []
    begun, deadline = exporter.value("process_cpu_seconds_total"), time.monotonic() + seconds
    while time.monotonic() < deadline:
        walls.append(_spaced(exporter))
        works.append(work())
    used = exporter.value("process_cpu_seconds_total") - begun
    return walls, works, used / (len(walls) + 1) * 1e3


def _short_life(engine: parts.DockerEngine, number: int) -> int:
    try:
        container = engine.run(f"brief-{number}", "sleep 1", mem_limit="64m", network_mode=NETWORK)
        container.wait()
        container.remove(force=True)
    except Exception:
        return 0
    return 1


def hung(exporter: Exporter, engine: parts.DockerEngine, *, seconds: float) -> list[Figure]:
    """The Engine stopped where it stands: are scrapes as quick, the figures fresh, and is it said?"""
    busy = rb'container_cpu_usage_seconds_total\{[^}]*name="fleet-0000"[^}]*\} (\S+)\n'
    walls, fresh, looks, last = [], 0, 0, 0.0
    engine.pause_daemon()
    begun, said_after = time.monotonic(), None
    try:
        while time.monotonic() - begun < seconds:
            time.sleep(max(1.0, SPACING_SECONDS))
            wall, body = exporter.scrape()
            walls.append(wall * 1e3)
            if said_after is None and b"\ndocker_up 0\n" in body:
                said_after = time.monotonic() - begun
            used = re.search(busy, body)
            assert used
            looks, fresh, last = looks + 1, fresh + (float(used[1]) > last), float(used[1])
    finally:
        engine.resume_daemon()
    assert parts.wait_until(lambda: exporter.value("docker_up") == 1, seconds=30)
    return [
        figure("scrape while the Engine hangs", "ms", walls, goal="each < 20"),
        figure("fresh figures of a busy container", "%", [100 * fresh / looks], goal="100"),
        figure("docker_up is 0 after", "s", [said_after if said_after is not None else float("inf")]),
    ]


# How it grows


def growth(engine: parts.DockerEngine) -> list[Figure]:
    """Reading and text in a process of its own, the live containers repeated, each with files of its own."""
    told = {}
    for count in (100, 300, 1000):
        command = [sys.executable, "-m", "bench.exporter", f"--repeat={count}", f"--docker={engine.url}"]
        done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        told[count] = json.loads(done.stdout)
    cpu = {count: each["cpu_ms"] for count, each in told.items()}
    return [
        figure("reading and text, 100 containers, CPU", "ms", [cpu[100]]),
        figure("300", "ms", [cpu[300]]),
        figure("1000 (baseline: 100)", "ms", [cpu[1000]], [cpu[100]], goal="≤ 12x"),
        figure(
            "RSS at 1000, reckoned: 20 for the process and what the containers add",
            "MiB",
            [told[1000]["rss_mib"]],
            goal="≤ 45",
        ),
    ]


def repeated(docker_host: str, count: int) -> dict[str, float]:
    """CPU milliseconds of one page and the memory after it, without HTTP. Only what the exporter imports is imported
    besides what this file needs, whose memory is left out."""
    from exporters.docker.container import Container, Tally, from_inspect
    from exporters.docker.engine import Engine
    from exporters.docker.families import Labelling
    from exporters.docker.kernel.cgroups import CgroupTree
    from exporters.docker.kernel.files import Descriptors, raise_descriptor_limit
    from exporters.docker.kernel.source import open_source
    from exporters.docker.page import Page
    from exporters.docker.readings import Reader
    from exporters.docker.snapshot import Snapshot
    from exporters.docker.sources import Source, Sources

    start = _status(os.getpid(), "VmRSS") / 1024
    descriptors = Descriptors(raise_descriptor_limit())
    tree = CgroupTree("/sys/fs/cgroup", "/proc")
    engine = Engine(parse_address(docker_host), timeout=5)
    live = [
        from_inspect(said, Tally())
        for _, said in engine.inspect_all(engine.container_ids())
        if isinstance(said, dict)
    ]
    containers: list[Container] = []
    opened: dict[str, Source] = {}
    for number in range(count):
        original = live[number % len(live)]
        source = open_source(original, tree, descriptors)
        assert source is not None
        copy = replace(original, id=f"{number:064x}", name=f"{original.name}-{number}")
        containers.append(copy)
        opened[copy.id] = source
    snapshot = Snapshot(containers=tuple(containers), sources=opened, confirmed_at=0.0, up=True)
    sources = Sources(tree, descriptors, opened.__getitem__)
    reader = Reader(sources, lambda: snapshot, lambda _: None, clock=iter(range(10**9)).__next__)
    page = Page(labelling=Labelling(), version="0", started_at=0.0)

    def scrape() -> None:
        look = reader.take()
        for _ in page.chunks(snapshot, now=look.now, inventory_age=0.0, readings=look.readings):
            pass

    scrape()
    gc.freeze()
    rounds = max(5, 10_000 // count)
    begun = time.process_time()
    for _ in range(rounds):
        scrape()
    cpu = (time.process_time() - begun) / rounds * 1e3
    bare = 20.0  # MiB: the exporter's own process before its first container, in place of this one's
    return {"cpu_ms": cpu, "rss_mib": _status(os.getpid(), "VmRSS") / 1024 - start + bare}


def simulated(count: int) -> list[Figure]:
    """The whole exporter over an Engine on a script and a tree of plain files (v1), which are cheaper to read."""
    if not count:
        return []
    with tempfile.TemporaryDirectory(dir="/dev/shm") as root:
        engine = ScriptedEngine(Path(root))
        tree = KernelTree(Path(root) / "kernel", 1)
        for number in range(count):
            container_id = f"{number:064x}"
            labels = {
                "com.docker.compose.project": f"shop-{number % 30}",
                "com.docker.compose.service": f"s-{number}",
            }
            host = {"Memory": 64 << 20, "NetworkMode": "shop"}
            engine.add(container_id, f"web-{number}", Pid=number + 1, Labels=labels, HostConfig=host)
            tree.add(container_id, pid=number + 1)
        try:
            flags = [
                f"--path.cgroupfs={tree.cgroupfs}",
                f"--path.procfs={tree.procfs}",
                "--docker.resync-interval=1h",
            ]
            with Exporter(engine.url, *flags) as exporter:
                begun = time.monotonic()
                exporter.wait_for(count)
                loaded = time.monotonic() - begun
                walls = [_spaced(exporter) for _ in range(10)]
                packed = [_spaced(exporter, gzip=True) for _ in range(10)]
                memory = exporter.rss()
        finally:
            engine.stop()
    return [
        figure(f"{count} simulated: scrape", "ms", walls),
        figure(f"{count} simulated: scrape, gzip", "ms", packed),
        figure(f"{count} simulated: RSS", "MiB", [memory], goal="≤ 130, stretch 80"),
        figure(f"{count} simulated: inventory taken in", "s", [loaded]),
    ]


def _spaced(exporter: Exporter, *, gzip: bool = False) -> float:
    """Milliseconds of a scrape after a pause."""
    time.sleep(SPACING_SECONDS)
    return exporter.scrape(gzip=gzip)[0] * 1e3


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(len(values) * 0.99) - 1]


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process has used, to the hundredth. Source: proc_pid_stat(5), utime and stime."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _status(pid: int, key: str) -> float:
    """KiB."""
    found = re.search(rf"{key}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return float(found[1]) if found else 0.0


def _engine_version() -> str:
    told = subprocess.run(["dockerd", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version ([\d.]+)", told)
    return found[1] if found else "unknown"


if __name__ == "__main__":
    sys.exit(main())
