"""An Engine that does as it is told: the requests the exporter makes, over a unix socket, and their failures.

No container semantics: a test says what inspect answers and which events are sent. It passes the same contract
test as the real Engine (test_engine.py).
"""

import json
import queue
import socketserver
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

CUT = "cut"
"""In the queue of an event stream: end it, as an Engine that goes away does."""


def inspect_answer(container_id: str, name: str, **state: Any) -> dict[str, Any]:
    """What inspect says of a container that has been running.

    `state` overrides its state, and `RestartCount`, `Labels`, `Image` and `HostConfig` what else it has.
    """
    restart_count = state.pop("RestartCount", 0)
    config = {"Image": state.pop("Image", "image:1"), "Labels": state.pop("Labels", {})}
    host = state.pop("HostConfig", {})
    return {
        "Id": container_id,
        "Created": "2026-01-01T00:00:00Z",
        "Name": f"/{name}",
        "Image": "sha256:0",
        "RestartCount": restart_count,
        "State": {
            "Status": "running",
            "OOMKilled": False,
            "ExitCode": 0,
            "StartedAt": "2026-01-01T00:00:01Z",
            "FinishedAt": "0001-01-01T00:00:00Z",
            **state,
        },
        "Config": config,
        "HostConfig": host,
    }


def stats_answer(**changes: Any) -> dict[str, Any]:
    """What a one-shot look at the statistics says, as Docker 20.10 does on cgroup v1."""
    return {
        "cpu_stats": {
            "cpu_usage": {
                "total_usage": 18009095,
                "usage_in_usermode": 10000000,
                "usage_in_kernelmode": 8000000,
            },
            "throttling_data": {"periods": 30, "throttled_periods": 4, "throttled_time": 5000},
        },
        "memory_stats": {
            "usage": 483328,
            "stats": {"total_inactive_file": 8192, "total_rss": 49152, "total_cache": 135168},
            "limit": 67108864,
        },
        "pids_stats": {"current": 3},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 8, "minor": 0, "op": "Read", "value": 4096},
                {"major": 8, "minor": 0, "op": "write", "value": 100},
                {"major": 8, "minor": 16, "op": "Read", "value": 4},
            ]
        },
        "networks": {
            "eth0": {
                "rx_bytes": 200,
                "rx_packets": 2,
                "rx_errors": 3,
                "rx_dropped": 4,
                "tx_bytes": 300,
                "tx_packets": 5,
                "tx_errors": 6,
                "tx_dropped": 7,
            }
        },
        **changes,
    }


class ScriptedEngine:
    """Requests are named `ping`, `list`, `events`, `inspect <id>`, `stats <id>` and `image <id>` in what follows.

    `hanging`, `refusing`, `babbling`: requests that get no answer, a 500, something that is not JSON. `listed`: ids in
    the list; `inspected`, `stats`, `digests`: answers by id, an id without one gets 404.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "engine.sock"
        self.url = f"unix://{self.path}"
        self.listed: list[str] = []
        self.inspected: dict[str, dict[str, Any]] = {}
        self.stats: dict[str, dict[str, Any]] = {}
        self.digests: dict[str, str] = {}
        self.hanging: set[str] = set()
        self.refusing: set[str] = set()
        self.babbling: set[str] = set()
        self.requests: Counter[str] = Counter()
        self.released = threading.Event()
        """Set: what hangs is answered after all."""
        self._streams: list[queue.Queue[bytes | str]] = []
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def add(self, container_id: str, name: str, **state: Any) -> None:
        self.inspected[container_id] = inspect_answer(container_id, name, **state)
        if container_id not in self.listed:
            self.listed.append(container_id)

    def remove(self, container_id: str) -> None:
        self.listed.remove(container_id)
        del self.inspected[container_id]

    def emit(self, action: str, container_id: str, *, at: float | None = None, **attributes: str) -> None:
        """`at`: seconds since the epoch; an Engine always tells it, a proxy may not."""
        event: dict[str, Any] = {"Type": "container", "Action": action}
        event["Actor"] = {"ID": container_id, "Attributes": attributes}
        if at is not None:
            event["timeNano"] = round(at * 1e9)
        self.emit_line(json.dumps(event).encode())

    def emit_line(self, line: bytes) -> None:
        for stream in self._streams:
            stream.put(line + b"\n")

    def answer(self, request: str, subject: str) -> dict[str, Any] | None:
        if request.startswith("image "):
            digest = self.digests.get(subject)
            return {"RepoDigests": [f"image@{digest}"]} if digest else None
        return (self.stats if request.startswith("stats ") else self.inspected).get(subject)

    def entry(self, container_id: str) -> dict[str, Any]:
        """Of the list."""
        found = self.inspected.get(container_id)
        if found is None:
            return {"Id": container_id}
        return {"Id": container_id, "Names": [found["Name"]], "State": found["State"]["Status"]}

    def cut(self) -> None:
        """End all event streams; new ones may be opened."""
        streams, self._streams = self._streams, []
        for stream in streams:
            stream.put(CUT)

    def stop(self) -> None:
        self.released.set()
        self.cut()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def open_stream(self) -> "queue.Queue[bytes | str]":
        stream: queue.Queue[bytes | str] = queue.Queue()
        self._streams.append(stream)
        return stream


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False

    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine
        super().__init__(str(engine.path), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up waiting is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        engine = self.server.engine
        path = self.path.partition("?")[0]
        names = {"/_ping": "ping", "/containers/json": "list", "/events": "events"}
        kinds = (
            {"json": "inspect", "stats": "stats"} if path.startswith("/containers/") else {"json": "image"}
        )
        folder, _, last = path.rpartition("/")
        subject = folder.rpartition("/")[2]
        request = names.get(path) or f"{kinds.get(last)} {subject}"
        engine.requests[request] += 1
        if request in engine.hanging and not engine.released.wait(30):
            return
        if request in engine.refusing:
            self._answer(b'{"message": "told to"}', status=500)
        elif request in engine.babbling:
            self._answer(b"<html>")
        elif request == "ping":
            self._answer(b"OK")
        elif request == "list":
            self._answer(json.dumps([engine.entry(each) for each in engine.listed]).encode())
        elif request == "events":
            self._stream(engine.open_stream())
        elif (answer := engine.answer(request, subject)) is not None:
            self._answer(json.dumps(answer).encode())
        else:
            self._answer(b'{"message": "No such container"}', status=404)

    def _answer(self, body: bytes, *, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, stream: "queue.Queue[bytes | str]") -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while isinstance(line := stream.get(), bytes):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: `requests` tells what was asked."""
