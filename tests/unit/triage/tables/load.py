"""The tables of the rules in ``bridge.triage.load``, in the order in which they are asked."""

from tests.unit.triage.builders import BATCH, STATEFUL, measured, running, unhealthy
from tests.unit.triage.tables.rows import CLIMB, ESCALATE, NO_ACTION, REPAIR, UNCHECKED, Tables, fires, spares

TABLES: Tables = {
    "memory_leak": (
        fires(REPAIR, UNCHECKED, "unchecked", measures=measured(memory_share=CLIMB)),
        fires(REPAIR, running(), "healthy", measures=measured(memory_share=CLIMB)),
        fires(REPAIR, running(up=None), "its start is unknown, half an hour of rise is not", measures=measured(memory_share=CLIMB)),
        fires(ESCALATE, running(), "of what keeps state", measures=measured(memory_share=CLIMB), policy=STATEFUL),
        fires(ESCALATE, running(), "of a job", measures=measured(memory_share=CLIMB), policy=BATCH),
        spares("healthy", NO_ACTION, running(up=600), "it is filling its caches", measures=measured(memory_share=CLIMB)),
        spares("healthy", NO_ACTION, running(), "how it moves is unknown", measures=measured(memory_share=0.99)),
        spares("healthy", NO_ACTION, running(), "it breathes", measures=measured(memory_share=(0.7, 0.9, 0.72, 0.92, 0.74, 0.94, 0.76, 0.95, 0.8, 0.97))),
        spares("healthy", NO_ACTION, running(), "high and steady", measures=measured(memory_share={"last": 0.95, "slope_per_minute": 0.0005})),
    ),
    "requests_failing": (
        fires(ESCALATE, running(), "an alert says so, nobody knows how many", alerts=["HighErrorRate"]),
        fires(ESCALATE, running(), "behind a passing check", measures=measured(errors_share=0.1)),
        spares("healthy", NO_ACTION, running(), "some requests always fail", measures=measured(errors_share=0.05)),
        spares("unhealthy", REPAIR, unhealthy(), "failing requests of what is hung", measures=measured(errors_share=1.0)),
    ),
    "flapping": (
        fires(NO_ACTION, running(), "noise", fires_last_hour=4),
        fires(NO_ACTION, UNCHECKED, "noise about CPU", fires_last_hour=4, alerts=["HighCPU"]),
        fires(ESCALATE, running(), "it goes down again and again", fires_last_hour=4, alerts=["ContainerDown"]),
        spares("no_health_check", ESCALATE, UNCHECKED, "an alert about who knows what", fires_last_hour=9),
        spares("unhealthy", REPAIR, unhealthy(), "flapping does not make it well", fires_last_hour=9),
        spares("healthy", NO_ACTION, running(), "three times is not yet flapping", fires_last_hour=3),
    ),
    "cpu_at_quota": (
        fires(NO_ACTION, running(), "healthy and busy", measures=measured(cpu_share=0.9)),
        fires(NO_ACTION, UNCHECKED, "a job at work", measures=measured(cpu_share=1.0), policy=BATCH),
        fires(ESCALATE, UNCHECKED, "nobody can tell", measures=measured(cpu_share=1.0)),
        fires(ESCALATE, running(), "it spins", measures=measured(cpu_share=1.0, requests_per_second=(25.0, 24.0, 9.0, 1.0))),
        spares("no_health_check", ESCALATE, UNCHECKED, "just below it", measures=measured(cpu_share=0.89)),
    ),
    "within_limits": (
        fires(NO_ACTION, UNCHECKED, "few fail", measures=measured(errors_share=0.01), alerts=["HighErrorRate"]),
        fires(NO_ACTION, UNCHECKED, "the spike is over", measures=measured(cpu_share=0.2), alerts=["ContainerHighCPU"]),
        fires(NO_ACTION, UNCHECKED, "a steady heap", measures=measured(memory_share={"last": 0.91, "slope_per_minute": 0.0}), alerts=["HighMemoryUsage"]),
        spares("no_health_check", ESCALATE, UNCHECKED, "how the heap moves is unknown", measures=measured(memory_share=0.91), alerts=["HighMemoryUsage"]),
        spares("no_health_check", ESCALATE, UNCHECKED, "the figure is unknown", alerts=["ContainerHighCPU"]),
        spares("no_health_check", ESCALATE, UNCHECKED, "it is held back", measures=measured(cpu_share=0.5, throttled_share=0.6), alerts=["CPUThrottling"]),
        spares("no_health_check", ESCALATE, UNCHECKED, "another alert, too", measures=measured(cpu_share=0.2), alerts=["ContainerHighCPU", "Slow"]),
    ),
}  # fmt: skip
