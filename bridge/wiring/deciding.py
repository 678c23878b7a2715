"""What decides, from the settings: the part that a reload replaces whole."""

from __future__ import annotations

import re

from bridge import settings
from bridge.judgement import Ruleset
from bridge.model.evidence import Measured
from bridge.redaction import OwnPattern, Redactor
from bridge.triage import phrases
from bridge.triage.case import DEFAULTS, Thresholds


def ruleset_of(config: settings.Settings) -> Ruleset:
    """The part of the settings that decides, and that a reload replaces whole."""
    own: dict[str, list[str]] = {}
    for phrase in config.triage.phrases:
        own.setdefault(phrase.kind, []).append(phrase.pattern)
    triage = config.triage
    thresholds = Thresholds(
        crash_loop_restarts=triage.crash_loop_restarts,
        crash_exit_codes=triage.crash_exit_codes,
        deploy_seconds=triage.deploy_window_seconds,
        memory_share=triage.memory_share,
        cpu_share=triage.cpu_share,
        load_share=triage.load_share,
        errors_share=triage.errors_share,
        host_pressure=(
            (Measured.HOST_CPU_PRESSURE, triage.host_cpu_pressure),
            (Measured.HOST_MEMORY_PRESSURE, triage.host_memory_pressure),
            (Measured.HOST_IO_PRESSURE, triage.host_io_pressure),
        ),
        host_disk_share=triage.host_disk_share,
        traffic_factor=triage.traffic_factor,
        sick_neighbours=triage.sick_neighbours,
        project_share=config.policy.limits.project_share,
        flapping_fires=triage.flapping_fires,
        stateful_images=DEFAULTS.stateful_images
        if triage.stateful_images is None
        else triage.stateful_images,
        outside_alerts=(*DEFAULTS.outside_alerts, *triage.outside_alerts),
        always_firing=(*DEFAULTS.always_firing, *triage.always_firing),
        over_when_running=(*DEFAULTS.over_when_running, *triage.over_when_running),
        phrases=phrases.extended(DEFAULTS.phrases, own),
    )
    return Ruleset(
        policy=config.policy,
        thresholds=thresholds,
        redactor=redactor_of(config),
        on_failure=config.llm.on_failure,
        people_are_asked=config.slack is not None and config.slack.asks,
    )


def redactor_of(config: settings.Settings) -> Redactor:
    """What takes secrets out of text, the configuration's own patterns among them."""
    return Redactor(
        [OwnPattern(name=own.name, pattern=re.compile(own.pattern)) for own in config.redaction.patterns]
    )
