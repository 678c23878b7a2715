"""The Docker Engine's HTTP API, as far as the exporter needs it: list, inspect, ping, events, and at need statistics.

The only file that talks to the Engine. It reads and never writes: no request here changes anything, so a
read-only socket proxy will do. No container semantics and no retries beyond one on an idle connection.

Requests carry no API version: Docker 29 refuses those below 1.44, Docker 20.10 those above 1.41.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from exporters.docker.errors import (
    EngineAway,
    EngineError,
    EngineMissing,
    EngineNonsense,
    EngineRefused,
    EngineSlow,
    UsageError,
)
from exporters.docker.volley import Answer, volley

WATCHED_ACTIONS = (
    "create",
    "start",
    "die",
    "oom",
    "pause",
    "unpause",
    "rename",
    "update",
    "destroy",
    "health_status",
)
"""Named one by one to leave out the `exec_*` events, three for each run of each health check."""


INSPECTS_AT_ONCE = 16
"""More gain nothing: from here on the Engine's CPU is what they wait for."""

STATISTICS_AT_ONCE = 64
"""Before Docker 25 each waits a second for the Engine's own clock, whatever else goes on; from 25 on about 30 would do."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    path: str

    def dial(self, timeout: float) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(self.path)
        except BaseException:
            sock.close()
            raise
        return sock


@dataclass(frozen=True, slots=True)
class TcpAddress:
    host: str
    port: int

    def dial(self, timeout: float) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout)


Address = UnixAddress | TcpAddress


@dataclass(frozen=True, slots=True)
class Event:
    action: str
    """One of `WATCHED_ACTIONS`, without the details Docker appends after a colon."""
    container_id: str
    at: float | None = field(default=None, compare=False)
    """Seconds since the epoch, by the Engine's clock; `None` where it does not say."""
    exit_code: int | None = field(default=None, compare=False)
    """Of a `die`."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A container as the list has it: one request for all of them."""

    state: str
    """As in inspect; empty where the list does not say."""
    names: frozenset[str]
    """Its own, and those under which others are linked to it."""


def parse_address(text: str) -> Address:
    """The address in `text`, in the form of DOCKER_HOST.

    Raises:
        UsageError: neither `unix://PATH` nor `tcp://HOST:PORT`.
    """
    with suppress(ValueError):
        parts = urlsplit(text)
        if parts.scheme == "unix" and (path := parts.netloc + parts.path):
            return UnixAddress(path)
        if parts.scheme == "tcp" and parts.hostname and parts.port and parts.path in ("", "/"):
            return TcpAddress(parts.hostname, parts.port)
    raise UsageError(f"{text!r} is not an Engine address: use unix:///PATH or tcp://HOST:PORT")


class Engine:
    """Requests over one kept connection. For one thread; the event stream has a connection of its own.

    `timeout` (seconds) bounds connecting and each wait for an answer.
    """

    def __init__(self, address: Address, *, timeout: float) -> None:
        self._address = address
        self._timeout = timeout
        self._connection = _Connection(address, timeout=timeout)

    def ping(self) -> None:
        self._answer("/_ping")

    def listed(self) -> dict[str, Listed]:
        """All containers by id, stopped ones too, with what little the list says of them."""
        entries = self._json("/containers/json?all=1")
        try:
            return {str(entry["Id"]): _listed(entry) for entry in entries}
        except (KeyError, TypeError, AttributeError) as error:
            raise EngineNonsense(f"list: cannot read the answer: {error!r}") from error

    def inspect(self, container_id: str) -> dict[str, Any] | None:
        """All the Engine says of one container; `None`: there is no such container (any more)."""
        path = _inspect_path(container_id)
        try:
            return _object(self._answer(path), path)
        except EngineMissing:
            return None

    def inspect_all(
        self, container_ids: Iterable[str]
    ) -> Iterator[tuple[str, dict[str, Any] | EngineError | None]]:
        """As `inspect`, of many at once, each with what it says or the error, in the order of the answers."""
        requests = [(container_id, _inspect_path(container_id)) for container_id in container_ids]
        answers = volley(self._address.dial, requests, at_once=INSPECTS_AT_ONCE, timeout=self._timeout)
        for container_id, answer in answers:
            said = _judged(answer, "inspect")
            yield container_id, None if isinstance(said, EngineMissing) else said

    def statistics(
        self, container_ids: Iterable[str], *, timeout: float
    ) -> Iterator[tuple[str, dict[str, Any] | EngineError]]:
        """One look at each of many containers. `timeout` (seconds): for each, most of it the Engine's own waiting.

        Safe beside the other requests: each has a connection of its own.
        """
        requests = [
            (container_id, f"/containers/{quote(container_id, safe='')}/stats?stream=false&one-shot=true")
            for container_id in container_ids
        ]
        for container_id, answer in volley(
            self._address.dial, requests, at_once=STATISTICS_AT_ONCE, timeout=timeout
        ):
            yield container_id, _judged(answer, "stats")

    def image_digest(self, image_id: str) -> str:
        """`sha256:...` under which a registry knows the image; empty: none does, or the image is gone."""
        path = f"/images/{quote(image_id, safe=':')}/json"
        try:
            known = _object(self._answer(path), path).get("RepoDigests") or []
        except EngineMissing:
            return ""
        return str(known[0]).partition("@")[2] if known else ""

    def events(self) -> EventStream:
        """Events of containers from now on. Once this returns, the Engine is recording for us."""
        filters = json.dumps({"type": ["container"], "event": list(WATCHED_ACTIONS)}, separators=(",", ":"))
        path = f"/events?filters={quote(filters)}"
        connection = _Connection(self._address, timeout=self._timeout)
        with _translated("events"):
            try:
                return EventStream(*_open_stream(connection, path))
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        self._connection.close()

    def _json(self, path: str) -> Any:
        body = self._answer(path)
        try:
            return json.loads(body)
        except ValueError as error:
            raise EngineNonsense(f"GET {path}: not JSON: {error}") from error

    def _answer(self, path: str) -> bytes:
        with _translated(f"GET {path}"):
            kept = self._connection.sock is not None
            try:
                status, body = self._ask(path)
            except ConnectionError:
                if not kept:
                    raise
                # A kept connection may have been closed by the Engine while idle; that says nothing about it.
                status, body = self._ask(path)
        _expect_ok(status, f"GET {path}", body)
        return body

    def _ask(self, path: str) -> tuple[int, bytes]:
        try:
            self._connection.request("GET", path)
            response = self._connection.getresponse()
            return response.status, response.read()
        except BaseException:
            self._connection.close()
            raise


