"""The whole page a scrape gets: what the Engine knows of the containers, what the kernel knows, the exporter itself.

A function of a snapshot, the readings and the time. What follows from a container alone is kept until it changes; what
follows from the containers alone comes first, and lasts until one of them changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from exporters.docker import figures
from exporters.docker.container import Container
from exporters.docker.exposition import encoded, header, lines, pairs, seconds
from exporters.docker.families import CONTAINER_FAMILIES, INFO_HEADER, Labelling, facts, info
from exporters.docker.figures import FIGURES, Layout, Row, Slot
from exporters.docker.own import Own, single
from exporters.docker.packing import Lasting
from exporters.docker.readings import Group, Readings, group
from exporters.docker.snapshot import Snapshot

IDENTITIES_KEPT = 512
"""Of so many groups; there are more only if who can be read together is another at each scrape."""

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


class _Known:
    """All containers of a snapshot, and what is kept of them."""

    def __init__(self, containers: Sequence[Container], rendered: Mapping[str, _Rendered]) -> None:
        self.containers = containers
        self.rendered = rendered
        self._identities: dict[Sequence[str], tuple[list[bytes], list[bytes]]] = {}

    def identities(self, ids: Sequence[str]) -> tuple[list[bytes], list[bytes]]:
        """Their labels in the Engine's families and in cAdvisor's."""
        found = self._identities.get(ids)
        if found is None:
            shown = [self.rendered[container_id] for container_id in ids]
            found = [each.identity for each in shown], [each.cadvisor_identity for each in shown]
            if len(self._identities) >= IDENTITIES_KEPT:
                self._identities.clear()
            self._identities[ids] = found
        return found


class Page:
    """`started_at`: when the process started, seconds since the epoch. `own`: what is told of the exporter itself."""

    def __init__(
        self, *, labelling: Labelling, version: str, started_at: float, own: Own | None = None
    ) -> None:
        self._labelling = labelling
        self._own = own or Own(version=version, started_at=started_at)
        self._known = _Known((), {})
        self._lasting: tuple[_Known | None, Lasting] = (None, Lasting(tuple))

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
        of, lasting = self._lasting
        known = self._of(snapshot.containers)
        if of is not known:
            lasting = Lasting(lambda: _facts(known))
            self._lasting = known, lasting
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
        known = self._of(snapshot.containers)
        yield single("docker_up", "gauge", "1 if the Engine answers and its events arrive.", int(snapshot.up))
        figures_but_oom = ((f.name, f.kind, f.help) for f in FIGURES if f.name != figures.OOM_EVENTS)
        yield from _families(figures_but_oom, readings.groups, known)
        yield _oom_events(readings.groups, known)
        yield _last_seen(known, now)
        yield _sources(readings, known)
        yield b"".join(self._own.chunks(snapshot, readings, inventory_age))

    def _of(self, containers: Sequence[Container]) -> _Known:
        """Made anew only for those that changed. Two scrapes at once may both make it; both are right."""
        known = self._known
        if known.containers is not containers:
            before = known.rendered
            rendered = {
                one.id: kept
                if (kept := before.get(one.id)) is not None and kept.container is one
                else self._render(one)
                for one in containers
            }
            known = self._known = _Known(containers, rendered)
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


@lru_cache(maxsize=1024)
def _places(layout: Layout) -> dict[str, list[tuple[int, Slot]]]:
    """Where in a row the numbers of each family are."""
    places = defaultdict(list)
    for place, slot in enumerate(layout.slots):
        places[slot.name].append((place, slot))
    return places


def _facts(known: _Known) -> Iterator[bytes]:
    yield encoded(INFO_HEADER) + b"".join([each.info for each in known.rendered.values()])
    rows: dict[Layout, list[tuple[str, Row]]] = defaultdict(list)
    for container_id, each in known.rendered.items():
        rows[each.layout].append((container_id, each.facts))
    groups = [group(layout, told) for layout, told in rows.items()]
    yield from _families(((f.name, f.kind, f.help) for f in CONTAINER_FAMILIES), groups, known)


def _families(
    described: Iterable[tuple[str, str, str]], groups: Sequence[Group], known: _Known
) -> Iterator[bytes]:
    """Each family in one piece; nothing of a family of which there is no number."""
    shown = [(each, _places(each.layout), *known.identities(each.ids)) for each in groups]
    for name, kind, help_text in described:
        of_engine = name.startswith("docker_")
        pieces = [
            lines(
                name,
                engine if of_engine else cadvisor,
                each.columns[place],
                labels=slot.labels,
                scale=slot.scale,
            )
            for each, places, engine, cadvisor in shown
            for place, slot in places.get(name, ())
        ]
        if pieces:
            yield b"".join([encoded(header(name, kind, help_text)), *pieces])


def _oom_events(groups: Sequence[Group], known: _Known) -> bytes:
    """The kernel's count where it was read, else the Engine's events."""
    figure = next(figure for figure in FIGURES if figure.name == figures.OOM_EVENTS)
    counted = [
        (group.ids, group.columns[place])
        for group in groups
        for place, _ in _places(group.layout).get(figure.name, ())
    ]
    by_kernel = set().union(*(ids for ids, _ in counted))
    told = tuple(container_id for container_id in known.rendered if container_id not in by_kernel)
    counted.append((told, [b"%d" % known.rendered[who].container.tally.oom_total for who in told]))
    pieces = [lines(figure.name, known.identities(ids)[1], totals) for ids, totals in counted]
    return b"".join([encoded(header(figure.name, figure.kind, figure.help)), *pieces])


def _last_seen(known: _Known, now: float) -> bytes:
    help_text = (
        "When the container was last known to run, as a Unix time: the scrape's time while it runs, then "
        "the time it ended, until it is removed (cAdvisor's name)."
    )
    moment = encoded(seconds(now))
    identities, values = [], []
    for each in known.rendered.values():
        if each.container.alive:
            at = moment
        elif (ended := each.container.finished_at) is not None:
            at = encoded(seconds(ended))
        else:
            continue
        identities.append(each.cadvisor_identity)
        values.append(at)
    return encoded(header(_LAST_SEEN, "gauge", help_text)) + lines(_LAST_SEEN, identities, values)


def _sources(readings: Readings, known: _Known) -> bytes:
    help_text = (
        "Always 1; source says where a living container's figures come from: the kernel, the kernel except for the "
        "network, the Engine's API (a background round), or none."
    )
    pieces = [
        lines(
            _SOURCE,
            [known.rendered[container_id].identity for container_id in ids],
            [b"1"] * len(ids),
            labels=pairs({"source": kind}),
        )
        for kind, ids in readings.by_kind.items()
    ]
    return b"".join([encoded(header(_SOURCE, "gauge", help_text)), *pieces])
