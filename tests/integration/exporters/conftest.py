"""An Engine on a script, an inventory in its thread, and the exporter as a process."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bridge.demo import parts
from exporters.docker.container import Container
from exporters.docker.engine import Engine, parse_address
from exporters.docker.inventory import Inventory
from exporters.docker.kernel.cgroups import CgroupTree
from exporters.docker.kernel.files import Descriptors
from exporters.docker.readings import Look, Reader
from exporters.docker.sources import Sources
from exporters.docker.stats import Statistics
from tests.integration.exporters.scripted_engine import ScriptedEngine
from tests.unit.exporters.kernel_tree import KernelTree

ROOT = Path(__file__).parents[3]
NEVER = 3600.0
NOWHERE = Path("/nowhere")
DEADLINE_SECONDS = 20.0
SCRAPE_SECONDS = 10.0
"""As long as Prometheus gives a scrape by default."""


def until(fact: Callable[[], object], *, seconds: float = DEADLINE_SECONDS) -> None:
    """Returns once `fact` is true; a fact that never becomes true fails the test."""
    assert parts.wait_until(fact, seconds=seconds, every=0.01), "did not come true in time"


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[ScriptedEngine]:
    engine = ScriptedEngine(tmp_path)
    yield engine
    engine.stop()


@dataclass
class Watch:
    """An inventory at work."""

    inventory: Inventory
    sources: Sources
    statistics: Statistics
    threads: list[threading.Thread]
    last: Look | None = None

    @property
    def up(self) -> bool:
        return self.inventory.snapshot.up

    @property
    def names(self) -> list[str]:
        return [container.name for container in self.inventory.snapshot.containers]

    def look(self) -> Look:
        """At all figures, anew."""
        reader = Reader(self.sources, lambda: self.inventory.snapshot, self.inventory.suspect)
        self.last = reader.take()
        return self.last

    def container(self, name: str) -> Container:
        return next(c for c in self.inventory.snapshot.containers if c.name == name)

    def stop(self) -> None:
        self.inventory.stop()
        self.statistics.stop()
        for thread in self.threads:
            thread.join(DEADLINE_SECONDS)
            assert not thread.is_alive()
        for container in self.inventory.snapshot.containers:
            self.sources.close(container.id)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watch]]:
    """`watch(url)` gives an inventory that has been loaded; only events change it unless `resync` says more.

    `timeout` (seconds) is also the silence after which it pings. Long, so that a busy machine is not taken for a
    hung Engine; tests of hanging and of silence pass a short one. Without a `tree` no control group is to be seen. With a `clock` of its own a
    test says when what is to be done later is due.
    """
    running: list[Watch] = []

    def start(
        url: str,
        *,
        resync: float = NEVER,
        timeout: float = 3.0,
        loaded: bool = True,
        tree: KernelTree | None = None,
        stats_interval: float = NEVER,
        descriptors: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> Watch:
        address = parse_address(url)
        statistics = Statistics(Engine(address, timeout=timeout), interval=stats_interval)
        found = (tree.cgroupfs, tree.procfs) if tree else (NOWHERE, NOWHERE)
        sources = Sources(CgroupTree(*map(str, found)), Descriptors(descriptors), statistics.source)
        inventory = Inventory(
            Engine(address, timeout=timeout),
            resync_interval=resync,
            quiet=timeout,
            sources=sources,
            clock=clock,
        )
        threads = [threading.Thread(target=each.run) for each in (inventory, statistics)]
        running.append(Watch(inventory, sources, statistics, threads))
        for thread in threads:
            thread.start()
        if loaded:
            until(lambda: inventory.snapshot.loaded)
        return running[-1]

    yield start
    for each in running:
        each.stop()


class Exporter(parts.Process):
    """`python -m exporters.docker` on a port of its own; up once it serves, whether or not its Engine does."""

    def __init__(self, docker_host: str, *flags: str) -> None:
        port = parts.free_port()
        super().__init__(
            [
                sys.executable,
                "-m",
                "exporters.docker",
                f"--web.listen-address=127.0.0.1:{port}",
                f"--docker.host={docker_host}",
                "--docker.timeout=1s",  # a busy machine is not to be taken for a hung Engine
                *flags,
            ],
            name="docker-exporter",
            url=f"http://127.0.0.1:{port}",
            ready_path="/-/healthy",
            cwd=ROOT,
        )

    def page(self) -> str:
        status, body = parts.http_request("GET", f"{self.url}/metrics", seconds=SCRAPE_SECONDS)
        assert status == 200
        return body.decode()

    def value(self, metric: str, /, **labels: str) -> float | None:
        """The one sample of `metric` that has these labels; `None`: there is none."""
        found = [
            sample.value
            for family in text_string_to_metric_families(self.page())
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        ]
        assert len(found) <= 1, f"{metric} {labels}: {len(found)} samples"
        return found[0] if found else None

    def shows(self, metric: str, value: float | None, /, **labels: str) -> None:
        """Returns once the sample has this value; raises AssertionError with the last one seen."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (seen := self.value(metric, **labels)) != value:
            assert time.monotonic() < deadline, f"{metric} {labels} is {seen}, not {value}"
            time.sleep(0.02)


@pytest.fixture
def start_exporter() -> Iterator[Callable[..., Exporter]]:
    """Takes the Engine's address and further flags."""
    running: list[Exporter] = []

    def start(docker_host: str, *flags: str) -> Exporter:
        running.append(Exporter(docker_host, *flags))
        running[-1].start()
        return running[-1]

    yield start
    for each in running:
        each.stop()


@pytest.fixture
def exporter(engine: parts.DockerEngine, start_exporter: Callable[..., Exporter]) -> Exporter:
    """The exporter on the shared real Engine, its inventory taken; from here on only events tell it anything."""
    started = start_exporter(engine.url, "--docker.resync-interval=1h", "--docker.host-name=local")
    started.shows("docker_up", 1)
    return started
