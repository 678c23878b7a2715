"""Evidence is collected from all sources at once, in a second at most, and says what is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from bridge import errors, evidence
from bridge.edges.docker_engine.answers import event_of
from bridge.model.alert import Alert, AlertStatus
from bridge.model.evidence import (
    Change,
    Changed,
    ContainerFacts,
    EngineEvent,
    Evidence,
    Measure,
    Measured,
    PastRepair,
)
from bridge.model.incident import Target
from bridge.redaction import Redactor
from bridge.roles import AlertView, ListedAlert
from bridge.triage import phrases
from tests.in_memory_containers import BOOT, InMemoryContainers

ALERT = Alert(
    fingerprint="aa",
    status=AlertStatus.FIRING,
    labels={"alertname": "ContainerUnhealthy", "name": "web"},
    annotations={},
    starts_at=BOOT,
)


class QuietJournal:
    """Knows nothing of any target."""

    async def past_repairs(self, target: Target) -> Sequence[PastRepair]:
        return ()

    async def replaced_at(self, target: Target, facts: ContainerFacts) -> datetime | None:
        return None

    async def changes(self, target: Target, facts: ContainerFacts) -> Sequence[Change]:
        return [Change(id="C1", kind=Changed.IMAGE, at=BOOT)]

    async def fires_last_hour(self, fingerprints: Sequence[str]) -> int | None:
        return len(fingerprints)


class ToldFigures:
    """One measure of every container."""

    async def measures(self, container: ContainerFacts) -> Sequence[Measure]:
        return [Measure(id="M1", name=Measured.CPU_SHARE, last=0.5, mean=0.5, max=0.5)]


class ToldAlerts:
    """Two alerts: the incident's own, silenced, and another about the same container."""

    async def active(self, fingerprint: str) -> AlertView:
        return AlertView(active=True)

    async def listed(self) -> Sequence[ListedAlert]:
        own = ListedAlert(fingerprint="aa", labels=ALERT.labels, since=BOOT, silenced=True, suppressed=True)
        labels = {"alertname": "Slow password=hunter2", "name": "web", "severity": "page"}
        return [own, ListedAlert(fingerprint="bb", labels=labels, since=BOOT)]


class Deaf:
    """Whatever it is asked, it answers after a day."""

    def __getattr__(self, name: str) -> Any:
        async def never(*arguments: object, **options: object) -> object:
            await asyncio.sleep(86400)
            raise AssertionError("nobody waits so long")

        return never

    def hosts(self) -> Sequence[str]:
        return ("local",)


async def collected(containers: Any, facts: ContainerFacts, **sources: Any) -> Evidence:
    sources.setdefault("journal", QuietJournal())
    sources.setdefault("listing", containers.list)
    return await evidence.collect(
        evidence.Sources(containers=containers, **sources),
        evidence.Found(target=Target(host="local", name=facts.name), facts=facts),
        firing=[ALERT],
        redactor=Redactor(),
        telling=partial(phrases.telling_part, limit=evidence.LINE_CHARACTERS),
        now=BOOT,
    )


async def test_what_is_not_configured_is_absent_and_no_gap() -> None:
    containers = InMemoryContainers()
    found = await collected(containers, containers.run())
    assert (found.measures, found.related_alerts, found.alert_silenced) == ((), (), None)
    assert found.gaps == ()
    assert found.alert_active is True


async def test_every_source_has_its_place() -> None:
    containers = InMemoryContainers()
    project = {"hemostat.enable": "true", "com.docker.compose.project": "shop"}
    db = containers.run("db", labels={**project, "com.docker.compose.service": "db"})
    web = containers.run(
        labels={
            **project,
            "hemostat.depends_on": "db",
            "hemostat.runbook": "ask \x1b[1mthe\x1b[0m on-call " * 60,
        }
    )
    containers.said = [*[f"tick {n}" for n in range(100)], "no space left on device, token=abcd1234"]
    containers.checked = ["exit 1: curl: (7) Failed"]
    found = await collected(containers, web, figures=ToldFigures(), alerts=ToldAlerts())
    assert [measure.name for measure in found.measures] == [Measured.CPU_SHARE]
    assert [(each.name, each.dependency, each.started_at) for each in found.neighbours] == [
        ("db", True, db.started_at)
    ]
    [other] = found.related_alerts
    assert (other.name, other.severity, other.same_target) == (
        "Slow password=[REDACTED:credential]",
        "page",
        True,
    )
    assert found.alert_silenced is True
    assert found.log_lines[-1].text == "no space left on device, token=[REDACTED:credential]"
    assert sum(line.count for line in found.log_lines) == 101
    assert found.health_log[0].text == "exit 1: curl: (7) Failed"
    assert [change.kind for change in found.changes] == [Changed.IMAGE]
    assert found.fires_last_hour == 1
    assert found.runbook.startswith("ask the on-call")
    assert len(found.runbook) == 600
    assert found.redactions == {"credential": 2}
    assert found.gaps == ()


