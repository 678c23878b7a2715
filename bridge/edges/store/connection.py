"""The only file that imports redis: one connection pool, scripts by name, errors translated once.

Source: Redis >= 6.2 or any Valkey. No key and no rule of HemoStat's is known here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any, cast

import hiredis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # the field's own name; nothing here needs the builtin
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from bridge import errors

EDGE = "redis"
NAMESPACE = "{hemostat}"
BLOCK_MS = 1000


class NotReplicated(errors.EdgeUnavailable):
    """Written, but no replica confirmed it in time: treated as not written by whoever must not lose it."""


class Store:
    """A Redis or Valkey server and our scripts on it.

    ``replicas`` > 0 makes durable calls wait until that many replicas have the write (``WAIT``).
    """

    def __init__(
        self,
        url: str,
        *,
        database: int = 0,
        password: str | None = None,
        username: str | None = None,
        connect_seconds: float = 2.0,
        timeout_seconds: float = 5.0,
        replicas: int = 0,
    ) -> None:
        options: dict[str, Any] = {
            "db": database,
            "decode_responses": True,
            "protocol": 2,  # RESP3 answers XREADGROUP with another shape; one shape is enough
            # A blocking read takes BLOCK_MS: with less, every quiet read would look like a dead server.
            "socket_timeout": max(timeout_seconds, 2 * BLOCK_MS / 1000),
            "health_check_interval": 0,
            # One immediate retry mends a connection the server closed; more would hide an outage from the caller,
            # who must answer 503 within seconds. All scripts are safe to run twice.
            "retry": Retry(NoBackoff(), 1),
        }
        if not url.startswith("unix://"):
            options["socket_connect_timeout"] = connect_seconds
        if password is not None:
            options["password"] = password
        if username is not None:
            options["username"] = username
        self._pool: ConnectionPool = ConnectionPool.from_url(url, max_connections=64, **options)
        self._pool.connection_class = _packing(self._pool.connection_class)
        self._redis = Redis(connection_pool=self._pool)
        self._execute = cast(
            "Callable[..., Awaitable[Any]]", self._redis.execute_command
        )  # untyped in redis-py
        self.replicas = replicas
        self._shas: dict[str, str] = {}

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.aclose()
        await self._pool.disconnect()

    async def script(self, name: str, *args: str | int | float, durable: bool = False) -> Any:
        """Run the script ``lua/<name>.lua``. ``durable`` waits for the replicas if the store was told to.

        Raises ``EdgeUnavailable``; ``NotReplicated`` if it ran but too few replicas confirmed.
        """
        async with _translated(name):
            try:
                return await self._run(name, args, durable)
            except NoScriptError:  # a new server, or a new master after a failover
                self._shas.pop(name, None)
                return await self._run(name, args, durable)

    async def _run(self, name: str, args: Sequence[str | int | float], durable: bool) -> Any:
        sha = self._shas.get(name)
        if sha is None:
            sha = self._shas[name] = await self._redis.script_load(script_text(name))
        if not (durable and self.replicas):
            return await self._execute("EVALSHA", sha, 1, NAMESPACE, *args)
        # WAIT concerns the writes of its own connection, so both travel in one pipeline.
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.execute_command("EVALSHA", sha, 1, NAMESPACE, *args)
            pipe.execute_command("WAIT", self.replicas, 1000)
            answer, confirmed = await pipe.execute()
        if confirmed < self.replicas:
            raise NotReplicated(EDGE, f"{name}: {confirmed} of {self.replicas} replicas confirmed within 1 s")
        return answer

    async def command(self, *args: str | int | float) -> Any:
        """One plain command."""
        async with _translated(str(args[0])):
            return await self._execute(*args)

    async def commands(self, *calls: Sequence[str | int | float]) -> list[Any]:
        """Several plain commands in one round trip, without a transaction."""
        async with (
            _translated(str(calls[0][0]) if calls else "pipeline"),
            self._redis.pipeline(transaction=False) as pipe,
        ):
            for call in calls:
                pipe.execute_command(*call)
            return list(await pipe.execute())

    async def read_group(
        self, stream: str, group: str, consumer: str, count: int
    ) -> list[tuple[str, dict[str, str]]]:
        """New entries of a stream for this consumer, waiting up to a second for the first."""
        async with _translated("XREADGROUP"):
            got = await self._execute(
                "XREADGROUP",
                "GROUP",
                group,
                consumer,
                "COUNT",
                count,
                "BLOCK",
                BLOCK_MS,
                "STREAMS",
                key(stream),
                ">",
            )
        return [(str(entry), dict(fields)) for _, entries in got or [] for entry, fields in entries]

    async def info(self, section: str) -> dict[str, str]:
        """A section of ``INFO``, values as text."""
        async with _translated("INFO"):
            answer = await self._redis.info(section)
        return {str(name): str(value) for name, value in answer.items()}

    async def config_value(self, name: str) -> str:
        """A configuration value; ``""`` where the server does not tell (managed servers hide CONFIG)."""
        try:
            answer = await self.command("CONFIG", "GET", name)
        except errors.EdgeUnavailable as error:
            if "unknown command" in str(error).lower() or "noperm" in str(error).lower():
                return ""
            raise
        values = list(answer.values()) if isinstance(answer, dict) else list(answer)[1:]
        return str(values[0]) if values else ""

    async def create_group(self, stream: str, group: str) -> None:
        """Make the consumer group, from the first entry on; nothing happens if it exists."""
        async with _translated("XGROUP"):
            try:
                await self._redis.xgroup_create(key(stream), group, id="0", mkstream=True)
            except ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise


def _packing(base: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same kind of connection with its commands written by hiredis.

    redis-py leaves it the reading only; its own writing of a webhook's arguments takes longer than decoding the webhook.
    """

    class Packing(base):  # type: ignore[valid-type,misc]  # TCP, TLS or a unix socket, as the URL says
        def pack_command(self, *args: Any) -> list[bytes]:
            command, *rest = args
            return [hiredis.pack_command((*command.split(), *rest))]  # "SCRIPT LOAD" is two words

    return Packing


