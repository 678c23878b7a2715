"""What runs in the children: the bridge as it is, told to die or to stand still at a named point of the walk.

The controls are made here, too: the same bridge with one protection taken out. The product has no switch for any of
this; its classes are wrapped in this process only.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import Any

import bridge.pipeline.settling
import bridge.verification
from bridge import cli
from bridge.edges.deadman import Deadman
from bridge.edges.docker_engine import DockerEngine
from bridge.edges.docker_engine.engine import Engine
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.queue import StoredQueue
from bridge.model.alert import Alert, Subject
from bridge.model.evidence import ContainerFacts
from bridge.model.incident import Entry, Intent, State
from bridge.roles import Acceptance, Grant, Held, Turn
from bridge.verification import Settled

POINTS = (
    "read",  # the message is ours, nothing else
    "claimed",
    "judged",
    "reserved",
    "inspected",  # granted and looked at once more, the intent not written yet
    "begun",  # the intent is written
    "calling",  # right before the request goes to Docker
    "posted",  # the request is on its way to Docker, or Docker works on it
    "replied",  # Docker said that it is done
    "acted",  # written down
    "looked",  # a look of the verification is written down
    "verified",  # the outcome is known and not written
    "closed",
    "given_back",  # the turn is done, or due again
)

Ask = Callable[..., Any]


def serve(
    config: str,
    *,
    roles: str,
    signals: str = "KILL",
    at: str = "",
    passing: int = 1,
    without: Sequence[str] = (),
) -> int:
    """`hemostat serve`, which sends itself this signal when it comes by the point `at` for the `passing`-th time.

    `without` names protections that are taken out of this process.
    """
    for name in without:
        REMOVALS[name]()
    if at:
        _Doom(at, passing, getattr(signal, f"SIG{signals}")).lie_in_wait()
    return cli.main(["serve", "--roles", roles, "--config.file", config])


class _Doom:
    """Wraps what the walk does, each point where it is reached, and nothing else."""

    def __init__(self, at: str, passing: int, number: signal.Signals) -> None:
        assert at in POINTS, at
        self._at = at
        self._left = passing
        self._number = number
        self._lock = threading.Lock()

    def here(self, point: str) -> None:
        """The end, if this is it."""
        if point != self._at:
            return
        with self._lock:
            self._left -= 1
            now = self._left == 0
        if now:
            os.kill(os.getpid(), self._number)

    def lie_in_wait(self) -> None:
        """Wrap everything."""
        looking_again: ContextVar[bool] = ContextVar("looking_again", default=False)

        def after_turns(turns: Sequence[Turn], *_: Any) -> None:
            if turns:
                self.here("read")

        def after_claim(answer: object, *_: Any) -> None:
            if isinstance(answer, Held):
                self.here("claimed")

        def after_save(_: Held, journal: object, held: Held, entry: Entry | None) -> None:
            incident = held.incident
            if incident.state is State.JUDGED:
                self.here("judged")
            if incident.state is State.VERIFYING:
                self.here("acted" if incident.finding is None else "looked")

        def after_acquire(answer: object, *_: Any, **__: Any) -> None:
            if isinstance(answer, Grant):
                self.here("reserved")

        def after_load(held: Held, *_: Any) -> None:
            looking_again.set(held.incident.state is State.RESERVED)

        def after_inspect(*_: Any) -> None:
            if looking_again.get():
                self.here("inspected")

        def after_begin(refusal: object, *_: Any, **__: Any) -> None:
            if refusal is None:
                self.here("begun")

        def while_posting(*_: Any) -> None:
            self.here("calling")
            if self._at == "posted":
                threading.Timer(random.uniform(0, 0.05), self.here, ("posted",)).start()

        def say(point: str) -> Ask:
            return lambda *_, **__: self.here(point)

        _after(StoredQueue, "read", after_turns)
        _after(StoredQueue, "sweep", after_turns)
        _after(StoredJournal, "claim", after_claim)
        _after(StoredJournal, "save", after_save)
        _after(StoredJournal, "load", after_load)
        _after(StoredBudgets, "acquire", after_acquire)
        _after(DockerEngine, "inspect", after_inspect)
        _after(StoredBudgets, "begin", after_begin)
        _before(Engine, "act", while_posting)
        _after(DockerEngine, "restart", say("replied"))
        _after(DockerEngine, "start", say("replied"))
        _before(StoredJournal, "close", say("verified"))
        _after(StoredJournal, "close", say("closed"))
        _after(StoredQueue, "done", say("given_back"))
        _after(StoredQueue, "later", say("given_back"))


def _after(kind: type, name: str, note: Ask) -> None:
    """`note` gets what the method gave, then its arguments."""
    original = getattr(kind, name)

    async def wrapped(*arguments: Any, **named: Any) -> Any:
        answer = await original(*arguments, **named)
        note(answer, *arguments, **named)
        return answer

    setattr(kind, name, wrapped)


def _before(kind: type, name: str, note: Ask) -> None:
    original = getattr(kind, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:
        note(*arguments, **named)
        return original(*arguments, **named)

    setattr(kind, name, wrapped)


# ---- protections taken out ---------------------------------------------------------------------------------------

WRITE_BEHIND_SECONDS = 0.1


def _answer_before_writing() -> None:
    """Say 202 and write soon after, as a receiver with a queue in memory does."""
    original = Acceptor.accept
    waiting: set[asyncio.Task[None]] = set()

    async def accept(self: Acceptor, alerts: Sequence[tuple[Alert, Subject]]) -> Acceptance:
        async def write() -> None:
            await asyncio.sleep(WRITE_BEHIND_SECONDS)
            await original(self, alerts)

        task = asyncio.create_task(write())
        waiting.add(task)
        task.add_done_callback(waiting.discard)
        return Acceptance(accepted=len(alerts), incidents=())

    Acceptor.accept = accept  # type: ignore[method-assign]


def _repeat_blindly() -> None:
    """What was begun and not reported is done again, whatever Docker says of it."""

    def settle(intent: Intent, facts: ContainerFacts | None, *, now: datetime) -> Settled:
        return Settled.NOT_DONE if facts is not None else Settled.TARGET_CHANGED

    bridge.verification.settle = settle
    # Nor may the second look at the container see what the first was told to overlook.
    bridge.pipeline.settling.as_judged = lambda incident, facts: True  # type: ignore[attr-defined]


def _no_timer() -> None:
    """A process that was paused goes on where it was, its lease long over."""

    def arm(self: Deadman, key: str, seconds: float) -> None:
        pass

    Deadman.arm = arm  # type: ignore[method-assign]


REMOVALS: Mapping[str, Callable[[], None]] = {
    "write before the answer": _answer_before_writing,
    "settlement": _repeat_blindly,
    "timer": _no_timer,
}


def shift_clock(seconds: float) -> None:
    """Every clock of this process that could be asked for the date is off by so much; Redis' and Docker's are not."""
    import sys
    import time

    real = time.time
    time.time = lambda: real() + seconds
    time.time_ns = lambda: int((real() + seconds) * 1e9)

    class Clock(type):
        def __getattr__(cls, name: str) -> Any:
            return getattr(datetime, name)

        def __call__(cls, *arguments: Any, **named: Any) -> datetime:
            return datetime(*arguments, **named)  # noqa: DTZ001  # as the caller has it

        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, datetime)

    class Shifted(metaclass=Clock):
        @staticmethod
        def now(tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(seconds=seconds)

    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "bridge" and getattr(module, "datetime", None) is datetime:
            module.datetime = Shifted  # type: ignore[attr-defined]
