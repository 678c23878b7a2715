"""What Anthropic's and OpenAI's SDKs share, both being written by one generator: deadline, errors, silence in the log.

Neither is imported here: each edge hands in its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, Protocol

from bridge import errors

CONNECT_SECONDS = 2.0
TIMEOUT_SECONDS = 60.0
"""Of each phase of a request, beyond every deadline that is asked for."""


MOST_TOKENS = 10_000_000
"""Of one request: no model reads or writes as much."""


def counted(tokens: object) -> int:
    """A number of tokens as a server states it; 0, "not counted", where it can be none: budgets are settled by it."""
    return tokens if isinstance(tokens, int) and 0 <= tokens <= MOST_TOKENS else 0


class Sdk(Protocol):
    """The errors that either module raises on purpose."""

    @property
    def APITimeoutError(self) -> type[Exception]: ...

    @property
    def APIConnectionError(self) -> type[Exception]: ...

    @property
    def APIStatusError(self) -> type[Any]: ...


def keep_quiet(sdk: str) -> None:
    """At their debug level these write whole requests, which are evidence."""
    for noisy in (sdk, "httpx2", "httpcore2"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@contextlib.asynccontextmanager
async def translated(sdk: Sdk, edge: str, *, deadline_seconds: float) -> AsyncIterator[None]:
    """Asks within a deadline. Raises whatever goes wrong as what ``roles.Model.ask`` raises."""
    try:
        # The SDK's timeouts are for each phase: a server that drips a byte now and then meets all of them.
        async with asyncio.timeout(deadline_seconds):
            yield
    except TimeoutError as error:
        raise errors.EdgeTimeout(edge, f"no answer within {deadline_seconds:.1f} s") from error
    except Exception as error:  # it raises whatever its parser raises, not only its own errors
        raise _meaning(sdk, edge, error) from error


def _meaning(sdk: Sdk, edge: str, error: Exception) -> errors.EdgeError:
    """The message names kinds and numbers, never what the server wrote: that may be anything."""
    kind = type(error).__name__
    if isinstance(error, sdk.APITimeoutError):
        return errors.EdgeTimeout(edge, "no answer in time")
    if isinstance(error, sdk.APIConnectionError):
        return errors.EdgeUnavailable(edge, "cannot be reached")
    if not isinstance(error, sdk.APIStatusError):
        return errors.UnfitAnswer(edge, f"answered with something that is no answer of a model ({kind})")
    status = error.status_code
    if status == 429:
        return errors.RateLimited.of_http(edge, f"answered {status}", error.response.headers)
    if status >= 500 or status in (408, 409):
        return errors.EdgeUnavailable(edge, f"answered {status}")
    return errors.EdgeRejected(edge, f"answered {status} ({kind})", status)
