"""The way to one Engine: requests made on the SDK's transport, versions agreed on, failures in our words.

The only file that imports the SDK. It gives the transport (unix socket, TCP with TLS, ssh); requests are made on it
directly, because its own methods send ``t=10`` with every restart, read events without a timeout and logs without a bound.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import docker
import requests
import urllib3
from docker.errors import DockerException
from docker.types import CancellableStream
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from bridge import authorities, errors
from bridge.edges.docker_engine.lane import EDGE
from bridge.redaction import Redactor

NEWEST_API = (1, 45)
"""The newest version this file was written against; a newer Engine is spoken to in this one."""

READS_AT_ONCE = 8
ACTIONS_AT_ONCE = 4
BODY_BYTES = 32 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
MESSAGE_CHARACTERS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerTLS:
    """Files for a ``tcp://`` host. ``ca_file`` ``None`` means the system's authorities."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerHost:
    """One Engine. ``url`` is ``unix:///...``, ``tcp://...`` or ``ssh://...`` (which needs the extra ``ssh``)."""

    name: str
    url: str
    timeout_seconds: float = 10.0
    tls: DockerTLS | None = None


class _SecuredConnection(urllib3.connection.HTTPSConnection):
    """Its context is made as it connects: urllib3 adds the files to it, and a renewed one replaces what was before."""

    def connect(self) -> None:
        self.ssl_context = authorities.taken(
            create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
        )
        super().connect()


class _Secured(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecuredConnection


@dataclass(frozen=True, slots=True)
class _Link:
    client: docker.APIClient
    version: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response."""

    status: int
    body: bytes

    def checked(self, tried: str) -> Answer:
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


class Connection:
    """One host, blocking: called from the threads of a lane. ``until`` is monotonic time."""

    def __init__(self, host: DockerHost) -> None:
        self.name = host.name
        self.timeout_seconds = host.timeout_seconds
        self._host = host
        self._link: _Link | None = None

    def forget(self) -> None:
        """Drop the connection: the host may come back as another one."""
        link, self._link = self._link, None
        if link is not None:
            link.client.close()

    def _ask(self, method: str, path: str, until: float, query: Mapping[str, str] | None = None) -> Answer:
        with self._exchange(method, path, until, query) as (status, chunks):
            body = bytearray()
            for chunk in chunks:
                body += chunk
                if len(body) > BODY_BYTES:
                    message = self._on(f"{method} {path}: more than {BODY_BYTES} bytes")
                    raise errors.EdgeUnavailable(EDGE, message)
            return Answer(status, bytes(body))

    @contextlib.contextmanager
    def _exchange(
        self, method: str, path: str, until: float, query: Mapping[str, str] | None = None
    ) -> Iterator[tuple[int, Iterator[bytes]]]:
        """Status and body of one request."""
        with self._opened(method, path, until, query) as response:
            yield response.status_code, chunks_of(response, until)

    @contextlib.contextmanager
    def _opened(
        self,
        method: str,
        path: str,
        until: float,
        query: Mapping[str, str] | None,
        quiet_seconds: float | None = None,
    ) -> Iterator[requests.Response]:
        """A response that nothing is read of yet; it may be quiet for so long, by default until then."""
        with self._translated(method, path):
            link = self._connected(until)
            with (
                link.client.request(
                    method,
                    f"{link.client.base_url}/v{link.version}{path}",
                    params=query,
                    timeout=(left(until), quiet_seconds or left(until)),
                    stream=True,
                    allow_redirects=False,
                    verify=link.client.verify,  # else REQUESTS_CA_BUNDLE of the environment replaces this host's CA
                ) as response
            ):
                yield response

    @contextlib.contextmanager
    def _translated(self, method: str, path: str) -> Iterator[None]:
        """Every way a transport can fail becomes ``EdgeUnavailable`` here."""
        try:
            yield
        except (OSError, DockerException, urllib3.exceptions.HTTPError, http.client.HTTPException) as failure:
            self.forget()
            message = self._on(f"{method} {path}: {self._why(failure)}"[:MESSAGE_CHARACTERS])
            raise errors.EdgeUnavailable(EDGE, message) from failure

    def _why(self, failure: BaseException) -> str:
        """What the system said, and of which address, where the libraries only wrap that in their own names."""
        inner: BaseException | None = failure
        while inner is not None:
            if isinstance(inner, OSError) and inner.strerror:
                return f"{inner.strerror} ({self._host.url})"
            inner = inner.__cause__ or inner.__context__
        return str(failure)

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
            client = docker.APIClient(
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
        if isinstance(https := client.get_adapter("https://"), requests.adapters.HTTPAdapter):
            pools = https.poolmanager
            pools.pool_classes_by_scheme = {**pools.pool_classes_by_scheme, "https": _Secured}
        return client

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
