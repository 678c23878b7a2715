"""The HTTP face: metrics, two health checks and a landing page. What is on the pages comes from the caller.

HTTP/1.1 with kept connections, one thread for each. No routes that change anything. It listens on loopback unless
told otherwise; TLS and passwords are `security`'s.
"""

from __future__ import annotations

import contextlib
import html
import http
import http.server
import io
import itertools
import logging
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporters.docker.errors import UsageError
from exporters.docker.packing import Lasting, packed

if TYPE_CHECKING:  # what it brings in costs some MiB, and on loopback nobody needs it
    from exporters.docker.security import Security

IDLE_SECONDS = 300.0
"""A kept connection is dropped after this much silence; longer than any sensible scrape interval."""

HEAD_SECONDS = 10.0
"""From the first byte of a request to the last of its head, however it drips: a connection is one of few places."""

HANDSHAKE_SECONDS = 10.0

SEND_SECONDS = 30.0
"""For a client that takes nothing of its answer."""

MOST_CONNECTIONS = 128
"""Each is a thread and a file: half of the files that the kernel's own leave over."""

PLACE_SECONDS = 1.0
"""For a connection that is to give its place to another."""

STOP_SECONDS = 0.5
"""Within which it is noticed that it is to stop. Looking ten times a second costs as much as a scrape every 15 s."""

HEALTHY_PATH = "/-/healthy"
READY_PATH = "/-/ready"
TEXT = "text/plain; charset=utf-8"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    body: bytes | Iterable[bytes]
    """In pieces it is sent as they are made, so that a large page is never in memory as a whole."""
    content_type: str = TEXT
    status: http.HTTPStatus = http.HTTPStatus.OK
    lasting: Lasting | None = None
    """What is sent before the body."""


Routes = Mapping[str, Callable[[], Reply]]

UNAUTHORIZED = Reply(b"Unauthorized.\n", status=http.HTTPStatus.UNAUTHORIZED)
NOT_ALLOWED = Reply(b"Method not allowed.\n", status=http.HTTPStatus.METHOD_NOT_ALLOWED)


