"""One Engine: what its containers are, what happened to them, and what is done to them. Every request has a deadline.

What may be done, and whether it helped, is decided elsewhere. Source: Docker Engine API v1.41 and later.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import urllib3

from bridge import errors
from bridge.edges.docker_engine.answers import (
    Capacity,
    Inspected,
    epoch,
    event_of,
    facts_of,
    facts_of_listed,
    json_values,
    stop_seconds_of,
    text_of_check,
    time_of,
    told_event_of,
)
from bridge.edges.docker_engine.connection import (
    ACTIONS_AT_ONCE,
    CHUNK_BYTES,
    MESSAGE_CHARACTERS,
    READS_AT_ONCE,
    Answer,
    Connection,
    DockerHost,
    cut,
)
from bridge.edges.docker_engine.following import Follower
from bridge.edges.docker_engine.lane import EDGE, Lane
from bridge.edges.docker_engine.log_tail import LogTail
from bridge.model.evidence import ContainerFacts, ContainerStatus, EngineEvent, TextLine
from bridge.model.identity import SWARM_SERVICE
from bridge.roles import ToldEvent

CLOCK_SECONDS = 30.0
"""How long a measured difference between a host's clock and ours is trusted."""

QUIET_SECONDS = 30.0
"""After which a stream without events is opened anew: a half-dead connection is quiet, too."""

RECENT_SECONDS = 1800.0
REMEMBERED_CONTAINERS = 10_000

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")
FULL_ID = re.compile(r"[0-9a-f]{64}")
ID_PREFIX = re.compile(r"[0-9a-f]{12,63}")
EVENT_ACTIONS = ("start", "die", "kill", "stop", "oom", "restart")

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    """What answers: ``api`` is the newest version it speaks, ``spoken`` the one we use with it."""

    engine: str
    api: str
    spoken: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """The host's clock when ours showed ``monotonic``, and what it has to give."""

    host_time: datetime
    monotonic: float
    capacity: Capacity


