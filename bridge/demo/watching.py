"""Asks Docker, Prometheus, Alertmanager and the bridge what they have on record, again and again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from bridge.demo import parts, records
from bridge.demo.containers import Containers, Patient
from bridge.demo.story import Course, Fact
from bridge.model.incident import Incident, TimelineEntry


class Watch:
    """The four sources, and what they told so far. `look` gives the news since the last look."""

    def __init__(
        self, containers: Containers, *, prometheus_url: str, alertmanager_url: str, bridge_url: str
    ) -> None:
        self._containers = containers
        self._prometheus_url = prometheus_url
        self._alertmanager_url = alertmanager_url
        self._bridge_url = bridge_url
        self._patients: dict[str, Patient] = {}
        self._since: dict[str, datetime] = {}
        self.courses: dict[str, Course] = {}

    def follow(self, patient: Patient, *, since: datetime) -> None:
        """From now on tell what becomes of it; what Docker recorded before `since` is not of interest."""
        name = self._containers.named(patient)
        self._patients[name] = patient
        self._since[name] = since
        self.courses[name] = Course(promise=patient.promise)

    def look(self) -> list[tuple[Course, Fact]]:
        """The news, oldest first. Effects are asked for before causes, so that no effect is told before its cause.

        Raises: OSError, http.client.HTTPException, DockerException: somebody does not answer.
        """
        facts = [*self._of_bridge(), *self._of_alertmanager(), *self._of_prometheus(), *self._of_docker()]
        news = [
            (course, fact)
            for course in self.courses.values()
            for fact in course.learn(fact for fact in facts if fact.container == course.promise.container)
        ]
        return sorted(news, key=lambda one: one[1].at)

    def explained(self, course: Course) -> tuple[Incident, Sequence[TimelineEntry]] | None:
        """The incident of a container with its timeline, as the bridge tells it."""
        if course.incident is None:
            return None
        answer = asked(f"{self._bridge_url}/api/v1/incidents/{course.incident.id}")
        return msgspec.convert(answer, Incident), msgspec.convert(answer["timeline"], list[TimelineEntry])

    def _of_bridge(self) -> Iterable[Fact]:
        listed = asked(f"{self._bridge_url}/api/v1/incidents")["incidents"]
        for row in reversed(listed):
            course = self.courses.get(row["subject"]["name"])
            if course is None:
                continue
            answer = asked(f"{self._bridge_url}/api/v1/incidents/{row['id']}")
            incident = msgspec.convert(answer, Incident)
            if course.follow(incident):
                timeline = msgspec.convert(answer["timeline"], list[TimelineEntry])
                yield from records.of_incident(course.promise.container, incident, timeline)

    def _of_alertmanager(self) -> Iterable[Fact]:
        return records.of_alertmanager(self._names(), asked(f"{self._alertmanager_url}/api/v2/alerts"))

    def _of_prometheus(self) -> Iterable[Fact]:
        answer = asked(f"{self._prometheus_url}/api/v1/alerts")
        return records.of_prometheus(self._names(), answer["data"]["alerts"])

    def _of_docker(self) -> Iterable[Fact]:
        events = self._containers.events()
        for name, patient in self._patients.items():
            since, told = self._since[name], events.get(name, ())
            yield from records.of_events(patient.name, told, since=since, policy=patient.restart)
            if patient.healthcheck:
                health = self._containers.state(patient).get("Health")
                yield from records.of_health_log(patient.name, health, since=since)

    def _names(self) -> Mapping[str, str]:
        return {name: patient.name for name, patient in self._patients.items()}


def asked(url: str) -> Any:
    """The JSON that is answered. Raises: OSError, http.client.HTTPException, also for an answer that is no 200."""
    status, body = parts.http_request("GET", url, seconds=5)
    if status != 200:
        raise OSError(f"{url} answers {status}")
    return json.loads(body)
