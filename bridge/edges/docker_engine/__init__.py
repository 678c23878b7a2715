"""Docker Engines of all configured hosts: containers looked at, and restarted or started by their full id.

Only this folder talks to Docker, and only this file imports the SDK. What may be done, and whether it helped, is
decided elsewhere. The SDK gives the transport (unix socket, TCP with TLS, ssh); requests are made on it directly,
because its own methods send ``t=10`` with every restart, read events without a timeout and logs without a bound.
Source: Docker Engine API v1.41 and later.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import docker
import requests
import urllib3
from docker.errors import DockerException
from docker.types import CancellableStream

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
from bridge.edges.docker_engine.following import Follower
from bridge.edges.docker_engine.lane import EDGE, Lane
from bridge.edges.docker_engine.log_tail import LogTail
from bridge.model.evidence import ContainerFacts, ContainerStatus, EngineEvent, TextLine
from bridge.redaction import Redactor
from bridge.roles import ToldEvent

NEWEST_API = (1, 45)
"""The newest version this file was written against; a newer Engine is spoken to in this one."""

READS_AT_ONCE = 8
ACTIONS_AT_ONCE = 4
BODY_BYTES = 32 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
CLOCK_SECONDS = 30.0
"""How long a measured difference between a host's clock and ours is trusted."""

ACTION_SLACK_SECONDS = 30.0
"""Waited beyond the stop timeout: an Engine of 23.0 whose client hangs up while it stops a container never starts
it again (moby #44365 until #46688)."""

QUIET_SECONDS = 30.0
"""After which a stream without events is opened anew: a half-dead connection is quiet, too."""

RECENT_SECONDS = 1800.0
LOG_SECONDS = 0.8
LOG_QUEUE_SECONDS = 0.2
REMEMBERED_CONTAINERS = 10_000
LOG_LINES = 1000
MESSAGE_CHARACTERS = 256

NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}")
FULL_ID = re.compile(r"[0-9a-f]{64}")
ID_PREFIX = re.compile(r"[0-9a-f]{12,63}")
EVENT_ACTIONS = ("start", "die", "kill", "stop", "oom", "restart")
SERVICE_LABEL = "com.docker.swarm.service.name"

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerTLS:
    """Files for a ``tcp://`` host. ``ca_file`` ``None`` means the system's authorities."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerHost:
    """One Engine. ``url`` is ``unix:///...``, ``tcp://...`` or ``ssh://...`` (which needs ``docker[ssh]``)."""

    name: str
    url: str
    timeout_seconds: float = 10.0
    tls: DockerTLS | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineVersion:
    """What answers: ``api`` is the newest version it speaks, ``spoken`` the one we use with it."""

    engine: str
    api: str
    spoken: str


