"""Workers that die at every named point of the walk, on a real Docker Engine: each sick container is restarted once.

The truth is the containers' own: each boot writes a line. Each has one incident and must boot twice. In the first
control, what was begun and not reported is repeated without asking Docker. In the second part the workers are not
killed but stopped for longer than their lease (SIGSTOP) and go on when another has taken over; its control has no
timer that ends them.
"""

from __future__ import annotations

import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial

from bridge.demo import parts
from tests.acceptance.stack import firing
from tests.torture.counting import Result, Tally
from tests.torture.doomed import POINTS
from tests.torture.ground import LEASE_SECONDS, Ground, Patient, Replica, Ward, both, post, until
from tests.torture.nursery import Child, Nursery

WORKERS = 4
SICK_AT_ONCE = 9
DRAIN_SECONDS = 120.0
WATCHED_SECONDS = 2 * LEASE_SECONDS
"""After an incident closed: what a worker that is dead or paused asked of Docker has happened by then."""

LONGEST_LIFE = 4.0
"""Of a worker that does not come by its point: another point is tried."""

AROUND_THE_CALL = ("begun", "calling", "posted", "replied")
PAUSES = ("begun", "calling")


def deaths(*, deaths: int, control_deaths: int) -> Result:
    """Workers killed, and its control."""
    with parts.DockerEngine() as engine, Nursery() as nursery:
        product, control = both(
            lambda: _deaths(nursery, engine, deaths=deaths, points=POINTS),
            lambda: _deaths(
                nursery, engine, deaths=control_deaths, points=("posted", "replied"), without=["settlement"]
            ),
        )
    return Result(name="walk", product=product, controls={"repeats blindly instead of settling": control})


def pauses(*, pauses: int, control_pauses: int) -> Result:
    """Workers stopped for longer than their lease, and its control."""
    with parts.DockerEngine() as engine, Nursery() as nursery:
        product, control = both(
            lambda: _pauses(nursery, engine, pauses=pauses),
            lambda: _pauses(nursery, engine, pauses=control_pauses, without=["timer"]),
        )
    return Result(name="pause", product=product, controls={"no timer": control})


# ---- kill -9 -----------------------------------------------------------------------------------------------------


def _deaths(
    nursery: Nursery,
    engine: parts.DockerEngine,
    *,
    deaths: int,
    points: Sequence[str],
    without: Sequence[str] = (),
) -> Tally:
    with Ground(nursery, docker=engine.url) as ground, Ward(engine) as ward:
        door = Replica(ground, roles="web").start().until_up()
        hall = _Hall(ground, ward, door)
        crew = [_Mortal(ground, without) for _ in range(WORKERS)]
        ends = itertools.cycle(points)
        for worker in crew:
            worker.begin(next(ends))
        died: Counter[str] = Counter()
        while sum(died.values()) < deaths:
            hall.fill(SICK_AT_ONCE)
            for worker in crew:
                if worker.over:
                    died[worker.point] += worker.died
                    worker.begin(next(ends))
            time.sleep(0.02)
        for worker in crew:
            worker.live()
        hall.empty(seconds=DRAIN_SECONDS)
        return Tally(
            did={
                "deaths": sum(died.values()),
                "points": sum(count > 0 for count in died.values()),
                "around the Docker call": sum(died[point] for point in AROUND_THE_CALL),
                **_settlements(ground),
                "incidents": len(hall.boots),
            },
            faults=hall.faults(),
        )


class _Hall:
    """Patients whose alert was sent. Who has been well for a while is counted and sent home: a health check costs."""

    def __init__(self, ground: Ground, ward: Ward, door: Replica) -> None:
        self.boots: dict[str, int] = {}
        self.discharges = True
        self._ground = ground
        self._ward = ward
        self._door = door
        self._inside: dict[str, Patient] = {}
        self._well_since: dict[str, float] = {}

    def fill(self, count: int, *, waiting: bool = False) -> None:
        """Admit those who are ready until so many are ill; `waiting` for them if told."""
        while self.ill() < count and (patient := self._ward.next(within=60 if waiting else 0)):
            status, answer = post(self._door.url, firing(patient.name))
            assert status == 202, f"not accepted: {status}"
            [incident_id] = answer["incidents"]
            self._inside[incident_id] = patient

    def ill(self) -> int:
        """How many incidents are open."""
        now, ids = time.monotonic(), list(self._inside)
        states = self._ground.fields(["state"], ids)
        closed = [incident_id for incident_id, [state] in zip(ids, states, strict=True) if state == "closed"]
        for incident_id in closed:
            since = self._well_since.setdefault(incident_id, now) if self.discharges else now
            if now - since > WATCHED_SECONDS:
                self._discharge(incident_id)
        return len(ids) - len(closed)

    def empty(self, *, seconds: float) -> None:
        """Returns once nobody is ill, everybody was watched for a while and counted."""
        until(lambda: self.ill() == 0, seconds=seconds, what="every incident closed")
        until(lambda: self.ill() == len(self._inside), seconds=60, what="everybody watched")

    def faults(self) -> dict[str, int]:
        """By the containers' own account, and the incidents' outcomes."""
        outcomes = Counter(outcome for [outcome] in self._ground.fields(["outcome"], list(self.boots)))
        return {
            "doubled": sum(max(0, count - 2) for count in self.boots.values()),
            "missing": sum(count < 2 for count in self.boots.values()),
            "not healed": len(self.boots) - outcomes["healed"],
        }

    def _discharge(self, incident_id: str) -> None:
        patient = self._inside.pop(incident_id)
        self.boots[incident_id] = patient.boots
        self._ward.remove(patient)


