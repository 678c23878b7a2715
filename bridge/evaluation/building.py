"""One document, its shape checked, becomes a ``Scenario``: what is left out is unknown, or has the default the schema names."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from bridge.evaluation import notation
from bridge.evaluation.scenario import WORDS, Gold, Scenario
from bridge.intake import TARGET_LABELS
from bridge.model.alert import Alert, AlertStatus
from bridge.model.evidence import Evidence
from bridge.model.policy import (
    PROTECTED_BY_DEFAULT,
    BreakerPolicy,
    Cap,
    MaintenanceWindow,
    Mode,
    Policy,
    TargetClass,
    TargetPolicy,
    narrowed,
)
from bridge.model.time_interval import TimeInterval
from bridge.model.verdict import Action, VerdictKind
from bridge.settings.findings import Path
from bridge.settings.reading import Section

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
"""The moment of a scenario that names none."""

T = TypeVar("T")
Values = dict[str, Any]


def scenario_of(section: Section) -> Scenario:
    """The scenario; what is wrong is noted, and then the value must not be used."""
    now = section.parsed("now", notation.instant, NOW)
    read = _Reader(section=section, now=now)
    alerts = read.alerts()
    evidence = read.evidence(alerts)
    labels = evidence.container.labels if evidence.container else {}
    policy, target_policy = read.policy(evidence)
    return Scenario(
        id=section.text("id", ""),
        now=now,
        alerts=alerts,
        evidence=evidence,
        policy=policy,
        target_policy=narrowed(target_policy, labels),
        gold=gold_of(section),
        paused=section.section("policy").flag("paused", default=False),
        title=section.text("title", ""),
        family=section.text("family", ""),
        tags=section.parsed_items("tags", str),
        difficulty=section.text("difficulty", "medium"),
        rationale=section.text("rationale", ""),
        author=section.text("author", ""),
    )


def gold_of(section: Section) -> Gold:
    """The gold verdict, written as a word or as a mapping."""
    word = section.text("gold", None)
    if word is not None:
        section = Section(
            values={"gold": {"verdict": word}},
            path=section.path,
            folder=section.folder,
            findings=section.findings,
        )
    node = section.section("gold")
    gold = Gold(
        verdict=node.parsed("verdict", _word, VerdictKind.ESCALATE),
        acceptable=node.parsed_items("acceptable", _word),
        forbidden=node.parsed_items("forbidden", _word),
        cause_class=node.text("cause_class", ""),
        must_cite=node.parsed_items("must_cite", str),
    )
    if any(gold.accepts(kind) for kind in gold.forbidden):
        node.note("forbidden", "forbids what is right or acceptable")
    return gold


def _word(text: str) -> VerdictKind:
    try:
        return WORDS[text.strip().lower()]
    except KeyError:
        raise ValueError(f"{text[:40]!r} is no verdict: write one of {', '.join(WORDS)}") from None


class _Reader:
    """Reads one document; every value is noted under its own path when it cannot be understood."""

    def __init__(self, *, section: Section, now: datetime) -> None:
        self._section = section
        self._now = now
        self._id = section.text("id", "")

    def alerts(self) -> tuple[Alert, ...]:
        given = self._section.values.get("alerts")
        path: Path = ("alerts",)
        if isinstance(given, dict):
            given, path = given.get("alerts"), ("alerts", "alerts")
        items = given if isinstance(given, list) else []
        return tuple(self._alert(item, (*path, index)) for index, item in enumerate(items or [{}]))

    def _alert(self, item: Any, path: Path) -> Alert:
        values: Values = {"labels": {"alertname": item}} if isinstance(item, str) else item
        labels = {str(name): _text(value) for name, value in (values.get("labels") or {}).items()}
        ends = self._time(values, "endsAt", path)
        ended = ends is not None and ends.year > 1 and ends <= self._now
        status = AlertStatus(values.get("status", "resolved" if ended else "firing"))
        return Alert(
            fingerprint=values.get("fingerprint") or _hash(repr(sorted(labels.items())))[:16],
            status=status,
            labels=labels,
            annotations={
                str(name): _text(value) for name, value in (values.get("annotations") or {}).items()
            },
            starts_at=self._time(values, "startsAt", path) or self._now - timedelta(minutes=5),
            ends_at=(ends or self._now) if status is AlertStatus.RESOLVED else None,
            generator_url=values.get("generatorURL", ""),
        )

    def evidence(self, alerts: tuple[Alert, ...]) -> Evidence:
        values = dict(self._values("evidence"))
        path: Path = ("evidence",)
        container = self._container(values.get("container"), alerts, (*path, "container"))
        over = all(alert.status is AlertStatus.RESOLVED for alert in alerts)
        whole: Values = {
            **values,
            "collected_at": self._time(values, "collected_at", path) or self._now,
            "container": container,
            "health_log": self._lines(values, "health_log", "H", path),
            "log_lines": self._lines(values, "log_lines", "L", path),
            "events": self._items(values, "events", "E", path, self._event),
            "past_repairs": self._items(values, "past_repairs", "", path, self._repair(container)),
            "replaced_at": self._time(values, "replaced_at", path),
            "alert_active": values.get("alert_active", False if over else None),
            "measures": self._measures(values.get("measures"), (*path, "measures")),
            "neighbours": self._items(values, "neighbours", "B", path, self._neighbour),
            "related_alerts": self._items(values, "related_alerts", "R", path, self._related),
            "changes": self._items(values, "changes", "C", path, self._timed("at")),
            "gaps": self._items(values, "gaps", "", path, _gap),
        }
        try:
            return msgspec.convert(whole, Evidence)
        except msgspec.ValidationError as error:
            if not self._section.findings.problems:
                self._section.findings.add(path, str(error))
            return Evidence(collected_at=self._now, container=None)

    def _container(self, given: Values | None, alerts: tuple[Alert, ...], path: Path) -> Values | None:
        if given is None:
            return None
        named = next(
            (a.labels[label] for a in alerts for label in TARGET_LABELS[1:] if label in a.labels), ""
        )
        name = given.get("name") or named or "app"
        image = given.get("image") or f"example/{name}:1.0"
        started = self._time(given, "started_at", path)
        born = min(self._now - timedelta(days=7), started or self._now)
        opted_in = self._section.section("policy").flag("opted_in", default=True)
        labels = {str(key): _text(value) for key, value in (given.get("labels") or {}).items()}
        defaults: Values = {
            "host": "local",
            "id": _hash(f"{self._id}/{name}"),
            "image_id": f"sha256:{_hash(image)}",
            "health": "none",
            "failing_streak": None,
            "exit_code": None,
            "oom_killed": None,
            "error": "",
            "restart_count": 0,
            "restart_policy": "no",
        }
        return {
            **defaults,
            **given,
            "name": name,
            "image": image,
            "labels": {"hemostat.enable": "true" if opted_in else "false", **labels},
            "created_at": self._time(given, "created_at", path) or born,
            "started_at": started,
            "finished_at": self._time(given, "finished_at", path),
            "host_now": self._time(given, "host_now", path) or self._now,
            "start_period_seconds": self._seconds(given, "start_period_seconds", path, 0.0),
            "stop_timeout_seconds": self._seconds(given, "stop_timeout_seconds", path, 10.0),
            "memory_limit_bytes": self._parsed(given, "memory_limit_bytes", path, notation.size),
            "host_memory_bytes": self._parsed(given, "host_memory_bytes", path, notation.size),
        }

    def _lines(self, values: Values, key: str, letter: str, path: Path) -> list[Values]:
        given = values.get(key)
        if isinstance(given, str):
            values = {key: given.splitlines()}

        def line(item: Any, where: Path) -> Values:
            whole = {"text": item} if isinstance(item, str) else item
            return {**whole, "at": self._time(whole, "at", where)}

        return self._items(values, key, letter, path, line)

    def _event(self, item: Values, path: Path) -> Values:
        number = self._parsed(item, "signal", path, notation.signal_number)
        return {**item, "at": self._time(item, "at", path), "signal": number}

    def _repair(self, container: Values | None) -> Callable[[Values, Path], Values]:
        target = container["id"] if container else ""

        def repair(item: Values, path: Path) -> Values:
            return {
                "action": "restart",
                "container_id": target,
                **item,
                "at": self._time(item, "at", path),
            }

        return repair

    def _neighbour(self, item: Values, path: Path) -> Values:
        return {"status": "running", **item, "started_at": self._time(item, "started_at", path)}

    def _related(self, item: Values, path: Path) -> Values:
        return {**item, "since": self._time(item, "since", path) or self._now - timedelta(minutes=10)}

    def _timed(self, key: str) -> Callable[[Values, Path], Values]:
        return lambda item, path: {**item, key: self._time(item, key, path)}

    def _measures(self, given: Any, path: Path) -> list[Values]:
        items: list[tuple[Values, Path]]
        if isinstance(given, dict):
            items = [
                ({"name": name, **(figure if isinstance(figure, dict) else {"last": figure})}, (*path, name))
                for name, figure in given.items()
            ]
        else:
            items = [(item, (*path, index)) for index, item in enumerate(given or [])]
        return [
            {"id": f"M{number}", **self._measure(item, where)}
            for number, (item, where) in enumerate(items, 1)
        ]

    def _measure(self, item: Values, path: Path) -> Values:
        points = tuple(
            self._understood(notation.number, point, (*path, "points", index), 0.0)
            for index, point in enumerate(item.get("points") or [])
        )
        last = self._parsed(item, "last", path, notation.number)
        if last is None and not points:
            self._section.findings.add((*path, "last"), "is missing: give last, or points")
        last = last if last is not None else points[-1] if points else 0.0
        mean = self._parsed(item, "mean", path, notation.number)
        highest = self._parsed(item, "max", path, notation.number)
        slope = self._parsed(item, "slope_per_minute", path, notation.number)
        return {
            **item,
            "last": last,
            "mean": mean if mean is not None else sum(points) / len(points) if points else last,
            "max": highest if highest is not None else max((*points, last)),
            "slope_per_minute": slope if slope is not None else notation.slope_per_minute(points),
            "points": points,
        }

    def policy(self, evidence: Evidence) -> tuple[Policy, TargetPolicy]:
        node, default = self._section.section("policy"), TargetPolicy()
        values, path = node.values, node.path
        caps = tuple(
            Cap(max=cap.whole("max", 3), per_seconds=self._seconds(cap.values, "per", cap.path, 3600.0))
            for cap in node.sections("caps")
        )
        breaker = node.section("breaker")
        target = TargetPolicy(
            mode=node.parsed("mode", Mode, default.mode),
            actions=node.parsed_items("actions", Action) if node.has("actions") else tuple(Action),
            cooldown_seconds=self._seconds(values, "cooldown", path, default.cooldown_seconds),
            caps=caps if node.has("caps") else default.caps,
            breaker=BreakerPolicy(
                failures=breaker.whole("failures", default.breaker.failures),
                open_for_seconds=self._seconds(
                    breaker.values, "open_for", breaker.path, default.breaker.open_for_seconds
                ),
            ),
            min_uptime_seconds=self._seconds(values, "min_uptime", path, default.min_uptime_seconds),
            wait_for_seconds=self._seconds(values, "wait_for", path, default.wait_for_seconds),
            target_class=node.parsed("class", TargetClass, default.target_class),
        )
        protected = node.parsed_items("protected", str)
        if node.flag("protected", default=False) and evidence.container is not None:
            protected = (evidence.container.name,)
        window = MaintenanceWindow(name="scenario", intervals=(TimeInterval(),))
        whole = Policy(
            root=target,
            protected=(*PROTECTED_BY_DEFAULT, *protected),
            maintenance=(window,) if node.flag("maintenance", default=False) else (),
        )
        return whole, target

    def _values(self, key: str) -> Values:
        found = self._section.values.get(key)
        return found if isinstance(found, dict) else {}

    def _items(
        self, values: Values, key: str, letter: str, path: Path, build: Callable[[Any, Path], Values]
    ) -> list[Values]:
        """The items of a list, each with the id it has or gets; none has one where ``letter`` is empty."""
        built = [build(item, (*path, key, index)) for index, item in enumerate(values.get(key) or [])]
        if not letter:
            return built
        return [{**item, "id": item.get("id") or f"{letter}{number}"} for number, item in enumerate(built, 1)]

    def _time(self, values: Mapping[str, Any], key: str, path: Path) -> datetime | None:
        return self._parsed(values, key, path, lambda text: notation.moment(text, self._now))

    def _seconds(self, values: Mapping[str, Any], key: str, path: Path, default: float) -> float:
        return float(self._understood(notation.seconds, values.get(key, default), (*path, key), default))

    def _parsed(self, values: Mapping[str, Any], key: str, path: Path, parse: Callable[[Any], T]) -> T | None:
        value = values.get(key)
        return None if value is None else self._understood(parse, value, (*path, key), None)

    def _understood(self, parse: Callable[[Any], T], value: Any, path: Path, default: T | None) -> Any:
        try:
            return parse(value)
        except ValueError as error:
            self._section.findings.add(path, str(error))
            return default


def _gap(item: Any, _: Path) -> Values:
    return {"reason": "no answer", **({"source": item} if isinstance(item, str) else item)}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
