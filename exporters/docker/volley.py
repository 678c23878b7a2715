"""Many requests to the Engine at once, in one thread: for the first inventory, and where the kernel tells nothing.

Each request has a connection of its own, which it closes. A thread for each would cost ten times the memory.
"""

from __future__ import annotations

import http.client
import io
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from exporters.docker.errors import EngineAway, EngineError, EngineMissing, EngineRefused, EngineSlow

Key = TypeVar("Key")
Answer = bytes | EngineError
Dial = Callable[[float], socket.socket]
"""A connected socket, within so many seconds. Raises: OSError."""

_READ_BYTES = 65_536


def volley(
    dial: Dial, requests: Iterable[tuple[Key, str]], *, at_once: int, timeout: float
) -> Iterator[tuple[Key, Answer]]:
    """Each request's body or error, in the order in which they come. `timeout`: seconds for each of them."""
    waiting = deque(requests)
    with _selector() as selector:
        try:
            while waiting or selector.get_map():
                while waiting and len(selector.get_map()) < at_once:
                    key, path = waiting.popleft()
                    try:
                        request = _Request(dial(timeout), path, time.monotonic() + timeout)
                    except OSError as error:
                        yield key, EngineAway(f"GET {path}: {error!r}")
                        continue
                    selector.register(request.sock, selectors.EVENT_READ, (key, request))
                yield from _answered(selector)
        finally:
            for registered in list(selector.get_map().values()):
                registered.data[1].sock.close()


def _selector() -> selectors.BaseSelector:
    """Raises: EngineAway: no file is left for it, as for a connection."""
    try:
        return selectors.DefaultSelector()
    except OSError as error:
        raise EngineAway(f"asking for many at once: {error!r}") from error


class _Request:
    """Sent on construction; `more` collects the answer."""

    def __init__(self, sock: socket.socket, path: str, deadline: float) -> None:
        self.sock = sock
        self.path = path
        self.deadline = deadline
        self._received = io.BytesIO()
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        try:
            sock.sendall(head.encode())
            sock.setblocking(False)
        except BaseException:
            sock.close()
            raise

    def more(self) -> bool:
        """Whether the answer is complete. Raises: OSError."""
        piece = self.sock.recv(_READ_BYTES)
        self._received.write(piece)
        return not piece

    def answer(self) -> Answer:
        self._received.seek(0)
        response = http.client.HTTPResponse(_Received(self._received))  # type: ignore[arg-type]
        try:
            response.begin()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            return EngineAway(f"GET {self.path}: {error!r}")
        if response.status == http.client.OK:
            return body
        said = body[:256].decode("utf-8", "replace").strip()
        kind = EngineMissing if response.status == http.client.NOT_FOUND else EngineRefused
        return kind(f"GET {self.path}: HTTP {response.status}: {said}")


class _Received:
    """Bytes in the place of a socket, for http.client to read."""

    def __init__(self, received: io.BytesIO) -> None:
        self._received = received

    def makefile(self, mode: str) -> io.BytesIO:
        return self._received


def _answered(selector: selectors.BaseSelector) -> Iterator[tuple[Key, Answer]]:
    """Those that have their answer now, waiting for the first of them or the next deadline."""
    requests = [registered.data for registered in selector.get_map().values()]
    if not requests:
        return
    wait = min(request.deadline for _, request in requests) - time.monotonic()
    for ready, _ in selector.select(max(wait, 0)):
        key, request = ready.data
        try:
            answer = request.answer() if request.more() else None
        except OSError as error:
            answer = EngineAway(f"GET {request.path}: {error!r}")
        if answer is not None:
            _let_go(selector, request)
            yield key, answer
    now = time.monotonic()
    for key, request in requests:
        if now >= request.deadline and request.sock.fileno() >= 0:
            _let_go(selector, request)
            yield key, EngineSlow(f"GET {request.path}: no answer in time")


def _let_go(selector: selectors.BaseSelector, request: _Request) -> None:
    selector.unregister(request.sock)
    request.sock.close()
