"""What every ``roles.Containers`` does: the real Engine, the synthetic fleet and the one in memory answer the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from docker.models.containers import Container

from bridge import errors
from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine, DockerHost
from bridge.model.evidence import ContainerFacts, ContainerStatus
from bridge.roles import Containers
from tests.in_memory_containers import InMemoryContainers
from tests.servers.docker_fleet import DockerFleet

IDLE = "trap 'exit 0' TERM; while :; do sleep 0.05; done"


class Place:
    """One implementation with a running container ``contract`` in it."""

    def __init__(
        self, containers: Containers, stop: Callable[[], object], remove: Callable[[], object]
    ) -> None:
        self.containers, self.stop, self.remove = containers, stop, remove

    async def look(self, ref: str = "contract") -> ContainerFacts:
        """It, by name or id."""
        facts = await self.containers.inspect("local", ref)
        assert facts is not None
        return facts


@pytest.fixture(params=["memory", "fleet", "engine"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    """Each, one after the other."""
    if request.param == "memory":
        memory = InMemoryContainers()
        memory.run("contract")
        stop = {"status": ContainerStatus.EXITED, "exit_code": 137}
        yield Place(memory, lambda: memory.change("contract", **stop), memory.containers.clear)
        return
    if request.param == "fleet":
        with DockerFleet() as fleet:
            synthetic = fleet.run("contract")
            edge = DockerEngine([DockerHost(name="local", url=fleet.url)])
            yield Place(edge, synthetic.stopped, lambda: fleet.remove("contract"))
            await edge.close()
        return
    engine: parts.DockerEngine = request.getfixturevalue("engine")
    run: Callable[..., Container] = request.getfixturevalue("run_container")
    container: Any = run("contract", IDLE, labels={"hemostat.enable": "true"})
    edge = DockerEngine([DockerHost(name="local", url=engine.url)])
    yield Place(edge, container.kill, lambda: container.remove(force=True))
    await edge.close()


async def test_a_container_is_found_by_name_and_by_id(place: Place) -> None:
    """And is the same one."""
    by_name = await place.look()
    assert (await place.look(by_name.id)).id == by_name.id
    assert (by_name.name, by_name.running, by_name.labels["hemostat.enable"]) == ("contract", True, "true")


async def test_what_does_not_exist_is_none(place: Place) -> None:
    """Not an error: it is an answer."""
    assert await place.containers.inspect("local", "nobody-of-this-name") is None
    assert await place.containers.inspect("local", "0" * 63 + "f") is None


async def test_a_restart_changes_the_time_of_its_start(place: Place) -> None:
    """The evidence by which an action in doubt is settled; the restart count starts anew."""
    before = await place.look()
    await place.containers.restart("local", before.id)
    after = await place.look()
    assert (after.id, after.running, after.restart_count) == (before.id, True, 0)
    assert after.started_at != before.started_at


async def test_a_start_of_what_runs_changes_nothing(place: Place) -> None:
    """So that a missing half may be made up for without a look in between."""
    before = await place.look()
    await place.containers.start("local", before.id)
    assert (await place.look()).started_at == before.started_at


@pytest.mark.parametrize("verb", ["start", "restart"])
async def test_what_stands_still_is_started(place: Place, verb: str) -> None:
    """Both verbs start it."""
    place.stop()
    before = await place.look()
    assert before.status is ContainerStatus.EXITED
    await getattr(place.containers, verb)("local", before.id)
    after = await place.look()
    assert after.running
    assert after.started_at != before.started_at


async def test_the_list_shows_the_same_container(place: Place) -> None:
    """With its labels, and whether it runs."""
    (listed,) = [facts for facts in await place.containers.list("local") if facts.name == "contract"]
    assert (listed.id, listed.running, listed.labels["hemostat.enable"]) == (
        (await place.look()).id,
        True,
        "true",
    )
    place.stop()
    (listed,) = [facts for facts in await place.containers.list("local") if facts.name == "contract"]
    assert listed.status is ContainerStatus.EXITED


async def test_an_action_on_what_is_gone_is_rejected(place: Place) -> None:
    """A clear no, so that nobody tries again."""
    facts = await place.look()
    place.remove()
    with pytest.raises(errors.EdgeRejected):
        await place.containers.restart("local", facts.id)
