"""What happened to each container of the demo, and how it is told: lines of a timeline, a table, what was promised.

Pure: facts in, text out, width and times are arguments. Where the facts come from is `records`' business.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from rich.text import Text

from bridge.model.duration import format_duration
from bridge.model.incident import Incident, Outcome
from bridge.model.policy import TargetPolicy

PREFIX = 29
"""Columns of a line before its text: seconds, container, stage."""

NARROW = 64
"""Below this width texts go under their heading, and containers under each other, instead of beside them."""

LABEL = 20
"""Columns of the summary's headings."""

LONGEST_TEXT = 300
"""Characters of one fact; text of the outside is cut there."""


class Stage(StrEnum):
    """What kind of fact it is; its value is the word in the timeline."""

    FAULT = "fault"
    SICK = "sick"
    HEALTH = "health"
    PENDING = "pending"
    ALERT = "alert"
    WEBHOOK = "webhook"
    WAIT = "wait"
    DECISION = "decision"
    BUDGET = "budget"
    INTENT = "intent"
    ACTION = "action"
    VERIFY = "verify"
    END = "outcome"
    RESTART = "docker"


MILESTONES = (Stage.SICK, Stage.ALERT, Stage.WEBHOOK, Stage.DECISION, Stage.ACTION, Stage.END)
"""What happens once per container and bounds the legs that are measured; the first fact of the kind counts."""

