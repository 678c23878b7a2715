"""Rules that look around the container: people at work, earlier repairs, neighbours, the host, its visitors.

A fresh process cures none of what they find. They only ever lower a verdict.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase

from bridge.model.evidence import (
    Changed,
    ContainerStatus,
    Health,
    Measure,
    Measured,
    Neighbour,
    PastRepair,
    TextLine,
)
from bridge.model.verdict import Verdict
from bridge.triage import load, phrases, wording
from bridge.triage.case import Case, of_last_run
from bridge.triage.verdicts import SHORT_RECHECK_SECONDS, STATE, escalate, left_alone, sickness, wait

UNHELPFUL = frozenset({"not_healed", "relapsed", "failed"})
"""Outcomes of a repair after which the next one has less reason to help."""

LOG_RECHECK_SECONDS = 5.0


def silenced(case: Case) -> Verdict | None:
    """An operator silenced this very alert."""
    if case.evidence.alert_silenced is not True:
        return None
    return left_alone("An operator has silenced this alert.")


def repair_did_not_help(case: Case) -> Verdict | None:
    """An earlier repair speaks against another one."""
    if not calls_for_repair(case):
        return None
    past = sorted(case.evidence.past_repairs, key=lambda repair: repair.at, reverse=True)
    cooldown = case.policy.cooldown_seconds
    helpless = [repair.outcome in UNHELPFUL for repair in past]
    if helpless[:1] == [True] and _within(case, past[0], cooldown):
        return escalate(
            f"{sickness(case)} The last repair, {_ago(case, past[0])} ago, did not last: {_outcome(past[0])}.",
            STATE,
            "P1",
        )
    patience = cooldown * case.thresholds.helpless_cooldowns
    if helpless[:2] == [True, True] and _within(case, past[0], patience):
        return escalate(
            f"{sickness(case)} The last two repairs did not help, the latest {_ago(case, past[0])} ago.",
            STATE,
            "P1",
            "P2",
        )
    if len(past) > 1 and _within(case, past[1], cooldown):
        return escalate(
            f"{sickness(case)} It was repaired twice within the last {wording.span(cooldown)} already.",
            STATE,
            "P1",
            "P2",
        )
    return None


def _within(case: Case, repair: PastRepair, seconds: float) -> bool:
    return (case.now - repair.at).total_seconds() < seconds


def _ago(case: Case, repair: PastRepair) -> str:
    return wording.span((case.now - repair.at).total_seconds())


def _outcome(repair: PastRepair) -> str:
    return repair.outcome.replace("_", " ")


def log_veto(case: Case) -> Verdict | None:
    """The container's own words speak against a repair."""
    facts, table = case.container, case.thresholds.phrases
    lines = of_last_run(case, case.evidence.log_lines)
    checks = of_last_run(case, case.evidence.health_log)
    spoken = phrases.sightings(lines, classes=table)
    checked = phrases.sightings(
        checks, classes=table, own_names=(facts.name, facts.id[:12]), of_health_check=True
    )
    by_id = {line.id: line for line in (*lines, *checks)}
    seen = [
        sighting
        for sighting in spoken + checked
        if sighting.kind != phrases.DEPENDENCY_DOWN or not _answers_again(case, by_id[sighting.line_id])
    ]
    if not seen:
        return None
    meanings = {sighting.kind: sighting.meaning for sighting in seen}
    cites = tuple(dict.fromkeys(sighting.line_id for sighting in seen))
    named = " and ".join(f"{meaning} ({kind})" for kind, meaning in meanings.items())
    reason = f"{facts.name}'s own words point to {named}, in {wording.count(len(cites), 'line')}; a restart would not help."
    return escalate(reason, *cites[:8])


def _answers_again(case: Case, line: TextLine) -> bool:
    """Whether what this line complains about is known to be well: facts beat text, and no other line counts here."""
    well = [
        neighbour
        for neighbour in case.evidence.neighbours
        if neighbour.sick is False and neighbour.health is Health.HEALTHY
    ]
    if hosts := phrases.hosts_named(line.text):
        return all(any(_bears(neighbour, host) for neighbour in well) for host in hosts)
    needed = [neighbour for neighbour in case.evidence.neighbours if neighbour.dependency]
    back = [one.started_at for one in needed if one in well and one.started_at is not None]
    return len(back) == len(needed) and line.at is not None and any(line.at < at for at in back)


