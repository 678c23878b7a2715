"""The load generator: keep-alive connections over plain sockets, in a process of its own, without an event loop.

As a program it reads an `Order` as JSON from stdin and prints a `Result`. With a rate, latency counts from the moment
a request was *due*, whether or not a connection was free then: a server that stalls is charged for everything that
queued up behind it. Its own share of a core is in the result, so that it can be seen not to be what limits.
"""

from __future__ import annotations

import itertools
import json
import resource
import select
import socket
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench import payload

ROOT = Path(__file__).parents[1]
ANSWER_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to send. `rate` is requests per second, 0 for as fast as the answers come. `alerts` 0: as recorded."""

    port: int
    unseen: bool
    alerts: int = 0
    seconds: float
    warm_up_seconds: float = 1.0
    rate: float = 0.0
    connections: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came back after the warm-up. Latencies in milliseconds; `own_cpu` is the generator's share of a core."""

    requests: int
    seconds: float
    codes: dict[str, int]
    p50_ms: float
    p99_ms: float
    max_ms: float
    own_cpu: float

    @property
    def per_second(self) -> float:
        """Requests answered per second."""
        return self.requests / self.seconds

    @property
    def refused(self) -> int:
        """Answers other than 202."""
        return sum(count for code, count in self.codes.items() if code != "202")


def run(order: Order) -> Result:
    """Carry out an order in a process of its own. Raises: CalledProcessError: the server went away, or was too slow."""
    argv = [sys.executable, "-m", "bench.load"]
    asked = json.dumps(asdict(order))
    done = subprocess.run(argv, input=asked, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
    return Result(**json.loads(done.stdout))


@dataclass(slots=True)
class _Connection:
    socket: socket.socket
    due: float = 0.0
    buffer: bytearray = field(default_factory=bytearray)

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, request: bytes, *, due: float) -> None:
        self.due = due
        self.socket.sendall(request)

    def answered(self) -> str | None:
        """The status of the answer, once it is whole."""
        received = self.socket.recv(65536)
        if not received:
            raise ConnectionError("the server closed a connection")
        self.buffer += received
        head, separator, body = bytes(self.buffer).partition(b"\r\n\r\n")
        if not separator:
            return None
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return None
        self.buffer.clear()
        return head[9:12].decode()


class _Load:
    """One order being carried out."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._template, self._alerts = _request(order)
        self._numbers = itertools.count()
        self._idle = deque(_connect(order.port) for _ in range(order.connections))
        self._busy: list[_Connection] = []
        self._codes: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._cpu = 0.0
        begin = time.perf_counter()
        self._counted_from = begin + order.warm_up_seconds
        self._end = self._counted_from + order.seconds
        self._interval = 1 / order.rate if order.rate else 0.0
        self._next_due = begin

    def run(self) -> Result:
        """Until the time is over and all is answered."""
        while (now := time.perf_counter()) < self._end or self._busy:
            if not self._cpu and now >= self._counted_from:
                self._cpu = _cpu_seconds()
            now = self._send_what_is_due(now)
            for connection in self._readable(now):
                self._hear(connection)
        return _result(self._order, self._codes, sorted(self._latencies), _cpu_seconds() - self._cpu)

    def _send_what_is_due(self, now: float) -> float:
        while self._idle and now < self._end and self._next_due <= now:
            connection = self._idle.popleft()
            request = payload.rendered(self._template, next(self._numbers), self._alerts)
            connection.send(request, due=self._next_due if self._order.rate else now)
            self._busy.append(connection)
            self._next_due += self._interval
            now = time.perf_counter()
        return now

    def _readable(self, now: float) -> list[_Connection]:
        waits_for_answers = not self._idle or now >= self._end
        wait = ANSWER_SECONDS if waits_for_answers else max(0.0, self._next_due - now)
        readable, _, _ = select.select(self._busy, (), (), wait)
        if not readable and wait == ANSWER_SECONDS:
            raise TimeoutError(f"{len(self._busy)} requests were not answered within {ANSWER_SECONDS:g} s")
        return readable

    def _hear(self, connection: _Connection) -> None:
        code = connection.answered()
        if code is None:
            return
        now = time.perf_counter()
        self._busy.remove(connection)
        self._idle.append(connection)
        # With a rate, what was due inside the window counts, however late it was answered.
        at = connection.due if self._order.rate else now
        if self._counted_from <= at < self._end:
            self._codes[code] += 1
            self._latencies.append(now - connection.due)


def _request(order: Order) -> tuple[bytes, int]:
    """One request to be rendered for each number, and how many alerts it has."""
    recorded = payload.RECORDED.read_bytes()
    if order.alerts:
        recorded = payload.grouped(recorded, order.alerts)
    alerts = payload.alerts_in(recorded)
    template = payload.unseen(recorded) if order.unseen else payload.resent(recorded)
    head = (
        f"POST /api/v1/alerts HTTP/1.1\r\nHost: 127.0.0.1:{order.port}\r\nUser-Agent: bench\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(payload.rendered(template, 0, alerts))}\r\n\r\n"
    )
    return head.encode() + template, alerts


def _connect(port: int) -> _Connection:
    connected = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return _Connection(connected)


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _result(order: Order, codes: Counter[str], latencies: list[float], cpu_seconds: float) -> Result:
    def at(share: float) -> float:
        return latencies[min(len(latencies) - 1, int(len(latencies) * share))] * 1000

    if not latencies:
        raise TimeoutError("no request was answered")
    return Result(
        requests=len(latencies),
        seconds=order.seconds,
        codes=dict(codes),
        p50_ms=at(0.50),
        p99_ms=at(0.99),
        max_ms=at(1.0),
        own_cpu=cpu_seconds / order.seconds,
    )


if __name__ == "__main__":
    print(json.dumps(asdict(_Load(Order(**json.loads(sys.stdin.read()))).run())))
