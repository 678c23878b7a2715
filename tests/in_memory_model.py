"""A model and a purse in memory: they fulfil the roles completely, and do what a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from bridge import errors
from bridge.model.consultation import ModelAnswer, ModelRequest, Stop, Usage
from bridge.roles import Overspent, Reservation

USED = Usage(input_tokens=1000, output_tokens=100)


class InMemoryModel:
    """Implements ``roles.Model``. ``says`` is the answer, an error to raise, or makes either from the request."""

    def __init__(self, says: Any, *, provider: str = "anthropic") -> None:
        self.says = says
        self.provider = provider
        self.seconds = 0.0
        self.stop = Stop.END
        self.usage = USED
        self.asked: list[ModelRequest] = []
        self.closed = False

    async def ask(self, request: ModelRequest, *, deadline_seconds: float) -> ModelAnswer:
        self.asked.append(request)
        try:
            async with asyncio.timeout(deadline_seconds):
                await asyncio.sleep(self.seconds)
        except TimeoutError as error:
            raise errors.EdgeTimeout(self.provider, "no answer in time") from error
        said = self.says(request) if isinstance(self.says, Callable) else self.says  # type: ignore[arg-type]
        if isinstance(said, Exception):
            raise said
        return ModelAnswer(
            text=said if isinstance(said, str) else json.dumps(said),
            stop=self.stop,
            model=request.model,
            request_id="r-1",
            usage=self.usage,
            latency_seconds=self.seconds,
        )

    async def close(self) -> None:
        self.closed = True


class InMemorySpending:
    """Implements ``roles.Spending``. ``limit`` is what is over, ``away`` a store that does not answer."""

    def __init__(self) -> None:
        self.limit = ""
        self.away = False
        self.reserved: dict[str, tuple[int, float]] = {}
        self.settled: dict[str, tuple[int, float]] = {}

    async def reserve(self, *, tokens: int, usd: float) -> Reservation | Overspent:
        if self.away:
            raise errors.EdgeUnavailable("redis", "no answer")
        if self.limit:
            return Overspent(limit=self.limit)
        reservation = Reservation(id=str(len(self.reserved) + 1))
        self.reserved[reservation.id] = (tokens, usd)
        return reservation

    async def settle(self, reservation: Reservation, *, tokens: int, usd: float) -> None:
        if self.away:
            raise errors.EdgeUnavailable("redis", "no answer")
        self.settled[reservation.id] = (tokens, usd)
