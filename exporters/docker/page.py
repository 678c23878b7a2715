"""The whole page a scrape gets: what the Engine knows of the containers, what the kernel knows, the exporter itself.

A function of a snapshot, the readings and the time. What follows from a container alone is kept until it changes; what
follows from the containers alone comes first, and lasts until one of them changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from exporters.docker import figures
from exporters.docker.container import Container
from exporters.docker.exposition import encoded, header, lines, pairs, seconds
from exporters.docker.families import CONTAINER_FAMILIES, INFO_HEADER, Labelling, facts, info
from exporters.docker.figures import FIGURES, Layout, Row, Slot
from exporters.docker.own import Own, single
from exporters.docker.packing import Lasting
from exporters.docker.readings import Group, Readings
from exporters.docker.snapshot import Snapshot

_LAST_SEEN = "container_last_seen"
_SOURCE = "docker_container_figures_source"


@dataclass(frozen=True, slots=True)
class _Rendered:
    """What is kept of one container until it changes."""

    container: Container
    identity: bytes
    cadvisor_identity: bytes
    info: bytes
    layout: Layout
    facts: Row


class Page:
    """`started_at`: when the process started, seconds since the epoch. `own`: what is told of the exporter itself."""

    def __init__(
        self, *, labelling: Labelling, version: str, started_at: float, own: Own | None = None
    ) -> None:
        self._labelling = labelling
        self._own = own or Own(version=version, started_at=started_at)
        self._rendered: dict[str, _Rendered] = {}
        self._lasting: tuple[Sequence[Container] | None, Lasting] = (None, Lasting(tuple))

    def chunks(
        self,
        snapshot: Snapshot,
        *,
        now: float,
        inventory_age: float,
        readings: Readings | None = None,
    ) -> Iterator[bytes]:
        """The page in pieces, family by family. `now`: seconds since the epoch; `inventory_age`: seconds."""
        yield self.lasting(snapshot).plain()
        yield from self.changing(snapshot, now=now, inventory_age=inventory_age, readings=readings)

    def lasting(self, snapshot: Snapshot) -> Lasting:
        """What the Engine knows: the same object for as long as it knows nothing new."""
        containers, lasting = self._lasting
        if containers is not snapshot.containers:
            known = self._known(snapshot.containers)
            shown = [known[container.id] for container in snapshot.containers]
            lasting = Lasting(lambda: _facts(shown, known))
            self._lasting = snapshot.containers, lasting
        return lasting

    def changing(
        self,
        snapshot: Snapshot,
        *,
        now: float,
        inventory_age: float,
        readings: Readings | None = None,
    ) -> Iterator[bytes]:
        """The rest of the page: the Engine's state, figures, the exporter itself."""
        readings = readings or Readings()
        known = self._known(snapshot.containers)
        shown = [known[container.id] for container in snapshot.containers]
        yield single("docker_up", "gauge", "1 if the Engine answers and its events arrive.", int(snapshot.up))
        yield from _families(
            ((f.name, f.kind, f.help) for f in FIGURES if f.name != figures.OOM_EVENTS),
            [_Columns(layout, group.ids, group.rows) for layout, group in readings.groups.items()],
            known,
        )
        yield _oom_events(shown, readings, known)
        yield _last_seen(shown, now)
        yield _sources(readings, known)
        yield from self._own.chunks(snapshot, readings, inventory_age)

    def _known(self, containers: Sequence[Container]) -> dict[str, _Rendered]:
        """By id; made anew only for those that changed. Two scrapes at once may both make them; both are right."""
        before, known = self._rendered, {}
        for container in containers:
            rendered = before.get(container.id)
            if rendered is None or rendered.container is not container:
                rendered = self._render(container)
            known[container.id] = rendered
        self._rendered = known
        return known

    def _render(self, container: Container) -> _Rendered:
        identity = pairs(self._labelling.identity(container))
        layout, row = facts(container)
        return _Rendered(
            container=container,
            identity=encoded(identity),
            cadvisor_identity=encoded(pairs(self._labelling.cadvisor_identity(container))),
            info=info(identity, container),
            layout=layout,
            facts=row,
        )