@pytest.mark.looptime
async def test_sources_that_hang_are_gaps_after_one_second_together() -> None:
    facts = InMemoryContainers().run(labels={"hemostat.enable": "true", "com.docker.compose.project": "shop"})
    deaf = Deaf()
    began = asyncio.get_running_loop().time()
    found = await collected(deaf, facts, journal=deaf, listing=deaf.listing, figures=deaf, alerts=deaf)
    assert asyncio.get_running_loop().time() - began <= 1.0
    assert {gap.source for gap in found.gaps} == {
        "health_log",
        "logs",
        "events",
        "history",
        "replaced",
        "changes",
        "fires",
        "neighbours",
        "prometheus",
        "alertmanager",
    }
    assert {gap.reason for gap in found.gaps} == {"no answer within 1 s"}
    assert found.container is not None


async def test_a_failed_source_costs_the_others_nothing_and_its_reason_has_no_secret() -> None:
    class Refusing:
        async def measures(self, container: ContainerFacts) -> Sequence[Measure]:
            raise errors.EdgeRejected("prometheus", "GET http://app:hunter2@prometheus: 401", 401)

    containers = InMemoryContainers()
    containers.said = ["hello"]
    found = await collected(containers, containers.run(), figures=Refusing(), alerts=ToldAlerts())
    [gap] = found.gaps
    assert gap.source == "prometheus"
    assert gap.reason == "prometheus: GET http://[REDACTED:url_userinfo]@prometheus: 401"
    assert found.log_lines[0].text == "hello"
    assert found.alert_silenced is True


async def test_a_dependency_that_cannot_be_looked_at_again_is_as_it_was_listed() -> None:
    class Forgetful(InMemoryContainers):
        async def inspect(self, host: str, ref: str) -> ContainerFacts | None:
            raise errors.EdgeUnavailable("docker", "busy")

    containers = Forgetful()
    containers.run("db")
    web = containers.run(labels={"hemostat.depends_on": "db"})
    found = await collected(containers, web)
    assert [each.name for each in found.neighbours] == ["db"]
    assert found.gaps == ()


async def test_a_private_key_over_many_lines_goes_whole() -> None:
    containers = InMemoryContainers()
    key = [
        "-----BEGIN PRIVATE KEY-----",
        *["MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"] * 3,
    ]
    containers.said = ["loading", *key, "-----END PRIVATE KEY-----", "loaded"]
    found = await collected(containers, replace(containers.run(), error=""))
    assert [line.text for line in found.log_lines] == ["loading", "[REDACTED:private_key]", "loaded"]


async def test_no_length_of_other_words_pushes_a_cause_out_of_sight() -> None:
    containers = InMemoryContainers()
    containers.said = [f"GET /{'x' * 5000} failed: no space left on device", "y" * 5000]
    found = await collected(containers, containers.run())
    assert found.log_lines[0].text.endswith("failed: no space left on device")
    assert found.log_lines[1].text == "y" * 499 + "…"
    assert len(found.log_lines[0].text) <= evidence.LINE_CHARACTERS


async def test_what_a_container_says_that_never_opted_in_is_not_even_read() -> None:
    containers = InMemoryContainers()
    containers.said = containers.checked = ["its own business"]
    found = await collected(containers, containers.run(labels={}))
    assert (found.log_lines, found.health_log, found.gaps) == ((), (), ())


class Remembering(InMemoryContainers):
    """An Engine that tells of a stop by a person, with the container's labels over the event's own attributes."""

    async def events(self, host: str, container_id: str, *, seconds: float) -> Sequence[EngineEvent]:
        labels = next(c for c in self.containers.values() if c.id == container_id).labels
        told = [("kill", {"signal": "9"}), ("die", {"exitCode": "137"})]
        return [
            event_of(
                {
                    "Action": action,
                    "Actor": {"ID": container_id, "Attributes": {**attributes, **labels}},
                    "timeNano": int(BOOT.timestamp() * 1e9),
                },
                f"E{number}",
            )
            for number, (action, attributes) in enumerate(told, start=1)
        ]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({}, [9, 137]),
        ({"signal": "1"}, [None, 137]),
        ({"signal": "1", "exitCode": "0"}, [None, None]),
        ({"signal": "hunter2", "exitCode": "hunter2"}, [None, None]),
        ({"signal": "²", "exitCode": "²"}, [None, None]),
    ],
)
async def test_a_label_cannot_say_how_a_container_was_ended(
    labels: dict[str, str], said: list[int | None]
) -> None:
    """Docker writes a container's labels over the attributes of its events: ``signal=1`` would make a kill a reload."""
    docker = Remembering()
    found = await collected(docker, docker.run(labels={"hemostat.enable": "true", **labels}))
    assert found.gaps == ()
    assert [found.events[0].signal, found.events[1].exit_code] == said
