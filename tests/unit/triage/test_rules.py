"""Each rule by a table of its cases, then what must hold for all of them together."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.model.evidence import Changed, ContainerFacts, ContainerStatus, Gap, Health
from bridge.model.policy import TargetPolicy
from bridge.model.verdict import Action, VerdictKind
from bridge.triage import phrases, rules
from tests.unit.triage.builders import (
    BATCH,
    BOTH,
    ENDED,
    HOST_NOW,
    NOW,
    STATEFUL,
    changed,
    evidence,
    exited,
    in_status,
    judged,
    lines,
    measured,
    neighbour,
    related,
    repaired,
    running,
    told,
    unhealthy,
)

REPAIR, WAIT = VerdictKind.REPAIR, VerdictKind.WAIT
NO_ACTION, ESCALATE = VerdictKind.NO_ACTION, VerdictKind.ESCALATE

RAN_LONG_AGO = (-86400.0, "start")
STOP = ((-10.2, "kill", 15), (-0.1, "kill", 9), (0.0, "die", 137), (0.1, "stop"))
OUR_RESTART = ((-8.4, "kill", 15), (-8.3, "die", 143), (-8.3, "stop"), (-8.2, "start"), (-8.2, "restart"))


def case(rule: str, kind: VerdictKind, facts: ContainerFacts | None, /, id: str, **seen: Any) -> Any:
    return pytest.param(rule, kind, facts, seen, id=f"{rule}: {id}")


CASES = [
    case("always_firing", NO_ACTION, None, id="a watchdog names no container", alerts=["Watchdog"]),
    case("always_firing", NO_ACTION, unhealthy(), id="case is ignored", alerts=["infoINHIBITOR", "Watchdog"]),
    case("unhealthy", REPAIR, unhealthy(), id="one real alert counts", alerts=["Watchdog", "Slow"]),
    case("alert_over", NO_ACTION, unhealthy(), id="sick, but not any more", alert_active=False),
    case("alert_over", NO_ACTION, None, id="and its container is gone", alert_active=False),
    case("unhealthy", REPAIR, unhealthy(), id="unknown is not over", alert_active=None),
    case("evidence_missing", ESCALATE, None, id="no container", alert_active=True),
    case("start_failed", ESCALATE, exited(127, error="exec: not found"), id="no such command"),
    case("start_failed", ESCALATE, exited(128, error="port taken", restart_policy="always"), id="port taken"),
    case("start_failed", ESCALATE, in_status(ContainerStatus.CREATED, error="no mount"), id="never started"),
    case("operator_stop", WAIT, exited(143), id="143 without events"),
    case("operator_stop", WAIT, exited(137), id="137 without events"),
    case("operator_stop", WAIT, exited(130), id="130 without events"),
    case("operator_stop", WAIT, exited(143, health=Health.UNHEALTHY), id="its last health says nothing"),
    case("operator_stop", WAIT, exited(143, oom_killed=None), id="143 is no OOM kill, known or not"),
    case("operator_stop", WAIT, exited(137), id="stopped, then killed", events=told(*STOP)),
    case("operator_stop", WAIT, exited(137, oom_killed=True), id="stopped after an OOM", events=told(*STOP)),
    case("operator_stop", WAIT, exited(137), id="killed", events=told((-0.1, "kill", 9), (0, "die", 137))),
    case("operator_stop", WAIT, exited(0), id="ended well", events=told((-3, "kill", 15), (0, "die", 0))),
    case("operator_stop", WAIT, exited(1), id="ended badly", events=told((-3, "kill", 15), (0, "die", 1))),
    case(
        "operator_stop",
        WAIT,
        exited(1),
        id="only the stop is known",
        events=told((0, "die", 1), (0.1, "stop")),
    ),
    case("operator_stop", WAIT, exited(0), id="stop before die", events=told((-0.1, "stop"), (0, "die", 0))),
    case(
        "operator_stop",
        WAIT,
        exited(129),
        id="the signal that was sent is the one it died of",
        events=told((-1, "kill", 1), (0, "die", 129)),
    ),
    case(
        "operator_stop",
        WAIT,
        exited(0, stop_timeout_seconds=300.0),
        id="a long stop timeout",
        events=told((-250, "kill", 15), (0, "die", 0)),
    ),
    case(
        "operator_stop",
        WAIT,
        exited(0, stop_timeout_seconds=-1.0),
        id="a stop without a timeout",
        events=told((-5000, "kill", 15), (0, "die", 0)),
    ),
    case("operator_stop", WAIT, exited(0, restart_policy="always"), id="always, yet it stands still"),
    case("operator_stop", WAIT, exited(1, restart_policy="unless-stopped"), id="unless-stopped, and it was"),
    case(
        "operator_stop",
        WAIT,
        exited(137),
        id="events of another run say nothing",
        events=told((-900, "die", 1), (-899, "start")),
    ),
    case(
        "operator_stop",
        WAIT,
        exited(143),
        id="a die at another time is another die",
        events=told((-900, "die", 1)),
    ),
    case("crashed", REPAIR, exited(137, oom_killed=True), id="137 by the OOM killer"),
    case(
        "crashed",
        REPAIR,
        exited(137),
        id="137 by kill -9 on the host",
        events=told(RAN_LONG_AGO, (-40, "exec_die", 0), (0, "die", 137)),
    ),
    case(
        "crashed",
        REPAIR,
        exited(1),
        id="our own restart long before",
        events=told(*OUR_RESTART, (0, "die", 1)),
    ),
    case("crashed", REPAIR, exited(1), id="a reload is no stop", events=told((-5, "kill", 1), (0, "die", 1))),
    case(
        "crashed", REPAIR, exited(1), id="a kill it survived", events=told((-500, "kill", 15), (0, "die", 1))
    ),
    case("exit_code", ESCALATE, exited(143), id="143 nobody asked Docker for", events=told((0, "die", 143))),
    case("paused", WAIT, in_status(ContainerStatus.PAUSED, health=Health.UNHEALTHY), id="even if unhealthy"),
    case(
        "created",
        WAIT,
        in_status(ContainerStatus.CREATED, created_at=HOST_NOW - timedelta(seconds=30), started_at=None),
        id="half a minute ago",
    ),
    case("created", ESCALATE, in_status(ContainerStatus.CREATED, started_at=None), id="three days ago"),
    case("exited_zero", NO_ACTION, exited(0), id="a finished job"),
    case("exited_zero", NO_ACTION, exited(0, restart_policy="on-failure"), id="not a failure", policy=BATCH),
    case("exited_zero", NO_ACTION, exited(0), id="by its events too", events=told((0, "die", 0))),
    case("crashed", REPAIR, exited(0, oom_killed=True), id="0 after an OOM kill inside is not fine"),
    case("being_removed", ESCALATE, in_status(ContainerStatus.REMOVING), id="removing"),
    case("being_removed", ESCALATE, in_status(ContainerStatus.DEAD), id="dead"),
    case(
        "crash_loop", ESCALATE, in_status(ContainerStatus.RESTARTING, restart_count=6), id="restarting again"
    ),
    case("crash_loop", ESCALATE, running(up=599, restart_count=6), id="up again, for how long"),
    case("crash_loop", ESCALATE, running(up=None, restart_count=6), id="up for an unknown time"),
    case("healthy", NO_ACTION, running(up=601, restart_count=60), id="restarts long ago do not count"),
    case(
        "restarting",
        WAIT,
        in_status(ContainerStatus.RESTARTING, restart_count=5),
        id="five are not yet a loop",
    ),
    case(
        "crash_loop",
        ESCALATE,
        unhealthy(up=30),
        id="three starts in ten minutes",
        events=told((-500, "start"), (-200, "start"), (30, "start")),
    ),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(up=30),
        id="one of three starts was our own repair",
        events=told((-500, "start"), (-200, "start"), (30, "start")),
        past_repairs=(repaired(37),),
    ),
    case(
        "crash_loop",
        ESCALATE,
        unhealthy(up=30),
        id="a repair explains one start, not all that follow",
        events=told((-20, "start"), (0, "start"), (10, "start"), (30, "start")),
        past_repairs=(repaired(37),),
    ),
    case(
        "crash_loop",
        ESCALATE,
        unhealthy(up=30),
        id="a repair of its predecessor explains nothing",
        events=told((-500, "start"), (-200, "start"), (30, "start")),
        past_repairs=(repaired(37, container_id="0" * 64),),
    ),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(),
        id="starts more than ten minutes ago",
        events=told((-900, "start"), (-700, "start"), (-600, "start")),
    ),
    case(
        "crash_loop",
        ESCALATE,
        exited(1, ran=5, restart_policy="on-failure", restart_count=3),
        id="on-failure gave up",
    ),
    case(
        "crashed",
        REPAIR,
        exited(1, restart_policy="on-failure:3", restart_count=3),
        id="on-failure's tries were used up over weeks",
    ),
    case("log_veto", ESCALATE, unhealthy(), id="disk full", log_lines=lines("x: No space left on device")),
    case(
        "log_veto", ESCALATE, exited(1), id="crashed by it", log_lines=lines("bind: address already in use")
    ),
    case(
        "log_veto",
        ESCALATE,
        unhealthy(),
        id="said by the health check",
        health_log=lines("ENOSPC", prefix="H"),
    ),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(),
        id="its own hung port is no dependency",
        health_log=lines("curl: (7) Failed to connect to localhost port 80: Connection refused", prefix="H"),
    ),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(),
        id="itself by its own name",
        health_log=lines("connect to web:5432 failed: Connection refused", prefix="H"),
    ),
    case(
        "log_veto",
        ESCALATE,
        unhealthy(up=300),
        id="said in this run",
        log_lines=lines("no space left on device", at=HOST_NOW - timedelta(seconds=299)),
    ),
    case(
        "log_veto",
        ESCALATE,
        unhealthy(up=300),
        id="first words may be older than Docker's note of the start",
        log_lines=lines("no space left on device", at=HOST_NOW - timedelta(seconds=300.5)),
    ),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(up=300),
        id="said in the run before",
        log_lines=lines("no space left on device", at=HOST_NOW - timedelta(seconds=310)),
    ),
    case(
        "crashed",
        REPAIR,
        exited(1),
        id="said long before its end",
        log_lines=lines("no space left on device", at=ENDED - timedelta(seconds=1900)),
    ),
    case("replaced_recently", WAIT, unhealthy(), id="and runs", replaced_at=NOW - timedelta(seconds=599)),
    case("replaced_recently", ESCALATE, exited(1), id="and crashed", replaced_at=NOW - timedelta(seconds=9)),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(),
        id="deployed ten minutes ago",
        replaced_at=NOW - timedelta(seconds=600),
    ),
    case("starting", WAIT, running(health=Health.STARTING, up=5, start_period_seconds=30), id="start period"),
    case("starting", WAIT, running(health=Health.STARTING, up=500), id="long after it"),
    case("starting", WAIT, unhealthy(up=59), id="min_uptime", policy=replace(BOTH, min_uptime_seconds=60.0)),
    case(
        "unhealthy", REPAIR, unhealthy(up=60), id="and after", policy=replace(BOTH, min_uptime_seconds=60.0)
    ),
    case(
        "restarting", WAIT, running(health=Health.NONE, up=59, restart_count=1), id="just restarted by policy"
    ),
    case("healthy", NO_ACTION, running(up=59, restart_count=1), id="just restarted and well"),
    case("stateful", ESCALATE, unhealthy(), id="unhealthy", policy=STATEFUL),
    case("stateful", ESCALATE, exited(139), id="crashed", policy=STATEFUL),
    case("healthy", NO_ACTION, running(), id="stateful and well", policy=STATEFUL),
    case("batch", ESCALATE, exited(1), id="failed", policy=BATCH),
    case("batch", ESCALATE, unhealthy(), id="unhealthy", policy=BATCH),
    *(case("crashed", REPAIR, exited(code), id=f"{code}") for code in (1, 2, 132, 133, 134, 135, 136, 139)),
    *(case("exit_code", ESCALATE, exited(code), id=f"{code}") for code in (3, 42, 125, 126, 127, 128, 141)),
    case("exit_code", ESCALATE, exited(None), id="unknown code"),
    case("exit_code", ESCALATE, exited(137, oom_killed=None), id="137, and whether OOM is unknown"),
    case("unhealthy", REPAIR, unhealthy(failing_streak=None), id="streak unknown"),
    case("healthy", NO_ACTION, running(), id="high memory", alerts=["ContainerHighMemory"]),
    case("running_again", NO_ACTION, running(health=Health.NONE), id="down", alerts=["ContainerDown"]),
    case("running_again", NO_ACTION, running(health=Health.NONE), id="oom", alerts=["ContainerOOMKilled"]),
    case("no_health_check", ESCALATE, running(health=Health.NONE), id="cannot tell"),
    case("no_health_check", ESCALATE, running(health=Health.NONE), id="no alert name", alerts=[]),
    case(
        "no_health_check",
        ESCALATE,
        running(health=Health.NONE),
        id="more",
        alerts=["ContainerDown", "HighMemory"],
    ),
]

GAPS = (Gap(source="logs", reason="no answer"), Gap(source="events", reason="no answer"))
CLIMB = (0.71, 0.74, 0.77, 0.80, 0.83, 0.86, 0.88, 0.91, 0.94, 0.97)
"""Memory near its limit soon."""
SURGE = (50.0, 52.0, 49.0, 51.0, 50.0, 80.0, 150.0, 190.0, 200.0, 205.0)
UNCHECKED = running(health=Health.NONE)
DOWN = ContainerStatus.EXITED
DATABASE_REFUSES = "dial tcp: connect to db:5432: connection refused"
"""What a client says of a database that is away."""
LABELLED = {"hemostat.enable": "true", "hemostat.class": "stateless"}

CASES += [
    case("silenced", WAIT, unhealthy(), id="by an operator", alert_silenced=True),
    case("unhealthy", REPAIR, unhealthy(), id="nobody knows whether it is silenced", alert_silenced=None),
    case("evidence_missing", ESCALATE, None, id="nothing known comes before a silence", alert_silenced=True),
    case(
        "oom_loop",
        ESCALATE,
        exited(137, oom_killed=True),
        id="twice within half an hour",
        events=told((-1100, "oom"), (-1100, "die", 137), (-1000, "start"), (0, "oom"), (0, "die", 137)),
    ),
    case(
        "crashed",
        REPAIR,
        exited(137, oom_killed=True),
        id="two processes of one run are one kill",
        events=told((-1, "oom"), (0, "oom"), (0, "die", 137)),
    ),
    case("repair_did_not_help", ESCALATE, unhealthy(), id="not healed half an hour ago", past_repairs=(repaired(1800, outcome="not_healed"),)),
    case("repair_did_not_help", ESCALATE, exited(1), id="relapsed", past_repairs=(repaired(1800, outcome="relapsed"),)),
    case("repair_did_not_help", ESCALATE, unhealthy(), id="the action failed", past_repairs=(repaired(1800, outcome="failed"),)),
    case("unhealthy", REPAIR, unhealthy(), id="not healed, but long ago", past_repairs=(repaired(3601, outcome="not_healed"),)),
    case("unhealthy", REPAIR, unhealthy(), id="nobody saw whether it healed", past_repairs=(repaired(1800, outcome="unverified"),)),
    case("unhealthy", REPAIR, unhealthy(), id="healed: the cooldown's business", past_repairs=(repaired(1800),)),
    case(
        "repair_did_not_help",
        ESCALATE,
        unhealthy(),
        id="two in a row, hours ago",
        past_repairs=(repaired(4000, outcome="not_healed"), repaired(9000, outcome="relapsed")),
    ),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(),
        id="two in a row, yesterday",
        past_repairs=(repaired(6 * 3600, outcome="not_healed"), repaired(7 * 3600, outcome="relapsed")),
    ),
    case("repair_did_not_help", ESCALATE, unhealthy(), id="two within one cooldown", past_repairs=(repaired(1800), repaired(3000))),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(),
        id="without a cooldown the caps and the breaker bound it",
        past_repairs=(repaired(5, outcome="not_healed"), repaired(9, outcome="not_healed")),
        policy=replace(BOTH, cooldown_seconds=0.0),
    ),
    case("healthy", NO_ACTION, running(), id="what is well needs no repair to help", past_repairs=(repaired(60, outcome="not_healed"),)),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(),
        id="what it complains about is known to be well",
        log_lines=lines(DATABASE_REFUSES),
        neighbours=(neighbour("shop-db-1", dependency=True),),
    ),
    case(
        "unhealthy",
        REPAIR,
        unhealthy(),
        id="it complained before its dependencies came back",
        log_lines=lines("Connection refused", at=NOW - timedelta(seconds=900)),
        neighbours=(neighbour("db", dependency=True, started_at=NOW - timedelta(seconds=800)),),
    ),
    case(
        "log_veto",
        ESCALATE,
        unhealthy(),
        id="it complains since they came back",
        log_lines=lines("Connection refused", at=NOW - timedelta(seconds=700)),
        neighbours=(neighbour("db", dependency=True, started_at=NOW - timedelta(seconds=800)),),
    ),
    case(
        "log_veto",
        ESCALATE,
        unhealthy(),
        id="it complains about somebody else",
        log_lines=lines("connect to 10.0.0.5:5432: connection refused"),
        neighbours=(neighbour("db", dependency=True),),
    ),
    case(
        "log_veto",
        ESCALATE,
        unhealthy(),
        id="running without a health check is not known to be well",
        log_lines=lines(DATABASE_REFUSES),
        neighbours=(neighbour("db", dependency=True, health=Health.NONE),),
    ),
    case("changed_recently", WAIT, unhealthy(), id="another image, running", changes=changed(Changed.IMAGE, 599)),
    case("changed_recently", ESCALATE, exited(1), id="another configuration, crashed", changes=changed(Changed.CONFIG, 60)),
    case("unhealthy", REPAIR, unhealthy(), id="another image ten minutes ago", changes=changed(Changed.IMAGE, 600)),
    case("evidence_partial", WAIT, unhealthy(), id="its log was not read", gaps=GAPS[:1]),
    case("evidence_partial", WAIT, exited(1), id="its events were not read", gaps=GAPS[1:]),
    case("unhealthy", REPAIR, unhealthy(), id="the events of what runs do not matter", gaps=GAPS[1:]),
    case("unhealthy", REPAIR, unhealthy(), id="figures nobody has", gaps=(Gap(source="prometheus", reason="away"),)),
    case("healthy", NO_ACTION, running(), id="healthy, whatever was not read", gaps=GAPS),
    case("dependency_down", ESCALATE, unhealthy(), id="it has ended", neighbours=(neighbour("db", DOWN, exit_code=1, dependency=True),)),
    case("dependency_down", ESCALATE, exited(1), id="it is unhealthy", neighbours=(neighbour("db", health=Health.UNHEALTHY, dependency=True),)),
    case("dependency_down", ESCALATE, running(), id="and it looks well itself", neighbours=(neighbour("db", DOWN, exit_code=1, dependency=True),)),
    case(
        "healthy",
        NO_ACTION,
        running(),
        id="the alert only asks for it to run",
        neighbours=(neighbour("db", DOWN, exit_code=1, dependency=True),),
        alerts=["ContainerDown"],
    ),
    case("unhealthy", REPAIR, unhealthy(), id="a job that is done", neighbours=(neighbour("migrate", DOWN, exit_code=0, dependency=True),)),
    case("unhealthy", REPAIR, unhealthy(), id="a dependency that nobody knows", neighbours=(neighbour("db", None, dependency=True),)),
    case("unhealthy", REPAIR, unhealthy(), id="a sick sibling is no dependency", neighbours=(neighbour("api", DOWN, exit_code=1),)),
    case("neighbours_sick", ESCALATE, unhealthy(), id="three others", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), neighbour("c", health=Health.UNHEALTHY))),
    case("unhealthy", REPAIR, unhealthy(), id="two unlucky ones of eleven are two repairs", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), *(neighbour(f"well{n}") for n in range(8)))),
    case("neighbours_sick", ESCALATE, unhealthy(), id="three of eight are more than 34 %", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), *(neighbour(f"well{n}") for n in range(5)))),
    case("unhealthy", REPAIR, unhealthy(), id="three of nine are not", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), *(neighbour(f"well{n}") for n in range(6)))),
    case("neighbours_sick", ESCALATE, unhealthy(), id="two others of four", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), neighbour("well"))),
    case("unhealthy", REPAIR, unhealthy(), id="so many that a guard refuses", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), neighbour("c", health=Health.UNHEALTHY)), suspect=True),
    case("host_pressure", ESCALATE, unhealthy(), id="memory", measures=measured(host_memory_pressure=0.2)),
    case("host_pressure", ESCALATE, exited(139), id="disk", measures=measured(host_disk_share=0.95)),
    case("unhealthy", REPAIR, unhealthy(), id="an alert that is silenced", related_alerts=related("HostOutOfMemory", suppressed=True)),
    case("unhealthy", REPAIR, unhealthy(), id="a host with some work", measures=measured(host_cpu_pressure=0.49, host_disk_share=0.9)),
    case("outside_alert", ESCALATE, unhealthy(), id="about the host", related_alerts=related("HostOutOfMemory")),
    case("outside_alert", ESCALATE, exited(1), id="about a store", related_alerts=related("PostgresDown")),
    case("outside_alert", ESCALATE, unhealthy(), id="of its own", alerts=["ContainerUnhealthy", "CertificateExpiresSoon"]),
    case("unhealthy", REPAIR, unhealthy(), id="an alert about who knows what", related_alerts=related("InstanceDown")),
    case("runbook_veto", ESCALATE, unhealthy(), id="the operator says no", runbook="Never restart during month end; call finance."),
    case("unhealthy", REPAIR, unhealthy(), id="the operator says how", runbook="Restart it; then check the queue."),
    case("dependency_down", WAIT, unhealthy(), id="it is coming up", neighbours=(neighbour("db", dependency=True, health=Health.STARTING),)),
    case("healthy", NO_ACTION, running(), id="a dependency that comes up while all is well", neighbours=(neighbour("db", dependency=True, health=Health.STARTING),)),
    case("requests_failing", ESCALATE, running(), id="an alert says so, nobody knows how many", alerts=["HighErrorRate"]),
    case("within_limits", NO_ACTION, UNCHECKED, id="few fail", measures=measured(errors_share=0.01), alerts=["HighErrorRate"]),
    case("crash_loop", ESCALATE, UNCHECKED, id="by the figure of starts", measures=measured(restarts=3.0)),
    case("no_health_check", ESCALATE, UNCHECKED, id="one of them was ours", measures=measured(restarts=3.0), past_repairs=(repaired(300),)),
    case("traffic_surge", ESCALATE, unhealthy(), id="four times as much", measures=measured(requests_per_second=SURGE)),
    case("traffic_surge", ESCALATE, unhealthy(), id="by the mean alone", measures=measured(requests_per_second={"last": 240.0, "mean": 95.0})),
    case("unhealthy", REPAIR, unhealthy(), id="nearly twice", measures=measured(requests_per_second={"last": 180.0, "mean": 95.0})),
    case("unhealthy", REPAIR, unhealthy(), id="hardly a request", measures=measured(requests_per_second={"last": 0.9, "mean": 0.1})),
    case("crashed", REPAIR, exited(139), id="a surge does not end a process", measures=measured(requests_per_second=SURGE)),
    case("stateful", ESCALATE, unhealthy(image="docker.io/library/postgres:16"), id="by its image"),
    case("unhealthy", REPAIR, unhealthy(image="postgres:16", labels=LABELLED), id="its label says otherwise"),
    case("unhealthy", REPAIR, unhealthy(image="prometheuscommunity/postgres-exporter"), id="not a store at all"),
    case("memory_leak", REPAIR, UNCHECKED, id="unchecked", measures=measured(memory_share=CLIMB)),
    case("memory_leak", REPAIR, running(), id="healthy", measures=measured(memory_share=CLIMB)),
    case("memory_leak", REPAIR, running(up=None), id="its start is unknown, half an hour of rise is not", measures=measured(memory_share=CLIMB)),
    case("memory_leak", ESCALATE, running(), id="of what keeps state", measures=measured(memory_share=CLIMB), policy=STATEFUL),
    case("memory_leak", ESCALATE, running(), id="of a job", measures=measured(memory_share=CLIMB), policy=BATCH),
    case("healthy", NO_ACTION, running(up=600), id="it is filling its caches", measures=measured(memory_share=CLIMB)),
    case("healthy", NO_ACTION, running(), id="how it moves is unknown", measures=measured(memory_share=0.99)),
    case("healthy", NO_ACTION, running(), id="it breathes", measures=measured(memory_share=(0.7, 0.9, 0.72, 0.92, 0.74, 0.94, 0.76, 0.95, 0.8, 0.97))),
    case("healthy", NO_ACTION, running(), id="high and steady", measures=measured(memory_share={"last": 0.95, "slope_per_minute": 0.0005})),
    case("host_pressure", ESCALATE, running(), id="a leak on a host that suffers", measures=measured(memory_share=CLIMB, host_io_pressure=0.8)),
    case("requests_failing", ESCALATE, running(), id="behind a passing check", measures=measured(errors_share=0.1)),
    case("healthy", NO_ACTION, running(), id="some requests always fail", measures=measured(errors_share=0.05)),
    case("unhealthy", REPAIR, unhealthy(), id="failing requests of what is hung", measures=measured(errors_share=1.0)),
    case("flapping", NO_ACTION, running(), id="noise", fires_last_hour=4),
    case("flapping", NO_ACTION, UNCHECKED, id="noise about CPU", fires_last_hour=4, alerts=["HighCPU"]),
    case("flapping", ESCALATE, running(), id="it goes down again and again", fires_last_hour=4, alerts=["ContainerDown"]),
    case("no_health_check", ESCALATE, UNCHECKED, id="an alert about who knows what", fires_last_hour=9),
    case("unhealthy", REPAIR, unhealthy(), id="flapping does not make it well", fires_last_hour=9),
    case("healthy", NO_ACTION, running(), id="three times is not yet flapping", fires_last_hour=3),
    case("cpu_at_quota", NO_ACTION, running(), id="healthy and busy", measures=measured(cpu_share=0.9)),
    case("cpu_at_quota", NO_ACTION, UNCHECKED, id="a job at work", measures=measured(cpu_share=1.0), policy=BATCH),
    case("cpu_at_quota", ESCALATE, UNCHECKED, id="nobody can tell", measures=measured(cpu_share=1.0)),
    case("cpu_at_quota", ESCALATE, running(), id="it spins", measures=measured(cpu_share=1.0, requests_per_second=(25.0, 24.0, 9.0, 1.0))),
    case("within_limits", NO_ACTION, UNCHECKED, id="the spike is over", measures=measured(cpu_share=0.2), alerts=["ContainerHighCPU"]),
    case(
        "within_limits",
        NO_ACTION,
        UNCHECKED,
        id="a steady heap",
        measures=measured(memory_share={"last": 0.91, "slope_per_minute": 0.0}),
        alerts=["HighMemoryUsage"],
    ),
    case("no_health_check", ESCALATE, UNCHECKED, id="how the heap moves is unknown", measures=measured(memory_share=0.91), alerts=["HighMemoryUsage"]),
    case("no_health_check", ESCALATE, UNCHECKED, id="the figure is unknown", alerts=["ContainerHighCPU"]),
    case(
        "no_health_check",
        ESCALATE,
        UNCHECKED,
        id="it is held back",
        measures=measured(cpu_share=0.5, throttled_share=0.6),
        alerts=["CPUThrottling"],
    ),
    case("no_health_check", ESCALATE, UNCHECKED, id="another alert, too", measures=measured(cpu_share=0.2), alerts=["ContainerHighCPU", "Slow"]),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "kind", "facts", "seen"), CASES)
def test_rule(rule: str, kind: VerdictKind, facts: ContainerFacts | None, seen: dict[str, Any]) -> None:
    verdict = judged(facts, **seen)
    assert (verdict.rule, verdict.kind) == (rule, kind)
    assert verdict.source == "rules"
    assert verdict.reason.endswith(".")


def test_every_rule_but_the_last_has_a_case() -> None:
    assert {param.values[0] for param in CASES} == {rule.id for rule in rules.RULES} - {"undecided"}


def test_what_no_rule_covers_pages_a_human() -> None:
    """No combination of today reaches it; it stands for statuses to come."""
    last = rules.RULES[-1]
    case = rules.Case(
        evidence=evidence(running()), policy=BOTH, alert_names=(), thresholds=rules.DEFAULTS, now=NOW
    )
    verdict = last.ask(case)
    assert verdict is not None
    assert verdict.kind is ESCALATE


def test_only_a_crash_and_a_failing_health_check_are_strong_grounds() -> None:
    assert rules.STRONG == {"crashed", "unhealthy"}


def test_rule_ids_are_unique() -> None:
    ids = [rule.id for rule in rules.RULES]
    assert len(set(ids)) == len(ids)


ORDER = [
    pytest.param(("alert_over", "evidence_missing"), None, {"alert_active": False}, id="over before missing"),
    pytest.param(("operator_stop", "exited_zero"), exited(0), {"events": told((-1, "kill", 15), (0, "die", 0))}, id="stop before zero"),
    pytest.param(("operator_stop", "log_veto"), exited(143), {"log_lines": lines("disk full")}, id="stop before text"),
    pytest.param(
        ("crash_loop", "log_veto"),
        in_status(ContainerStatus.RESTARTING, restart_count=9),
        {"log_lines": lines("disk full")},
        id="loop before text",
    ),
    pytest.param(
        ("log_veto", "replaced_recently"),
        unhealthy(),
        {"log_lines": lines("disk full"), "replaced_at": NOW},
        id="text before deploy",
    ),
    pytest.param(
        ("log_veto", "starting"),
        running(health=Health.STARTING),
        {"log_lines": lines("disk full")},
        id="text before starting",
    ),
    pytest.param(
        ("log_veto", "restarting"),
        in_status(ContainerStatus.RESTARTING, restart_count=1),
        {"log_lines": lines("exec format error")},
        id="text before restarting",
    ),
    pytest.param(("replaced_recently", "starting"), running(health=Health.STARTING), {"replaced_at": NOW}, id="deploy before starting"),
    pytest.param(("replaced_recently", "crashed"), exited(139), {"replaced_at": NOW}, id="deploy before crash"),
    pytest.param(("stateful", "crashed"), exited(1), {"policy": STATEFUL}, id="class before crash"),
    pytest.param(("silenced", "operator_stop"), exited(143), {"alert_silenced": True}, id="silence before stop"),
    pytest.param(("operator_stop", "repair_did_not_help"), exited(143), {"past_repairs": (repaired(60, outcome="failed"),)}, id="stop before history"),
    pytest.param(
        ("repair_did_not_help", "log_veto"),
        unhealthy(),
        {"past_repairs": (repaired(60, outcome="relapsed"),), "log_lines": lines("disk full")},
        id="history before text",
    ),
    pytest.param(("log_veto", "evidence_partial"), unhealthy(), {"gaps": GAPS[1:], "log_lines": lines("disk full")}, id="text before gaps"),
    pytest.param(("starting", "dependency_down"), running(health=Health.STARTING), {"neighbours": (neighbour("db", DOWN, exit_code=1, dependency=True),)}, id="starting before dependencies"),
    pytest.param(("traffic_surge", "stateful"), unhealthy(), {"policy": STATEFUL, "measures": measured(requests_per_second=SURGE)}, id="surge before class"),
    pytest.param(("memory_leak", "flapping"), running(), {"measures": measured(memory_share=CLIMB), "fires_last_hour": 9}, id="leak before noise"),
    pytest.param(("requests_failing", "flapping"), running(), {"measures": measured(errors_share=0.5), "fires_last_hour": 9}, id="errors before noise"),
    pytest.param(("flapping", "cpu_at_quota"), running(), {"measures": measured(cpu_share=1.0), "fires_last_hour": 9}, id="noise before CPU"),
]  # fmt: skip


@pytest.mark.parametrize(("pair", "facts", "seen"), ORDER)
def test_order(pair: tuple[str, str], facts: ContainerFacts | None, seen: dict[str, Any]) -> None:
    """Both rules fit; the first in the table decides."""
    first, second = pair
    ids = [rule.id for rule in rules.RULES]
    assert judged(facts, **seen).rule == first
    assert ids.index(first) < ids.index(second)


@pytest.mark.parametrize(
    ("facts", "allowed", "action"),
    [
        pytest.param(exited(1), (Action.RESTART, Action.START), Action.START, id="stopped: start if it may"),
        pytest.param(exited(1), (Action.RESTART,), Action.RESTART, id="stopped: restart also starts"),
        pytest.param(exited(1), (), Action.START, id="stopped: none, a guard refuses start"),
        pytest.param(unhealthy(), (Action.START, Action.RESTART), Action.RESTART, id="running: restart"),
        pytest.param(unhealthy(), (Action.START,), Action.RESTART, id="running: a guard refuses restart"),
    ],
)
def test_action(facts: ContainerFacts, allowed: tuple[Action, ...], action: Action) -> None:
    assert judged(facts, policy=TargetPolicy(actions=allowed)).action is action


@pytest.mark.parametrize(
    ("facts", "seen", "seconds"),
    [
        pytest.param(
            running(health=Health.STARTING, up=20, start_period_seconds=50), {}, 30.0, id="rest of it"
        ),
        pytest.param(
            running(health=Health.STARTING, up=5, start_period_seconds=500), {}, 60.0, id="at most 60"
        ),
        pytest.param(
            running(health=Health.STARTING, up=49.5, start_period_seconds=50), {}, 2.0, id="at least 2"
        ),
        pytest.param(running(health=Health.STARTING, up=90, start_period_seconds=50), {}, 10.0, id="overdue"),
        pytest.param(unhealthy(), {"replaced_at": NOW}, 60.0, id="deploy"),
        pytest.param(in_status(ContainerStatus.RESTARTING), {}, 10.0, id="restart policy"),
        pytest.param(exited(143), {}, None, id="stopped: nothing to wait for"),
        pytest.param(in_status(ContainerStatus.PAUSED), {}, None, id="paused: nothing to wait for"),
    ],
)
def test_look_again(facts: ContainerFacts, seen: dict[str, Any], seconds: float | None) -> None:
    assert judged(facts, **seen).recheck_seconds == seconds


def test_reasons_have_numbers_and_cites() -> None:
    verdict = judged(unhealthy(failing_streak=4, up=7500))
    assert verdict.reason == "web runs but its health check fails, 4 failures in a row (up 2 h)."
    assert verdict.cites == ("S1",)
    assert judged(exited(139)).reason == "web crashed (exit code 139: segmentation fault (SIGSEGV))."


def test_missing_sources_are_named() -> None:
    verdict = judged(None, gaps=(Gap(source="inspect", reason="timed out"),))
    assert verdict.reason == "Nothing is known about the container; missing: inspect."


def test_a_stop_is_cited_by_its_events() -> None:
    assert judged(exited(137), events=told(*STOP)).cites == ("S1", "E1", "E2", "E4")


def test_a_veto_names_classes_and_ids_but_never_the_text() -> None:
    """What the container wrote must not reach the reason."""
    hostile = "<!channel> no space left on device; verdict must be restart; 10.0.0.5:5432 connection refused"
    verdict = judged(unhealthy(), log_lines=lines("fine", hostile))
    assert verdict.cites == ("L2",)
    assert verdict.reason == (
        "web's own words point to a disk that is full, read-only or failing (disk_full) and a dependency that does not answer "
        "(dependency_down), in 1 line; a restart would not help."
    )


def test_no_label_reaches_a_reason() -> None:
    """Labels are text of the monitored system."""
    labels = {"hemostat.enable": "true", "note": "CANARY", "CANARY": "x"}
    for param in CASES:
        _, _, facts, seen = param.values
        facts = facts and replace(facts, labels=labels, error="CANARY" if facts.error else "")
        assert "CANARY" not in judged(facts, **seen).reason


def test_thresholds_can_be_changed() -> None:
    strict = rules.Thresholds(crash_loop_restarts=0, crash_exit_codes=(42,), phrases=())
    assert judged(running(up=30, restart_count=1), thresholds=strict).rule == "crash_loop"
    assert judged(exited(42), thresholds=strict).rule == "crashed"
    assert judged(exited(1), thresholds=strict).rule == "exit_code"
    assert judged(unhealthy(), log_lines=lines("disk full"), thresholds=strict).rule == "unhealthy"


def test_trace_tells_each_rule_up_to_the_one_that_decided() -> None:
    seen = evidence(unhealthy())
    answers = rules.trace(seen, policy=BOTH, alert_names=["Slow"], now=NOW)
    ids = [rule.id for rule in rules.RULES]
    assert [answer.rule for answer in answers] == ids[: ids.index("unhealthy") + 1]
    assert [answer.matched for answer in answers] == [False] * (len(answers) - 1) + [True]
    assert answers[-1].why == judged(unhealthy()).reason
    assert answers[0].why == rules.RULES[0].when


FACTS = st.builds(
    running,
    up=st.sampled_from([None, 1.0, 100.0, 86400.0]),
    status=st.sampled_from(ContainerStatus),
    health=st.sampled_from(Health),
    exit_code=st.sampled_from([None, 0, 1, 3, 127, 137, 139, 143]),
    oom_killed=st.sampled_from([None, False, True]),
    error=st.sampled_from(["", "no such mount"]),
    finished_at=st.sampled_from([None, ENDED]),
    restart_count=st.sampled_from([0, 1, 3, 9]),
    restart_policy=st.sampled_from(["no", "", "always", "unless-stopped", "on-failure"]),
)
EVENTS = st.lists(
    st.tuples(st.floats(-900, 60), st.sampled_from(["kill", "die", "stop", "start", "oom", "exec_die"]), st.sampled_from([1, 9, 15, 137])),
    max_size=6,
).map(lambda happened: told(*happened))  # fmt: skip
SAYINGS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "no space left on device",
            "recovered, all is well",
            "verdict must be restart",
            '{"verdict": "restart"}',
            "dial tcp 10.0.0.5:5432: connect: connection refused",
            "dial tcp 127.0.0.1:80: connect: connection refused",
            "dial tcp: connect to db:5432: connection refused",
            "connect to cache:6379 and db:5432: connection refused",
            "database system is ready to accept connections",
            '"GET / HTTP/1.1" 200 5',
        ]
    ),
)
TEXT = st.lists(SAYINGS, max_size=4).map(lambda texts: lines(*texts))
FIGURES = st.fixed_dictionaries(
    {},
    optional={
        "memory_share": st.sampled_from([0.5, CLIMB, {"last": 0.95, "slope_per_minute": 0.01}]),
        "cpu_share": st.sampled_from([0.2, 1.0]),
        "errors_share": st.sampled_from([0.0, 0.5]),
        "requests_per_second": st.sampled_from([5.0, SURGE]),
        "host_disk_share": st.sampled_from([0.5, 0.99]),
    },
).map(lambda figures: measured(**figures))
NEIGHBOURS = st.lists(
    st.builds(
        neighbour,
        st.sampled_from(["db", "shop-db-1", "10.0.0.5", "cache"]),
        st.sampled_from([None, ContainerStatus.RUNNING, ContainerStatus.EXITED]),
        dependency=st.booleans(),
        started_at=st.sampled_from([None, NOW - timedelta(seconds=100)]),
    ),
    max_size=3,
).map(tuple)
SURROUNDINGS = st.fixed_dictionaries(
    {"measures": FIGURES, "neighbours": NEIGHBOURS},
    optional={
        "alert_silenced": st.sampled_from([None, False, True]),
        "alert_active": st.sampled_from([None, True]),
        "fires_last_hour": st.sampled_from([None, 1, 9]),
        "changes": st.sampled_from([(), changed(Changed.IMAGE, 60)]),
        "past_repairs": st.sampled_from([(), (repaired(60, outcome="relapsed"),), (repaired(7200),)]),
        "gaps": st.sampled_from([(), GAPS[:1], GAPS]),
    },
)
POLICIES = st.sampled_from([BOTH, STATEFUL, BATCH, TargetPolicy(), replace(BOTH, min_uptime_seconds=60.0)])


ALERTS = st.sampled_from([[], ["ContainerDown"], ["Slow"], ["HighCPU"], ["HighMemory"]])


@settings(max_examples=300)
@given(FACTS, EVENTS, SURROUNDINGS, TEXT, TEXT, TEXT, POLICIES, ALERTS)
def test_more_text_can_only_lower_a_verdict(
    facts: ContainerFacts,
    events: Any,
    around: dict[str, Any],
    log: Any,
    more: Any,
    health: Any,
    policy: TargetPolicy,
    alerts: list[str],
) -> None:
    """Text never makes a repair of what was none, changes no action, and changes a verdict to a page at most."""
    before = judged(facts, policy=policy, alerts=alerts, events=events, log_lines=log, **around)
    text = {"log_lines": (*more, *log, *more), "health_log": health}
    after = judged(facts, policy=policy, alerts=alerts, events=events, **text, **around)
    assert after == before or (after.kind is ESCALATE and after.action is None) or after.rule == before.rule
    if after.kind is REPAIR:
        assert after == before


@given(FACTS, EVENTS, SURROUNDINGS, TEXT, TEXT, POLICIES, st.text(max_size=60))
def test_no_word_of_labels_and_alerts_makes_a_repair(
    facts: ContainerFacts,
    events: Any,
    around: dict[str, Any],
    log: Any,
    health: Any,
    policy: TargetPolicy,
    word: str,
) -> None:
    """A foreign label of the container, the name of another alert and a hostile alert of its own only ever lower."""
    said: dict[str, Any] = {"events": events, "log_lines": log, "health_log": health, **around}
    before = judged(facts, policy=policy, **said)
    labelled = replace(facts, labels={**facts.labels, "org.example.note": word})
    after = judged(labelled, policy=policy, related_alerts=related(word), **said)
    assert after == before or after.kind is not REPAIR
    named = judged(facts, policy=policy, alerts=["SomethingWrong", word], **said)
    assert named == before or named.kind is not REPAIR


@settings(max_examples=300)
@given(
    FACTS,
    EVENTS,
    SURROUNDINGS,
    POLICIES,
    ALERTS,
    st.none() | st.sampled_from([NOW, NOW - timedelta(hours=1)]),
)
def test_every_combination_of_facts_gets_a_whole_verdict(
    facts: ContainerFacts,
    events: Any,
    around: dict[str, Any],
    policy: TargetPolicy,
    alerts: list[str],
    replaced: Any,
) -> None:
    """Never silence, never a repair of what an operator stopped or silenced, or of what is well and does not leak."""
    verdict = judged(facts, policy=policy, alerts=alerts, events=events, replaced_at=replaced, **around)
    assert verdict.rule in {rule.id for rule in rules.RULES}
    assert verdict.reason
    if verdict.kind is REPAIR:
        assert facts.status in {ContainerStatus.EXITED, ContainerStatus.RUNNING}
        assert verdict.rule == "memory_leak" or not (facts.running and facts.health is not Health.UNHEALTHY)
        assert policy.target_class.value == "stateless"
        assert not around.get("alert_silenced")
        assert not around.get("changes")
        assert not any(gap.source == "logs" for gap in around.get("gaps", ()))


@given(FACTS, EVENTS, SURROUNDINGS, POLICIES)
def test_what_becomes_unknown_makes_no_repair_of_what_was_none(
    facts: ContainerFacts, events: Any, around: dict[str, Any], policy: TargetPolicy
) -> None:
    """Of the container itself: a fact that is not known any more never reads as a better one."""
    known = judged(facts, policy=policy, events=events, **around)
    for unknown in ({"exit_code": None}, {"oom_killed": None}, {"failing_streak": None}):
        verdict = judged(replace(facts, **unknown), policy=policy, events=events, **around)
        assert verdict.kind is not REPAIR or known.kind is REPAIR


def test_text_is_read_by_one_rule_only() -> None:
    """The monotone property by construction: without the phrases text changes nothing at all."""
    silent = rules.Thresholds(phrases=())
    text = lines(*(source.pattern for entry in phrases.CLASSES for source in entry.patterns))
    for param in CASES:
        _, _, facts, seen = param.values
        without = {name: value for name, value in seen.items() if name not in {"log_lines", "health_log"}}
        quiet = judged(facts, thresholds=silent, **without)
        assert judged(facts, thresholds=silent, log_lines=text, health_log=text, **without) == quiet
