"""A proxy before any TCP server whose answers take their time; set while it runs."""

from __future__ import annotations

import asyncio

from tests.servers.tcp_proxy import TcpProxy


class SlowProxy(TcpProxy):
    """Each answer is held for `delay_seconds`."""

    def __init__(self, behind: int, *, delay_seconds: float = 0.0) -> None:
        super().__init__(behind)
        self.delay_seconds = delay_seconds

    async def _goes_on(self, asked: bytes, answer: bytes) -> bool:
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        return True