class DockerEngine:
    """``roles.Containers`` over the configured hosts. No host is contacted before the first call for it."""

    def __init__(self, hosts: Sequence[DockerHost]) -> None:
        """Raises: ValueError: two hosts have one name."""
        self._engines = {host.name: _Engine(host) for host in hosts}
        if len(self._engines) < len(hosts):
            raise ValueError("two Docker hosts have the same name")

    def hosts(self) -> Sequence[str]:
        """Names of the configured hosts."""
        return tuple(self._engines)

    async def inspect(self, host: str, ref: str) -> ContainerFacts | None:
        """One container by exact name, full id, or at least 12 digits of its id; ``None`` if there is none.

        Raises: EdgeRejected: one container is named like the id of another.
        """
        engine = self._engine(host)
        return await engine.read(lambda until: engine.inspect(ref, until), tried=f"inspecting {ref!r}")

    async def list(self, host: str) -> Sequence[ContainerFacts]:
        """All containers of a host by one request, so only what a list shows.

        Unknown here, whatever the value: start and finish times, OOM kill, failing streak, error (``None`` or
        empty), restarts and restart policy (0 and empty), start period (0), stop timeout (Docker's default), and
        the health of a paused or stopped one. To decide about a container, inspect it.
        """
        engine = self._engine(host)
        return await engine.read(engine.list, tried="listing containers")

    async def find_service(self, host: str, service: str) -> Sequence[str]:
        """Ids of a Swarm service's containers on this host, running ones first, then the newest."""
        engine = self._engine(host)
        tried = f"finding service {service!r}"
        return await engine.read(lambda until: engine.find_service(service, until), tried=tried)

    async def log_tail(self, host: str, container_id: str, *, lines: int) -> Sequence[TextLine]:
        """The last lines it wrote, oldest first, 96 KiB at most; over in a second or ``EdgeUnavailable``."""
        engine = self._engine(host)
        return await engine.read(
            lambda until: engine.log_tail(container_id, min(lines, LOG_LINES), until),
            tried=f"reading the log of {container_id}",
            seconds=LOG_SECONDS,
            queue_seconds=LOG_QUEUE_SECONDS,
        )

    async def health_log(self, host: str, container_id: str) -> Sequence[TextLine]:
        """The last health checks (Docker keeps five), each its exit code and what it printed."""
        engine = self._engine(host)
        tried = f"reading the health checks of {container_id}"
        return await engine.read(lambda until: engine.health_log(container_id, until), tried=tried)

    async def events(self, host: str, container_id: str, *, seconds: float) -> Sequence[EngineEvent]:
        """Its starts, stops, kills and deaths of the last ``seconds`` by the host's clock, oldest first."""
        engine = self._engine(host)
        tried = f"reading the events of {container_id}"
        return await engine.read(lambda until: engine.events(container_id, seconds, until), tried=tried)

    async def watch(self, host: str, *, since: datetime | None) -> AsyncGenerator[Sequence[ToldEvent], None]:
        """Events about containers, those since then first as far as the daemon has them (``None``: of the last
        RECENT_SECONDS); ends after QUIET_SECONDS without any. Open it again from the last one's time: an event on the
        seam comes twice.

        Raises: EdgeUnavailable: the stream broke, or could not be opened.
        """
        engine = self._engine(host)
        follower: Follower[ToldEvent] = Follower(EDGE)
        async with contextlib.aclosing(follower.pieces(partial(engine.follow, since))) as pieces:
            async for piece in pieces:
                yield piece

    async def restart(self, host: str, container_id: str) -> None:
        """Restart it with its own stop timeout; gives when Docker says that it is done.

        Cancelling the call does not stop it. After ``EdgeUnavailable`` it may have happened or may still happen.
        """
        await self._act(host, container_id, "restart")

    async def start(self, host: str, container_id: str) -> None:
        """Start it; nothing happens if it runs. After ``EdgeUnavailable`` it may have happened."""
        await self._act(host, container_id, "start")

    async def ping(self, host: str) -> EngineVersion:
        """Versions of the Engine, asked afresh."""
        engine = self._engine(host)
        return await engine.read(engine.version, tried="asking for the version")

    async def close(self) -> None:
        """Let go of idle connections. A call that still runs ends by its own timeout and holds nobody up."""
        for engine in self._engines.values():
            engine.forget()

    def _engine(self, host: str) -> _Engine:
        try:
            return self._engines[host]
        except KeyError:
            raise errors.EdgeRejected(EDGE, f"no Docker host named {host[:64]!r} is configured") from None

    async def _act(self, host: str, container_id: str, verb: str) -> None:
        engine = self._engine(host)
        tried = f"{verb} of {container_id} on {host}"
        if not FULL_ID.fullmatch(container_id):
            raise errors.EdgeRejected(EDGE, f"{tried[:96]}: not a full container id", 400)
        stop_seconds = await engine.read(lambda until: engine.stop_seconds(container_id, until), tried=tried)
        await engine.actions.run(
            lambda until: engine.act(container_id, verb, until),
            tried=tried,
            seconds=stop_seconds + ACTION_SLACK_SECONDS,
            queue_seconds=engine.timeout_seconds,
        )


