"""The whole page a scrape gets: container families, `container_last_seen`, and the exporter's own health.

A function of a snapshot and the time. What follows from the containers alone is rendered once per change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exporters.docker.container import Container
from exporters.docker.exposition import encoded, header, pairs, seconds
from exporters.docker.families import CONTAINER_FAMILIES, Labelling
from exporters.docker.snapshot import Snapshot

_LAST_SEEN = "container_last_seen"


@dataclass(frozen=True, slots=True)
class _Rendered:
    """What is the same for each scrape between two changes."""

    containers: tuple[Container, ...]
    families: tuple[bytes, ...]
    ended: bytes
    """Whole `container_last_seen` lines."""
    alive: tuple[bytes, ...]
    """`container_last_seen` lines up to their value, which is the time of the scrape."""


class Page:
    """`started_at`: when the process started, seconds since the epoch."""

    def __init__(self, *, labelling: Labelling, version: str, started_at: float) -> None:
        self._labelling = labelling
        self._version = version
        self._started_at = started_at
        self._rendered = self._render(())

    def chunks(self, snapshot: Snapshot, *, now: float, inventory_age: float) -> Iterator[bytes]:
        """The page in pieces, family by family. `now`: seconds since the epoch; `inventory_age`: seconds."""
        rendered = self._rendered
        if rendered.containers is not snapshot.containers:
            # Two scrapes at once may both render; both are right, and the last one stays.
            rendered = self._rendered = self._render(snapshot.containers)
        yield _single(
            "docker_up", "gauge", "1 if the Engine answers and its events arrive.", int(snapshot.up)
        )
        yield from rendered.families
        yield from _last_seen(rendered, now)
        yield from self._own(snapshot, inventory_age)

    def _render(self, containers: tuple[Container, ...]) -> _Rendered:
        identified = [(pairs(self._labelling.identity(container)), container) for container in containers]
        return _Rendered(
            containers=containers,
            families=tuple(family.lines(identified) for family in CONTAINER_FAMILIES),
            ended=encoded(
                "".join(
                    f"{_LAST_SEEN}{{{identity}}} {seconds(container.finished_at)}\n"
                    for identity, container in identified
                    if not container.alive and container.finished_at is not None
                )
            ),
            alive=tuple(
                encoded(f"{_LAST_SEEN}{{{identity}}} ")
                for identity, container in identified
                if container.alive
            ),
        )

    def _own(self, snapshot: Snapshot, inventory_age: float) -> Iterator[bytes]:
        yield _single(
            "docker_exporter_inventory_age_seconds",
            "gauge",
            "Seconds since the Engine last showed that the inventory is current.",
            seconds(inventory_age),
        )
        yield _single(
            "docker_exporter_engine_errors_total",
            "counter",
            "Requests to the Engine, and event streams, that failed.",
            snapshot.engine_errors,
        )
        yield _single(
            "docker_exporter_events_total", "counter", "Container events received.", snapshot.events
        )
        yield _single(
            "docker_exporter_reconnects_total",
            "counter",
            "Times the event stream was lost and opened again.",
            snapshot.reconnects,
        )
        yield _single(
            "docker_exporter_build_info",
            "gauge",
            "The exporter's version; always 1.",
            1,
            version=self._version,
        )
        yield _single(
            "process_start_time_seconds",
            "gauge",
            "When the exporter started, as a Unix time.",
            seconds(self._started_at),
        )


def _last_seen(rendered: _Rendered, now: float) -> Iterator[bytes]:
    help_text = (
        "When the container was last known to run, as a Unix time: the scrape's time while it runs, then "
        "the time it ended, until it is removed (cAdvisor's name)."
    )
    end_of_line = encoded(f"{seconds(now)}\n")
    yield encoded(header(_LAST_SEEN, "gauge", help_text))
    yield b"".join(start + end_of_line for start in rendered.alive)
    yield rendered.ended


def _single(name: str, kind: str, help_text: str, value: int | str, **labels: str) -> bytes:
    braces = f"{{{pairs(labels)}}}" if labels else ""
    return encoded(f"{header(name, kind, help_text)}{name}{braces} {value}\n")
