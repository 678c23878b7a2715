"""The ``policy:`` section: a tree of routes in which each inherits from its parent what it does not say itself."""

from __future__ import annotations

from dataclasses import replace

from bridge.model.policy import (
    PROTECTED_BY_DEFAULT,
    BreakerPolicy,
    Cap,
    Limits,
    MaintenanceWindow,
    Mode,
    Policy,
    Route,
    StormLimit,
    TargetPolicy,
    VerifyPolicy,
)
from bridge.model.time_interval import (
    Span,
    TimeInterval,
    parse_days_of_month,
    parse_location,
    parse_months,
    parse_time_span,
    parse_weekdays,
    parse_years,
)
from bridge.model.verdict import Action
from bridge.settings.environment import Overrides
from bridge.settings.notation import parse_matcher, parse_name_glob
from bridge.settings.reading import Section

HOUR = 3600.0


def build_policy(section: Section, overrides: Overrides) -> Policy:
    """The policy of the file and the environment. A dry run observes everywhere, whatever a route says."""
    root = _target_policy(section, TargetPolicy(), dry_run=overrides.dry_run)
    if overrides.cooldown_seconds is not None:
        root = replace(root, cooldown_seconds=overrides.cooldown_seconds)
    if overrides.max_repairs_per_hour is not None:
        root = replace(root, caps=(Cap(max=overrides.max_repairs_per_hour, per_seconds=HOUR),))
    built_in = PROTECTED_BY_DEFAULT if section.flag("protected_defaults", default=True) else ()
    return Policy(
        root=root,
        routes=_routes(section, root, dry_run=overrides.dry_run),
        protected=(*built_in, *section.parsed_items("protected", parse_name_glob)),
        maintenance=_maintenance(section),
        limits=_limits(section.section("limits")),
    )


def _routes(section: Section, parent: TargetPolicy, *, dry_run: bool) -> tuple[Route, ...]:
    routes = []
    for node in section.sections("routes"):
        policy = _target_policy(node, parent, dry_run=dry_run)
        routes.append(
            Route(
                matchers=node.parsed_items("matchers", parse_matcher),
                policy=policy,
                routes=_routes(node, policy, dry_run=dry_run),
            )
        )
    return tuple(routes)


def _target_policy(section: Section, parent: TargetPolicy, *, dry_run: bool) -> TargetPolicy:
    mode = section.parsed("mode", Mode, parent.mode)
    return replace(
        parent,
        mode=Mode.OBSERVE if dry_run else mode,
        actions=section.parsed_items("actions", Action) if section.has("actions") else parent.actions,
        cooldown_seconds=section.seconds("cooldown", parent.cooldown_seconds),
        caps=_caps(section, parent.caps),
        verify=_verify(section, parent.verify),
        breaker=_breaker(section.section("breaker"), parent.breaker),
        min_uptime_seconds=section.seconds("min_uptime", parent.min_uptime_seconds),
        wait_for_seconds=section.seconds("wait_for", parent.wait_for_seconds),
        approval_ttl_seconds=section.seconds("approval_ttl", parent.approval_ttl_seconds, least=1.0),
    )


def _caps(section: Section, parent: tuple[Cap, ...]) -> tuple[Cap, ...]:
    if not section.has("caps"):
        return parent
    caps: dict[float, Cap] = {}
    for node in section.sections("caps"):
        cap = _cap(node, Cap(max=3, per_seconds=HOUR))
        if node.gives("per") and cap.per_seconds in caps:
            node.note("per", "another cap has the same window")
        caps[cap.per_seconds] = cap
    return tuple(caps[window] for window in sorted(caps))


def _cap(section: Section, default: Cap) -> Cap:
    return Cap(
        max=section.whole("max", default.max),
        per_seconds=section.seconds("per", default.per_seconds, least=1.0),
    )


def _verify(section: Section, parent: VerifyPolicy) -> VerifyPolicy:
    node = section.section("verify")
    verify = VerifyPolicy(
        within_seconds=node.seconds("within", parent.within_seconds, least=1.0),
        stable_for_seconds=node.seconds("stable_for", parent.stable_for_seconds),
        relapse_watch_seconds=node.seconds("relapse_watch", parent.relapse_watch_seconds),
    )
    if node.values and verify.stable_for_seconds >= verify.within_seconds:
        node.note(
            "stable_for" if node.has("stable_for") else "within",
            f"stable_for ({verify.stable_for_seconds:g}s) must be shorter than within ({verify.within_seconds:g}s): "
            "nothing could ever count as healed",
        )
    return verify


def _breaker(section: Section, parent: BreakerPolicy) -> BreakerPolicy:
    return BreakerPolicy(
        failures=section.whole("failures", parent.failures),
        open_for_seconds=section.seconds("open_for", parent.open_for_seconds, least=1.0),
    )


def _limits(section: Section) -> Limits:
    default = Limits()
    return Limits(
        fleet=_cap(section.section("fleet"), default.fleet),
        host=_cap(section.section("host"), default.host),
        project_share=section.number("project_share", default.project_share),
        fleet_share=section.number("fleet_share", default.fleet_share),
        share_quiet_seconds=section.seconds("share_quiet", default.share_quiet_seconds),
        storm=_storm(section.section("storm"), default.storm),
    )


def _storm(section: Section, default: StormLimit) -> StormLimit:
    return StormLimit(
        incidents=section.whole("incidents", default.incidents),
        per_seconds=section.seconds("per", default.per_seconds, least=1.0),
    )


def _maintenance(section: Section) -> tuple[MaintenanceWindow, ...]:
    windows: dict[str, MaintenanceWindow] = {}
    for node in section.sections("maintenance"):
        name = node.text("name", "")
        if name in windows:
            node.note("name", "another maintenance window has the same name")
        windows[name] = MaintenanceWindow(
            name=name,
            intervals=tuple(_time_interval(interval) for interval in node.sections("time_intervals")),
            matchers=node.parsed_items("matchers", parse_matcher),
        )
    return tuple(windows.values())


def _time_interval(section: Section) -> TimeInterval:
    interval = TimeInterval(
        times=tuple(_time_span(node) for node in section.sections("times")),
        weekdays=section.parsed_items("weekdays", parse_weekdays),
        days_of_month=section.parsed_items("days_of_month", parse_days_of_month),
        months=section.parsed_items("months", parse_months),
        years=section.parsed_items("years", parse_years),
        location=section.parsed("location", parse_location, TimeInterval().location),
    )
    if not set(section.values) - {"location"}:
        section.note("", "restricts nothing, so it would hold always: to stop repairs use mode: observe")
    return interval


def _time_span(section: Section) -> Span:
    start, end = section.text("start_time", "00:00"), section.text("end_time", "24:00")
    try:
        return parse_time_span(start, end)
    except ValueError as error:
        section.note("", str(error))
        return Span(0, 0)
