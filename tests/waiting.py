"""Waiting for a fact of another process or thread, with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Fact = TypeVar("Fact")

EVERY_SECONDS = 0.02


async def until(
    asked: Callable[[], Awaitable[Fact]], holds: Callable[[Fact], bool] = bool, *, seconds: float = 15
) -> Fact:
    """The answer, once ``holds`` is true of it. Raises TimeoutError: never in time."""
    async with asyncio.timeout(seconds):
        while not holds(answer := await asked()):  # noqa: ASYNC110  # nobody in this process could set an event
            await asyncio.sleep(EVERY_SECONDS)
    return answer


async def until_true(fact: Callable[[], object], *, seconds: float = 15) -> None:
    """The same for what is asked without awaiting; in a thread, as it may block."""
    await until(lambda: asyncio.to_thread(fact), seconds=seconds)
