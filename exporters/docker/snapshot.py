"""What the inventory knew at one moment: the only thing a scrape reads. Immutable; no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exporters.docker.container import Container
from exporters.docker.sources import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    containers: tuple[Container, ...] = ()
    """Ordered by name. The same tuple object as long as nothing about any container changed."""
    sources: Mapping[str, Source] = field(default_factory=dict)
    """By id, where the figures of a living container are to be read. The handles are not immutable: read them under
    the lock of `Sources`."""
    up: bool = False
    """The Engine answers and its event stream is open."""
    loaded: bool = False
    """A whole inventory was taken at least once."""
    confirmed_at: float
    """When the Engine last showed that this is current: a resync, an event or an answered ping.
    Seconds of the monotonic clock; before the first contact, the exporter's start."""
    engine_errors: int = 0
    events: int = 0
    reconnects: int = 0
