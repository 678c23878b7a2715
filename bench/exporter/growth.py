"""How it grows with the number of containers."""

from __future__ import annotations

import gc
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.exporter.subject import ROOT, Exporter, memory_kib, spaced
from bench.figures import Figure, figure
from bench.floor import Floor
from bridge.demo import parts
from exporters.docker.engine import parse_address
from tests.integration.exporters.scripted_engine import ScriptedEngine
from tests.unit.exporters.kernel_tree import KernelTree


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
        *_growth_of_the_floor(told),
        figure(
            "RSS at 1000, reckoned: 20 for the process and what the containers add",
            "MiB",
            [told[1000]["rss_mib"]],
            goal="≤ 45",
        ),
    ]


def _growth_of_the_floor(told: Mapping[int, Mapping[str, float]]) -> list[Figure]:
    """What of that is the kernel's, whose own memory for 1000 containers no cache holds. Nothing without a C compiler."""
    floor = {count: each["floor_ms"] for count, each in told.items() if "floor_ms" in each}
    return (
        [figure("C reads the files of 1000 (baseline: of 100)", "ms", [floor[1000]], [floor[100]])]
        if floor
        else []
    )


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

    start = memory_kib(os.getpid(), "VmRSS") / 1024
    descriptors = Descriptors(raise_descriptor_limit())
    tree = CgroupTree("/sys/fs/cgroup", "/proc")
    engine = Engine(parse_address(docker_host), timeout=5)
    live = [
        from_inspect(said, Tally())
        for _, said in engine.inspect_all(engine.listed())
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
    memory = memory_kib(os.getpid(), "VmRSS") / 1024
    bare = 20.0  # MiB: the exporter's own process before its first container, in place of this one's
    return {"cpu_ms": cpu, "rss_mib": memory - start + bare, **_floor(rounds)}


def _floor(rounds: int) -> dict[str, float]:
    """CPU milliseconds of C that reads the files which this process keeps open, as often and without a pause as well."""
    compiler = shutil.which("cc")
    if compiler is None:
        return {}
    with Floor(os.getpid(), compiler) as floor:
        return {"floor_ms": statistics.mean(floor.round()[1] for _ in range(rounds))}


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
                walls = [spaced(exporter) for _ in range(10)]
                packed = [spaced(exporter, gzip=True) for _ in range(10)]
                memory = exporter.rss()
        finally:
            engine.stop()
    return [
        figure(f"{count} simulated: scrape", "ms", walls),
        figure(f"{count} simulated: scrape, gzip", "ms", packed),
        figure(f"{count} simulated: RSS", "MiB", [memory], goal="≤ 130, stretch 80"),
        figure(f"{count} simulated: inventory taken in", "s", [loaded]),
    ]