class Engine(Connection):
    """What one host is asked and told, each as ``DockerEngine`` has it under the same name.

    Everything but ``read`` blocks, and runs in a thread of a lane. ``until`` is monotonic time.
    """

    def __init__(self, host: DockerHost) -> None:
        super().__init__(host)
        self.reads = Lane(READS_AT_ONCE)
        self.actions = Lane(ACTIONS_AT_ONCE)
        self._clock: _Reading | None = None
        self._ttys: dict[str, bool] = {}

    async def read(
        self,
        work: Callable[[float], Found],
        *,
        tried: str,
        seconds: float | None = None,
        queue_seconds: float | None = None,
    ) -> Found:
        """Carry out a look at this host; by default within its timeout."""
        return await self.reads.run(
            work,
            tried=f"{tried[:MESSAGE_CHARACTERS]} on {self.name}",
            seconds=seconds or self.timeout_seconds,
            queue_seconds=queue_seconds or self.timeout_seconds,
        )

    def inspect(self, ref: str, until: float) -> ContainerFacts | None:
        found = self._resolve(ref, until)
        if found is None:
            return None
        with self._understanding(f"inspecting {ref}"):
            host_now = self._host_now(until)
            capacity = self._clock.capacity if self._clock else Capacity()
            return facts_of(found, host=self.name, host_now=host_now, capacity=capacity)

    def list(self, until: float) -> tuple[ContainerFacts, ...]:
        listed = self._listed({}, until)
        host_now = self._host_now(until)
        with self._understanding("listing containers"):
            return tuple(facts_of_listed(entry, host=self.name, host_now=host_now) for entry in listed)

    def find_service(self, service: str, until: float) -> tuple[ContainerFacts, ...]:
        listed = self._listed({"label": [f"{SWARM_SERVICE}={service}"]}, until)
        host_now = self._host_now(until)
        with self._understanding(f"finding service {service!r}"):
            ours = [entry for entry in listed if entry["Labels"].get(SWARM_SERVICE) == service]
            ours.sort(key=lambda entry: (entry["State"] != ContainerStatus.RUNNING, -entry["Created"]))
            return tuple(facts_of_listed(entry, host=self.name, host_now=host_now) for entry in ours)

    def log_tail(self, container_id: str, lines: int, until: float) -> tuple[TextLine, ...]:
        tried = f"reading the log of {container_id}"
        if lines <= 0:
            return ()
        tty = self._has_tty(container_id, until)
        query = {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": str(lines)}
        tail = LogTail(lines, framed=not tty)
        with self._exchange("GET", f"/containers/{container_id}/logs", until, query) as (status, chunks):
            if status == http.client.NOT_IMPLEMENTED:  # its log driver cannot be read
                return ()
            if status != http.client.OK:
                Answer(status, b"".join(chunks)).checked(self._on(tried))
            with self._understanding(tried):
                for chunk in chunks:
                    tail.feed(chunk)
                return tail.lines()

    def _has_tty(self, container_id: str, until: float) -> bool:
        """Whether its log comes bare. It is so for life, so it is asked once."""
        known = self._ttys.get(container_id)
        if known is not None:
            return known
        with self._understanding(f"inspecting {container_id}"):
            tty = bool(self._exactly(container_id, until)["Config"]["Tty"])
        if len(self._ttys) >= REMEMBERED_CONTAINERS:
            self._ttys.clear()
        self._ttys[container_id] = tty
        return tty

    def health_log(self, container_id: str, until: float) -> tuple[TextLine, ...]:
        with self._understanding(f"reading the health checks of {container_id}"):
            checks = (self._exactly(container_id, until)["State"].get("Health") or {}).get("Log") or []
            return tuple(
                TextLine(id=f"H{number}", text=text_of_check(check), at=time_of(str(check["Start"])))
                for number, check in enumerate(checks, start=1)
            )

    def events(self, container_id: str, seconds: float, until: float) -> tuple[EngineEvent, ...]:
        tried = f"reading the events of {container_id}"
        # Never ahead of the host's clock: Docker would keep the answer open till then.
        host_now = self._host_now(until) or self._read_clock(until)
        filters = {"type": ["container"], "container": [container_id], "event": list(EVENT_ACTIONS)}
        query = {
            "since": epoch(host_now - timedelta(seconds=seconds)),
            "until": epoch(host_now),
            "filters": json.dumps(filters),
        }
        answer = self._ask("GET", "/events", until, query).checked(self._on(tried))
        with self._understanding(tried):
            told = [event for event in json_values(answer.body) if event["Actor"]["ID"] == container_id]
            return tuple(event_of(event, f"E{number}") for number, event in enumerate(told, start=1))

    def follow(self, since: datetime | None, follower: Follower[ToldEvent]) -> None:
        """Read the stream of events in this thread until it ends, is cut, or was quiet for QUIET_SECONDS."""
        since = since or datetime.now(UTC) - timedelta(seconds=RECENT_SECONDS)
        filters = {"type": ["container"], "event": list(EVENT_ACTIONS)}
        query = {"since": epoch(since), "filters": json.dumps(filters)}
        tried = "following events"
        until = time.monotonic() + self.timeout_seconds
        with self._opened("GET", "/events", until, query, quiet_seconds=QUIET_SECONDS) as response:
            if response.status_code != http.client.OK:
                Answer(response.status_code, response.raw.read(CHUNK_BYTES)).checked(self._on(tried))
            follower.opened(partial(cut, response))
            rest = b""
            with contextlib.suppress(urllib3.exceptions.ReadTimeoutError):
                while chunk := response.raw.read1(CHUNK_BYTES):
                    *lines, rest = (rest + chunk).split(b"\n")
                    with self._understanding(tried):
                        told = [told_event_of(json.loads(line)) for line in lines if line.strip()]
                    if told:
                        follower.tell(told)

    def stop_seconds(self, container_id: str, until: float) -> float:
        """Its stop timeout. Raises: EdgeRejected: no container has exactly this id."""
        with self._understanding(f"inspecting {container_id}"):
            return stop_seconds_of(self._exactly(container_id, until)["Config"])

    def act(self, container_id: str, verb: str, until: float) -> None:
        # No `t`: Docker then takes the container's own stop timeout.
        self._ask("POST", f"/containers/{container_id}/{verb}", until).checked(
            self._on(f"{verb} of {container_id}")
        )

    def version(self, until: float) -> EngineVersion:
        tried = "asking for the version"
        answer = self._ask("GET", "/version", until).checked(self._on(tried))
        link = self._link
        with self._understanding(tried):
            told = json.loads(answer.body)
            spoken = link.version if link else ""
            return EngineVersion(engine=str(told["Version"]), api=str(told["ApiVersion"]), spoken=spoken)

    def identity(self, until: float) -> str:
        tried = "asking which Engine it is"
        answer = self._ask("GET", "/info", until).checked(self._on(tried))
        with self._understanding(tried):
            return str(json.loads(answer.body)["ID"])

    def forget(self) -> None:
        """Drop the connection and the measured clock: the host may come back as another one."""
        super().forget()
        self._clock = None

    def _exactly(self, container_id: str, until: float) -> Inspected:
        found = self._resolve(container_id, until) if FULL_ID.fullmatch(container_id) else None
        if found is None:
            message = self._on(f"no container has the id {container_id[:64]!r}")
            raise errors.EdgeRejected(EDGE, message, http.client.NOT_FOUND)
        return found

    def _resolve(self, ref: str, until: float) -> Inspected | None:
        """Docker answers to full id, name and any id prefix, in this order; here only what was meant counts."""
        name = ref.removeprefix("/")
        if not NAME.fullmatch(name):  # no container can be called so, and a label must not become a path
            return None
        answer = self._ask("GET", f"/containers/{name}/json", until)
        if answer.status == http.client.NOT_FOUND:
            return None
        tried = f"inspecting {name}"
        answer.checked(self._on(tried))
        with self._understanding(tried):
            found: Inspected = json.loads(answer.body)
            found_id, found_name = str(found["Id"]), str(found["Name"]).removeprefix("/")
        if found_id == name:
            return found
        if found_name == name and ID_PREFIX.fullmatch(name) and self._is_id_prefix(name, until):
            message = f"{name!r} is the name of one container and the id of another"
            raise errors.EdgeRejected(EDGE, self._on(message), http.client.CONFLICT)
        if found_name == name:
            return None if FULL_ID.fullmatch(name) else found
        return found if ID_PREFIX.fullmatch(name) and found_id.startswith(name) else None

    def _is_id_prefix(self, digits: str, until: float) -> bool:
        with self._understanding(f"looking for the id {digits}"):
            return any(entry["Id"].startswith(digits) for entry in self._listed({"id": [digits]}, until))

    def _listed(self, filters: Mapping[str, Sequence[str]], until: float) -> Sequence[Inspected]:
        query = {"all": "1", **({"filters": json.dumps(filters)} if filters else {})}
        answer = self._ask("GET", "/containers/json", until, query).checked(self._on("listing containers"))
        with self._understanding("listing containers"):
            return [dict(entry) for entry in json.loads(answer.body)]

    def _host_now(self, until: float) -> datetime | None:
        """The host's clock, at most as far as it really is: an age by it is never too high. ``None``: unknown."""
        reading = self._clock
        if reading is not None and time.monotonic() - reading.monotonic < CLOCK_SECONDS:
            return reading.host_time + timedelta(seconds=time.monotonic() - reading.monotonic)
        try:
            return self._read_clock(until)
        except errors.EdgeError:
            return None

    def _read_clock(self, until: float) -> datetime:
        answer = self._ask("GET", "/info", until).checked(self._on("asking for the time"))
        with self._understanding("asking for the time"):
            told = json.loads(answer.body)
            host_time = time_of(told["SystemTime"])
            if host_time is None:
                raise ValueError("the host has no time")
            capacity = Capacity.of(told)
        self._clock = _Reading(host_time, time.monotonic(), capacity)
        return host_time
