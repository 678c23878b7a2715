"""One list of a host serves everybody who asks at about the same time; a host that is away holds nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from bridge import errors
from bridge.census import LISTING_SECONDS, OTHER_HOST_SECONDS, Census
from bridge.model.evidence import ContainerFacts
from tests.in_memory_containers import InMemoryContainers


class TwoHosts(InMemoryContainers):
    """Hosts ``local`` and ``far``; every list is counted, and each host may fail or hang."""

    def __init__(self) -> None:
        super().__init__()
        self.lists: list[str] = []
        self.fail: dict[str, Exception] = {}
        self.hanging: set[str] = set()

    def hosts(self) -> Sequence[str]:
        return ("local", "far")

    async def list(self, host: str) -> Sequence[ContainerFacts]:
        self.lists.append(host)
        if host in self.hanging:
            await asyncio.Event().wait()
        if host in self.fail:
            raise self.fail[host]
        return await super().list(host)


AWAY = errors.EdgeUnavailable("docker", "away")


@pytest.mark.looptime
async def test_a_storm_asks_each_host_once_and_later_anew() -> None:
    docker = TwoHosts()
    census, web = Census(docker), docker.run("web")
    await asyncio.gather(*(census.around(web) for _ in range(100)))
    assert sorted(docker.lists) == ["far", "local"]
    await asyncio.sleep(LISTING_SECONDS + 1)
    await census.around(web)
    assert len(docker.lists) == 4
    await census.close()


async def test_what_is_expected_is_asked_for_before_anybody_waits_for_it() -> None:
    docker = TwoHosts()
    census, web = Census(docker), docker.run("web")
    census.expect("local")
    census.expect("nobody's")
    await asyncio.sleep(0)
    assert docker.lists == ["local"]
    await census.around(web)
    assert sorted(docker.lists) == ["far", "local"]
    await census.close()


@pytest.mark.looptime
async def test_another_host_that_hangs_is_unseen_after_a_second() -> None:
    docker = TwoHosts()
    docker.hanging = {"far"}
    census, began = Census(docker), asyncio.get_running_loop().time()
    fleet = (await census.around(docker.run("web")))[0]
    assert fleet.unseen == ("far",)
    assert asyncio.get_running_loop().time() - began <= OTHER_HOST_SECONDS + 0.1
    await census.close()


@pytest.mark.looptime
async def test_its_own_host_must_answer() -> None:
    """How many are sick is not known then, and Docker could not repair either."""
    docker = TwoHosts()
    census, web = Census(docker), docker.run("web")
    docker.fail = {"local": AWAY}
    with pytest.raises(errors.EdgeUnavailable):
        await census.around(web)
    docker.fail = {}
    await asyncio.sleep(LISTING_SECONDS + 1)
    assert await census.around(web)
    await census.close()


async def test_a_host_that_refuses_to_be_listed_is_unseen() -> None:
    """A proxy before it may forbid that for ever; repairs go on, and each trace says that nothing was counted."""
    docker = TwoHosts()
    census, web = Census(docker), docker.run("web")
    docker.fail = {"local": errors.EdgeRejected("docker", "forbidden", 403)}
    assert all("local" in population.unseen for population in await census.around(web))
    await census.close()