class EventStream:
    """An open stream of events. Iterate in one thread; `close` may be called from another and ends it."""

    def __init__(self, sock: socket.socket, response: http.client.HTTPResponse) -> None:
        self._sock = sock
        self._response = response

    def __iter__(self) -> Iterator[Event]:
        """Events as they come, until the Engine ends the stream.

        Raises:
            EngineError: the stream broke or became unreadable.
        """
        try:
            while True:
                with _translated("events"):
                    line = self._response.readline()
                if not line:
                    return
                if line.strip():
                    yield _event(line)
        finally:
            self._response.close()
            self._sock.close()

    def close(self) -> None:
        # Shutting down wakes a reader blocked in recv; closing the descriptor alone would not.
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


class _Connection(http.client.HTTPConnection):
    def __init__(self, address: Address, *, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._address = address
        self._seconds = timeout

    def connect(self) -> None:
        self.sock = self._address.dial(self._seconds)


def _listed(entry: Mapping[str, Any]) -> Listed:
    names = frozenset(str(name).removeprefix("/") for name in entry.get("Names") or ())
    return Listed(str(entry.get("State") or ""), names)


def _inspect_path(container_id: str) -> str:
    return f"/containers/{quote(container_id, safe='')}/json"


def _object(body: bytes, path: str) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise EngineNonsense(f"GET {path}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise EngineNonsense(f"GET {path}: expected an object")
    return found


def _judged(answer: Answer, path: str) -> dict[str, Any] | EngineError:
    if isinstance(answer, EngineError):
        return answer
    try:
        return _object(answer, path)
    except EngineNonsense as error:
        return error


def _open_stream(
    connection: http.client.HTTPConnection, path: str
) -> tuple[socket.socket, http.client.HTTPResponse]:
    connection.request("GET", path)
    # Kept from here: http.client forgets its socket when the answer says "Connection: close".
    sock = connection.sock
    response = connection.getresponse()
    if response.status != http.client.OK:
        _expect_ok(response.status, f"GET {path}", response.read())
    # From now on silence is normal; whoever reads the stream must ping to tell quiet from dead.
    sock.settimeout(None)
    return sock, response


def _expect_ok(status: int, what: str, body: bytes) -> None:
    if status == http.client.OK:
        return
    said = body[:256].decode("utf-8", "replace").strip()
    kind = EngineMissing if status == http.client.NOT_FOUND else EngineRefused
    raise kind(f"{what}: HTTP {status}: {said}")


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """The one place where errors of sockets and of http.client become the exporter's own."""
    try:
        yield
    except TimeoutError as error:
        raise EngineSlow(f"{what}: no answer in time") from error
    except (OSError, http.client.HTTPException) as error:
        raise EngineAway(f"{what}: {error!r}") from error


def _event(line: bytes) -> Event:
    try:
        record = json.loads(line)
        action = str(record["Action"]).partition(":")[0]
        nanoseconds = record.get("timeNano")
        code = str((record["Actor"].get("Attributes") or {}).get("exitCode"))
        return Event(
            action,
            str(record["Actor"]["ID"]),
            at=nanoseconds / 1e9 if nanoseconds else None,
            # A label called exitCode takes its place, whatever it says.
            exit_code=int(code) if action == "die" and re.fullmatch("[0-9]{1,9}", code) else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        # The line holds the container's labels, which are nobody's business.
        raise EngineNonsense(f"events: cannot read one of {len(line)} bytes") from error
