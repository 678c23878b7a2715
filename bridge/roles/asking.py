"""A language model, and what it may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bridge.model.consultation import ModelAnswer, ModelRequest


class Model(Protocol):
    """A language model that is asked one question at a time. It judges nothing and repeats nothing."""

    @property
    def provider(self) -> str:
        """One of ``consultation.PROVIDERS``."""
        ...

    async def ask(self, request: ModelRequest, *, deadline_seconds: float) -> ModelAnswer:
        """What it answers, within this time from the call to the last byte.

        Raises:
            EdgeTimeout: it did not answer in time.
            RateLimited: it wants fewer requests.
            EdgeUnavailable: it is away or overloaded.
            EdgeRejected: it refused the request (key, model name, parameters).
            UnfitAnswer: what came back is not in its protocol.
        """
        ...

    async def close(self) -> None:
        """Let go of its connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money and tokens set aside for one question."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overspent:
    """A budget that does not hold what was asked for: ``limit`` is its key in ``llm.budget``."""

    limit: str


class Spending(Protocol):
    """What the model may cost: reserved before it is asked, settled afterwards, over all replicas together."""

    async def reserve(self, *, tokens: int, usd: float) -> Reservation | Overspent:
        """Set this much aside, or say which limit does not hold it."""
        ...

    async def settle(self, reservation: Reservation, *, tokens: int, usd: float) -> None:
        """What it really took. A reservation that is never settled stays spent."""
        ...