class _Columns:
    """Rows of one layout, turned round: what a family takes from them."""

    def __init__(self, layout: Layout, ids: list[str], rows: list[Row]) -> None:
        self.ids = ids
        self._places = _places(layout)
        self._columns = list(zip(*rows, strict=True))

    def of(self, family: str) -> Iterator[tuple[Slot, Sequence[bytes]]]:
        for place, slot in self._places.get(family, ()):
            yield slot, self._columns[place]


@lru_cache(maxsize=1024)
def _places(layout: Layout) -> dict[str, list[tuple[int, Slot]]]:
    """Where in a row the numbers of each family are."""
    places = defaultdict(list)
    for place, slot in enumerate(layout.slots):
        places[slot.name].append((place, slot))
    return places


def _facts(shown: Sequence[_Rendered], known: dict[str, _Rendered]) -> Iterator[bytes]:
    yield encoded(INFO_HEADER) + b"".join([each.info for each in shown])
    yield from _families(((f.name, f.kind, f.help) for f in CONTAINER_FAMILIES), _by_facts(shown), known)


def _by_facts(shown: Iterable[_Rendered]) -> list[_Columns]:
    groups: dict[Layout, Group] = {}
    for each in shown:
        group = groups.setdefault(each.layout, Group())
        group.ids.append(each.container.id)
        group.rows.append(each.facts)
    return [_Columns(layout, group.ids, group.rows) for layout, group in groups.items()]


def _families(
    described: Iterable[tuple[str, str, str]], columns: Sequence[_Columns], known: dict[str, _Rendered]
) -> Iterator[bytes]:
    """Each family in one piece; nothing of a family of which there is no number."""
    engines = [[known[container_id].identity for container_id in each.ids] for each in columns]
    cadvisors = [[known[container_id].cadvisor_identity for container_id in each.ids] for each in columns]
    for name, kind, help_text in described:
        identities = engines if name.startswith("docker_") else cadvisors
        pieces = [
            lines(name, who, values, labels=slot.labels, scale=slot.scale)
            for who, each in zip(identities, columns, strict=True)
            for slot, values in each.of(name)
        ]
        if pieces:
            yield b"".join([encoded(header(name, kind, help_text)), *pieces])


def _oom_events(shown: Iterable[_Rendered], readings: Readings, known: dict[str, _Rendered]) -> bytes:
    """The kernel's count where it was read, else the Engine's events."""
    figure = next(figure for figure in FIGURES if figure.name == figures.OOM_EVENTS)
    values = {each.container.id: b"%d" % each.container.tally.oom_total for each in shown}
    for layout, group in readings.groups.items():
        for place, _ in _places(layout).get(figures.OOM_EVENTS, ()):
            values.update((who, row[place]) for who, row in zip(group.ids, group.rows, strict=True))
    identities = [known[container_id].cadvisor_identity for container_id in values]
    text = lines(figure.name, identities, list(values.values()))
    return encoded(header(figure.name, figure.kind, figure.help)) + text


def _last_seen(shown: Iterable[_Rendered], now: float) -> bytes:
    help_text = (
        "When the container was last known to run, as a Unix time: the scrape's time while it runs, then "
        "the time it ended, until it is removed (cAdvisor's name)."
    )
    seen = [
        (each.cadvisor_identity, now if each.container.alive else each.container.finished_at)
        for each in shown
    ]
    identities = [identity for identity, at in seen if at is not None]
    values = [seconds(at).encode() for _, at in seen if at is not None]
    return encoded(header(_LAST_SEEN, "gauge", help_text)) + lines(_LAST_SEEN, identities, values)


def _sources(readings: Readings, known: dict[str, _Rendered]) -> bytes:
    help_text = (
        "Always 1; source says where a living container's figures come from: the kernel, the kernel except for the "
        "network, the Engine's API (a background round), or none."
    )
    pieces = [
        lines(
            _SOURCE,
            [known[container_id].identity for container_id in ids],
            [b"1"] * len(ids),
            labels=pairs({"source": kind}),
        )
        for kind, ids in readings.by_kind.items()
    ]
    return b"".join([encoded(header(_SOURCE, "gauge", help_text)), *pieces])