class _Mortal:
    """A worker that dies at a point, or of old age if it never comes by."""

    def __init__(self, ground: Ground, without: Sequence[str]) -> None:
        self._replica = Replica(ground, roles="worker")
        self._without = without
        self.point = ""
        self._began = 0.0

    def begin(self, point: str) -> None:
        """A new life."""
        self.point = point
        self._began = time.monotonic()
        self._replica.start(at=point, passing=random.choice((1, 1, 1, 2)), without=self._without)

    def live(self) -> None:
        """A life without an end."""
        if self._replica.child is not None:
            self._replica.child.kill()
        self._replica.start(without=self._without)

    @property
    def over(self) -> bool:
        """Whether it is dead; one that is too old is killed, and does not count."""
        child = self._replica.child
        assert child is not None
        if child.running and time.monotonic() - self._began > LONGEST_LIFE:
            child.kill()
            self.point = "old age"
        return not child.running

    @property
    def died(self) -> int:
        """1 if it died where it should."""
        child = self._replica.child
        assert child is not None
        status = child.wait(0)
        assert status in (-signal.SIGKILL, -signal.SIGALRM), f"ended with {status}\n{child.tail()}"
        return int(self.point != "old age")


def _settlements(ground: Ground) -> dict[str, int]:
    """How the actions that nobody reported were settled, from the incidents' own stories."""
    found: Counter[str] = Counter()
    for incident_id in ground.incidents():
        events = [(line["event"], line["fields"]) for line in ground.story(incident_id)]
        found["settled as done"] += any(e == "acted" and f.get("settled") == "yes" for e, f in events)
        found["settled as not done"] += max(0, sum(e == "acting" for e, _ in events) - 1)
    return dict(found)


# ---- SIGSTOP -----------------------------------------------------------------------------------------------------


def _pauses(
    nursery: Nursery, engine: parts.DockerEngine, *, pauses: int, without: Sequence[str] = ()
) -> Tally:
    with Ground(nursery, docker=engine.url) as ground, Ward(engine) as ward:
        door = Replica(ground, roles="web").start().until_up()
        hall = _Hall(ground, ward, door)
        stood = ended = 0
        points = itertools.cycle(PAUSES)
        while stood < pauses:
            crew = [_Sleeper(ground, next(points), without) for _ in range(min(4, pauses - stood))]
            hall.fill(len(crew), waiting=True)
            until(partial(_all_stand, crew), seconds=60, what="all stand still")
            successor = Replica(ground, roles="worker").start()
            hall.discharges = False  # the watch begins when they wake up
            until(lambda: hall.ill() == 0, seconds=60, what="another worker finishes what they held")
            for worker in crew:
                worker.child.signal(signal.SIGCONT)
            hall.discharges = True
            hall.empty(seconds=60)
            for worker in crew:
                if without:
                    worker.child.kill()
                ended += worker.child.wait(10) == -signal.SIGALRM
            assert successor.child is not None
            successor.child.kill()
            stood += len(crew)
        return Tally(
            did={"paused beyond the lease": stood, "ended by the timer": ended},
            faults=hall.faults(),
        )


def _all_stand(crew: Sequence[_Sleeper]) -> bool:
    return all(sleeper.stands() for sleeper in crew)


class _Sleeper:
    """A worker with one slot that stops itself at a point."""

    def __init__(self, ground: Ground, point: str, without: Sequence[str]) -> None:
        alone = {"lease": f"{LEASE_SECONDS:g}s", "concurrency": 1}
        self._replica = Replica(ground, roles="worker", worker=alone)
        self._doom = {"at": point, "signals": "STOP", "without": without}
        self._replica.start(**self._doom).until_up()

    @property
    def child(self) -> Child:
        """Its process."""
        assert self._replica.child is not None
        return self._replica.child

    def stands(self) -> bool:
        """Whether it has stopped; one that its timer ended before it came there (a slow machine) is begun anew."""
        if not self.child.running:
            self._replica.start(**self._doom)
        return self.child.standing_still
