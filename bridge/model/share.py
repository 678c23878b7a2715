"""How many of a population of containers are sick at once: above a share of it, the monitor or the host is suspect.

Finished containers are no part of a population: counted are those that run, and those of the others that are sick.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bridge.model.evidence import ContainerFacts, ContainerStatus
from bridge.model.identity import COMPOSE_PROJECT, target_of
from bridge.model.policy import Limits

_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]{0,127}")
_UP = frozenset({ContainerStatus.RUNNING, ContainerStatus.RESTARTING, ContainerStatus.PAUSED})

Listing = Mapping[str, Sequence[ContainerFacts] | None]
"""All containers by host; ``None``: the host did not answer, so its containers are unknown."""


class ShareScope(StrEnum):
    """What a population consists of. A project is Compose's, on one host."""

    PROJECT = "project"
    HOST = "host"
    FLEET = "fleet"


LEAST_SICK: Mapping[ShareScope, int] = {ShareScope.PROJECT: 2, ShareScope.HOST: 10, ShareScope.FLEET: 10}
"""Fewer are no reason to suspect the monitor, whatever their share: one of two is a sick container. As many as the
default ``limits.fleet`` lets through in an hour anyway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The containers of one host that belong to a population, by the names of their targets.

    ``up``: how many run. ``down``: those of which none does. ``members``: all of them; ``None``: everything on the host.
    """

    host: str
    up: int
    down: tuple[str, ...] = ()
    members: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Containers of which a share may be sick. ``name``: the project, the host, or ``""`` for the fleet.

    ``unseen``: hosts that did not answer; theirs are not counted, neither sick nor well.
    """

    scope: ShareScope
    host: str = ""
    name: str = ""
    parts: tuple[Part, ...] = ()
    unseen: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """One string per population; ``read_key`` reads it."""
        return "/".join(text for text in (self.scope.value, self.host, self.name) if text)


def read_key(key: str) -> Population:
    """The population with this key, nothing known of its containers."""
    scope, _, rest = key.partition("/")
    host, _, name = rest.partition("/")
    return Population(scope=ShareScope(scope), host=host, name=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many of a population are sick now, of how many, and what is allowed.

    ``suspect_since``: since when it is suspect; ``None`` if it is not. ``until``: when that ends if it stays as it
    is; ``None`` while more than half of ``limit`` are sick.
    """

    population: Population
    sick: int
    known: int
    limit: float = 1.0
    suspect_since: datetime | None = None
    until: datetime | None = None

    @property
    def over(self) -> bool:
        """Whether more are sick than allowed."""
        return is_over(self.sick, self.known, limit=self.limit, scope=self.population.scope)

    @property
    def suspect(self) -> bool:
        """Whether nothing may be repaired there: too many are sick, or were until not long ago."""
        return self.over or self.suspect_since is not None

    @property
    def counted(self) -> str:
        """For people: "5 of 8 containers of project shop are sick"."""
        population = self.population
        whose = {
            ShareScope.PROJECT: f" of project {population.name}",
            ShareScope.HOST: f" of host {population.host}",
            ShareScope.FLEET: "",
        }[population.scope]
        unseen = f" (not counted: host {', '.join(population.unseen)})" if population.unseen else ""
        return f"{self.sick} of {self.known} containers{whose} are sick{unseen}"

    @property
    def inputs(self) -> dict[str, str]:
        """The same for the trace of a guard."""
        unseen = ", ".join(self.population.unseen)
        known = str(self.known) if self.known or not unseen else "unknown"
        inputs = {"sick": str(self.sick), "known": known, "allowed": f"{self.limit:.0%}"}
        if unseen:
            inputs["not counted"] = f"host {unseen}"
        if self.suspect_since is not None:
            inputs["suspect since"] = self.suspect_since.isoformat(timespec="seconds")
        return inputs

    @property
    def detail(self) -> str:
        """Why nothing may be repaired there, for people."""
        if self.over:
            return f"{self.counted}, more than {self.limit:.0%}: the monitor or the host is suspect"
        return f"{self.counted}; more than {self.limit:.0%} were, and less than {self.limit / 2:.0%} must be for a while"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """A population that became suspect (``began``), or is so no more, at this very look."""

    share: Share
    began: bool


def is_over(sick: int, known: int, *, limit: float, scope: ShareScope) -> bool:
    """Whether so many are too many."""
    return sick >= LEAST_SICK[scope] and sick > limit * known


def share_limit(limits: Limits, scope: ShareScope) -> float:
    """The share that an operator allows of such a population."""
    return limits.project_share if scope is ShareScope.PROJECT else limits.fleet_share


def populations_around(container: ContainerFacts, listing: Listing) -> tuple[Population, ...]:
    """Those that a container belongs to: its project, its host if there are several, the fleet."""
    project = _project(container)
    mine = [project_of(container.host, project, listing)] if project else []
    return (*mine, *_wide(listing, hosts=[container.host]))


def all_populations(listing: Listing, also: Sequence[Population] = ()) -> tuple[Population, ...]:
    """Every one that the listed containers belong to, and ``also`` those of which nothing may be left."""
    projects = {
        (host, project): None
        for host, listed in listing.items()
        for container in listed or ()
        if (project := _project(container))
    }
    now = (
        *(project_of(host, project, listing) for host, project in projects),
        *_wide(listing, hosts=list(listing)),
    )
    keys = {population.key for population in now}
    return (*now, *(_again(population, listing) for population in also if population.key not in keys))


def _project(container: ContainerFacts) -> str:
    """``""``: none. What Compose calls no project names none: it would be shown wherever a share is told of."""
    name = container.labels.get(COMPOSE_PROJECT, "")
    return name if _PROJECT.fullmatch(name) else ""


def _again(population: Population, listing: Listing) -> Population:
    """One that no listed container belongs to: its containers are gone, or its host did not answer."""
    if listing.get(population.host, ()) is None:
        return Population(
            scope=population.scope, host=population.host, name=population.name, unseen=(population.host,)
        )
    return Population(scope=population.scope, host=population.host, name=population.name)


def project_of(host: str, project: str, listing: Listing) -> Population:
    """The containers of a Compose project on a host; none if there are none any more."""
    listed = listing.get(host)
    if listed is None:
        return Population(scope=ShareScope.PROJECT, host=host, name=project, unseen=(host,))
    mine = [container for container in listed if container.labels.get(COMPOSE_PROJECT) == project]
    part = _part(host, mine, named=True)
    return Population(scope=ShareScope.PROJECT, host=host, name=project, parts=(part,))


def _wide(listing: Listing, *, hosts: Sequence[str]) -> tuple[Population, ...]:
    parts = {host: _part(host, listed) for host, listed in listing.items() if listed is not None}
    unseen = tuple(host for host, listed in listing.items() if listed is None)
    fleet = Population(scope=ShareScope.FLEET, parts=tuple(parts.values()), unseen=unseen)
    if len(listing) == 1:  # its host is the fleet
        return (fleet,)
    return (
        fleet,
        *(Population(scope=ShareScope.HOST, host=h, parts=(parts[h],)) for h in hosts if h in parts),
        *(Population(scope=ShareScope.HOST, host=h, unseen=(h,)) for h in hosts if h not in parts),
    )


def _part(host: str, containers: Sequence[ContainerFacts], *, named: bool = False) -> Part:
    names = dict.fromkeys(target_of(container).name for container in containers)
    up = {target_of(container).name for container in containers if container.status in _UP}
    return Part(
        host=host,
        up=len(up),
        down=tuple(name for name in names if name not in up),
        members=tuple(names) if named else None,
    )
