"""`hemostat demo`, told in order: start everything, make three containers sick, tell what happens, clean up.

Nothing is decided and nothing is formatted here. It leaves nothing behind, whenever and however it is ended.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from docker.errors import DockerException
from rich.text import Text

from bridge import errors, summary
from bridge.demo import containers, parts, stack, story, watching
from bridge.demo.containers import PATIENTS, Patient
from bridge.demo.interruption import Interrupted, Interruption
from bridge.demo.screen import Screen
from bridge.demo.stack import Stack
from bridge.edges.store import server_program

GOOD, NO, BAD = 0, 1, 2

SHOW_SECONDS = 90.0
"""After which the demo has failed to show what it promises; it takes about a quarter of that."""

KEEPS_AWAY = timedelta(seconds=15)
"""For how long after its escalation the container in its loop is watched."""

LOOK_SECONDS = 0.25
ENDING_SECONDS = 0.3
"""From when a process answers no more until it has ended."""

WELL_SECONDS = 20.0
COUNT_SECONDS = 40.0
"""How long the container in its loop is waited for to stand still, so that its starts can be counted."""

EXPECTED = (
    DockerException,
    OSError,
    http.client.HTTPException,
    errors.BridgeError,
    msgspec.MsgspecError,
    ValueError,
    LookupError,
)
"""What asking real services may end in; one line is said about it, no traceback."""


def run(*, keep: bool) -> int:
    """The whole demo. `keep`: leave everything up afterwards, until Ctrl-C.

    Gives 0 if it showed what it promises, 1 if not, 2 if this machine lacks a part, 128 and the signal's number if
    it was ended early.
    """
    with Interruption() as interruption:
        screen, built = Screen(interruption), Stack(interruption)
        try:
            code = _ended(built, interruption, screen, keep=keep)
        finally:
            clean = _cleaned_up(built, screen)
    return code if clean else max(code, NO)


def _ended(built: Stack, interruption: Interruption, screen: Screen, *, keep: bool) -> int:
    """The exit code, and a line about what kept the demo from its end."""
    try:
        return _shown(built, interruption, screen, keep=keep)
    except Interrupted as interrupted:
        screen.say("", f"Ended by {interrupted}.")
        return interrupted.exit_code
    except parts.PartMissing as missing:
        screen.error(str(missing))
        return BAD
    except parts.PartFailed as failed:
        screen.error(str(failed).partition("; its log ends:\n")[0], failed.log_tail)
        return NO
    except EXPECTED as error:
        screen.error(containers.one_line(error))
        return NO


def _cleaned_up(built: Stack, screen: Screen) -> bool:
    """Whether nothing is left."""
    begun = time.monotonic()
    with screen.busy("stopping and removing everything …"):
        troubles = built.remove()
    for trouble in troubles:
        screen.error(f"while cleaning up: {trouble}")
    if not troubles:
        seconds = time.monotonic() - begun
        screen.say(
            "",
            Text(
                f"Everything is stopped and removed: no process, container or file is left ({seconds:.1f} s).",
                "dim",
            ),
        )
    return not troubles


def _shown(built: Stack, interruption: Interruption, screen: Screen, *, keep: bool) -> int:
    _check_programs()
    screen.say(Text("HemoStat demo: three sick containers, real services, measured seconds", "bold"))
    screen.head("Starting, everything on loopback and on free ports")
    there = _engine(built, screen)
    watch, prometheus = _services(built, there, screen)
    with _timed(screen, "three containers", "two of them well, and seen by Prometheus", "containers"):
        _well(there, interruption)
        _seen(there, prometheus, interruption)

    screen.head("What will be wrong")
    screen.say(*story.introduction([patient.promise for patient in PATIENTS], width=screen.width))
    screen.say(
        *story.policy_lines(
            stack.POLICY, alert_for=stack.HOLD, usual_for=stack.usual_hold(), width=screen.width
        )
    )
    screen.head("What happens, in seconds since the container fell sick by Docker's own record")
    courses = _told(built, there, watch, interruption, screen)

    broken = story.broken(courses)
    screen.head("Summary")
    screen.say("", *story.summary(courses, width=screen.width), "")
    screen.say(*(Text(line, "red") for line in broken))
    screen.say(Text(story.verdict_on_all(courses), "bold red" if broken else "bold green"))
    _explained(watch, courses, screen)
    if keep:
        _kept(built, there, courses, screen)
        while interruption.number is None:
            with contextlib.suppress(Interrupted):
                interruption.sleep(1)
        screen.say("")
    return NO if broken else GOOD


def _check_programs() -> None:
    """Before anything is started. Raises: PartMissing."""
    parts.find_program("prometheus", package="prometheus")
    parts.find_program("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
    try:
        server_program.find_server()
    except errors.EdgeRejected as rejected:
        raise parts.PartMissing("redis", str(rejected).removeprefix("redis: ")) from rejected


def _engine(built: Stack, screen: Screen) -> containers.Containers:
    address = containers.found_engine()
    if address is not None:
        begun = time.monotonic()
        with screen.busy(f"asking the Docker Engine at {address} …"):
            why_not = containers.why_not(address) or built.found_engine(address)
        if built.containers is not None:
            screen.done("Docker Engine", f"the one at {address}", time.monotonic() - begun)
            return built.containers
        screen.say(Text(f"  Not on the Docker Engine at {address}: {why_not}", "dim"))
    with _timed(
        screen, "Docker Engine", "our own, none answers here" if address is None else "our own", "Docker"
    ):
        return built.own_engine()


def _services(
    built: Stack, there: containers.Containers, screen: Screen
) -> tuple[watching.Watch, parts.Prometheus]:
    exporter, bridge = (f"{parts.LOOPBACK}:{parts.free_port()}" for _ in range(2))
    alertmanager = parts.Alertmanager(
        built.root / "alertmanager", webhook_url=f"http://{bridge}/api/v1/alerts"
    )
    names = {there.named(patient): patient.name for patient in PATIENTS}
    prometheus = stack.prometheus_of(
        built, exporter=exporter, bridge_address=bridge, alertmanager=alertmanager, names=names
    )
    # Prometheus first: it takes five seconds to begin to scrape.
    started: Sequence[tuple[str, parts.Process]] = (
        ("Prometheus", prometheus),
        ("Docker exporter", stack.exporter_of(built, exporter, docker_url=there.url)),
        ("Alertmanager", alertmanager),
        (
            "HemoStat, with Redis",
            stack.bridge_of(built, bridge, docker_url=there.url, alertmanager=alertmanager, names=names),
        ),
    )
    for what, part in started:
        with _timed(screen, what, part.url, what):
            built.start(part)
    watch = watching.Watch(
        there, prometheus_url=prometheus.url, alertmanager_url=alertmanager.url, bridge_url=f"http://{bridge}"
    )
    return watch, prometheus


@contextlib.contextmanager
def _timed(screen: Screen, what: str, where: str, busy_with: str) -> Iterator[None]:
    begun = time.monotonic()
    with screen.busy(f"starting {busy_with} …"):
        yield
    screen.done(what, where, time.monotonic() - begun)


def _well(there: containers.Containers, interruption: Interruption) -> None:
    """Those that fall sick later start first, and are waited for until they are well."""
    sick_later = [patient for patient in PATIENTS if patient.fault]
    for patient in sick_later:
        there.start(patient)
        interruption.check()
    for patient in sick_later:
        if not interruption.wait_until(lambda p=patient: there.well(p), seconds=WELL_SECONDS):  # type: ignore[misc]
            raise parts.PartFailed(patient.name, f"was not well within {WELL_SECONDS:g} s of its start")


def _seen(there: containers.Containers, prometheus: parts.Prometheus, interruption: Interruption) -> None:
    """Prometheus scrapes: what is measured from now on is not its start."""
    names = "|".join(there.named(patient) for patient in PATIENTS if patient.fault)
    series = f'docker_container_state{{state="running",name=~"{names}"}} == 1'
    expected = sum(bool(patient.fault) for patient in PATIENTS)
    if not interruption.wait_until(lambda: len(prometheus.query(series)) == expected, seconds=WELL_SECONDS):
        raise parts.PartFailed("prometheus", f"has not seen the containers within {WELL_SECONDS:g} s")


def _told(
    built: Stack,
    there: containers.Containers,
    watch: watching.Watch,
    interruption: Interruption,
    screen: Screen,
) -> list[story.Course]:
    """Makes the containers sick and tells what happens until every incident has ended and the starts are counted."""
    for patient in PATIENTS:
        _struck(there, watch, patient, screen)
    courses, deadline = watch.courses, time.monotonic() + SHOW_SECONDS
    with screen.busy("watching; Ctrl-C ends everything and removes it"):
        while not _seen_enough(courses.values()) and time.monotonic() < deadline:
            _look(built, watch, screen)
            interruption.sleep(LOOK_SECONDS)
        deadline = time.monotonic() + COUNT_SECONDS
        for patient in PATIENTS:
            course = courses[there.named(patient)]
            while (counted := there.boots(patient)) is None and time.monotonic() < deadline:
                _look(built, watch, screen)
                interruption.sleep(LOOK_SECONDS)
            course.boots = counted
        _look(built, watch, screen)
    return list(courses.values())


def _seen_enough(courses: Iterable[story.Course]) -> bool:
    """All have ended, and those left to a human were watched for long enough to see that HemoStat keeps away."""
    ends = [(course, course.over_at) for course in courses]
    now = datetime.now(UTC)
    return all(
        end is not None and (course.promise.starts > 0 or now - end > KEEPS_AWAY) for course, end in ends
    )


def _struck(there: containers.Containers, watch: watching.Watch, patient: Patient, screen: Screen) -> None:
    now = datetime.now(UTC)
    watch.follow(patient, since=now)
    if patient.fault:
        there.make_sick(patient)
    else:
        there.start(patient)
    fact = story.Fact(at=now, container=patient.name, stage=story.Stage.FAULT, text=patient.told)
    course = watch.courses[there.named(patient)]
    course.learn([fact])
    screen.say(*story.telling(fact, course, width=screen.width))


def _look(built: Stack, watch: watching.Watch, screen: Screen) -> None:
    built.check()
    try:
        news = watch.look()
    except EXPECTED:
        time.sleep(ENDING_SECONDS)
        built.check()  # if a part has ended, that is the news
        raise
    for course, fact in news:
        screen.say(*story.telling(fact, course, width=screen.width))


def _explained(watch: watching.Watch, courses: Sequence[story.Course], screen: Screen) -> None:
    """The first incident whole, as `hemostat explain` prints it."""
    whole = watch.explained(courses[0])
    if whole is None:
        return
    screen.head(f"hemostat explain {whole[0].id}")
    for line in summary.story(*whole):
        screen.say(*map(Text, story.hanging(line, screen.width)))


def _kept(
    built: Stack, there: containers.Containers, courses: Sequence[story.Course], screen: Screen
) -> None:
    addresses = {part.name: part.url for part in built.processes}
    screen.head("Everything stays up until Ctrl-C, which stops and removes all of it")
    for name in ("bridge", "prometheus", "alertmanager", "exporter"):
        screen.say(f"  {name:<14}{addresses[name]}")
    screen.say(f"  {'live page':<14}{addresses['bridge']}/ in a browser")
    screen.say(f"  {'DOCKER_HOST':<14}{there.url}", "")
    incident = next((course.incident.id for course in courses if course.incident), "ID")
    for line in (
        f"export HEMOSTAT_URL={addresses['bridge']} DOCKER_HOST={there.url}",
        "hemostat incidents",
        f"hemostat explain {incident}",
        "docker ps -a",
    ):
        screen.say(f"  {line}")
