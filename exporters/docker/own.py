"""What the exporter tells of itself: its sight of the Engine, its readings, what it costs."""

from __future__ import annotations

from collections.abc import Iterator

from exporters.docker import process
from exporters.docker.exposition import encoded, header, lines, pairs, seconds
from exporters.docker.kernel.files import Descriptors
from exporters.docker.readings import Readings
from exporters.docker.snapshot import Snapshot
from exporters.docker.stats import Statistics


class Own:
    """`started_at`: seconds since the epoch. `descriptors`, `statistics`: `None` where there are none at work."""

    def __init__(
        self,
        *,
        version: str,
        started_at: float,
        descriptors: Descriptors | None = None,
        statistics: Statistics | None = None,
    ) -> None:
        self._version = version
        self._started_at = started_at
        self._descriptors = descriptors
        self._statistics = statistics

    def chunks(self, snapshot: Snapshot, readings: Readings, inventory_age: float) -> Iterator[bytes]:
        yield from _engine(snapshot, inventory_age)
        yield from _readings(readings)
        if self._statistics:
            yield from _statistics(self._statistics)
        yield from self._process()

    def _process(self) -> Iterator[bytes]:
        if self._descriptors:
            yield single(
                "docker_exporter_kept_files",
                "gauge",
                "Files of the kernel that are kept open.",
                self._descriptors.kept,
            )
            yield single(
                "docker_exporter_kept_files_max",
                "gauge",
                "How many may be kept open; files beyond are opened for each scrape.",
                self._descriptors.limit,
            )
        yield single(
            "docker_exporter_build_info",
            "gauge",
            "The exporter's version; always 1.",
            1,
            version=self._version,
        )
        yield single(
            "process_start_time_seconds",
            "gauge",
            "When the exporter started, as a Unix time.",
            seconds(self._started_at),
        )
        yield single(
            "process_cpu_seconds_total",
            "counter",
            "CPU time the exporter has used.",
            seconds(process.cpu_seconds()),
        )
        yield single(
            "process_resident_memory_bytes",
            "gauge",
            "Memory the exporter occupies.",
            process.resident_bytes(),
        )
        yield single(
            "process_max_fds",
            "gauge",
            "How many files the exporter may have open.",
            process.max_open_files(),
        )


def single(name: str, kind: str, help_text: str, value: int | str, **labels: str) -> bytes:
    """A family of one series."""
    braces = f"{{{pairs(labels)}}}" if labels else ""
    return encoded(f"{header(name, kind, help_text)}{name}{braces} {value}\n")


def _engine(snapshot: Snapshot, inventory_age: float) -> Iterator[bytes]:
    yield single(
        "docker_exporter_inventory_age_seconds",
        "gauge",
        "Seconds since the Engine last showed that the inventory is current.",
        seconds(inventory_age),
    )
    yield single(
        "docker_exporter_engine_errors_total",
        "counter",
        "Requests to the Engine, and event streams, that failed.",
        snapshot.engine_errors,
    )
    yield single("docker_exporter_events_total", "counter", "Container events received.", snapshot.events)
    yield single(
        "docker_exporter_reconnects_total",
        "counter",
        "Times the event stream was lost and opened again.",
        snapshot.reconnects,
    )


def _readings(readings: Readings) -> Iterator[bytes]:
    name = "docker_exporter_containers"
    text = "Living containers by where their figures come from."
    yield encoded(header(name, "gauge", text)) + lines(
        name,
        [encoded(pairs({"source": kind})) for kind in readings.by_kind],
        [b"%d" % len(ids) for ids in readings.by_kind.values()],
    )
    yield single(
        "docker_exporter_readings_total",
        "counter",
        "Times the figures of all containers were read: once a scrape, but for scrapes close together.",
        readings.rounds,
    )
    yield single(
        "docker_exporter_reading_duration_seconds",
        "gauge",
        "How long the last of these readings took.",
        f"{readings.seconds:.6f}",
    )
    yield single(
        "docker_exporter_read_errors_total",
        "counter",
        "Containers whose figures could not be read any more, as happens to one that ends during a scrape.",
        readings.errors,
    )


def _statistics(statistics: Statistics) -> Iterator[bytes]:
    yield single(
        "docker_exporter_api_rounds_total",
        "counter",
        "Times the Engine was asked for the figures of containers that the kernel does not show.",
        statistics.rounds,
    )
    yield single(
        "docker_exporter_api_round_duration_seconds",
        "gauge",
        "How long the last of these rounds took.",
        seconds(statistics.round_seconds),
    )
    yield single(
        "docker_exporter_api_errors_total",
        "counter",
        "Containers for which the Engine gave no figures in such a round.",
        statistics.errors,
    )
