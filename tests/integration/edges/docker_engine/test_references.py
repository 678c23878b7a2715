"""Which container is meant: seen by its name, its id or enough of it, acted on by its full id alone."""

from __future__ import annotations

import pytest

from bridge import errors
from bridge.edges.docker_engine import DockerEngine
from tests.integration.edges.docker_engine.containers import IDLE, RunContainer, full_id, inspected


@pytest.mark.parametrize(
    "ref", ["nonesuch", "", "../../info", "a/../../info", "web?x=1", "%2e%2e", "f" * 64, "f" * 300]
)
async def test_what_is_not_there_is_none(docker: DockerEngine, ref: str) -> None:
    assert await docker.inspect("here", ref) is None


async def test_found_by_name_id_and_long_enough_prefix(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    known = full_id(run_container("by-name", IDLE))
    for ref in ("by-name", "/by-name", known, known[:12], known[:40]):
        assert (await inspected(docker, ref)).id == known
    assert await docker.inspect("here", known[:11]) is None
    assert await docker.inspect("here", "by-nam") is None


async def test_a_name_that_looks_like_an_id_selects_nothing(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    """Docker prefers the name: asked for the id of one container it would give the other."""
    victim = full_id(run_container("look-alike", IDLE))
    run_container(victim[:12], IDLE)
    with pytest.raises(errors.EdgeRejected) as refused:
        await docker.inspect("here", victim[:12])
    assert refused.value.status == 409
    assert (await inspected(docker, victim)).name == "look-alike"


async def test_a_hexadecimal_name_is_a_name(docker: DockerEngine, run_container: RunContainer) -> None:
    run_container("deadbeefcafe", IDLE)
    assert (await inspected(docker, "deadbeefcafe")).name == "deadbeefcafe"


async def test_find_service_gives_running_containers_first(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    service = {"com.docker.swarm.service.name": "shop_api"}
    ended = run_container("shop-api.1", "exit 1", labels=service)
    ended.wait()
    running = run_container("shop-api.2", IDLE, labels=service)
    ended_too = run_container("shop-api.3", "exit 1", labels=service)
    ended_too.wait()
    run_container("other.1", IDLE, labels={"com.docker.swarm.service.name": "shop_api2"})
    found = await docker.find_service("here", "shop_api")
    assert found[0].id == full_id(running)
    assert {each.id for each in found} == {full_id(container) for container in (ended, running, ended_too)}
    assert await docker.find_service("here", 'none"}') == ()


@pytest.mark.parametrize("ref", ["by-name-only", "abcdef012345", "../info", "A" * 64])
async def test_only_a_full_id_can_be_acted_on(docker: DockerEngine, ref: str) -> None:
    with pytest.raises(errors.EdgeRejected):
        await docker.restart("here", ref)


async def test_a_container_named_like_an_id_is_not_acted_on(
    docker: DockerEngine, run_container: RunContainer
) -> None:
    """The container with this id is gone; another one that took the id as its name is not touched."""
    run_container("ab" * 32, IDLE)
    with pytest.raises(errors.EdgeRejected) as refused:
        await docker.restart("here", "ab" * 32)
    assert refused.value.status == 404