def parse_listen_address(text: str) -> tuple[str, int]:
    """Host and port out of `host:port`, `[v6]:port` or `:port` (every address of the machine).

    Raises:
        UsageError: it is none of these.
    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    unbracketed_v6 = ":" in bare and bare == host
    if not colon or unbracketed_v6 or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise UsageError(f"{text!r} is not a listen address: use HOST:PORT or :PORT")
    return bare, int(port)


def landing_page(telemetry_path: str, version: str) -> Reply:
    path = html.escape(telemetry_path, quote=True)
    text = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>HemoStat Docker exporter</title>"
        f"<h1>HemoStat Docker exporter</h1><p>Version {html.escape(version)}</p>"
        f'<p><a href="{path}">Metrics</a> · <a href="{HEALTHY_PATH}">Healthy</a> · '
        f'<a href="{READY_PATH}">Ready</a></p></html>\n'
    )
    return Reply(text.encode(), "text/html; charset=utf-8")


class Web:
    """Listens from construction on; serves from `start` to `stop`.

    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(self, address: tuple[str, int], routes: Routes, security: Security | None = None) -> None:
        self._server = _server(address, routes, security)
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": STOP_SECONDS},
            name="web",
            daemon=True,
        )

    @property
    def address(self) -> str:
        """The real one: a port of 0 has become what the system chose."""
        host, port = self._server.server_address[:2]
        name = host if isinstance(host, str) else host.decode()
        return f"[{name}]:{port}" if ":" in name else f"{name}:{port}"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop listening. Replies under way are not waited for; they end with the process."""
        self._server.shutdown()
        self._server.server_close()


class _Silent:
    """Connections on which nothing of a request came yet, silent for longest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, None] = {}

    @contextlib.contextmanager
    def holding(self, connection: socket.socket) -> Iterator[None]:
        with self._lock:
            self._connections[connection] = None
        try:
            yield
        finally:
            with self._lock:
                self._connections.pop(connection, None)

    def drop_one(self) -> bool:
        """Whether there was one. Its own thread then finds it at its end; a client that asks again has lost nothing."""
        with self._lock:
            connection = next(iter(self._connections), None)
            if connection is None:
                return False
            del self._connections[connection]
            with contextlib.suppress(OSError):
                # Not TLS' own, which waits for its peer to say goodbye.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
            return True


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    # Not http.server's own: that one asks the DNS for this machine's name before it listens.
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    routes: Routes
    security: Security | None
    places: threading.Semaphore
    silent: _Silent

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Whether there is a place for one more, if need be that of one who says nothing; else it is closed unanswered."""
        if self.places.acquire(blocking=False):
            return True
        return self.silent.drop_one() and self.places.acquire(timeout=PLACE_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request(request, client_address)
        except BaseException:
            self.places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.security is None or not self.security.encrypts:
            super().finish_request(request, client_address)
            return
        # In the connection's own thread: a client that is slow to greet holds up nobody else.
        request.settimeout(HANDSHAKE_SECONDS)
        with self.security.wrapped(request) as encrypted:
            super().finish_request(encrypted, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exception()
        gone = isinstance(error, OSError)
        log.log(logging.DEBUG if gone else logging.ERROR, "request_broke", exc_info=error)


class _Incoming(io.RawIOBase):
    """What a connection sends: the first byte of a request may take `IDLE_SECONDS`, what follows `HEAD_SECONDS`."""

    def __init__(self, connection: socket.socket, silent: _Silent) -> None:
        self._connection = connection
        self._silent = silent
        self.until: float | None = None
        """On the monotonic clock; `None`: nothing of the request came yet."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Raises: TimeoutError."""
        if self.until is None:
            self._connection.settimeout(IDLE_SECONDS)
            with self._silent.holding(self._connection):
                count = self._connection.recv_into(buffer)
            self.until = time.monotonic() + HEAD_SECONDS
            return count
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("a head took too long")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Head and body leave in one piece; in two, a kept connection would wait for the peer's delayed ACK.
    wbufsize = -1
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._incoming = _Incoming(self.connection, self.server.silent)
        self.rfile = io.BufferedReader(self._incoming)

    def handle_one_request(self) -> None:
        self._incoming.until = None
        super().handle_one_request()

    def do_GET(self) -> None:
        self._leave_no_body()
        self._send(self._reply(), with_body=True)

    def do_HEAD(self) -> None:
        self._leave_no_body()
        self._send(self._reply(), with_body=False)

    def _refuse_method(self) -> None:
        self._leave_no_body()
        self.close_connection = True
        self._send(NOT_ALLOWED, with_body=True)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_TRACE = do_CONNECT = _refuse_method

    def _leave_no_body(self) -> None:
        # A body that nobody reads would be taken for the next request.
        if self.headers.get("Transfer-Encoding") or self.headers.get("Content-Length", "0") != "0":
            self.close_connection = True

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Of what could not be understood nothing is repeated."""
        status = http.HTTPStatus(code)
        self.close_connection = True
        self.request_version = self.protocol_version  # the one that is assumed first knows no status line
        body = f"{status.phrase}.\n".encode()
        self.send_response(status)
        for name, value in (
            ("Content-Type", TEXT),
            ("Connection", "close"),
            ("Content-Length", str(len(body))),
        ):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _reply(self) -> Reply:
        if self.server.security and not self.server.security.admits(self.headers.get("Authorization", "")):
            return UNAUTHORIZED
        route = self.server.routes.get(self.path.partition("?")[0])
        return route() if route else Reply(b"Not found.\n", status=http.HTTPStatus.NOT_FOUND)

    def _send(self, reply: Reply, *, with_body: bool) -> None:
        self.connection.settimeout(SEND_SECONDS)  # what was left for its head is not meant for its answer
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Vary", "Accept-Encoding")
        if reply.status == http.HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", 'Basic realm="metrics"')
        if reply.status == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        pieces = [reply.body] if isinstance(reply.body, bytes) else reply.body
        if wants_gzip(self.headers.get("Accept-Encoding", "")):
            self.send_header("Content-Encoding", "gzip")
            self._send_whole(packed(reply.lasting, pieces), with_body=with_body)
            return
        if reply.lasting:
            pieces = itertools.chain([reply.lasting.plain()], pieces)
        if with_body and not isinstance(reply.body, bytes) and self.request_version == "HTTP/1.1":
            self._send_chunked(pieces)
        else:
            self._send_whole(list(pieces), with_body=with_body)

    def _send_whole(self, pieces: list[bytes], *, with_body: bool) -> None:
        self.send_header("Content-Length", str(sum(map(len, pieces))))
        self.end_headers()
        if with_body:
            self.wfile.write(b"".join(pieces))

    def _send_chunked(self, pieces: Iterable[bytes]) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            if piece:
                # In one write: each is a call to the kernel, and wakes the reader.
                self.wfile.write(b"".join((b"%x\r\n" % len(piece), piece, b"\r\n")))
        self.wfile.write(b"0\r\n\r\n")

    def version_string(self) -> str:
        return "hemostat-docker-exporter"

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("http_request", extra={"client": self.client_address[0], "request": format % args})


def wants_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header names gzip and does not give it quality 0."""
    for choice in accept_encoding.lower().split(","):
        coding, *parameters = (part.strip().replace(" ", "") for part in choice.split(";"))
        if coding == "gzip":
            return not any(p.startswith("q=") and not p[2:].strip("0.") for p in parameters)
    return False


def _server(address: tuple[str, int], routes: Routes, security: Security | None) -> _Server:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # A class of its own per server, because socketserver takes the family from the class.
    server = type("_Server", (_Server,), {"address_family": family})(address, _Handler)
    assert isinstance(server, _Server)  # noqa: S101  (for the type checker: `type` returns Any)
    server.routes = routes
    server.places = threading.Semaphore(MOST_CONNECTIONS)
    server.silent = _Silent()
    server.security = security
    return server
