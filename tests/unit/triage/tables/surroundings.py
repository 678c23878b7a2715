"""The tables of the rules in ``bridge.triage.surroundings``, in the order in which they are asked."""

from dataclasses import replace
from datetime import timedelta

from bridge.model.evidence import Changed, Gap, Health
from tests.unit.triage.builders import (
    BOTH,
    ENDED,
    HOST_NOW,
    NOW,
    changed,
    exited,
    lines,
    measured,
    neighbour,
    related,
    repaired,
    running,
    unhealthy,
)
from tests.unit.triage.tables.rows import (
    CLIMB,
    DATABASE_REFUSES,
    DOWN,
    ESCALATE,
    GAPS,
    NO_ACTION,
    REPAIR,
    SURGE,
    WAIT,
    Tables,
    fires,
    spares,
)

TABLES: Tables = {
    "silenced": (
        fires(WAIT, unhealthy(), "by an operator", alert_silenced=True),
        spares("unhealthy", REPAIR, unhealthy(), "nobody knows whether it is silenced", alert_silenced=None),
    ),
    "repair_did_not_help": (
        fires(ESCALATE, unhealthy(), "not healed half an hour ago", past_repairs=(repaired(1800, outcome="not_healed"),)),
        fires(ESCALATE, exited(1), "relapsed", past_repairs=(repaired(1800, outcome="relapsed"),)),
        fires(ESCALATE, unhealthy(), "the action failed", past_repairs=(repaired(1800, outcome="failed"),)),
        fires(ESCALATE, unhealthy(), "two in a row, hours ago", past_repairs=(repaired(4000, outcome="not_healed"), repaired(9000, outcome="relapsed"))),
        fires(ESCALATE, unhealthy(), "two within one cooldown", past_repairs=(repaired(1800), repaired(3000))),
        spares("unhealthy", REPAIR, unhealthy(), "not healed, but long ago", past_repairs=(repaired(3601, outcome="not_healed"),)),
        spares("unhealthy", REPAIR, unhealthy(), "nobody saw whether it healed", past_repairs=(repaired(1800, outcome="unverified"),)),
        spares("unhealthy", REPAIR, unhealthy(), "healed: the cooldown's business", past_repairs=(repaired(1800),)),
        spares("unhealthy", REPAIR, unhealthy(), "two in a row, yesterday", past_repairs=(repaired(6 * 3600, outcome="not_healed"), repaired(7 * 3600, outcome="relapsed"))),
        spares("unhealthy", REPAIR, unhealthy(), "without a cooldown the caps and the breaker bound it", past_repairs=(repaired(5, outcome="not_healed"), repaired(9, outcome="not_healed")), policy=replace(BOTH, cooldown_seconds=0.0)),
        spares("healthy", NO_ACTION, running(), "what is well needs no repair to help", past_repairs=(repaired(60, outcome="not_healed"),)),
    ),
    "log_veto": (
        fires(ESCALATE, unhealthy(), "disk full", log_lines=lines("x: No space left on device")),
        fires(ESCALATE, exited(1), "crashed by it", log_lines=lines("bind: address already in use")),
        fires(ESCALATE, unhealthy(), "said by the health check", health_log=lines("ENOSPC", prefix="H")),
        fires(ESCALATE, unhealthy(up=300), "said in this run", log_lines=lines("no space left on device", at=HOST_NOW - timedelta(seconds=299))),
        fires(ESCALATE, unhealthy(up=300), "first words may be older than Docker's note of the start", log_lines=lines("no space left on device", at=HOST_NOW - timedelta(seconds=300.5))),
        fires(ESCALATE, unhealthy(), "it complains since they came back", log_lines=lines("Connection refused", at=NOW - timedelta(seconds=700)), neighbours=(neighbour("db", dependency=True, started_at=NOW - timedelta(seconds=800)),)),
        fires(ESCALATE, unhealthy(), "it complains about somebody else", log_lines=lines("connect to 10.0.0.5:5432: connection refused"), neighbours=(neighbour("db", dependency=True),)),
        fires(ESCALATE, unhealthy(), "running without a health check is not known to be well", log_lines=lines(DATABASE_REFUSES), neighbours=(neighbour("db", dependency=True, health=Health.NONE),)),
        spares("unhealthy", REPAIR, unhealthy(), "its own hung port is no dependency", health_log=lines("curl: (7) Failed to connect to localhost port 80: Connection refused", prefix="H")),
        spares("unhealthy", REPAIR, unhealthy(), "itself by its own name", health_log=lines("connect to web:5432 failed: Connection refused", prefix="H")),
        spares("unhealthy", REPAIR, unhealthy(up=300), "said in the run before", log_lines=lines("no space left on device", at=HOST_NOW - timedelta(seconds=310))),
        spares("crashed", REPAIR, exited(1), "said long before its end", log_lines=lines("no space left on device", at=ENDED - timedelta(seconds=1900))),
        spares("unhealthy", REPAIR, unhealthy(), "what it complains about is known to be well", log_lines=lines(DATABASE_REFUSES), neighbours=(neighbour("shop-db-1", dependency=True),)),
        spares("unhealthy", REPAIR, unhealthy(), "it complained before its dependencies came back", log_lines=lines("Connection refused", at=NOW - timedelta(seconds=900)), neighbours=(neighbour("db", dependency=True, started_at=NOW - timedelta(seconds=800)),)),
    ),
    "replaced_recently": (
        fires(WAIT, unhealthy(), "and runs", replaced_at=NOW - timedelta(seconds=599)),
        fires(ESCALATE, exited(1), "and crashed", replaced_at=NOW - timedelta(seconds=9)),
        spares("unhealthy", REPAIR, unhealthy(), "deployed ten minutes ago", replaced_at=NOW - timedelta(seconds=600)),
    ),
    "changed_recently": (
        fires(WAIT, unhealthy(), "another image, running", changes=changed(Changed.IMAGE, 599)),
        fires(ESCALATE, exited(1), "another configuration, crashed", changes=changed(Changed.CONFIG, 60)),
        spares("unhealthy", REPAIR, unhealthy(), "another image ten minutes ago", changes=changed(Changed.IMAGE, 600)),
    ),
    "evidence_partial": (
        fires(WAIT, unhealthy(), "its log was not read", gaps=GAPS[:1]),
        fires(WAIT, exited(1), "its events were not read", gaps=GAPS[1:]),
        spares("unhealthy", REPAIR, unhealthy(), "the events of what runs do not matter", gaps=GAPS[1:]),
        spares("unhealthy", REPAIR, unhealthy(), "figures nobody has", gaps=(Gap(source="prometheus", reason="away"),)),
        spares("healthy", NO_ACTION, running(), "healthy, whatever was not read", gaps=GAPS),
    ),
    "dependency_down": (
        fires(ESCALATE, unhealthy(), "it has ended", neighbours=(neighbour("db", DOWN, exit_code=1, dependency=True),)),
        fires(ESCALATE, exited(1), "it is unhealthy", neighbours=(neighbour("db", health=Health.UNHEALTHY, dependency=True),)),
        fires(ESCALATE, running(), "and it looks well itself", neighbours=(neighbour("db", DOWN, exit_code=1, dependency=True),)),
        fires(WAIT, unhealthy(), "it is coming up", neighbours=(neighbour("db", dependency=True, health=Health.STARTING),)),
        spares("healthy", NO_ACTION, running(), "the alert only asks for it to run", neighbours=(neighbour("db", DOWN, exit_code=1, dependency=True),), alerts=["ContainerDown"]),
        spares("unhealthy", REPAIR, unhealthy(), "a job that is done", neighbours=(neighbour("migrate", DOWN, exit_code=0, dependency=True),)),
        spares("unhealthy", REPAIR, unhealthy(), "a dependency that nobody knows", neighbours=(neighbour("db", None, dependency=True),)),
        spares("unhealthy", REPAIR, unhealthy(), "a sick sibling is no dependency", neighbours=(neighbour("api", DOWN, exit_code=1),)),
        spares("healthy", NO_ACTION, running(), "a dependency that comes up while all is well", neighbours=(neighbour("db", dependency=True, health=Health.STARTING),)),
    ),
    "neighbours_sick": (
        fires(ESCALATE, unhealthy(), "three others", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), neighbour("c", health=Health.UNHEALTHY))),
        fires(ESCALATE, unhealthy(), "three of eight are more than 34 %", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), *(neighbour(f"well{n}") for n in range(5)))),
        fires(ESCALATE, unhealthy(), "two others of four", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), neighbour("well"))),
        spares("unhealthy", REPAIR, unhealthy(), "two unlucky ones of eleven are two repairs", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), *(neighbour(f"well{n}") for n in range(8)))),
        spares("unhealthy", REPAIR, unhealthy(), "three of nine are not", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), *(neighbour(f"well{n}") for n in range(6)))),
        spares("unhealthy", REPAIR, unhealthy(), "so many that a guard refuses", neighbours=(neighbour("a", DOWN, exit_code=1), neighbour("b", health=Health.UNHEALTHY), neighbour("c", health=Health.UNHEALTHY)), suspect=True),
    ),
    "host_pressure": (
        fires(ESCALATE, unhealthy(), "memory", measures=measured(host_memory_pressure=0.2)),
        fires(ESCALATE, exited(139), "disk", measures=measured(host_disk_share=0.95)),
        fires(ESCALATE, running(), "a leak on a host that suffers", measures=measured(memory_share=CLIMB, host_io_pressure=0.8)),
        spares("unhealthy", REPAIR, unhealthy(), "a host with some work", measures=measured(host_cpu_pressure=0.49, host_disk_share=0.9)),
    ),
    "outside_alert": (
        fires(ESCALATE, unhealthy(), "about the host", related_alerts=related("HostOutOfMemory")),
        fires(ESCALATE, exited(1), "about a store", related_alerts=related("PostgresDown")),
        fires(ESCALATE, unhealthy(), "of its own", alerts=["ContainerUnhealthy", "CertificateExpiresSoon"]),
        spares("unhealthy", REPAIR, unhealthy(), "an alert that is silenced", related_alerts=related("HostOutOfMemory", suppressed=True)),
        spares("unhealthy", REPAIR, unhealthy(), "an alert about who knows what", related_alerts=related("InstanceDown")),
    ),
    "traffic_surge": (
        fires(ESCALATE, unhealthy(), "four times as much", measures=measured(requests_per_second=SURGE)),
        fires(ESCALATE, unhealthy(), "by the mean alone", measures=measured(requests_per_second={"last": 240.0, "mean": 95.0})),
        spares("unhealthy", REPAIR, unhealthy(), "nearly twice", measures=measured(requests_per_second={"last": 180.0, "mean": 95.0})),
        spares("unhealthy", REPAIR, unhealthy(), "hardly a request", measures=measured(requests_per_second={"last": 0.9, "mean": 0.1})),
        spares("crashed", REPAIR, exited(139), "a surge does not end a process", measures=measured(requests_per_second=SURGE)),
    ),
    "runbook_veto": (
        fires(ESCALATE, unhealthy(), "the operator says no", runbook="Never restart during month end; call finance."),
        *(
            fires(ESCALATE, unhealthy(), f"or: {note}", runbook=note)
            for note in (
                "Don\u2019t restart this.",
                "DO  *NOT*  RESTART",
                "This must not be restarted without the DBA.",
                "cannot be restarted while the import runs",
                "Not to be restarted automatically.",
                "Avoid restarting it, the cache takes an hour to warm up.",
                "Restart is forbidden during month end.",
                "Restarts are not allowed.",
                "Restart only after the queue is empty.",
                "A restart requires approval of finance.",
                "Call #dba before you restart it.",
                "Hands off, ask Ada.",
                "leave it alone",
                "Bitte nicht neu starten!",
                "Kein Neustart ohne DBA.",
            )
        ),
        *(
            spares("unhealthy", REPAIR, unhealthy(), f"the operator says how: {note}", runbook=note)
            for note in (
                "Restart it; then check the queue.",
                "It is safe to restart: no data is lost.",
                "Do not panic, restart it.",
                "Not a database; restart freely.",
                "A restart is safe, it is not stateful.",
                "A restart needs 5 minutes.",
            )
        ),
    ),
}  # fmt: skip