def _bears(neighbour: Neighbour, host: str) -> bool:
    """Whether a host name may mean this neighbour: its own name, or a Compose service (``shop-db-1`` is ``db``)."""
    name = neighbour.name.lower()
    return name == host or name.rstrip("0123456789").rstrip("-_").endswith((f"-{host}", f"_{host}"))


def replaced_recently(case: Case) -> Verdict | None:
    """Somebody is deploying, or has just done it: another container had its name."""
    if case.evidence.replaced_at is None:
        return None
    return _settling(case, f"{case.container.name} replaced another container", case.evidence.replaced_at)


def changed_recently(case: Case) -> Verdict | None:
    """The same, told by what became another."""
    latest = max(case.evidence.changes, key=lambda change: change.at, default=None)
    if latest is None:
        return None
    return _settling(case, f"{case.container.name} got another {_THINGS[latest.kind]}", latest.at, latest.id)


_THINGS = {Changed.IMAGE: "image", Changed.CONFIG: "configuration", Changed.CONTAINER: "container"}


def _settling(case: Case, what: str, at: datetime, *cites: str) -> Verdict | None:
    age = (case.now - at).total_seconds()
    left = case.thresholds.deploy_seconds - age
    if left <= 0:
        return None
    reason = f"{what} {wording.span(age)} ago"
    if case.container.running:
        return wait(f"{reason}; the deploy gets time to settle.", left, STATE, *cites)
    return escalate(
        f"{reason} and is {case.container.status} now{wording.code(case.container)}.", STATE, *cites
    )


def evidence_partial(case: Case) -> Verdict | None:
    """What could speak against a repair could not be read; looking again is cheap."""
    if not calls_for_repair(case):
        return None
    needed = ("logs", "events") if case.exited else ("logs",)
    missing = [source for source in needed if case.gap(source)]
    if not missing:
        return None
    return wait(
        f"{sickness(case)} Its {' and '.join(missing)} could not be read.", LOG_RECHECK_SECONDS, STATE
    )


def dependency_down(case: Case) -> Verdict | None:
    """What it needs is known to be down, or is just coming up."""
    needed = [one for one in case.evidence.neighbours if one.dependency]
    down = [one for one in needed if one.sick]
    over = case.healthy and case.alerts_named(case.thresholds.over_when_running)
    if down and not over:
        reason = f"{case.container.name} needs {_listed(down)}: to be repaired first."
        return escalate(reason, STATE, *(one.id for one in down[:8]))
    coming = [
        one for one in needed if one.status is ContainerStatus.RUNNING and one.health is Health.STARTING
    ]
    if not coming or not calls_for_repair(case):
        return None
    reason = f"{sickness(case)} It needs {_listed(coming)}, which is coming up."
    return wait(reason, SHORT_RECHECK_SECONDS, STATE, *(one.id for one in coming[:8]))


def neighbours_sick(case: Case) -> Verdict | None:
    """Several at once have one cause. Where they are so many that a guard refuses, its word is the better one."""
    known = [one for one in case.evidence.neighbours if one.sick is not None]
    sick = [one for one in known if one.sick]
    # Two others of three are one trouble; two others of ten are two unlucky ones.
    many = len(sick) >= case.thresholds.sick_neighbours
    most = len(sick) >= 2 and len(sick) + 1 > case.thresholds.project_share * (len(known) + 1)
    if not (many or most) or case.suspect or not calls_for_repair(case):
        return None
    reason = f"{sickness(case)} So are others of its project ({_listed(sick)}): they have one cause."
    return escalate(reason, STATE, *(one.id for one in sick[:8]))


_TELLING = frozenset({Health.UNHEALTHY, Health.STARTING})


def _listed(neighbours: Iterable[Neighbour]) -> str:
    """By id: names are text of the monitored system."""
    return ", ".join(
        f"{one.id} ({one.health if one.health in _TELLING else one.status})" for one in list(neighbours)[:4]
    )


def host_pressure(case: Case) -> Verdict | None:
    """The host suffers, and the container with it."""
    if not calls_for_repair(case):
        return None
    limits = (*case.thresholds.host_pressure, (Measured.HOST_DISK_SHARE, case.thresholds.host_disk_share))
    high = [
        (measure, least)
        for name, least in limits
        if (measure := case.evidence.measure(name)) is not None and measure.last >= least
    ]
    if high:
        told = " and ".join(f"{_WORDS[one.name]} at {wording.share(one.last)}" for one, _ in high)
        return escalate(f"{sickness(case)} Its host has {told}.", STATE, *(one.id for one, _ in high))
    return None


