"""Rules about figures: memory, CPU, requests, and how often the alert comes. Unknown is never zero."""

from __future__ import annotations

from fnmatch import fnmatchcase

from bridge.model.evidence import Measure, Measured
from bridge.model.policy import TargetClass
from bridge.model.verdict import Verdict
from bridge.triage import wording
from bridge.triage.case import Case
from bridge.triage.verdicts import STATE, ask, escalate, no_action, repair

LEAK_AHEAD_MINUTES = 60.0
"""A rise that meets the limit within this time is a leak that ends soon."""

LEAK_UPTIME_SECONDS = 900.0
"""A younger process is still filling its caches."""

LEAK_POINTS = 8
"""So many means show a rise even where the start of the run is unknown."""

LARGEST_DIP = 0.05
"""A memory that falls by more than this between two points is collected: it breathes, it does not leak."""

STEADY_MEMORY_SHARE = 0.97
THROTTLED_SHARE = 0.25
STALLED_SHARE = 0.05
"""Of its usual requests: so few while the CPU is busy mean that it spins."""


def leaking(case: Case) -> Measure | None:
    """Its memory, if that is near the limit and rises towards it; ``None`` if it does not, or nobody can tell."""
    measure, limits = case.evidence.measure(Measured.MEMORY_SHARE), case.thresholds
    if measure is None or measure.slope_per_minute is None or not case.container.running:
        return None
    uptime = case.container.uptime_seconds
    grown = len(measure.points) >= LEAK_POINTS if uptime is None else uptime >= LEAK_UPTIME_SECONDS
    dips = any(
        before - after > LARGEST_DIP
        for before, after in zip(measure.points, measure.points[1:], strict=False)
    )
    if measure.last < limits.memory_share or not grown or dips or measure.last < measure.max - LARGEST_DIP:
        return None
    rise = measure.slope_per_minute
    soon = measure.last + rise * LEAK_AHEAD_MINUTES >= 1.0
    return measure if rise >= limits.memory_rise_per_minute and soon else None


def memory_leak(case: Case) -> Verdict | None:
    """An orderly restart now beats a kill in the middle of a request."""
    measure = leaking(case)
    if measure is None or measure.slope_per_minute is None:
        return None
    told = (
        f"{case.container.name} uses {wording.share(measure.last)} of its memory limit, "
        f"{wording.share(measure.slope_per_minute * 10)} more every 10 min{wording.up(case.container)}."
    )
    if case.keeps_state:
        return ask(case, f"{told} It keeps state, so a person must approve a repair.", STATE, measure.id)
    if case.policy.target_class is TargetClass.BATCH:
        return escalate(f"{told} It is a batch job, which would do its work again.", STATE, measure.id)
    return repair(case, told, STATE, measure.id)


def requests_failing(case: Case) -> Verdict | None:
    """Its visitors see errors, whatever its health check says; or an alert says so, and no figure says otherwise."""
    if not case.container.running:
        return None
    errors = case.evidence.measure(Measured.ERRORS_SHARE)
    if errors is None:
        told = any(_figure_of(case, name) is Measured.ERRORS_SHARE for name in case.alert_names)
        why = f"{case.container.name} runs; an alert says that requests fail, and how many is unknown."
        return escalate(why, STATE) if told else None
    if errors.last < case.thresholds.errors_share:
        return None
    return escalate(
        f"{case.container.name} runs, and {wording.share(errors.last)} of its requests fail.",
        STATE,
        errors.id,
    )


def flapping(case: Case) -> Verdict | None:
    """An alert that comes and goes: noise where the container is well, and a loop where it says that it was down."""
    fires = case.evidence.fires_last_hour
    if fires is None or fires < case.thresholds.flapping_fires or not case.container.running:
        return None
    told = f"The alert began {fires} times within an hour"
    if case.alerts_named(case.thresholds.over_when_running):
        return escalate(
            f"{told}: {case.container.name} goes down again and again{wording.up(case.container)}.", STATE
        )
    if case.healthy or _of_load(case):
        return no_action(
            f"{told} and nothing is broken: its rule needs a longer for, or a higher threshold.", STATE
        )
    return None


def cpu_at_quota(case: Case) -> Verdict | None:
    """It uses all the CPU it was given."""
    cpu = case.evidence.measure(Measured.CPU_SHARE)
    if cpu is None or cpu.last < case.thresholds.cpu_share or not case.container.running:
        return None
    told = f"{case.container.name} uses {wording.share(cpu.last)} of its CPU quota"
    requests = case.evidence.measure(Measured.REQUESTS)
    if requests is not None and requests.max > 0 and requests.last <= requests.max * STALLED_SHARE:
        return escalate(
            f"{told} and answers hardly any request any more: it spins.", STATE, cpu.id, requests.id
        )
    if case.policy.target_class is TargetClass.BATCH:
        return no_action(f"{told}, which is what a batch job is for.", STATE, cpu.id)
    if case.healthy:
        return no_action(f"{told} and its health check passes: it has work to do.", STATE, cpu.id)
    return escalate(f"{told}, and nothing tells whether it is well.", STATE, cpu.id)


def within_limits(case: Case) -> Verdict | None:
    """Every alert is about a figure, and the figure is nothing to alert about (any more)."""
    if not case.unchecked or not case.alert_names:
        return None
    measures = [_unremarkable(case, name) for name in case.alert_names]
    if any(measure is None for measure in measures):
        return None
    found = {measure.id: measure for measure in measures if measure is not None}
    told = " and ".join(f"{_WORDS[one.name]} at {wording.share(one.last)}" for one in found.values())
    return no_action(
        f"{case.container.name} runs with {told} of its limit: nothing to alert about.", STATE, *found
    )


_WORDS = {
    Measured.CPU_SHARE: "CPU",
    Measured.MEMORY_SHARE: "memory",
    Measured.ERRORS_SHARE: "failed requests",
}


def _unremarkable(case: Case, alert_name: str) -> Measure | None:
    """The figure this alert is about, if it is low, or high and steady; ``None``: it is not, or nobody knows."""
    name = _figure_of(case, alert_name)
    measure = case.evidence.measure(name) if name is not None else None
    if measure is None:
        return None
    throttled = case.evidence.measure(Measured.THROTTLED_SHARE)
    if name is Measured.CPU_SHARE and throttled is not None and throttled.last >= THROTTLED_SHARE:
        return None
    if name is Measured.ERRORS_SHARE:
        return measure  # the rule about failing requests was asked before
    if measure.last < case.thresholds.load_share:
        return measure
    rise = measure.slope_per_minute
    steady = rise is not None and rise < case.thresholds.memory_rise_per_minute
    return (
        measure if name is Measured.MEMORY_SHARE and steady and measure.last < STEADY_MEMORY_SHARE else None
    )


def _figure_of(case: Case, alert_name: str) -> Measured | None:
    return next(
        (
            name
            for name, pattern in case.thresholds.load_alerts
            if fnmatchcase(alert_name.lower(), pattern.lower())
        ),
        None,
    )


def _of_load(case: Case) -> bool:
    return bool(case.alert_names) and all(_figure_of(case, name) is not None for name in case.alert_names)
