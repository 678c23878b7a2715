"""How soon a start and a death are shown."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field

from bench.exporter.fleet import IDLE, NETWORK
from bench.exporter.subject import Exporter
from bench.figures import Figure, figure
from bridge.demo import parts


@dataclass
class Watcher:
    """Scrapes without a pause, and notes when each wanted text first stood on the page."""

    exporter: Exporter
    wanted: dict[tuple[str, str], re.Pattern[bytes]] = field(default_factory=dict)
    seen: dict[tuple[str, str], float] = field(default_factory=dict)
    stopping: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.stopping.is_set():
            body = self.exporter.scrape()[1]
            now = time.time()
            for key, pattern in list(self.wanted.items()):
                if pattern.search(body):
                    self.seen[key] = now
                    del self.wanted[key]

    def expect(self, key: tuple[str, str], *patterns: bytes) -> None:
        """Before it can happen: what stands on the page at once was not shown late."""
        self.wanted[key] = re.compile(b"[\\s\\S]*?".join(patterns))

    def wait(self, key: tuple[str, str]) -> None:
        assert parts.wait_until(lambda: key in self.seen, seconds=10, every=0.005), key


def reaction(exporter: Exporter, engine: parts.DockerEngine, *, times: int) -> list[Figure]:
    """To the last byte of the first page that tells, figures of the started one included.

    From the Engine's event, and beside it how long the Engine itself takes from there to answer an inspect, without
    which nobody can tell; and from its answer to the command.
    """
    told: dict[tuple[str, str], float] = {}
    inspected: dict[tuple[str, str], float] = {}
    answered: dict[tuple[str, str], float] = {}
    stream = engine.client.events(decode=True, filters={"type": "container"})

    def listen() -> None:
        for event in stream:
            key = (event["Actor"]["Attributes"].get("name", ""), event["Action"])
            if key[1] in ("start", "die"):
                told[key] = event["timeNano"] / 1e9
                engine.client.api.inspect_container(event["Actor"]["ID"])
                inspected[key] = time.time()

    threading.Thread(target=listen, daemon=True).start()
    watcher = Watcher(exporter)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    try:
        for number in range(times):
            name = f"probe-{number}"
            state = rb'docker_container_state\{[^}]*name="%b"[^}]*state="%%b"\} 1\n' % name.encode()
            usage = rb'container_cpu_usage_seconds_total\{[^}]*name="%b"' % name.encode()
            watcher.expect((name, "start"), state % b"running", usage)
            container = engine.run(name, IDLE, mem_limit="64m", network_mode=NETWORK)
            answered[name, "start"] = time.time()
            watcher.wait((name, "start"))
            watcher.expect((name, "die"), state % b"exited")
            container.kill()
            answered[name, "die"] = time.time()
            watcher.wait((name, "die"))
            container.remove()
    finally:
        watcher.stopping.set()
        thread.join()
        stream.close()
    found = []
    for what, action in (("a start", "start"), ("a death", "die")):
        keys = [(f"probe-{number}", action) for number in range(times)]
        since_event = [(watcher.seen[key] - told[key]) * 1e3 for key in keys]
        engines_own = [(inspected[key] - told[key]) * 1e3 for key in keys]
        since_answer = [max(0.0, watcher.seen[key] - answered[key]) * 1e3 for key in keys]
        goal = "≤ 50, worst ≤ 250"
        name = f"{what} shown after the event (baseline: the Engine's own answer)"
        found.append(figure(name, "ms", since_event, engines_own, goal=goal))
        found.append(figure(f"{what} shown after the command's answer", "ms", since_answer, goal=goal))
    return found
