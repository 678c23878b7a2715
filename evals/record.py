"""Breaks real containers on a Docker Engine of its own and keeps what HemoStat collected about each, as scenarios.

    sudo .venv/bin/python evals/record.py            # all of them, into evals/recorded/
    sudo .venv/bin/python evals/record.py host-kill  # only these

Needs root, dockerd and a static busybox. The verdict of each was written here before it was recorded.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from docker.errors import APIError
from docker.types import Healthcheck, Ulimit

from bridge import evidence, settings, wiring
from bridge.census import LISTING_SECONDS
from bridge.demo import parts
from bridge.intake import subject_of
from bridge.model.alert import Alert, AlertStatus
from bridge.settings.sections import Docker, DockerHost, Store

FOLDER = Path(__file__).parent / "recorded"
HOST = "local"
SECOND = 1_000_000_000
PATIENCE_SECONDS = 40.0
SICK = "test ! -e /tmp/sick"
IDLE = "trap 'exit 143' TERM; rm -f /tmp/sick; echo ready; while :; do sleep 1; done"


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One container: what runs in it, what is done to it, how one sees that it is done, and what is right then.

    ``fault`` is run inside; ``outside`` gets the ward and the container's id. ``until`` reads its inspect document.
    """

    id: str
    title: str
    family: str
    gold: Any
    until: Callable[[Mapping[str, Any]], bool]
    cause: str
    script: str = IDLE
    alert: str = "ContainerUnhealthy"
    check: str = ""
    retries: int = 2
    start_period: int = 0
    restart: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    outside: Callable[[Ward, str], None] | None = None
    before: Callable[[Ward], None] | None = None
    start: bool = True
    settled: Callable[[Ward, str], Awaitable[None]] | None = None
    difficulty: str = "medium"


