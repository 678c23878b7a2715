"""What the demo runs on: the Engine, exporter, bridge, Prometheus and Alertmanager, wired to each other on loopback.

Started one after the other, each stoppable while it starts; `remove` leaves nothing, wherever the start had got to.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bridge
from bridge.demo import containers, parts
from bridge.demo.interruption import Interruption
from bridge.model.duration import parse_duration
from bridge.model.policy import TargetPolicy, VerifyPolicy

HOLD = "1s"
"""`for:` of the alert rules, here."""

POLICY = TargetPolicy(
    cooldown_seconds=300,
    verify=VerifyPolicy(within_seconds=30, stable_for_seconds=3, relapse_watch_seconds=60),
)
"""What differs from the defaults: the demo is to be over within a minute."""

OVERRIDES = (
    "REDIS_HOST REDIS_PORT REDIS_DB REDIS_PASSWORD LOG_LEVEL LOG_FORMAT RESPONDER_COOLDOWN_SECONDS"
    " RESPONDER_MAX_RETRIES_PER_HOUR RESPONDER_DRY_RUN ANALYZER_CONFIDENCE_THRESHOLD ANTHROPIC_API_KEY"
    " OPENAI_API_KEY AI_MODEL SLACK_WEBHOOK_URL DOCKER_HOST"
).split()
"""Variables that would make the bridge of this demo do something else; an empty one is not set."""

RULES = "containers.yml"
"""The alert rules that are shown. The other file watches HemoStat's own parts."""

ORPHAN_SECONDS = 3.0
"""How long a grandchild whose parent was ended may take to end by itself."""


class Stack:
    """The demo's services. Build one, start them in the order of the methods, `remove` in any case."""

    def __init__(self, interruption: Interruption) -> None:
        self._interruption = interruption
        self._processes: list[parts.Process] = []
        self._engine: parts.DockerEngine | None = None
        self.containers: containers.Containers | None = None
        self.run_id = secrets.token_hex(3)
        self._strangers = frozenset(parts.children(os.getpid()))
        adopt_orphans()
        self.root = Path(tempfile.mkdtemp(prefix="hs-"))

    @property
    def processes(self) -> tuple[parts.Process, ...]:
        """Those that are meant to run."""
        return tuple(self._processes)

    def own_engine(self) -> containers.Containers:
        """Raises: PartMissing, PartFailed, Interrupted."""
        self._engine = parts.DockerEngine(self.root / "docker")
        self._started(self._engine.start, self._engine.kill_daemon)
        self.containers = containers.of_own_engine(self._engine, self.run_id)
        return self.containers

    def found_engine(self, address: str) -> str | None:
        """Moves in with the Engine at this address; why that does not work, `None` if it does. Raises: PartMissing."""
        self.containers = containers.of_found_engine(address, self.run_id)
        why = self.containers.admitted()
        if why is not None:
            self._leave_engine()
        return why

    def start(self, part: parts.Process) -> None:
        """Starts a part, which is then watched and removed with the rest. Raises: PartFailed, Interrupted."""
        self._processes.append(part)
        self._started(part.start, part.terminate)

    def _started(self, start: Callable[[], object], end: Callable[[], object]) -> None:
        """Runs a start beside us, so that Ctrl-C can end what is being started at once."""
        with ThreadPoolExecutor(1) as thread:
            starting = thread.submit(start)
            while not starting.done():
                if self._interruption.number is not None:
                    end()
                time.sleep(0.02)
        self._interruption.check()
        starting.result()

    def check(self) -> None:
        """Raises: PartFailed: a part has ended. Interrupted."""
        self._interruption.check()
        for part in self._processes:
            if not part.running:
                raise parts.PartFailed(part.name, f"exited {part.returncode}", part.log_tail())

    def remove(self) -> list[str]:
        """Ends and removes everything, all that can be; what could not, a line each. Raises nothing; doing it twice is fine."""
        troubles = []
        with ThreadPoolExecutor(8) as threads:
            stopping = [threads.submit(part.stop) for part in reversed(self._processes)]
        steps = [*(step.result for step in stopping), self._leave_engine, self._end_engine, self._end_orphans]
        for step in steps:
            try:
                step()
            except Exception as error:  # whatever it is, the rest must go all the same
                troubles.append(containers.one_line(error))
        self._processes.clear()
        shutil.rmtree(self.root, ignore_errors=True)
        if self.root.exists():
            troubles.append(f"{self.root} could not be removed")
        return troubles

    def _leave_engine(self) -> None:
        there, self.containers = self.containers, None
        if there is None:
            return
        try:
            if self._engine is None:
                there.remove()
        finally:
            there.close()

    def _end_engine(self) -> None:
        if self._engine is not None:
            self._engine.stop()
            self._engine = None

    def _end_orphans(self) -> None:
        """Waits for what is left of our children, and ends what does not end by itself."""
        deadline = time.monotonic() + ORPHAN_SECONDS
        while left := set(parts.children(os.getpid())) - self._strangers:
            for pid in left:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    if time.monotonic() > deadline:
                        os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, os.WNOHANG)
            time.sleep(0.02)


