"""Real services for tests: started once where they can be shared, fresh where a test breaks them.

A missing service skips on a laptop and fails where CI=true, so that no test is skipped there unseen.
"""

import asyncio
import contextlib
import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest
from blockbuster import blockbuster_ctx
from docker.errors import NotFound
from docker.models.containers import Container
from hypothesis import settings

from bridge.demo import parts
from tests.servers.grafana import Grafana

# How long one example takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


class Startable(Protocol):
    def start(self) -> object: ...

    def stop(self) -> None: ...


Part = TypeVar("Part", bound=Startable)
StartRedis = Callable[..., parts.RedisServer]

ROOT = Path(__file__).parent


def pytest_configure() -> None:
    """No event loop before a test makes one: looptime 0.9 asks for it even in a sync test, and Python 3.11 would
    then make one that nobody closes, which is a warning, which is an error."""
    asyncio.set_event_loop(None)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where workers share the files, the folders with the longest come first and that with the shortest last: a long
    file that is begun last keeps one worker busy when the others have nothing left. xdist would begin with the files
    of most tests, which `--no-loadscope-reorder` forbids it."""

    def place(item: pytest.Item) -> tuple[bool, bool]:
        folder = item.path.relative_to(ROOT).parts[0]
        return folder not in ("acceptance", "torture"), folder == "unit"

    if hasattr(config, "workerinput"):
        items.sort(key=place)


def started(build: Callable[[], Part]) -> Part:
    """The part, up and answering; where its program is missing, the test is skipped, or in CI failed."""
    try:
        part = build()
        part.start()
        return part
    except parts.PartMissing as missing:
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def nothing_blocks_the_event_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """In an async unit test, a blocking call made by `bridge` on the event loop raises."""
    is_unit = "unit" in request.path.relative_to(request.config.rootpath).parts
    if is_unit and inspect.iscoroutinefunction(getattr(request.node, "obj", None)):
        with blockbuster_ctx("bridge"):
            yield
    else:
        yield


@pytest.fixture(scope="session")
def engine() -> Iterator[parts.DockerEngine]:
    """A Docker Engine shared by all tests: clean up what you start (`run_container` does), do not break it."""
    engine = started(parts.DockerEngine)
    yield engine
    engine.stop()


@pytest.fixture
def private_engine() -> Iterator[parts.DockerEngine]:
    """A Docker Engine for one test, free to be killed or paused. Ready in about 0.4 s."""
    engine = started(parts.DockerEngine)
    yield engine
    engine.stop()


@pytest.fixture
def run_container(engine: parts.DockerEngine) -> Iterator[Callable[..., Container]]:
    """`engine.run(...)` whose containers are gone after the test."""
    names: list[str] = []

    def run_one(name: str, script: str, **options: Any) -> Container:
        names.append(name)
        return engine.run(name, script, **options)

    yield run_one
    for name in names:
        with contextlib.suppress(NotFound):
            engine.client.containers.get(name).remove(force=True, v=True)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[parts.RedisServer]:
    """A Redis shared by all tests; take `redis_url` unless you look at the process."""
    server = started(parts.RedisServer)
    yield server
    server.stop()


@pytest.fixture
def redis_url(redis_server: parts.RedisServer) -> str:
    """The shared Redis, emptied for this test."""
    redis_server.command("FLUSHALL")
    redis_server.command("SCRIPT", "FLUSH")
    return redis_server.url


@pytest.fixture
def start_redis() -> Iterator[StartRedis]:
    """Servers for one test, free to be killed or paused; takes the arguments of `parts.RedisServer`."""
    yield from factory(parts.RedisServer)


@pytest.fixture
def start_prometheus() -> Iterator[Callable[..., parts.Prometheus]]:
    """Takes the arguments of `parts.Prometheus`."""
    yield from factory(parts.Prometheus)


@pytest.fixture
def start_alertmanager() -> Iterator[Callable[..., parts.Alertmanager]]:
    """Takes the arguments of `parts.Alertmanager`."""
    yield from factory(parts.Alertmanager)


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    """Its annotation API; whatever was asked of it must have been as Grafana describes it."""
    with Grafana(parts.free_port()) as server:
        yield server
    assert server.violations == []


@pytest.fixture
def start_process() -> Iterator[Callable[..., parts.Process]]:
    """Any program, such as the exporter or the bridge; takes the arguments of `parts.Process`."""
    yield from factory(parts.Process)


def factory(kind: type[Part]) -> Iterator[Callable[..., Part]]:
    """Starts parts of a kind on request, stops them all when the test ends."""
    running: list[Part] = []

    def start(*arguments: Any, **options: Any) -> Part:
        running.append(started(lambda: kind(*arguments, **options)))
        return running[-1]

    yield start
    for part in reversed(running):
        part.stop()