STYLES = {
    Stage.SICK: "red",
    Stage.ALERT: "yellow",
    Stage.WEBHOOK: "cyan",
    Stage.DECISION: "cyan",
    Stage.ACTION: "magenta",
}
"""Every other stage is background, and dim; an outcome has a style of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that happened to one container, at the time somebody recorded it."""

    at: datetime
    container: str
    stage: Stage
    text: str

    @property
    def key(self) -> tuple[str, ...]:
        """What makes it the same fact when it is read again, perhaps with a newer time."""
        once = self.stage in MILESTONES
        return (self.container, self.stage) if once else (self.container, self.stage, self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One container of the demo: what is wrong with it, and what HemoStat is to do about it."""

    container: str
    trouble: str
    outcome: Outcome
    starts: int
    """How often HemoStat is to start it: once, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boots:
    """How often a container started, from its own log, and how many of these starts its restart policy made."""

    counted: int
    by_policy: int

    @property
    def by_hemostat(self) -> int:
        """What is left besides the first: nobody else is there to start it."""
        return self.counted - 1 - self.by_policy


@dataclass(slots=True, kw_only=True)
class Course:
    """What is known of one container so far."""

    promise: Promise
    facts: dict[tuple[str, ...], Fact] = field(default_factory=dict)
    incident: Incident | None = None
    boots: Boots | None = None

    def learn(self, facts: Iterable[Fact]) -> list[Fact]:
        """Those that are news, oldest first."""
        news = {fact.key: fact for fact in sorted(facts, key=lambda f: f.at, reverse=True)}
        fresh = [fact for key, fact in news.items() if key not in self.facts]
        self.facts |= {fact.key: fact for fact in fresh}
        return sorted(fresh, key=lambda fact: (fact.at, list(Stage).index(fact.stage)))

    def at(self, stage: Stage) -> datetime | None:
        """When a milestone was reached."""
        fact = self.facts.get((self.promise.container, stage))
        return fact.at if fact else None

    def seconds(self, start: Stage, end: Stage) -> float | None:
        """Between two milestones; `None` while one of them is missing."""
        begun, ended = self.at(start), self.at(end)
        return (ended - begun).total_seconds() if begun and ended else None

    @property
    def outcome(self) -> Outcome | None:
        """How its incident closed."""
        return self.incident.outcome if self.incident else None

    @property
    def over_at(self) -> datetime | None:
        """When its story ended; `None`: it goes on, also after an incident that was over before anything was done."""
        return None if self._to_be_continued else self.at(Stage.END)

    @property
    def _to_be_continued(self) -> bool:
        return self.outcome is Outcome.RESOLVED and self.promise.outcome is not Outcome.RESOLVED

    def follow(self, incident: Incident) -> bool:
        """Whether this incident is its story from now on.

        The first one is, unless Docker's restarts ended its alert for a moment, before anything was done: then the next.
        """
        known = self.incident
        if known is not None and known.id != incident.id:
            if not self._to_be_continued or incident.opened_at <= known.opened_at:
                return False
            self.facts.pop((self.promise.container, Stage.END), None)
        self.incident = incident
        return True


def telling(fact: Fact, course: Course, *, width: int) -> list[Text]:
    """A fact as lines of the timeline, its seconds counted from when the container fell sick; empty if left out.

    The restarts by a restart policy are told only once the incident is over: then they show who does *not* act.
    """
    if fact.stage is Stage.RESTART and not _after_the_end(fact, course):
        return []
    sick = course.at(Stage.SICK)
    seconds = f"{(fact.at - sick).total_seconds():.1f} s" if sick and fact.at >= sick else ""
    word = course.outcome.value if fact.stage is Stage.END and course.outcome else fact.stage.value
    style = _outcome(course)[1] if fact.stage is Stage.END else STYLES.get(fact.stage, "dim")
    head = Text.assemble(
        (f"{seconds:>8}", "dim"), "  ", (f"{fact.container:<6}", "bold"), "  ", (f"{word:<9}", style), "  "
    )
    body = "dim" if style == "dim" else ""
    text = fact.text if len(fact.text) <= LONGEST_TEXT else f"{fact.text[: LONGEST_TEXT - 1]}…"
    if width < NARROW:
        return [_shown(head), *(Text(f"    {line}", body) for line in wrapped(text, width - 4))]
    first, *rest = wrapped(text, width - PREFIX)
    return [head + Text(first, body), *(Text(" " * PREFIX + line, body) for line in rest)]


def _after_the_end(fact: Fact, course: Course) -> bool:
    end = course.at(Stage.END)
    return end is not None and fact.at > end


def _shown(text: Text) -> Text:
    text.rstrip()
    return text


def wrapped(text: str, width: int) -> list[str]:
    """At least one line, none longer than `width`, however narrow."""
    return textwrap.wrap(text, max(width, 16)) or [""]


def hanging(line: str, width: int) -> list[str]:
    """A line of `hemostat explain`, continued below its text where it is too long; else as it is."""
    if len(line) <= width:
        return [line]
    indent = " " * (39 if line.startswith("  20") else 11)
    return textwrap.wrap(line, width, subsequent_indent=indent if width > 2 * len(indent) else "  ")


def introduction(promises: Sequence[Promise], *, width: int) -> list[Text]:
    """The containers and what will be wrong with them."""
    lines = []
    for promise in promises:
        first, *rest = wrapped(promise.trouble, width - 11)
        lines += [Text.assemble("  ", (f"{promise.container:<6}", "bold"), "  ", first)]
        lines += [Text(" " * 10 + line) for line in rest]
    return lines


def policy_lines(policy: TargetPolicy, *, alert_for: str, usual_for: str, width: int) -> list[Text]:
    """The times of this demo beside the ones everybody else gets."""
    usual = TargetPolicy()
    pairs = [
        ("an alert fires after", alert_for, usual_for),
        *(
            (name, format_duration(here), format_duration(default))
            for name, here, default in (
                ("well when fine for", policy.verify.stable_for_seconds, usual.verify.stable_for_seconds),
                ("at the latest within", policy.verify.within_seconds, usual.verify.within_seconds),
                ("cooldown", policy.cooldown_seconds, usual.cooldown_seconds),
            )
        ),
    ]
    told = "; ".join(f"{name} {here} ({default})" for name, here, default in pairs)
    return [
        Text(line, "dim")
        for line in wrapped(f"Times are short here (in brackets the usual ones): {told}.", width)
    ]


Cell = tuple[str, str]
"""Text and style."""


def summary(courses: Sequence[Course], *, width: int) -> list[Text]:
    """One column per container, one row per question; a table for each container where there is no room for that."""
    if width < NARROW and len(courses) > 1:
        tables = [summary([course], width=width) for course in courses]
        return [line for table in tables for line in (Text(), *table)][1:]
    room = max(12, (width - LABEL) // len(courses) - 2)
    legs = (
        (Stage.SICK, Stage.ALERT),
        (Stage.ALERT, Stage.WEBHOOK),
        (Stage.WEBHOOK, Stage.DECISION),
        (Stage.DECISION, Stage.ACTION),
        (Stage.ACTION, Stage.END),
        (Stage.SICK, Stage.END),
    )
    names = {
        Stage.SICK: "sick",
        Stage.ALERT: "alert",
        Stage.WEBHOOK: "webhook",
        Stage.DECISION: "decision",
        Stage.ACTION: "action",
        Stage.END: "outcome",
    }
    rows: list[tuple[str, Callable[[Course], Cell]] | None] = [
        ("", lambda c: (c.promise.container, "bold")),
        ("what was wrong", lambda c: (c.promise.trouble, "")),
        ("verdict", lambda c: (_verdict(c), "")),
        ("by rule", lambda c: (_rule(c), "")),
        ("outcome", _outcome),
        None,
        *((f"{names[a]} → {names[b]}", _leg(a, b)) for a, b in legs),
        None,
        ("boots in its log", lambda c: (str(c.boots.counted) if c.boots else "unknown", "")),
        ("restarts by Docker", lambda c: (str(c.boots.by_policy) if c.boots else "unknown", "")),
        ("starts by HemoStat", lambda c: (str(c.boots.by_hemostat) if c.boots else "unknown", "bold")),
    ]
    lines: list[Text] = []
    for row in rows:
        if row is None:
            lines.append(Text())
        else:
            lines += _row(row[0], [row[1](course) for course in courses], room)
    return lines


def _row(heading: str, cells: Sequence[Cell], room: int) -> list[Text]:
    columns = [wrapped(text, room) for text, _ in cells]
    lines = []
    for number in range(max(map(len, columns))):
        line = Text.assemble((f"{heading if number == 0 else '':<{LABEL}}", "dim"))
        for column, (_, style) in zip(columns, cells, strict=True):
            line.append(f"{column[number] if number < len(column) else '':<{room}}  ", style)
        lines.append(_shown(line))
    return lines


def _leg(start: Stage, end: Stage) -> Callable[[Course], Cell]:
    def cell(course: Course) -> Cell:
        seconds = course.seconds(start, end)
        whole = start is Stage.SICK and end is Stage.END
        return ("-" if seconds is None else measured(seconds)), ("bold" if whole else "")

    return cell


def measured(seconds: float) -> str:
    """A measured time as precisely as one cares for it."""
    return f"{seconds:.1f} s" if seconds >= 0.95 else f"{seconds * 1000:.0f} ms"


def _verdict(course: Course) -> str:
    decision = course.incident.decision if course.incident else None
    if decision is None:
        return "none"
    return f"repair: {decision.verdict.action}" if decision.verdict.action else decision.verdict.kind.value


def _rule(course: Course) -> str:
    decision = course.incident.decision if course.incident else None
    return decision.verdict.rule if decision else "none"


def _outcome(course: Course) -> Cell:
    if course.outcome is None:
        return "not yet", "red"
    if course.outcome is not course.promise.outcome:
        return course.outcome.value, "red"
    return course.outcome.value, "green" if course.outcome is Outcome.HEALED else "yellow"


def broken(courses: Sequence[Course]) -> list[str]:
    """What was promised and did not happen, a line each; empty when the demo showed what it is for."""
    lines = []
    for course in courses:
        promise, name = course.promise, course.promise.container
        if course.outcome is None:
            lines.append(f"{name} was to end {promise.outcome}, and nothing was decided in time.")
        elif course.outcome is not promise.outcome:
            reason = course.incident.reason if course.incident else ""
            lines.append(f"{name} was to end {promise.outcome}, and ended {course.outcome}: {reason}")
        if course.boots is None:
            lines.append(f"How often {name} started could not be counted.")
        elif course.boots.by_hemostat != promise.starts:
            lines.append(
                f"HemoStat was to start {name} {times(promise.starts)}, and did so {times(course.boots.by_hemostat)}."
            )
    return lines


def verdict_on_all(courses: Sequence[Course]) -> str:
    """The demo in one sentence."""
    healed = sum(course.outcome is Outcome.HEALED for course in courses)
    escalated = [course for course in courses if course.outcome is Outcome.ESCALATED]
    left = "; ".join(
        f"Docker restarted it {times(c.boots.by_policy)}, HemoStat {times(c.boots.by_hemostat)}"
        for c in escalated
        if c.boots
    )
    return f"{healed} healed, {len(escalated)} escalated to a human" + (f" ({left})." if left else ".")


def times(number: int) -> str:
    """How often, in words that fit a sentence."""
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")