_WORDS = {
    Measured.HOST_CPU_PRESSURE: "CPU pressure",
    Measured.HOST_MEMORY_PRESSURE: "memory pressure",
    Measured.HOST_IO_PRESSURE: "I/O pressure",
    Measured.HOST_DISK_SHARE: "its disk",
}


def outside_alert(case: Case) -> Verdict | None:
    """An alert that fires, too, names a cause outside. Names are untrusted, and can only lower a verdict."""
    if not calls_for_repair(case):
        return None
    about = [
        alert.id
        for alert in case.evidence.related_alerts
        if not alert.suppressed and _names_a_cause(case, alert.name)
    ]
    own = [f"A{n}" for n, name in enumerate(case.alert_names, 1) if _names_a_cause(case, name)]
    if not about and not own:
        return None
    told = wording.count(len(about) + len(own), "alert")
    return escalate(
        f"{sickness(case)} {told} that fires, too, names a cause outside of it.", STATE, *about[:8], *own[:8]
    )


def _names_a_cause(case: Case, name: str) -> bool:
    short = name.lower()[:200]
    return any(fnmatchcase(short, pattern.lower()) for pattern in case.thresholds.outside_alerts)


def runbook_veto(case: Case) -> Verdict | None:
    """The operator's own note says that it must not be restarted."""
    if not calls_for_repair(case) or not _FORBIDS.search(case.evidence.runbook.lower()):
        return None
    return escalate(f"{sickness(case)} The operator's note says not to restart it.", STATE)


_NOT = r"(?:do|must|should|may|can|could)\W{0,3}n(?:o|\W?)t|never|no"
_BETWEEN = r"\W{1,4}(?:(?:ever|be|any|to|just|simply|blindly|auto\w{0,12})\W{1,4}){0,3}"
_RESTART = r"re-?\s?start"
_FORBIDS = re.compile(
    rf"\b(?:{_NOT}){_BETWEEN}(?:{_RESTART}|start|reboot|kill|bounce|re-?creat)"
    rf"|\b(?:not|avoid|without){_BETWEEN}{_RESTART}"
    rf"|{_RESTART}\w{{0,3}}\W{{1,4}}(?:is|are)\W{{1,4}}(?:strictly\W{{1,4}})?(?:forbidden|prohibited|not|never|dangerous)"
    rf"|{_RESTART}\w{{0,3}}\W{{1,4}}(?:only|(?:needs?|requires?)\W{{1,4}}(?:an?\W{{1,4}})?(?:approval|permission|person|human|confirm))"
    rf"|\bbefore\W{{1,4}}(?:(?:you|any|an?|the)\W{{1,4}}){{0,2}}{_RESTART}"
    r"|\bhands\W{1,4}off|\bleave\W{1,4}(?:it\W{1,4}|this\W{1,4})?alone"
    r"|\b(?:nicht|kein)\W{1,4}(?:automatisch\w{0,2}\W{1,4})?neu\W?start"
)
"""A note that says no, or that somebody comes first. One that is taken for such calls a person, who reads it."""


def traffic_surge(case: Case) -> Verdict | None:
    """It drowns in requests."""
    requests = case.evidence.measure(Measured.REQUESTS)
    if requests is None or not case.container.running or not calls_for_repair(case):
        return None
    usual = _usual(requests)
    if (
        requests.last < case.thresholds.traffic_least
        or requests.last < usual * case.thresholds.traffic_factor
    ):
        return None
    told = f"{requests.last:.3g} requests a second, usually {usual:.3g}"
    return escalate(
        f"{sickness(case)} It has {told}: a surge, which a restart does not end.", STATE, requests.id
    )


def _usual(measure: Measure) -> float:
    """What it was before the last ten minutes; the mean where that is not known."""
    if len(measure.points) < 4:
        return measure.mean
    return statistics.median(measure.points[: len(measure.points) * 2 // 3])


def calls_for_repair(case: Case) -> bool:
    """Whether a later rule would want a repair: there is no other reason to ask what speaks against one."""
    return case.sick or load.leaking(case) is not None