class Ward:
    """The Engine, and what is asked of it."""

    def __init__(self, engine: parts.DockerEngine, bridge: wiring.Parts) -> None:
        self.api = engine.client.api
        self.image = engine.image
        self.bridge = bridge

    def create(self, patient: Patient, name: str) -> str:
        """Creates it; gives its id."""
        check = None
        if patient.check:
            check = Healthcheck(
                test=["CMD-SHELL", patient.check],
                interval=SECOND // 2,
                timeout=SECOND,
                retries=patient.retries,
                start_period=patient.start_period * SECOND,
            )
        policy = None
        if patient.restart:
            kind, _, count = patient.restart.partition(":")
            policy = {"Name": kind, "MaximumRetryCount": int(count or 0)}
        options = dict(patient.options)
        command = options.pop("command", ["sh", "-c", patient.script])
        user = options.pop("user", None)
        created: str = self.api.create_container(
            self.image,
            command,
            name=name,
            user=user,
            labels={"hemostat.enable": "true", **patient.labels},
            healthcheck=check,
            stop_timeout=2,
            host_config=self.api.create_host_config(network_mode="none", restart_policy=policy, **options),
        )["Id"]
        return created

    def start(self, container: str) -> None:
        """Starts it; a start that fails is what some patients are about."""
        try:
            self.api.start(container)
        except APIError as error:  # what the Engine said stands in its inspect document
            print(f"    {str(error)[:120]}")

    def inspect(self, container: str) -> dict[str, Any]:
        """Its document."""
        found: dict[str, Any] = self.api.inspect_container(container)
        return found

    def run(self, container: str, command: str) -> None:
        """Runs it inside."""
        self.api.exec_start(self.api.exec_create(container, ["sh", "-c", command]), detach=True)

    def helper(self, name: str, script: str, labels: Mapping[str, str], check: str = "") -> str:
        """Another container beside the patient."""
        health = None
        if check:
            health = Healthcheck(test=["CMD-SHELL", check], interval=SECOND // 2, timeout=SECOND, retries=1)
        created: str = self.api.create_container(
            self.image,
            ["sh", "-c", script],
            name=name,
            labels={**labels, "com.docker.compose.service": name},
            healthcheck=health,
            host_config=self.api.create_host_config(network_mode="none"),
        )["Id"]
        self.api.start(created)
        return created

    def clear(self) -> None:
        """Removes every container."""
        for one in self.api.containers(all=True):
            self.api.remove_container(one["Id"], force=True, v=True)


def unhealthy(document: Mapping[str, Any]) -> bool:
    return bool(document["State"].get("Health", {}).get("Status") == "unhealthy")


def healthy(document: Mapping[str, Any]) -> bool:
    return bool(document["State"].get("Health", {}).get("Status") == "healthy")


def exited(document: Mapping[str, Any]) -> bool:
    return bool(document["State"]["Status"] == "exited")


def status(word: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda document: bool(document["State"]["Status"] == word)


def restarts(least: int) -> Callable[[Mapping[str, Any]], bool]:
    return lambda document: bool(
        document["RestartCount"] >= least and document["State"]["Status"] == "restarting"
    )


def host_kill(ward: Ward, container: str) -> None:
    os.kill(ward.inspect(container)["State"]["Pid"], signal.SIGKILL)


def stop(ward: Ward, container: str) -> None:
    ward.api.stop(container)


def dead_database(ward: Ward) -> None:
    ward.helper("db", "echo 'boot'; exit 1", {"com.docker.compose.project": "shop"})


def well_database(ward: Ward) -> None:
    found = ward.helper("db", IDLE, {"com.docker.compose.project": "shop"}, check="true")
    assert parts.wait_until(lambda: healthy(ward.inspect(found)), seconds=PATIENCE_SECONDS)


def finished_migration(ward: Ward) -> None:
    found = ward.helper("migrate", "echo done; exit 0", {"com.docker.compose.project": "shop"})
    assert parts.wait_until(lambda: exited(ward.inspect(found)), seconds=PATIENCE_SECONDS)


def sick_siblings(ward: Ward) -> None:
    for name in ("api", "jobs", "mail"):
        found = ward.helper(name, IDLE, {"com.docker.compose.project": "shop"}, check="false")
        assert parts.wait_until(lambda found=found: unhealthy(ward.inspect(found)), seconds=PATIENCE_SECONDS)


SHOP = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
SICKEN = "touch /tmp/sick"
REPAIR = {"verdict": "repair"}
LEFT = {"verdict": "wait", "acceptable": ["no_action"], "forbidden": ["repair"]}
NEVER = {"verdict": "escalate", "forbidden": ["repair"]}

PATIENTS = (
    Patient(
        id="frozen-server", title="A web server frozen by SIGSTOP", family="process_hang", cause="process_hang",
        script="mkdir -p /srv; echo ok > /srv/z; httpd -f -p 127.0.0.1:8080 -h /srv & echo $! > /tmp/pid; echo serving; wait",
        check="wget -q -O - http://127.0.0.1:8080/z", fault="kill -STOP $(cat /tmp/pid)", until=unhealthy, gold=REPAIR,
    ),
    Patient(
        id="dead-listener", title="The process lives and listens no more", family="process_hang", cause="process_hang",
        script="mkdir -p /srv; echo ok > /srv/z; httpd -f -p 127.0.0.1:8080 -h /srv & echo $! > /tmp/pid; echo serving; sleep 1000",
        check="wget -q -O - http://127.0.0.1:8080/z", fault="kill $(cat /tmp/pid)", until=unhealthy, gold=REPAIR,
    ),
    Patient(
        id="crash-two", title="Ended with 2 by an error of its own", family="crash_once", cause="crash_once", alert="ContainerDown",
        script="trap 'echo \"panic: index out of range\"; exit 2' USR1; echo ready; while :; do sleep 1 & wait; done",
        fault="kill -USR1 1", until=exited, gold=REPAIR, difficulty="easy",
    ),
    Patient(
        id="segfault", title="Ended by SIGSEGV", family="crash_once", cause="crash_once", alert="ContainerDown",
        script="echo ready; sleep 1; sh -c 'kill -SEGV $$'; exit 139", until=exited, gold=REPAIR, difficulty="easy",
    ),
    Patient(
        id="abort", title="Ended by SIGABRT", family="crash_once", cause="crash_once", alert="ContainerDown",
        script="echo ready; sleep 1; sh -c 'kill -ABRT $$'; echo 'Assertion failed'; exit 134", until=exited, gold=REPAIR,
    ),
    Patient(
        id="host-kill", title="Killed with SIGKILL from the host, past Docker", family="crash_once", cause="crash_once",
        alert="ContainerDown", outside=host_kill, until=exited, gold={"verdict": "repair", "acceptable": ["escalate"]}, difficulty="hard",
    ),
    Patient(
        id="oom", title="Killed for memory", family="oom_leak", cause="oom_leak", alert="ContainerOOMKilled",
        script="echo ready; sleep 1; exec tail /dev/zero", options={"mem_limit": "24m", "memswap_limit": "24m"},
        until=exited, gold=REPAIR,
    ),
    Patient(
        id="oom-loop", title="Killed for memory again and again", family="oom_limit_too_low", cause="oom_limit_too_low",
        alert="ContainerOOMKilled", script="echo ready; exec tail /dev/zero", restart="always",
        options={"mem_limit": "24m", "memswap_limit": "24m"}, until=restarts(6), gold={"verdict": "escalate"},
    ),
    Patient(
        id="no-more-processes", title="It cannot fork any more", family="resource_exhausted_in_process",
        cause="resource_exhausted_in_process", options={"pids_limit": 6},
        script="echo ready; sleep 1000 & sleep 1000 & sleep 1000 & sleep 1000 & sleep 1000 & wait",
        check="sh -c 'sleep 0 | cat'", until=unhealthy, gold=REPAIR,
    ),
    Patient(
        id="too-many-files", title="Out of file descriptors", family="resource_exhausted_in_process",
        cause="resource_exhausted_in_process", options={"ulimits": [Ulimit(name="nofile", soft=12, hard=12)]},
        script="echo ready; i=3; while [ $i -lt 30 ]; do eval \"exec $i</dev/null\" || { touch /tmp/sick; echo 'accept: too many open files'; sleep 1000; }; i=$((i+1)); done; touch /tmp/sick; sleep 1000",
        check=SICK, until=unhealthy, gold=REPAIR,
    ),
    Patient(
        id="spinning", title="A loop without an end", family="cpu_runaway", cause="cpu_runaway",
        script="echo ready; (sleep 1; touch /tmp/sick) & while :; do :; done", check=SICK, until=unhealthy, gold=REPAIR,
        options={"nano_cpus": 200_000_000},
    ),
    Patient(
        id="hang-with-well-database", title="It hangs; its database is well", family="process_hang", cause="process_hang",
        labels={**SHOP, "com.docker.compose.depends_on": "db:service_started:false"}, before=well_database,
        check=SICK, fault=f"echo 'waiting for a free connection' > /proc/1/fd/1; {SICKEN}", until=unhealthy, gold=REPAIR,
    ),
    Patient(
        id="hang-with-finished-migration", title="It hangs; the migration it depends on has finished long ago",
        family="process_hang", cause="process_hang", before=finished_migration,
        labels={**SHOP, "com.docker.compose.depends_on": "migrate:service_completed_successfully:false"},
        check=SICK, fault=SICKEN, until=unhealthy, gold=REPAIR, difficulty="hard",
    ),
    Patient(
        id="finished-job", title="A job that is done", family="expected_load", cause="expected_load", alert="ContainerDown",
        script="echo '12 reports sent'; exit 0", until=exited, gold={"verdict": "no_action"}, difficulty="easy",
    ),
    Patient(
        id="well-and-alerted", title="Healthy; the alert is about CPU", family="transient", cause="transient",
        alert="ContainerHighCPU", check="true", until=healthy, gold={"verdict": "no_action"}, difficulty="easy",
    ),
    Patient(
        id="operator-stop-143", title="docker stop, and it obeys", family="operator_action", cause="operator_action",
        alert="ContainerDown", outside=stop, until=exited, gold=LEFT, difficulty="easy",
    ),
    Patient(
        id="operator-stop-zero", title="docker stop, and it ends with 0", family="operator_action", cause="operator_action",
        alert="ContainerDown", script="trap 'exit 0' TERM; echo ready; while :; do sleep 1; done", outside=stop,
        until=exited, gold=LEFT,
    ),
    Patient(
        id="operator-stop-deaf", title="docker stop, and it must be killed", family="operator_action",
        cause="operator_action", alert="ContainerDown", script="trap '' TERM; echo ready; while :; do sleep 1; done",
        outside=stop, until=exited, gold=LEFT,
    ),
    Patient(
        id="operator-kill-hard", title="docker kill", family="operator_action", cause="operator_action", alert="ContainerDown",
        outside=lambda ward, container: ward.api.kill(container), until=exited, gold=LEFT,
    ),
    Patient(
        id="operator-pause-recorded", title="docker pause", family="operator_action", cause="operator_action",
        outside=lambda ward, container: ward.api.pause(container), until=status("paused"), gold=LEFT,
    ),
    Patient(
        id="just-created", title="Created and not started yet", family="deploy_in_progress", cause="deploy_in_progress",
        alert="ContainerDown", start=False, until=status("created"),
        gold={"verdict": "wait", "forbidden": ["repair"]},
    ),
    Patient(
        id="in-start-period", title="Within its start period", family="starting_up", cause="starting_up", alert="ContainerDown",
        check="false", start_period=60, until=lambda document: document["State"]["Health"]["Status"] == "starting",
        gold={"verdict": "wait"}, difficulty="easy",
    ),
    Patient(
        id="restarted-by-policy", title="Docker has just restarted it", family="crash_once", cause="crash_once",
        alert="ContainerRestarted", restart="always",
        script="[ -e /tmp/once ] || { touch /tmp/once; echo 'first run fails'; sleep 1; exit 1; }; echo ready; sleep 1000",
        until=lambda document: document["RestartCount"] == 1 and document["State"]["Status"] == "running",
        gold={"verdict": "wait", "acceptable": ["no_action"]},
    ),
    Patient(
        id="crash-loop", title="Crashes at every start", family="crash_loop", cause="crash_loop", alert="ContainerRestarting",
        script="echo 'mailer: no template for en_GB'; exit 1", restart="always", until=restarts(6), gold=NEVER,
    ),
    Patient(
        id="gave-up", title="Docker gave up after three tries", family="crash_loop", cause="crash_loop", alert="ContainerDown",
        script="echo 'cannot do it'; exit 1", restart="on-failure:3",
        until=lambda document: document["RestartCount"] == 3 and exited(document), gold={"verdict": "escalate"},
    ),
    Patient(
        id="full-volume", title="Its volume is full", family="disk_full", cause="disk_full",
        script="echo ready; while :; do dd if=/dev/zero of=/data/fill bs=64k 2>&1 | head -n 1; [ -s /data/fill ] && touch /tmp/sick; sleep 1; done",
        options={"tmpfs": {"/data": "size=128k"}}, check=SICK, until=unhealthy, gold=NEVER,
    ),
    Patient(
        id="read-only", title="Its file system is read-only", family="disk_full", cause="disk_full",
        script="echo ready; while :; do touch /state 2>&1; sleep 1; done", options={"read_only": True},
        check="touch /health", until=unhealthy, gold={"verdict": "escalate"},
    ),
    Patient(
        id="dead-dependency", title="What it depends on has crashed", family="dependency_down", cause="dependency_down",
        labels={**SHOP, "hemostat.depends_on": "db"}, before=dead_database, check=SICK, fault=SICKEN, until=unhealthy,
        gold={"verdict": "escalate", "must_cite": ["B*"]},
    ),
    Patient(
        id="sick-project", title="Four of four containers of its project are sick", family="dependency_down",
        cause="dependency_down", labels=SHOP, before=sick_siblings, check=SICK, fault=SICKEN, until=unhealthy,
        gold={"verdict": "escalate"},
    ),
    Patient(
        id="no-such-command", title="Its entrypoint does not exist", family="bad_deploy", cause="bad_deploy", alert="ContainerDown",
        options={"command": ["/app/run"]}, until=status("created"), gold=NEVER,
    ),
    Patient(
        id="not-executable", title="Its entrypoint may not be executed", family="bad_deploy", cause="bad_deploy",
        alert="ContainerDown", options={"command": ["/etc/hostname"]}, until=status("created"), gold=NEVER,
    ),
    Patient(
        id="config-error", title="It refuses its configuration", family="config_error", cause="config_error", alert="ContainerDown",
        script="echo 'fatal: missing required environment variable SMTP_HOST' >&2; exit 1", until=exited,
        gold={"verdict": "escalate"},
    ),
    Patient(
        id="own-exit-code", title="It ended with a code of its own", family="crash_once", cause="unknown", alert="ContainerDown",
        script="echo ready; sleep 1; exit 42", until=exited, gold={"verdict": "escalate"},
    ),
    Patient(
        id="stateful-sick", title="A store that fails its health check", family="protected", cause="unknown",
        labels={"hemostat.class": "stateful"}, check=SICK, fault=SICKEN, until=unhealthy, gold=NEVER, difficulty="hard",
    ),
    Patient(
        id="batch-failed-recorded", title="A batch job that failed", family="batch", cause="crash_once", alert="ContainerExited",
        labels={"hemostat.class": "batch"}, script="echo '400 of 900 sent'; exit 1", until=exited, gold=NEVER,
    ),
    Patient(
        id="unchecked", title="It runs, has no health check, and somebody finds it slow", family="evidence_missing",
        cause="unknown", alert="ServiceSlow", until=status("running"), gold={"verdict": "escalate"},
    ),
)  # fmt: skip


async def record(ward: Ward, patient: Patient) -> dict[str, Any]:
    """Break it, wait until one sees that it is broken, and keep what HemoStat sees."""
    if patient.before is not None:
        await asyncio.to_thread(patient.before, ward)
        await asyncio.sleep(LISTING_SECONDS)  # an older list of the host does not know them
    name = "web"
    container = ward.create(patient, name)
    if patient.start:
        ward.start(container)
        if patient.fault or patient.outside:
            ready = lambda: ward.api.logs(container)  # noqa: E731
            await _seen(ready, f"{patient.id} is not ready")
        if patient.fault:
            ward.run(container, patient.fault)
        if patient.outside is not None:
            await asyncio.to_thread(patient.outside, ward, container)
    await _seen(
        lambda: patient.until(ward.inspect(container)),
        f"{patient.id} did not fall sick: {ward.inspect(container)['State']}",
    )
    labels = {"alertname": patient.alert, "name": name, "severity": "warning"}
    now = await ward.bridge.journal.now()
    alert = Alert(
        fingerprint="0" * 16, status=AlertStatus.FIRING, labels=labels, annotations={}, starts_at=now
    )
    found = await ward.bridge.judge.locate(subject_of(labels, hosts=[HOST]))
    if isinstance(found, evidence.Missing):
        raise SystemExit(f"{patient.id}: {found.why}")
    considered = await ward.bridge.judge.consider(subject_of(labels, hosts=[HOST]), [alert], found)
    gold = {**patient.gold, "cause_class": patient.cause}
    return {
        "id": f"rec-{patient.id}",
        "title": patient.title,
        "family": patient.family,
        "tags": ["recorded"],
        "difficulty": patient.difficulty,
        "now": considered.evidence.collected_at,
        "alerts": [{"labels": labels, "startsAt": now}],
        "evidence": considered.evidence,
        "gold": gold,
        "author": "evals/record.py",
    }


async def _seen(fact: Callable[[], object], otherwise: str) -> None:
    if not await asyncio.to_thread(parts.wait_until, fact, seconds=PATIENCE_SECONDS, every=0.1):
        raise SystemExit(otherwise)


async def main(wanted: list[str]) -> None:
    """Record those that are named, or all."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, parts.DockerEngine() as engine:
        config = settings.Settings(
            docker=Docker(hosts=(DockerHost(name=HOST, url=engine.url),)),
            store=Store(path=Path(directory) / "store", trust_empty=True),
        )
        async with wiring.parts_of(config) as bridge:
            ward = Ward(engine, bridge)
            for patient in PATIENTS:
                if wanted and patient.id not in wanted:
                    continue
                values = await record(ward, patient)
                path = FOLDER / f"{patient.id}.json"
                path.write_bytes(msgspec.json.format(msgspec.json.encode(values), indent=1) + b"\n")
                print(f"{patient.id}: {patient.gold['verdict']}")
                await asyncio.to_thread(ward.clear)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
