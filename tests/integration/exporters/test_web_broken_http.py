"""What is no HTTP, or comes too slowly: one plain line as an answer, and nobody else's place is held."""

import contextlib
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from exporters.docker import web
from tests.integration.exporters.conftest import until

SECRET = b"of-nobodys-business"
SECONDS = 10.0
LARGE = b"#" * (16 << 20)  # more than the buffers of a connection take up
Wire = Callable[[], socket.socket]


@pytest.fixture
def connect() -> Iterator[Wire]:
    """Connections to a server whose page is `here`, with a large one beside it."""
    pages = {"/": lambda: web.Reply(b"here\n"), "/large": lambda: web.Reply(LARGE)}
    server = web.Web(("127.0.0.1", 0), pages)
    server.start()
    host, _, port = server.address.rpartition(":")
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection((host, int(port)), timeout=SECONDS))
    server.stop()


def answered(wire: socket.socket, sent: bytes) -> bytes:
    """Everything until it is closed. Raises: TimeoutError: it is not."""
    wire.sendall(sent)
    found = []
    while piece := wire.recv(65536):
        found.append(piece)
    return b"".join(found)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("framing", [b"Content-Length: %d\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_a_body_that_nobody_reads_is_not_taken_for_a_request(
    connect: Wire, method: bytes, framing: bytes
) -> None:
    """Behind a proxy it would be answered to somebody else."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    length = framing % len(hidden) if b"%d" in framing else framing
    answer = answered(connect(), method + b" / HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n" + hidden)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"TRACE / HTTP/1.1\r\nX: " + SECRET + b"\r\n\r\n", b"405 Method Not Allowed"),
        (b"CONNECT x:1 HTTP/1.1\r\nX: " + SECRET + b"\r\n\r\n", b"405 Method Not Allowed"),
        (SECRET + b" / HTTP/1.1\r\nHost: x\r\n\r\n", b"501 Not Implemented"),
        (SECRET + b"\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/" + SECRET + b"\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/3.0\r\n\r\n", b"505 HTTP Version Not Supported"),
        (b"GET /" + SECRET * 5000 + b" HTTP/1.1\r\n\r\n", b"414 "),
        (b"GET / HTTP/1.1\r\nX: " + SECRET * 5000 + b"\r\n\r\n", b"431 "),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 200 + b"\r\n", b"431 "),
    ],
    ids=["TRACE", "CONNECT", "method", "junk", "version", "HTTP/3.0", "long URL", "long header", "headers"],
)
def test_what_cannot_be_understood_is_told_in_one_plain_line(
    connect: Wire, sent: bytes, status: bytes
) -> None:
    head, _, body = answered(connect(), sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status)
    assert b"Content-Type: text/plain; charset=utf-8" in head
    assert (body.count(b"\n"), SECRET in head + body) == (1, False)


def test_a_head_that_drips_in_is_not_waited_for(connect: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a byte of it comes: each connection is one of few places."""
    monkeypatch.setattr(web, "HEAD_SECONDS", 0.3)
    wire = connect()
    wire.settimeout(0.02)
    wire.sendall(b"GET / HTTP/1.1\r\n")
    until = time.monotonic() + SECONDS
    closed = False
    while not closed and time.monotonic() < until:
        try:
            wire.sendall(b"X-Slow: yes\r\n")
            closed = wire.recv(1) == b""
        except TimeoutError:
            pass
        except OSError:
            closed = True
    assert closed


def test_a_kept_connection_may_be_silent_for_longer_than_a_head_may_take(
    connect: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "HEAD_SECONDS", 0.2)
    wire = connect()
    wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert wire.recv(9) == b"HTTP/1.1 "
    time.sleep(0.5)
    assert b"here" in answered(wire, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


@pytest.fixture
def few_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "MOST_CONNECTIONS", 3)


def waited_for() -> int:
    """Connections on which the server waits for what comes next."""
    return sum(frame.f_code.co_name == "readinto" for frame in sys._current_frames().values())


@pytest.mark.usefixtures("few_places")
def test_where_all_places_are_taken_the_longest_silent_connection_is_closed(connect: Wire) -> None:
    wires = [connect() for _ in range(3)]
    for wire in wires:
        wire.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.recv(9) == b"HTTP/1.1 "
        until(lambda: waited_for() == len(wires))
    assert b"here" in answered(connect(), b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert b"here" in answered(wires[0], b"")  # what it was sent before, and its end
    for wire in wires[1:]:
        assert b"200 OK" in answered(wire, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")


@pytest.mark.usefixtures("few_places")
def test_where_nobody_is_silent_one_more_connection_is_closed_unanswered(connect: Wire) -> None:
    wires = [connect() for _ in range(3)]
    for wire in wires:
        wire.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert wire.recv(9) == b"HTTP/1.1 "
    assert connect().recv(1) == b""
    for wire in wires:
        assert len(answered(wire, b"").partition(b"\r\n\r\n")[2]) == len(LARGE)


def test_a_client_that_takes_nothing_of_its_answer_is_not_waited_for(
    connect: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "SEND_SECONDS", 0.2)
    wire = connect()
    wire.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    assert wire.recv(9) == b"HTTP/1.1 "
    until(lambda: not any("process_request" in thread.name for thread in threading.enumerate()))
    with contextlib.suppress(ConnectionResetError):
        assert len(answered(wire, b"")) < len(LARGE)


def test_a_scraper_that_reads_slowly_gets_all_however_its_head_arrived(
    connect: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head may take as long as `HEAD_SECONDS`, and says nothing of how long the answer may."""
    monkeypatch.setattr(web, "HEAD_SECONDS", 0.4)
    wire = connect()
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    wire.sendall(b"GET /large HTTP/1.1\r\n")
    time.sleep(0.1)  # so that the rest is read by itself
    wire.sendall(b"Host: x\r\nConnection: close\r\n\r\n")
    assert wire.recv(9) == b"HTTP/1.1 "
    time.sleep(0.6)
    assert len(answered(wire, b"").partition(b"\r\n\r\n")[2]) == len(LARGE)
