"""Evidence: everything a decision rests on, collected about one of 50 containers; the baseline asks one source after another.

A real Engine, Redis, Prometheus that scrapes the exporter each second and has half an hour behind it, and Alertmanager
with an alert for each container. Collected in this process, by the edges that `hemostat serve` uses. Both sides ask for
the same; the baseline takes what it gets as it is, HemoStat redacts, and makes an excerpt of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench import servers
from bench.figures import Figure, figure
from bridge import evidence
from bridge.census import Census
from bridge.demo import parts
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.docker_engine import DockerEngine, DockerHost
from bridge.edges.http_neighbour import HttpNeighbour
from bridge.edges.prometheus import PrometheusApi
from bridge.edges.store.connection import Store
from bridge.edges.store.engine_events import StoredEngineEvents
from bridge.edges.store.journal import StoredJournal
from bridge.event_watch import EventWatch
from bridge.intake import subject_of
from bridge.metrics import Metrics
from bridge.model.alert import Alert, AlertStatus
from bridge.model.evidence import Evidence
from bridge.redaction import Redactor
from bridge.triage import phrases

CONTAINERS = 50
PROJECTS = 5
LOG_LINES = 300
HISTORY_SECONDS = 1800
HISTORY_STEP_SECONDS = 15
READY_SECONDS = 30.0

SCRIPT = f"""
i=0
while [ $i -lt {LOG_LINES} ]; do
  i=$((i+1))
  echo "2026-11-21T10:00:00Z INFO request id=4bf92f3577b34da6a3ce929d0e0e4736 path=/orders/$i user=ada@example.org took $i ms"
  [ $((i % 20)) = 0 ] && echo "2026-11-21T10:00:00Z ERROR could not reach postgres://app:hunter2@db:5432/shop: timed out after $i ms" >&2
