"""A container's figures from a real Prometheus with half an hour of history, and from one that has little or none."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.prometheus import PrometheusApi
from bridge.edges.prometheus.questions import query_of, quoted
from bridge.edges.prometheus.summary import measures
from bridge.model.evidence import ContainerFacts, Measure, Measured
from tests.conftest import started
from tests.unit.triage.builders import ID, running

MINUTES = 40
EVERY = 15
STEPS = MINUTES * 60 // EVERY
SHORT, OTHER = ID[:12], "b" * 12
MIB = 1024 * 1024

WEB = running(
    name="shop-web-1",
    cpu_limit_cores=2.0,
    memory_limit_bytes=500 * MIB,
    labels={"com.docker.compose.service": "web"},
)

Series = Mapping[str, Callable[[int], float]]
"""A series and its value at the n-th scrape."""


def of_cadvisor(labels: str, *, cores: float) -> dict[str, Callable[[int], float]]:
    return {
        f"container_cpu_usage_seconds_total{{{labels}}}": lambda n: n * EVERY * cores,
        f"container_memory_working_set_bytes{{{labels}}}": lambda n: (100 + 400 * n / STEPS) * MIB,
        f"container_cpu_cfs_periods_total{{{labels}}}": lambda n: n * 10.0,
        f"container_cpu_cfs_throttled_periods_total{{{labels}}}": lambda n: n * 2.0,
        f"container_start_time_seconds{{{labels}}}": lambda n: 1000.0 + (n > STEPS - 20) + (n > STEPS - 10),
        f"container_last_seen{{{labels}}}": lambda n: n,
    }


def of_node(labels: str, *, disk_free: float, stall: float) -> dict[str, Callable[[int], float]]:
    disk = f'device="/dev/sda1",fstype="ext4",mountpoint="/",{labels}'
    ram = f'device="tmpfs",fstype="tmpfs",mountpoint="/run",{labels}'

    def stalled(kind: int) -> Callable[[int], float]:
        return lambda n: n * EVERY * stall * kind

    return {
        f"node_filesystem_avail_bytes{{{disk}}}": lambda n: disk_free * 100.0,
        f"node_filesystem_size_bytes{{{disk}}}": lambda n: 100.0,
        f"node_filesystem_avail_bytes{{{ram}}}": lambda n: 0.0,
        f"node_filesystem_size_bytes{{{ram}}}": lambda n: 100.0,
        **{
            f"node_pressure_{what}_waiting_seconds_total{{{labels}}}": stalled(k)
            for k, what in enumerate(("cpu", "memory", "io"), start=1)
        },
    }


SERIES: Series = {
    **of_cadvisor(
        f'id="/docker/{SHORT}",name="shop-web-1",instance="docker-1:9417",job="docker",cpu="total"', cores=1.0
    ),
    # cAdvisor beside it tells the same once more, and must not count twice.
    **of_cadvisor(
        f'id="/system.slice/docker-{ID}.scope",name="shop-web-1",instance="docker-1:8080",job="cadvisor"',
        cores=1.0,
    ),
    **of_cadvisor(f'id="/docker/{OTHER}",name="shop-web-1",instance="docker-2:9417",job="docker"', cores=7.0),
    **of_cadvisor('name="nameless",instance="docker-1:9",job="x"', cores=0.5),
    **of_node('instance="docker-1:9100",job="node"', disk_free=0.1, stall=0.1),
    **of_node('instance="docker-2:9100",job="node"', disk_free=0.9, stall=0.01),
    **of_node('instance="elsewhere:9100",job="node",docker_host="attic"', disk_free=0.4, stall=0.02),
    'http_requests_total{instance="web:8080",job="app",code="200"}': lambda n: n * EVERY * 9.0,
    'http_requests_total{instance="web:8080",job="app",code="503"}': lambda n: n * EVERY * 1.0,
    'http_requests_total{instance="quiet:8080",job="app",code="200"}': lambda n: n * EVERY * 4.0,
}


def open_metrics(series: Series, *, until: float) -> str:
    """The exposition format with times, all samples of a family together."""
    lines, family = [], ""
    for name, value in sorted(series.items()):
        if (now := name.partition("{")[0]) != family:
            family = now
            lines.append(f"# TYPE {family} unknown")
        lines += [f"{name} {value(n):.6f} {until - (STEPS - n) * EVERY:.3f}" for n in range(STEPS + 1)]
    return "\n".join([*lines, "# EOF", ""])


def with_history() -> parts.Prometheus:
    part = parts.Prometheus()
    folder = part.config.parent
    (folder / "history.om").write_text(open_metrics(SERIES, until=time.time()))
    promtool = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run(
        [*promtool, folder / "history.om", folder / "tsdb"], check=True, capture_output=True, timeout=60
    )
    return part


@pytest.fixture(scope="module")
def prometheus() -> Iterator[parts.Prometheus]:
    """One that has scraped all SERIES for 40 minutes."""
    part = started(with_history)
    yield part
    part.stop()


async def figures(
    prometheus: parts.Prometheus, container: ContainerFacts, **options: Any
) -> dict[Measured, Measure]:
    edge = PrometheusApi(prometheus.url, **options)
    try:
        return {measure.name: measure for measure in await edge.measures(container)}
    finally:
        await edge.close()


async def test_every_figure_of_a_container_and_of_its_own_host(prometheus: parts.Prometheus) -> None:
    found = await figures(prometheus, WEB, only_host=False)
    assert {name: each.last for name, each in found.items()} == {
        Measured.CPU_SHARE: pytest.approx(0.5, rel=0.01),
        Measured.MEMORY_SHARE: pytest.approx(1.0, rel=0.02),
        Measured.THROTTLED_SHARE: pytest.approx(0.2, rel=0.01),
        Measured.RESTARTS: 2.0,
        Measured.REQUESTS: pytest.approx(10.0, rel=0.01),
        Measured.ERRORS_SHARE: pytest.approx(0.1, rel=0.01),
        Measured.HOST_CPU_PRESSURE: pytest.approx(0.1, rel=0.01),
        Measured.HOST_MEMORY_PRESSURE: pytest.approx(0.2, rel=0.01),
        Measured.HOST_IO_PRESSURE: pytest.approx(0.3, rel=0.01),
        Measured.HOST_DISK_SHARE: pytest.approx(0.9, rel=0.01),
    }
    assert [each.id for each in found.values()] == [f"M{n}" for n in range(1, 11)]


async def test_a_rising_figure_has_its_slope_and_ten_points(prometheus: parts.Prometheus) -> None:
    memory = (await figures(prometheus, WEB))[Measured.MEMORY_SHARE]
    assert memory.slope_per_minute == pytest.approx(0.8 / MINUTES, rel=0.02)
    assert len(memory.points) == 10
    assert list(memory.points) == sorted(memory.points)
    assert memory.max == memory.last
    assert memory.mean == pytest.approx(0.7, rel=0.05)


async def test_without_a_limit_it_is_a_share_of_the_host_and_without_either_unknown(
    prometheus: parts.Prometheus,
) -> None:
    free = replace(WEB, cpu_limit_cores=None, memory_limit_bytes=None)
    assert not {Measured.CPU_SHARE, Measured.MEMORY_SHARE} & set(await figures(prometheus, free))
    hosted = replace(free, host_cpu_cores=8, host_memory_bytes=5000 * MIB)
    found = await figures(prometheus, hosted)
    assert found[Measured.CPU_SHARE].last == pytest.approx(0.125, rel=0.01)
    assert found[Measured.MEMORY_SHARE].last == pytest.approx(0.1, rel=0.02)


async def test_series_without_an_id_are_found_by_name(prometheus: parts.Prometheus) -> None:
    found = await figures(prometheus, replace(WEB, id="c" * 64, name="nameless"))
    assert found[Measured.CPU_SHARE].last == pytest.approx(0.25, rel=0.01)


async def test_a_namesake_on_another_host_is_not_taken_for_it(prometheus: parts.Prometheus) -> None:
    found = await figures(prometheus, replace(WEB, id="d" * 64), only_host=False)
    assert Measured.CPU_SHARE not in found
    assert Measured.HOST_DISK_SHARE not in found


async def test_no_errors_are_no_share_of_errors_and_not_unknown(prometheus: parts.Prometheus) -> None:
    found = await figures(prometheus, replace(WEB, id="e" * 64, name="quiet", labels={}))
    assert found[Measured.REQUESTS].last == pytest.approx(4.0, rel=0.01)
    assert found[Measured.ERRORS_SHARE].last == 0.0


async def test_the_label_docker_host_names_the_hosts_own_figures(prometheus: parts.Prometheus) -> None:
    found = await figures(prometheus, replace(WEB, id="f" * 64, host="attic"), only_host=False)
    assert found[Measured.HOST_DISK_SHARE].last == pytest.approx(0.6, rel=0.01)


async def test_nothing_is_known_of_an_unknown_container(prometheus: parts.Prometheus) -> None:
    hostile = running(
        id="0" * 64, name='x"} or vector(1) or up{a="', labels={"com.docker.compose.service": "a|b\\"}
    )
    assert await figures(prometheus, hostile, only_host=False) == {}


async def test_one_that_has_seen_nothing_gives_nothing(
    start_prometheus: Callable[..., parts.Prometheus],
) -> None:
    assert await figures(await asyncio.to_thread(start_prometheus), WEB) == {}


async def test_away_is_unavailable() -> None:
    edge = PrometheusApi("http://127.0.0.1:9")
    with pytest.raises(errors.EdgeUnavailable, match="POST /api/v1/query_range"):
        await edge.measures(WEB)
    await edge.close()


def test_text_cannot_leave_its_quotes() -> None:
    assert quoted('a"b\\c\nd') == '"a\\"b\\\\c\\nd"'
    assert '"x\\"}' in query_of(running(name='x"}'), only_host=True)


def test_what_is_no_number_is_left_out() -> None:
    samples = [(60.0 * n, float("nan") if n % 2 else 0.5) for n in range(12)]
    [throttled] = measures(WEB, {"throttled_share": samples}, begin=0.0)
    assert (throttled.last, throttled.mean, throttled.slope_per_minute) == (0.5, 0.5, 0.0)
    assert measures(WEB, {"throttled_share": [(0.0, float("inf"))], "made_up": [(0.0, 1.0)]}, begin=0.0) == ()


def test_a_few_samples_have_no_slope() -> None:
    [restarts] = measures(WEB, {"restarts": [(1790.0, 1.0), (1800.0, 2.0)]}, begin=0.0)
    assert (restarts.slope_per_minute, restarts.points) == (None, (1.5,))
