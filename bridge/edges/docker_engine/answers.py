"""What the Engine answers, as the model's values. Pure; raises ValueError, LookupError or TypeError on nonsense.

Source: Docker Engine API v1.41. Env, command and mounts are not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bridge.model.evidence import ContainerFacts, ContainerStatus, EngineEvent, Health
from bridge.redaction import without_half_a_token
from bridge.roles import ToldEvent

DEFAULT_STOP_SECONDS = 10.0
UNLIMITED_STOP_SECONDS = 3600.0
"""Stands for a stop timeout of -1, "never kill it"."""

CHECK_BYTES = 4096
"""What Docker keeps of a health check's output; longer output is cut, wherever that falls."""

ERROR_CHARACTERS = 4096
DEFAULT_CPU_PERIOD = 100_000
STATUS_HEALTH = re.compile(r"\((?:health: )?(starting|healthy|unhealthy)\)$")
SMALL_NUMBER = re.compile(r"[0-9]{1,9}")
STATUS_EXIT_CODE = re.compile(r"(?:Exited|Restarting) \((\d+)\)")

Inspected = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a host has to give; ``None``: unknown."""

    cpu_cores: int | None = None
    memory_bytes: int | None = None

    @staticmethod
    def of(info: Inspected) -> Capacity:
        """What an answer to ``GET /info`` says."""
        return Capacity(
            cpu_cores=int(info.get("NCPU") or 0) or None, memory_bytes=int(info.get("MemTotal") or 0) or None
        )


def facts_of(
    inspected: Inspected, *, host: str, host_now: datetime | None, capacity: Capacity
) -> ContainerFacts:
    """The facts in an answer to ``GET /containers/{id}/json``. Exit code: only of one that has ended."""
    state, config = inspected["State"], inspected["Config"]
    status = ContainerStatus(state["Status"])
    health = state.get("Health") or {}
    running = status in (ContainerStatus.CREATED, ContainerStatus.RUNNING, ContainerStatus.PAUSED)
    created_at = time_of(inspected["Created"])
    if created_at is None:
        raise ValueError("no time of creation")
    return ContainerFacts(
        host=host,
        id=str(inspected["Id"]),
        name=str(inspected["Name"]).removeprefix("/"),
        image=str(config["Image"]),
        image_id=str(inspected["Image"]),
        status=status,
        health=Health(health.get("Status") or "none"),
        failing_streak=int(health["FailingStreak"]) if health.get("Status", "none") != "none" else None,
        exit_code=None if running else int(state["ExitCode"]),
        oom_killed=bool(state["OOMKilled"]),
        error=str(state.get("Error") or "")[:ERROR_CHARACTERS],
        created_at=created_at,
        started_at=time_of(state["StartedAt"]),
        finished_at=time_of(state["FinishedAt"]),
        restart_count=int(inspected["RestartCount"]),
        restart_policy=str(inspected["HostConfig"]["RestartPolicy"]["Name"]) or "no",
        start_period_seconds=(config.get("Healthcheck") or {}).get("StartPeriod", 0) / 1e9,
        stop_timeout_seconds=stop_seconds_of(config),
        labels=dict(config.get("Labels") or {}),
        host_now=host_now,
        cpu_limit_cores=_cpu_limit(inspected["HostConfig"]),
        memory_limit_bytes=int(inspected["HostConfig"].get("Memory") or 0) or None,
        host_cpu_cores=capacity.cpu_cores,
        host_memory_bytes=capacity.memory_bytes,
    )


def _cpu_limit(limits: Inspected) -> float | None:
    """In cores, however it was given: ``--cpus``, or ``--cpu-quota`` with its period."""
    if nano := int(limits.get("NanoCpus") or 0):
        return nano / 1e9
    quota = int(limits.get("CpuQuota") or 0)
    return quota / (int(limits.get("CpuPeriod") or 0) or DEFAULT_CPU_PERIOD) if quota > 0 else None


def facts_of_listed(entry: Inspected, *, host: str, host_now: datetime | None) -> ContainerFacts:
    """The facts in one entry of ``GET /containers/json``, where status is also a text for people."""
    container_id, text = str(entry["Id"]), str(entry["Status"])
    names = [str(name).removeprefix("/") for name in entry["Names"] or []]
    health = STATUS_HEALTH.search(text)
    exit_code = STATUS_EXIT_CODE.match(text)
    return ContainerFacts(
        host=host,
        id=container_id,
        name=next((name for name in names if "/" not in name), container_id[:12]),  # others are links to it
        image=str(entry["Image"]),
        image_id=str(entry["ImageID"]),
        status=ContainerStatus(entry["State"]),
        health=Health(health[1]) if health else Health.NONE,
        failing_streak=None,
        exit_code=int(exit_code[1]) if exit_code else None,
        oom_killed=None,
        error="",
        created_at=datetime.fromtimestamp(entry["Created"], UTC),
        started_at=None,
        finished_at=None,
        restart_count=0,
        restart_policy="",
        start_period_seconds=0.0,
        stop_timeout_seconds=DEFAULT_STOP_SECONDS,
        labels=dict(entry["Labels"] or {}),
        host_now=host_now,
    )


def stop_seconds_of(config: Inspected) -> float:
    """Seconds Docker waits between TERM and KILL; -1, "for ever", becomes UNLIMITED_STOP_SECONDS."""
    stop_timeout = config.get("StopTimeout")
    if stop_timeout is None:
        return DEFAULT_STOP_SECONDS
    return float(stop_timeout) if stop_timeout >= 0 else UNLIMITED_STOP_SECONDS


def text_of_check(check: Inspected) -> str:
    """One health check on one line."""
    output = str(check.get("Output") or "")
    if len(output.encode()) >= CHECK_BYTES:
        output = without_half_a_token(output)
    printed = " | ".join(line for line in output.splitlines() if line.strip())
    return f"exit {int(check['ExitCode'])}: {printed}"


def event_of(event: Inspected, number: str) -> EngineEvent:
    """One event of ``GET /events``; its time is given in nanoseconds.

    Docker writes the container's labels over the event's own attributes: one called ``exitCode`` must not make the event
    unreadable, and what it says is for whoever knows the labels to leave out (``EVENT_LABELS``).
    """
    attributes = event["Actor"].get("Attributes") or {}
    return EngineEvent(
        id=number,
        at=datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(event["timeNano"]) // 1000),
        action=str(event["Action"]),
        exit_code=_number(attributes.get("exitCode")),
        signal=_number(attributes.get("signal")),
    )


def _number(told: object) -> int | None:
    return int(told) if isinstance(told, str) and SMALL_NUMBER.fullmatch(told) else None


def told_event_of(event: Inspected) -> ToldEvent:
    """One event of a stream about all containers, and which it is about."""
    return ToldEvent(container_id=str(event["Actor"]["ID"]), event=event_of(event, ""))


def time_of(text: str) -> datetime | None:
    """Docker's RFC 3339 with nanoseconds, in UTC; its year 1 means "never"."""
    time_told = datetime.fromisoformat(text)
    return None if time_told.year == 1 else time_told.astimezone(UTC)


def epoch(moment: datetime) -> str:
    """Seconds since 1970 with their fraction, as ``since`` and ``until`` are written."""
    return f"{int(moment.timestamp())}.{moment.microsecond:06d}000"


def json_values(body: bytes) -> Iterator[Any]:
    """JSON values that follow each other, with or without space between."""
    decoder, text, at = json.JSONDecoder(), body.decode(), 0
    while rest := text[at:].lstrip():
        value, length = decoder.raw_decode(rest)
        yield value
        at = len(text) - len(rest) + length