def key(name: str) -> str:
    """A key of ours. All share one hash tag, so that one script can touch any of them in a Cluster."""
    return f"{NAMESPACE}:{name}"


def script_text(name: str) -> str:
    """The script with its prelude, as sent to the server."""
    folder = resources.files(__package__).joinpath("lua")
    return folder.joinpath("prelude.lua").read_text() + folder.joinpath(f"{name}.lua").read_text()


def milliseconds(at: datetime) -> int:
    """Unix time in milliseconds, the unit of every time in the store."""
    return round(at.timestamp() * 1000)


def instant(ms: int | float | str) -> datetime:
    """The aware UTC time of milliseconds."""
    return datetime.fromtimestamp(float(ms) / 1000, UTC)


@contextlib.contextmanager
def _cancellable() -> Iterator[None]:
    """Python 3.11's ``wait_for``, through which the client sends, swallows a cancellation that comes just as it is
    done: the task would go on as if nobody had told it to end. Here it is noticed, and raised after all."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


@contextlib.asynccontextmanager
async def _translated(what: str) -> AsyncIterator[None]:
    with _cancellable():
        try:
            yield
        except NoScriptError:
            raise
        except AuthenticationError as error:
            raise errors.EdgeRejected(EDGE, f"{what}: the server refused the credentials") from error
        except OutOfMemoryError as error:
            raise errors.EdgeUnavailable(EDGE, f"{what}: the server is out of memory (maxmemory)") from error
        except (ReadOnlyError, BusyLoadingError) as error:
            raise errors.EdgeUnavailable(EDGE, f"{what}: {str(error)[:120]}") from error
        except (ConnectionError, TimeoutError, OSError) as error:
            raise errors.EdgeUnavailable(EDGE, f"{what}: no answer ({type(error).__name__})") from error
        except ResponseError as error:
            # MISCONF (disk full), NOREPLICAS, MASTERDOWN, CLUSTERDOWN, OOM inside a script: all "not now".
            raise errors.EdgeUnavailable(EDGE, f"{what}: {str(error)[:200]}") from error
        except RedisError as error:
            raise errors.EdgeUnavailable(EDGE, f"{what}: {type(error).__name__}") from error
