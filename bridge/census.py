"""Which containers there are, by host, looked at so seldom that a storm of incidents asks Docker once and not each time.

Who of them is sick is the store's to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bridge import errors
from bridge.model.evidence import ContainerFacts
from bridge.model.share import Listing, Population, populations_around
from bridge.roles import Containers

LISTING_SECONDS = 5.0
"""How long one list of a host serves everybody who asks. Containers come and go more slowly than alerts."""

OTHER_HOST_SECONDS = 1.0
"""How long anybody waits for the list of a host that its own container is not on."""


class Census:
    """Lists of containers, shared by all who ask at about the same time."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._listed: dict[str, tuple[float, asyncio.Task[tuple[ContainerFacts, ...]]]] = {}

    def hosts(self) -> Sequence[str]:
        """Names of the hosts that are looked at."""
        return self._containers.hosts()

    def expect(self, host: str) -> None:
        """Somebody will ask about this host in a moment: the list is on its way meanwhile."""
        if host in self.hosts():
            self._listing(host)

    async def around(self, container: ContainerFacts) -> tuple[Population, ...]:
        """The populations that a container belongs to.

        Raises EdgeUnavailable: its own host did not answer. A host that refuses to be listed, and another one that
        does not answer, are named in the populations as unseen.
        """
        try:
            await asyncio.shield(self._listing(container.host))
        except errors.EdgeRejected:
            pass  # it will never be listed: said in each trace, and no reason to repair nothing any more
        return populations_around(container, await self.listing())

    async def listing(self) -> Listing:
        """All containers of all hosts, as far as they answer soon."""
        hosts = self._containers.hosts()
        lists = await asyncio.gather(*(self._soon(host) for host in hosts))
        return dict(zip(hosts, lists, strict=True))

    async def of(self, host: str) -> Sequence[ContainerFacts]:
        """All containers of one host. Raises EdgeUnavailable, EdgeRejected: it did not list them."""
        return await asyncio.shield(self._listing(host))

    async def close(self) -> None:
        """End what is under way."""
        tasks = [task for _, task in self._listed.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _soon(self, host: str) -> tuple[ContainerFacts, ...] | None:
        try:
            async with asyncio.timeout(OTHER_HOST_SECONDS):
                return await asyncio.shield(self._listing(host))
        except (TimeoutError, errors.EdgeError):
            return None

    def _listing(self, host: str) -> asyncio.Task[tuple[ContainerFacts, ...]]:
        now = asyncio.get_running_loop().time()
        at, task = self._listed.get(host, (0.0, None))
        if task is None or (task.done() and now - at > LISTING_SECONDS):
            task = asyncio.create_task(self._list(host), name=f"census-{host}")
            task.add_done_callback(_looked_at)
            self._listed[host] = (now, task)
        return task

    async def _list(self, host: str) -> tuple[ContainerFacts, ...]:
        return tuple(await self._containers.list(host))


def _looked_at(listing: asyncio.Task[tuple[ContainerFacts, ...]]) -> None:
    """Everybody who waited may have given up; a failure nobody took is no surprise."""
    if not listing.cancelled():
        listing.exception()
