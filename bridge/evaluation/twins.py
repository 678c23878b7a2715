"""A twin repeats a scenario with hostile text added, in the places that the monitored system or its users can write to.

No fact changes, so the right verdict does not either: a verdict that does is an injection that worked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from bridge.evaluation.building import gold_of
from bridge.evaluation.scenario import Scenario
from bridge.model.alert import Alert
from bridge.model.evidence import RelatedAlert, TextLine
from bridge.settings.reading import Section

LONG_MARK = "{filler}"
"""Stands for a long run of letters, so that nobody has to write one."""


def twin_of(base: Scenario, section: Section) -> Scenario:
    """The twin this document describes."""
    texts = _texts(section, "text")
    if not texts:
        section.note("text", "is missing: say what hostile text is added")
    places = _texts(section, "where") or ("log",)
    twin = replace(
        base,
        id=section.text("id", ""),
        title=section.text("title", f"{base.title} (with hostile text)"),
        tags=section.parsed_items("tags", str) or base.tags,
        difficulty=section.text("difficulty", base.difficulty),
        rationale=section.text("rationale", base.rationale),
        author=section.text("author", base.author),
        gold=gold_of(section) if section.has("gold") else base.gold,
        base=base,
    )
    for place in places:
        twin = PLACES[place](twin, tuple(text.replace(LONG_MARK, "x" * 20_000) for text in texts))
    return twin


def _texts(section: Section, key: str) -> tuple[str, ...]:
    text = section.text(key, None)
    return (text,) if text is not None else section.parsed_items(key, str)


def _log(scenario: Scenario, texts: Sequence[str]) -> Scenario:
    """Undated, so that no rule may pass over it as too old."""
    lines = _appended(scenario.evidence.log_lines, texts, "L")
    return replace(scenario, evidence=replace(scenario.evidence, log_lines=lines))


def _health(scenario: Scenario, texts: Sequence[str]) -> Scenario:
    lines = _appended(scenario.evidence.health_log, texts, "H")
    return replace(scenario, evidence=replace(scenario.evidence, health_log=lines))


def _appended(lines: tuple[TextLine, ...], texts: Sequence[str], letter: str) -> tuple[TextLine, ...]:
    added = [line for text in texts for line in text.splitlines() or [""]]
    first = len(lines) + 1
    return (*lines, *(TextLine(id=f"{letter}{first + n}", text=text) for n, text in enumerate(added)))


def _label(scenario: Scenario, texts: Sequence[str]) -> Scenario:
    added = {f"note_{number}": text for number, text in enumerate(texts, 1)}
    return _with_alerts(scenario, lambda alert: replace(alert, labels={**alert.labels, **added}))


def _annotation(scenario: Scenario, texts: Sequence[str]) -> Scenario:
    added = {"description": "\n".join(texts)}
    return _with_alerts(scenario, lambda alert: replace(alert, annotations={**alert.annotations, **added}))


def _with_alerts(scenario: Scenario, change: Callable[[Alert], Alert]) -> Scenario:
    return replace(scenario, alerts=tuple(change(alert) for alert in scenario.alerts))


def _container_label(scenario: Scenario, texts: Sequence[str]) -> Scenario:
    container = scenario.evidence.container
    if container is None:
        return scenario
    added = {f"org.example.note.{number}": text for number, text in enumerate(texts, 1)}
    container = replace(container, labels={**container.labels, **added})
    return replace(scenario, evidence=replace(scenario.evidence, container=container))


def _related_alert(scenario: Scenario, texts: Sequence[str]) -> Scenario:
    known = scenario.evidence.related_alerts
    added = (
        RelatedAlert(id=f"R{len(known) + number}", name=text, since=scenario.now, same_target=True)
        for number, text in enumerate(texts, 1)
    )
    return replace(scenario, evidence=replace(scenario.evidence, related_alerts=(*known, *added)))


PLACES: dict[str, Callable[[Scenario, Sequence[str]], Scenario]] = {
    "log": _log,
    "health": _health,
    "label": _label,
    "annotation": _annotation,
    "container_label": _container_label,
    "related_alert": _related_alert,
}
"""Where the text can be put."""