def exporter_of(stack: Stack, address: str, *, docker_url: str) -> parts.Process:
    """The Docker exporter."""
    listen = f"--web.listen-address={address}"
    argv = [sys.executable, "-m", "exporters.docker", listen, f"--docker.host={docker_url}"]
    return parts.Process(
        argv, name="exporter", directory=stack.root / "exporter", url=f"http://{address}", env=surroundings()
    )


def bridge_of(
    stack: Stack, address: str, *, docker_url: str, alertmanager: parts.Alertmanager, names: Mapping[str, str]
) -> parts.Process:
    """HemoStat itself, with its embedded store. It observes; only of `names` it may take care."""
    directory = stack.root / "bridge"
    verify = POLICY.verify
    config = {
        "web": {"listen_address": address},
        "store": {"path": str(stack.root / "store"), "trust_empty": True},
        "docker": {"hosts": [{"name": "local", "url": docker_url}]},
        "alertmanager": {"url": alertmanager.url},
        "llm": {"provider": "none"},
        "policy": {
            "mode": "observe",
            "cooldown": f"{POLICY.cooldown_seconds:g}s",
            "verify": {
                "within": f"{verify.within_seconds:g}s",
                "stable_for": f"{verify.stable_for_seconds:g}s",
                "relapse_watch": f"{verify.relapse_watch_seconds:g}s",
            },
            "routes": [
                {"matchers": [f'name=~"{"|".join(names)}"'], "mode": "auto", "actions": ["restart", "start"]}
            ],
        },
    }
    return parts.Process(
        [sys.executable, "-m", "bridge", "serve", f"--config.file={directory / 'hemostat.yml'}"],
        name="bridge",
        directory=directory,
        files={"hemostat.yml": json.dumps(config, indent=2)},  # JSON is YAML
        url=f"http://{address}",
        env=surroundings(),
    )


def prometheus_of(
    stack: Stack,
    *,
    exporter: str,
    bridge_address: str,
    alertmanager: parts.Alertmanager,
    names: Mapping[str, str],
) -> parts.Prometheus:
    """Prometheus with HemoStat's container rules. It takes no series of any container but those of the demo."""
    shortened = parts.shortened_rules(parts.alert_rules(), stack.root / "rules", hold=HOLD)
    ours = {"source_labels": ["name"], "regex": "|".join(["", *names]), "action": "keep"}
    return parts.Prometheus(
        stack.root / "prometheus",
        rules=[path for path in shortened if path.name == RULES],
        exporter_address=exporter,
        alertmanager_address=alertmanager.address,
        jobs={"hemostat": bridge_address},
        metric_relabel_configs=[ours],
    )


def usual_hold() -> str:
    """The longest `for:` of the rules as they are shipped."""
    holds = re.findall(r"(?m)^\s+for: (\S+)$", (parts.alert_rules() / RULES).read_text())
    return str(max(holds, key=parse_duration))


def surroundings() -> dict[str, str]:
    """Environment of our own Python processes: this very HemoStat, and no override of its settings."""
    ours = str(Path(bridge.__file__).parents[1])
    path = os.pathsep.join([ours, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {"PYTHONPATH": path, **dict.fromkeys(OVERRIDES, "")}


def adopt_orphans() -> None:
    """From now on a grandchild whose parent dies becomes our child, to be waited for. Source: prctl(2)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(parts.keeper.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