@dataclass(frozen=True, slots=True)
class _Link:
    client: docker.APIClient
    version: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """The host's clock when ours showed ``monotonic``, and what it has to give."""

    host_time: datetime
    monotonic: float
    capacity: Capacity


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes

    def checked(self, tried: str) -> _Answer:
        """Itself, if it is a success. Raises: EdgeUnavailable (5xx), EdgeRejected."""
        if self.status < 300 or self.status == 304:
            return self
        message = f"{tried}: answered {self.status} {self._reason()}"
        if self.status >= 500:
            raise errors.EdgeUnavailable(EDGE, message)
        raise errors.EdgeRejected(EDGE, message, self.status)

    def _reason(self) -> str:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            # It may quote a whole command line; redacted before it is cut.
            return Redactor().plain(str(json.loads(self.body)["message"]), limit=MESSAGE_CHARACTERS).text
        return ""


class _Engine:
    """One host, blocking: everything but ``read`` runs in a thread of a lane. ``until`` is monotonic time."""

    def __init__(self, host: DockerHost) -> None:
        self.name = host.name
        self.timeout_seconds = host.timeout_seconds
        self.reads = Lane(READS_AT_ONCE)
        self.actions = Lane(ACTIONS_AT_ONCE)
        self._host = host
        self._link: _Link | None = None
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

    def find_service(self, service: str, until: float) -> tuple[str, ...]:
        listed = self._listed({"label": [f"{SERVICE_LABEL}={service}"]}, until)
        with self._understanding(f"finding service {service!r}"):
            ours = [entry for entry in listed if entry["Labels"].get(SERVICE_LABEL) == service]
            ours.sort(key=lambda entry: (entry["State"] != ContainerStatus.RUNNING, -entry["Created"]))
            return tuple(str(entry["Id"]) for entry in ours)

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
                _Answer(status, b"".join(chunks)).checked(self._on(tried))
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
        with self._translated("GET", "/events"):
            link = self._connected(time.monotonic() + self.timeout_seconds)
            with link.client.request(
                "GET",
                f"{link.client.base_url}/v{link.version}/events",
                params=query,
                timeout=(self.timeout_seconds, QUIET_SECONDS),
                stream=True,
                allow_redirects=False,
                verify=link.client.verify,
            ) as response:
                if response.status_code != http.client.OK:
                    _Answer(response.status_code, response.raw.read(CHUNK_BYTES)).checked(self._on(tried))
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

    def forget(self) -> None:
        """Drop the connection and the measured clock: the host may come back as another one."""
        link, self._link, self._clock = self._link, None, None
        if link is not None:
            link.client.close()

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

    def _ask(self, method: str, path: str, until: float, query: Mapping[str, str] | None = None) -> _Answer:
        with self._exchange(method, path, until, query) as (status, chunks):
            body = bytearray()
            for chunk in chunks:
                body += chunk
                if len(body) > BODY_BYTES:
                    message = self._on(f"{method} {path}: more than {BODY_BYTES} bytes")
                    raise errors.EdgeUnavailable(EDGE, message)
            return _Answer(status, bytes(body))

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, until: float, query: Mapping[str, str] | None = None
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Status and body of one request."""
        with self._translated(method, path):
            link = self._connected(until)
            with (
                link.client.request(
                    method,
                    f"{link.client.base_url}/v{link.version}{path}",
                    params=query,
                    timeout=left(until),
                    stream=True,
                    allow_redirects=False,
                    verify=link.client.verify,  # else REQUESTS_CA_BUNDLE of the environment replaces this host's CA
                ) as response
            ):
                yield response.status_code, chunks_of(response, until)

    @contextlib.contextmanager
    def _translated(self, method: str, path: str) -> Iterator[None]:
        """Every way a transport can fail becomes ``EdgeUnavailable`` here."""
        try:
            yield
        except (OSError, DockerException, urllib3.exceptions.HTTPError, http.client.HTTPException) as failure:
            self.forget()
            message = self._on(f"{method} {path}: {failure}"[:MESSAGE_CHARACTERS])
            raise errors.EdgeUnavailable(EDGE, message) from failure

    def _connected(self, until: float) -> _Link:
        """Two threads may both connect; the later one stays, and either works."""
        if self._link is None:
            client = self._new_client()
            try:
                self._link = link = _Link(client, self._negotiated(client, until))
            except BaseException:
                client.close()
                raise
            return link
        return self._link

    def _new_client(self) -> docker.APIClient:
        """Contacts nobody, save for ssh. Raises: EdgeRejected: the settings of this host cannot work."""
        try:
            return docker.APIClient(
                base_url=self._host.url,
                version=spelled(NEWEST_API),
                timeout=self.timeout_seconds,  # type: ignore[arg-type]  # requests takes a float
                tls=tls_of(self._host.tls),
                use_ssh_client=self._host.url.startswith("ssh://"),
                max_pool_size=READS_AT_ONCE + ACTIONS_AT_ONCE,
            )
        except DockerException as failure:
            message = self._on(f"cannot be connected to: {failure}"[:MESSAGE_CHARACTERS])
            raise errors.EdgeRejected(EDGE, message) from failure

    def _negotiated(self, client: docker.APIClient, until: float) -> str:
        """Docker 29 refuses versions below 1.44, 20.10 above 1.41: nothing fixed fits both."""
        with client.get(
            f"{client.base_url}/version", timeout=left(until), allow_redirects=False, verify=client.verify
        ) as response:
            with self._understanding("asking for the version"):
                told = response.json()
                newest, oldest = told["ApiVersion"], told.get("MinAPIVersion") or "1.24"
                return spelled(max(min(version_of(newest), NEWEST_API), version_of(oldest)))

    @contextlib.contextmanager
    def _understanding(self, tried: str) -> Iterator[None]:
        """What does not have the documented form is an Engine (or a proxy before it) that is not well."""
        try:
            yield
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as wrong:
            message = f"{self._on(tried)}: answered what cannot be understood: {wrong}"[:MESSAGE_CHARACTERS]
            raise errors.EdgeUnavailable(EDGE, message) from wrong

    def _on(self, tried: str) -> str:
        return f"{tried} on {self.name}"


def chunks_of(response: requests.Response, until: float) -> Iterator[bytes]:
    """The body as it comes: a host that drips a byte now and then does not hold the thread for ever."""
    while chunk := response.raw.read1(CHUNK_BYTES):
        yield chunk
        left(until)


def cut(response: requests.Response) -> None:
    """End a response that another thread is reading. One over ssh ends by itself when it was quiet long enough."""
    with contextlib.suppress(OSError, DockerException, AttributeError):
        CancellableStream(iter(()), response).close()  # the SDK's way to its socket


def left(until: float) -> float:
    """Seconds until then. Raises: TimeoutError: none."""
    seconds = until - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("out of time")
    return seconds


def version_of(text: str) -> tuple[int, int]:
    """``1.41`` as numbers that compare."""
    major, minor = text.split(".")
    return int(major), int(minor)


def spelled(version: tuple[int, int]) -> str:
    """The other way."""
    return f"{version[0]}.{version[1]}"


def tls_of(tls: DockerTLS | None) -> docker.TLSConfig | bool:
    """The SDK's form. Raises: TLSParameterError, a DockerException: a file is missing."""
    if tls is None:
        return False
    pair = (tls.cert_file, tls.key_file) if tls.cert_file and tls.key_file else None
    return docker.TLSConfig(client_cert=pair, ca_cert=tls.ca_file, verify=tls.verify)
