"""Find the target that an alert's labels name, and collect what is known about it, through roles.

Each source has its own deadline; a source that gives nothing becomes a gap that rules and people see. Nothing is
judged here.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from bridge import errors, neighbourhood, relation
from bridge.excerpt import excerpt
from bridge.intake import TARGET_LABELS
from bridge.model.alert import Alert, Subject, SubjectKind
from bridge.model.evidence import (
    EVENT_LABELS,
    KEPT_LABELS,
    ContainerFacts,
    ContainerStatus,
    EngineEvent,
    Evidence,
    Gap,
    Measure,
    Neighbour,
    TextLine,
)
from bridge.model.identity import SWARM_SERVICE, is_task, other_names, target_of
from bridge.model.incident import Target
from bridge.model.policy import opted_in
from bridge.model.share import Population
from bridge.redaction import Redactor, clean, shortened
from bridge.roles import ActiveAlerts, Containers, EngineHistory, Figures, Journal, ListedAlert

SOURCE_DEADLINE_SECONDS = 1.0
LOG_LINES = 200
"""Read; an excerpt of them is shown."""

LINE_CHARACTERS = 500
ERROR_CHARACTERS = 256
GAP_CHARACTERS = 256
LABELS = 64
LABEL_CHARACTERS = 600
MOST_EVENTS = 100
NAME_CHARACTERS = 120
SEVERITY_CHARACTERS = 40
RUNBOOK_LABEL = "hemostat.runbook"
RUNBOOK_CHARACTERS = 600
EVENTS_SECONDS = 1800.0

ENDED = frozenset({ContainerStatus.EXITED, ContainerStatus.DEAD, ContainerStatus.REMOVING})
"""What Swarm keeps of its last tasks (five for each place) stands for no service, as long as another container does."""

Telling = Callable[[str], str | None]
"""The part of a line, of at most LINE_CHARACTERS, that says something to the rules; ``None``: it says nothing."""

Listed = Callable[[str], Awaitable[Sequence[ContainerFacts]]]
"""All containers of a host, a few seconds old at most."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The target, the container that bears its name now, and the populations which that belongs to."""

    target: Target
    facts: ContainerFacts
    populations: tuple[Population, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """No target: ``why`` says which labels were looked at and what was found instead."""

    why: str
    unnamed: bool = False
    """Whether the labels name nothing, not even something that is not there."""


async def locate(containers: Containers, subject: Subject) -> Found | Missing:
    """Ask Docker for what the labels name.

    Raises:
        EdgeUnavailable: Docker did not answer; whether the target exists is unknown.
    """
    hosts = containers.hosts()
    if subject.kind is SubjectKind.UNKNOWN:
        return Missing(why=f"no label names a target (looked at: {', '.join(TARGET_LABELS)})", unnamed=True)
    if not subject.host:
        return Missing(why=f"the label docker_host is missing and {len(hosts)} hosts are configured")
    if subject.host not in hosts:
        return Missing(
            why=f"the label docker_host names {subject.host!r}, which is not configured ({', '.join(hosts)})"
        )
    if subject.kind is SubjectKind.SERVICE:
        return await _service(containers, subject)
    for ref in (subject.container_id, subject.name):
        facts = await containers.inspect(subject.host, ref) if ref else None
        if facts is not None:
            return Found(target=target_of(facts), facts=await _in_its_place(containers, facts))
    wanted = subject.name or subject.container_id
    return Missing(why=f"there is no container {wanted!r} on host {subject.host!r} (any more)")


async def _service(containers: Containers, subject: Subject) -> Found | Missing:
    """A service is a target only while one container stands for it here: which of several is sick nobody said."""
    standing = _standing(await containers.find_service(subject.host, subject.name))
    facts = await containers.inspect(subject.host, standing[0].id) if len(standing) == 1 else None
    if facts is None:
        return Missing(
            why=f"service {subject.name!r} has {len(standing)} containers on host {subject.host!r}, not one"
        )
    return Found(target=target_of(facts), facts=facts)


def _standing(found: Sequence[ContainerFacts]) -> Sequence[ContainerFacts]:
    """Those that have not ended; if all have, the newest of each target. ``found`` as ``find_service`` gives it."""
    alive = [each for each in found if each.status not in ENDED]
    return alive or list({target_of(each): each for each in reversed(found)}.values())


async def _in_its_place(containers: Containers, container: ContainerFacts) -> ContainerFacts:
    """What stands where a task of Swarm was that has ended: an alert about that one is about what came after it."""
    if container.status not in ENDED or not is_task(container):
        return container
    found = await containers.find_service(container.host, container.labels.get(SWARM_SERVICE, ""))
    standing = _standing([each for each in found if target_of(each) == target_of(container)])
    return (await containers.inspect(container.host, standing[0].id) if standing else None) or container


async def called(containers: Containers, listing: Listed, target: Target) -> ContainerFacts | None:
    """The container that a person means by this name: its own, its target's, or a service's that has one target only.

    Raises: EdgeError.
    """
    facts = await containers.inspect(target.host, target.name)
    if facts is not None:
        return facts
    listed = await listing(target.host)
    found = [each for each in listed if target.name in (target_of(each).name, *other_names(each))]
    found.sort(key=lambda each: (not each.running, -each.created_at.timestamp()))
    meant = _standing(found)
    if len({target_of(each) for each in meant}) != 1:
        return None
    return await containers.inspect(target.host, meant[0].id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Whom evidence comes from.

    What is ``None`` is not configured: its evidence is absent, and no gap. A gap is what should have been there.
    """

    containers: Containers
    journal: Journal
    listing: Listed
    figures: Figures | None = None
    alerts: ActiveAlerts | None = None
    history: EngineHistory | None = None


async def collect(
    sources: Sources,
    found: Found,
    *,
    firing: Sequence[Alert],
    redactor: Redactor,
    telling: Telling,
    now: datetime,
) -> Evidence:
    """Everything there is to know, from all sources at once, without a secret in any text.

    ``firing``: the incident's alerts.
    """
    host, container = found.facts.host, found.facts
    containers, journal = sources.containers, sources.journal
    gaps: list[Gap] = []
    async with asyncio.TaskGroup() as group:

        def ask(name: str, asked: Awaitable[T], nothing: T) -> asyncio.Task[T]:
            return group.create_task(_source(name, asked, nothing, gaps), name=f"evidence-{name}")

        health_log = ask("health_log", _checks(sources, container), ())
        log_lines = ask("logs", _log(sources, container), ())
        events = ask("events", containers.events(host, container.id, seconds=EVENTS_SECONDS), ())
        kept = ask("event_history", _kept(sources, container), ())
        past = ask("history", journal.past_repairs(found.target), ())
        replaced_at = ask("replaced", journal.replaced_at(found.target, container), None)
        changes = ask("changes", journal.changes(found.target, container), ())
        fires = ask("fires", journal.fires_last_hour([alert.fingerprint for alert in firing]), None)
        around = ask("neighbours", neighbours_of(sources, container), ())
        measures = ask("prometheus", _measures(sources, container), ())
        listed = ask("alertmanager", _listed(sources), ())
    plain = _Plain(redactor)
    shown = excerpt(
        plain.lines(log_lines.result(), telling), telling=lambda line: telling(line.text) is not None
    )
    return Evidence(
        collected_at=now,
        container=plain.container(container),
        health_log=plain.lines(health_log.result(), telling),
        log_lines=shown.lines,
        log_dropped=shown.dropped,
        events=merged(*(_as_known(each.result(), container) for each in (events, kept))),
        past_repairs=tuple(past.result()),
        replaced_at=replaced_at.result(),
        alert_active=True if firing else None,
        alert_silenced=relation.silenced(firing, listed.result()),
        related_alerts=tuple(
            replace(
                each,
                name=plain.text(each.name, NAME_CHARACTERS),
                severity=plain.text(each.severity, SEVERITY_CHARACTERS),
            )
            for each in relation.related(container, firing, listed.result(), hosts=containers.hosts())
        ),
        fires_last_hour=fires.result(),
        changes=tuple(changes.result()),
        measures=tuple(measures.result()),
        neighbours=tuple(
            replace(each, name=plain.text(each.name, NAME_CHARACTERS)) for each in around.result()
        ),
        runbook=plain.text(container.labels.get(RUNBOOK_LABEL, ""), RUNBOOK_CHARACTERS),
        gaps=tuple(replace(gap, reason=plain.text(gap.reason, GAP_CHARACTERS)) for gap in gaps),
        redactions=dict(plain.counts),
    )


async def _checks(sources: Sources, container: ContainerFacts) -> Sequence[TextLine]:
    """Of one that opted in: what another one says is nobody's business here, and would be kept."""
    if not opted_in(container.labels):
        return ()
    return await sources.containers.health_log(container.host, container.id)


async def _log(sources: Sources, container: ContainerFacts) -> Sequence[TextLine]:
    if not opted_in(container.labels):
        return ()
    return await sources.containers.log_tail(container.host, container.id, lines=LOG_LINES)


async def _kept(sources: Sources, container: ContainerFacts) -> Sequence[EngineEvent]:
    return () if sources.history is None else await sources.history.events(container.host, container.id)


def merged(told: Sequence[EngineEvent], kept: Sequence[EngineEvent]) -> tuple[EngineEvent, ...]:
    """What the daemon still knows and what was heard from it before, each event once; of too many the newest."""
    unique = {(each.at, each.action, each.exit_code, each.signal): each for each in (*kept, *told)}
    newest = sorted(unique.values(), key=lambda each: each.at)[-MOST_EVENTS:]
    return tuple(replace(each, id=f"E{number}") for number, each in enumerate(newest, start=1))


def _as_known(events: Sequence[EngineEvent], container: ContainerFacts) -> Sequence[EngineEvent]:
    """Without what a label of the container may have written into them."""
    exit_code, signal = (label in container.labels for label in EVENT_LABELS)
    if not exit_code and not signal:
        return events
    return [
        replace(
            each,
            exit_code=None if exit_code else each.exit_code,
            signal=None if signal else each.signal,
        )
        for each in events
    ]


async def _measures(sources: Sources, container: ContainerFacts) -> Sequence[Measure]:
    return () if sources.figures is None else await sources.figures.measures(container)


async def _listed(sources: Sources) -> Sequence[ListedAlert]:
    return () if sources.alerts is None else await sources.alerts.listed()


async def neighbours_of(sources: Sources, container: ContainerFacts) -> tuple[Neighbour, ...]:
    """From the list that is there anyway; dependencies are looked at again, since only that tells when they started."""
    if not neighbourhood.has_any(container):
        return ()
    listed = await sources.listing(container.host)
    named = neighbourhood.dependencies(container, listed)
    looked = await asyncio.gather(*(_again(sources.containers, facts) for _, facts in named))
    again = [(name, facts) for (name, _), facts in zip(named, looked, strict=True)]
    return neighbourhood.neighbours(container, listed, again)


async def _again(containers: Containers, facts: ContainerFacts | None) -> ContainerFacts | None:
    if facts is None:
        return None
    try:
        return await containers.inspect(facts.host, facts.id)
    except errors.EdgeError:
        return facts


class _Plain:
    """Foreign text made fit to be kept: cleaned, redacted, cut, and what was removed counted."""

    def __init__(self, redactor: Redactor) -> None:
        self.counts: Counter[str] = Counter()
        self._redactor = redactor

    def text(self, text: str, limit: int) -> str:
        """One text on one line."""
        redacted = self._redactor.plain(text.replace("\n", " "), limit=limit)
        self.counts.update(redacted.counts)
        return redacted.text

    def lines(self, lines: Sequence[TextLine], telling: Telling) -> tuple[TextLine, ...]:
        """Redacted together, since a private key has many lines; those of which nothing is left are gone.

        Of a long one its beginning stays, unless another part of it tells something.
        """
        redacted = self._redactor.text("\n".join(clean(line.text).replace("\n", " ") for line in lines))
        self.counts.update(redacted.counts)
        shown = zip(lines, redacted.text.split("\n"), strict=False)
        return tuple(
            replace(
                line,
                text=text
                if len(text) <= LINE_CHARACTERS
                else telling(text) or shortened(text, LINE_CHARACTERS),
            )
            for line, text in shown
            if text.strip()
        )

    def container(self, facts: ContainerFacts) -> ContainerFacts:
        """Its labels as far as they are kept, and the error Docker keeps."""
        kept = sorted(name for name in facts.labels if name.startswith(KEPT_LABELS))
        names = sorted(kept, key=lambda name: not name.startswith(("hemostat.", "autoheal")))[:LABELS]
        wanted = {name: facts.labels[name] for name in names}
        labels, counts = self._redactor.mapping(wanted, limit=LABEL_CHARACTERS)
        self.counts.update(counts)
        return replace(facts, labels=labels, error=self.text(facts.error, ERROR_CHARACTERS))


async def _source(name: str, asked: Awaitable[T], nothing: T, gaps: list[Gap]) -> T:
    try:
        async with asyncio.timeout(SOURCE_DEADLINE_SECONDS):
            return await asked
    except TimeoutError:
        gaps.append(Gap(source=name, reason=f"no answer within {SOURCE_DEADLINE_SECONDS:g} s"))
    except errors.EdgeError as error:
        gaps.append(Gap(source=name, reason=str(error)))
    return nothing


def gap_sources(gaps: Sequence[Gap]) -> str:
    """The names of what is missing, for people."""
    return ", ".join(gap.source for gap in gaps) or "none"