done
while :; do sleep 5; done
"""


def measure(*, looks: int) -> list[Figure]:
    """So many collections, and as many of the baseline in between, each about another container."""
    with (
        parts.DockerEngine() as engine,
        servers.redis() as redis,
        _exporter(engine.url) as exporter,
        parts.Alertmanager(webhook_url="http://127.0.0.1:9/") as alertmanager,
    ):
        _fleet(engine)
        with _prometheus(exporter) as prometheus:
            alertmanager.post_alerts(*({"labels": _labels(n)} for n in range(CONTAINERS)))
            servers.await_quiet(cores=0.5)
            return asyncio.run(_measured(engine, redis, prometheus, alertmanager, looks=looks))


@dataclass(slots=True)
class _Times:
    mine: list[float] = field(default_factory=list)
    with_finding: list[float] = field(default_factory=list)
    base: list[float] = field(default_factory=list)
    sources: dict[str, list[float]] = field(default_factory=dict)


async def _measured(
    engine: parts.DockerEngine,
    redis: parts.RedisServer,
    prometheus: parts.Prometheus,
    alertmanager: parts.Alertmanager,
    *,
    looks: int,
) -> list[Figure]:
    times = _Times()
    async with _sources(engine, redis, prometheus, alertmanager) as (sources, census):
        await asyncio.to_thread(_stir, engine)
        for number in range(looks + CONTAINERS // 5):
            alert, name = _alert(number), _name(number)
            began = time.perf_counter()
            found = await evidence.locate(sources.containers, subject_of(alert.labels, hosts=["local"]))
            if not isinstance(found, evidence.Found):
                raise parts.PartFailed(engine.name, f"{name}: {found.why}")
            await census.around(found.facts)
            located = time.perf_counter()
            seen = await _collected(sources, found, alert)
            collected = time.perf_counter()
            _check(seen, name)
            one_by_one = await _one_after_the_other(sources, found, times)
            if number < CONTAINERS // 5:  # connections are made, and Python has warmed up
                times.sources.clear()
                continue
            times.mine.append((collected - located) * 1000)
            times.with_finding.append((collected - began) * 1000)
            times.base.append(one_by_one * 1000)
            await asyncio.sleep(0.02)  # between incidents, so that what others do comes in between
    print(
        "   ".join(f"{name} {_p(values, 50):.1f} ms" for name, values in times.sources.items()),
        file=sys.stderr,
    )
    goal = "< 300 ms"
    return [
        figure(f"evidence, p95 of {looks}", "ms", [_p(times.mine, 95)], [_p(times.base, 95)], goal=goal),
        figure("evidence, each", "ms", times.mine, times.base),
        figure(f"target found and evidence, p95 of {looks}", "ms", [_p(times.with_finding, 95)]),
    ]


async def _collected(sources: evidence.Sources, found: evidence.Found, alert: Alert) -> Evidence:
    return await evidence.collect(
        sources,
        found,
        firing=[alert],
        redactor=Redactor(),
        telling=partial(phrases.telling_part, limit=evidence.LINE_CHARACTERS),
        now=datetime.now(UTC),
    )


async def _one_after_the_other(sources: evidence.Sources, found: evidence.Found, times: _Times) -> float:
    """The same questions to the same sources, each after the answer to the one before. Seconds."""
    host, container = found.facts.host, found.facts
    if sources.figures is None or sources.alerts is None or sources.history is None:
        raise ValueError("the baseline asks all sources")
    questions = {
        "health log": sources.containers.health_log(host, container.id),
        "log": sources.containers.log_tail(host, container.id, lines=evidence.LOG_LINES),
        "events": sources.containers.events(host, container.id, seconds=evidence.EVENTS_SECONDS),
        "kept events": sources.history.events(host, container.id),
        "repairs": sources.journal.past_repairs(found.target),
        "replaced": sources.journal.replaced_at(found.target, container),
        "changes": sources.journal.changes(found.target, container),
        "fires": sources.journal.fires_last_hour(["aa"]),
        "neighbours": evidence.neighbours_of(sources, container),
        "prometheus": sources.figures.measures(container),
        "alertmanager": sources.alerts.listed(),
    }
    began = time.perf_counter()
    for name, question in questions.items():
        asked = time.perf_counter()
        await question
        times.sources.setdefault(name, []).append((time.perf_counter() - asked) * 1000)
    return time.perf_counter() - began


def _check(seen: Evidence, name: str) -> None:
    """What is fast because it is not there would be no figure."""
    empty = [
        part
        for part in ("log_lines", "events", "measures", "neighbours", "related_alerts", "redactions")
        if not getattr(seen, part)
    ]
    if seen.gaps or empty:
        raise parts.PartFailed("evidence", f"{name}: gaps {seen.gaps}, nothing in {empty}")


@contextlib.asynccontextmanager
async def _sources(
    engine: parts.DockerEngine,
    redis: parts.RedisServer,
    prometheus: parts.Prometheus,
    alertmanager: parts.Alertmanager,
) -> AsyncIterator[tuple[evidence.Sources, Census]]:
    async with contextlib.AsyncExitStack() as stack:
        docker = DockerEngine([DockerHost(name="local", url=engine.url)])
        stack.push_async_callback(docker.close)
        store = Store(redis.url)
        stack.push_async_callback(store.close)
        neighbour = HttpNeighbour("alertmanager", alertmanager.url)
        stack.push_async_callback(neighbour.close)
        figures, alerts = PrometheusApi(prometheus.url), AlertmanagerApi(neighbour)
        stack.push_async_callback(figures.close)
        stack.push_async_callback(alerts.close)
        census, history = Census(docker), StoredEngineEvents(store)
        stack.push_async_callback(census.close)
        watch = EventWatch(engines=docker, history=history, metrics=Metrics())
        following = asyncio.create_task(watch.run())
        try:
            yield (
                evidence.Sources(
                    containers=docker,
                    journal=StoredJournal(store, lease_seconds=15),
                    listing=census.of,
                    figures=figures,
                    alerts=alerts,
                    history=history,
                ),
                census,
            )
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


# ---- the fleet -------------------------------------------------------------------------------------------------------


def _name(number: int) -> str:
    number %= CONTAINERS
    return f"p{number % PROJECTS}-s{number // PROJECTS}-1"


def _labels(number: int) -> dict[str, str]:
    return {
        "alertname": "ContainerUnhealthy",
        "name": _name(number),
        "compose_project": f"p{number % CONTAINERS % PROJECTS}",
        "severity": "warning",
        "instance": "exporter:9417",
    }


def _alert(number: int) -> Alert:
    return Alert(
        fingerprint=f"{number % CONTAINERS:016x}",
        status=AlertStatus.FIRING,
        labels=_labels(number),
        annotations={},
        starts_at=datetime.now(UTC),
    )


def _fleet(engine: parts.DockerEngine) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(partial(_container, engine), range(CONTAINERS)))


def _stir(engine: parts.DockerEngine) -> None:
    """An event of each container, told to whoever follows: the daemon has forgotten their starts by now."""
    for number in range(CONTAINERS):
        engine.client.api.kill(_name(number), "WINCH")


def _container(engine: parts.DockerEngine, number: int) -> None:
    service = number // PROJECTS
    engine.run(
        _name(number),
        SCRIPT,
        labels={
            "hemostat.enable": "true",
            "com.docker.compose.project": f"p{number % PROJECTS}",
            "com.docker.compose.service": f"s{service}",
            "com.docker.compose.config-hash": f"{number:064x}",
            "com.docker.compose.depends_on": "" if service == 0 else "s0:service_started:false",
        },
        healthcheck=parts.Healthcheck(command="echo well", interval_seconds=10),
        mem_limit="64m",
        cpu_quota=50_000,
        stop_signal="KILL",
    )


@contextlib.contextmanager
def _exporter(docker_url: str) -> Iterator[parts.Process]:
    address = f"{parts.LOOPBACK}:{parts.free_port()}"
    argv: list[str | Path] = [
        *(sys.executable, "-m", "exporters.docker"),
        *(f"--web.listen-address={address}", f"--docker.host={docker_url}"),
    ]
    with parts.Process(argv, name="exporter", url=f"http://{address}", cwd=servers.ROOT) as exporter:
        yield exporter


@contextlib.contextmanager
def _prometheus(exporter: parts.Process) -> Iterator[parts.Prometheus]:
    """It has scraped every container for half an hour, each figure as it is now."""
    if not parts.wait_until(lambda: len(_series(exporter)) > 5 * CONTAINERS, seconds=READY_SECONDS):
        raise parts.PartFailed(exporter.name, "does not show all containers", exporter.log_tail())
    address = exporter.url.removeprefix("http://")
    prometheus = parts.Prometheus(exporter_address=address)
    folder = prometheus.config.parent
    (folder / "history.om").write_text(_history(_series(exporter), address))
    promtool: list[str | Path] = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
    command = [*promtool, folder / "history.om", folder / "tsdb"]
    subprocess.run(command, check=True, capture_output=True)
    with prometheus:
        yield prometheus


_OF_CONTAINERS = re.compile(
    r"^(container_(?:cpu_usage_seconds_total|memory_working_set_bytes|cpu_cfs_(?:throttled_)?periods_total"
    r"|start_time_seconds|last_seen))\{(.+?)\} (\S+)$",
    re.MULTILINE,
)


def _series(exporter: parts.Process) -> list[tuple[str, str, str]]:
    """Name, labels and value of what the questions ask for."""
    _, page = parts.http_request("GET", f"{exporter.url}/metrics", seconds=10)
    return _OF_CONTAINERS.findall(page.decode())


def _history(series: Sequence[tuple[str, str, str]], address: str) -> str:
    now, lines, family = time.time() - HISTORY_STEP_SECONDS, [], ""
    for name, labels, value in sorted(series):
        if name != family:
            family = name
            lines.append(f"# TYPE {name} unknown")
        for step in range(HISTORY_SECONDS // HISTORY_STEP_SECONDS, -1, -1):
            at = now - step * HISTORY_STEP_SECONDS
            lines.append(f'{name}{{{labels},instance="{address}",job="docker"}} {float(value)!r} {at:.3f}')
    return "\n".join([*lines, "# EOF", ""])


def _p(values: Sequence[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(len(values) * percent / 100) - 1)]
