"""The only file that imports redis: one server, a pool of connections to it, and its errors translated once.

Source: Redis >= 6.2 or any Valkey. No key, no rule and no topology of HemoStat's is known here.
"""

from __future__ import annotations

import asyncio
import builtins
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import hiredis
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # the field's own name; nothing here needs the builtin
    MovedError,
    NoScriptError,
    OutOfMemoryError,
    RedisError,
    ResponseError,
    TimeoutError,
    TryAgainError,
)

from bridge import authorities, errors

EDGE = "redis"

BLOCK_MS = 1000
"""How long a read waits for something to read."""

MAX_CONNECTIONS = 64
"""To one server. Further calls wait for their turn."""

CLIENT_NAME = "hemostat"
"""What our connections are called at the server, for operators and for a restore."""

Word = str | int | float


class NotTheMaster(errors.EdgeUnavailable):
    """It answered that it may not write: a replica, a master without its replicas, or one without our slot.
    Nothing was done."""


class NoAnswer(errors.EdgeUnavailable):
    """It is away or starting, or the connection broke. What was asked may have been done."""


class TooSlow(NoAnswer):
    """It said nothing for too long; whoever waits for us will not wait for a second try."""


class MasterDown(errors.EdgeUnavailable):
    """Those who watch the master agree that it is down, and no other one is named yet."""


class NoScript(errors.EdgeUnavailable):
    """It does not know the script: a new server, or a new master after a failover. Nothing was done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """TLS to a server whose URL does not say it all; paths of PEM files, ``None``: the system's authorities."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    check_hostname: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a server is spoken to, wherever it is."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0
    tls: Tls | None = None
    connect_seconds: float = 2.0
    """Until a connection is made, and until one comes free where all are in use."""
    timeout_seconds: float = 5.0

    def url(self, host: str, port: int) -> str:
        """The URL of a server at this address, without credentials."""
        scheme = "redis" if self.tls is None else "rediss"
        return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class Client:
    """One server. Every method raises ``EdgeUnavailable`` or one of its kinds above, and ``EdgeRejected`` where the
    server refuses our credentials."""

    def __init__(self, url: str, access: Access) -> None:
        self.url = url
        self._pool: ConnectionPool = ConnectionPool.from_url(
            url, max_connections=MAX_CONNECTIONS, **_options(url, access)
        )
        self._pool.connection_class = _our_own(self._pool.connection_class)
        self._redis = Redis(connection_pool=self._pool)
        self._free = asyncio.Semaphore(MAX_CONNECTIONS)
        self._wait_seconds = access.connect_seconds
        self._retired = False
        self._execute = cast(
            "Callable[..., Awaitable[Any]]", self._redis.execute_command
        )  # untyped in redis-py

    async def execute(self, *words: Word, what: str = "") -> Any:
        """One command; ``what`` is its name in errors where the first word says little."""
        async with self._connection(what or str(words[0])):
            return await self._execute(*words)

    async def pipelined(self, calls: Sequence[Sequence[Word]], *, what: str = "") -> list[Any]:
        """Several commands on one connection, in one round trip, without a transaction; the first error is raised."""
        async with (
            self._connection(what or (str(calls[0][0]) if calls else "pipeline")),
            self._redis.pipeline(transaction=False) as pipe,
        ):
            for call in calls:
                pipe.execute_command(*call)
            # Raised by redis-py, an error would carry the arguments of its command, which are somebody's alerts.
            answers = list(await pipe.execute(raise_on_error=False))
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers

    async def info(self, section: str) -> dict[str, str]:
        """A section of ``INFO``, values as text as the server wrote it."""
        async with self._connection("INFO"):
            answer = await self._redis.info(section)
        return {str(name): _text(value) for name, value in answer.items()}

    @contextlib.asynccontextmanager
    async def _connection(self, what: str) -> AsyncIterator[None]:
        """One is free for what is done within, first come, first served: the pool itself would turn a burst away."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._free.acquire()
        except builtins.TimeoutError:
            message = (
                f"{what}: {MAX_CONNECTIONS} calls are under way, none ended within {self._wait_seconds:g} s"
            )
            raise errors.EdgeUnavailable(EDGE, message) from None
        try:
            async with _translated(what):
                yield
        finally:
            self._free.release()
            if self._retired:
                # A call that was about to be made then has connected since, and nobody comes after it.
                await self._close_idle()

    async def retire(self) -> None:
        """Close idle connections, and each of the others as soon as its command is done."""
        self._retired = True
        await self._pool.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
        await self._close_idle()

    async def close(self) -> None:
        """Close all connections: commands under way fail; one that still connects is carried through, then closes its own."""
        self._retired = True
        with contextlib.suppress(RedisError, OSError):
            await self._redis.aclose()
            await self._pool.disconnect()

    async def _close_idle(self) -> None:
        with contextlib.suppress(RedisError, OSError):
            await self._pool.disconnect(inuse_connections=False)


def _text(value: object) -> str:
    """redis-py takes ``ip=…,state=…`` apart."""
    if isinstance(value, dict):
        return ",".join(f"{name}={part}" for name, part in value.items())
    return str(value)


def _options(url: str, access: Access) -> dict[str, Any]:
    options: dict[str, Any] = {
        "db": access.database,
        "decode_responses": True,
        "client_name": CLIENT_NAME,
        "protocol": 2,  # RESP3 answers XREADGROUP with another shape; one shape is enough
        # A blocking read takes BLOCK_MS: with less, every quiet read would look like a dead server.
        "socket_timeout": max(access.timeout_seconds, 2 * BLOCK_MS / 1000),
        "health_check_interval": 0,
        # Whoever tries again must ask first who the master is, and redis-py would go to the same server.
        "retry": Retry(NoBackoff(), 0),
    }
    if not url.startswith("unix://"):
        options["socket_connect_timeout"] = access.connect_seconds
    if access.password is not None:
        options["password"] = access.password
    if access.username is not None:
        options["username"] = access.username
    if url.startswith("rediss://"):
        options["ssl_exclude_verify_flags"] = [authorities.REFUSED_BY_DEFAULT]
    if access.tls is not None:
        options["ssl_ca_certs"] = access.tls.ca_file
        options["ssl_certfile"] = access.tls.cert_file
        options["ssl_keyfile"] = access.tls.key_file
        options["ssl_check_hostname"] = access.tls.check_hostname
    return options


def _our_own(base: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same kind of connection with its commands written by hiredis, and not to one that was closed.

    redis-py leaves it the reading only; its own writing of a webhook's arguments takes longer than decoding the webhook.
    """

    class Connection(base):  # type: ignore[valid-type,misc]  # TCP, TLS or a unix socket, as the URL says
        def pack_command(self, *args: Any) -> list[bytes]:
            command, *rest = args
            return [hiredis.pack_command((*command.split(), *rest))]  # "SCRIPT LOAD" is two words

        async def _send_packed_command(self, command: Any) -> None:
            # What is written to one that was closed in this very turn, Python 3.12 and 3.13 keep, and wait until the
            # number of its socket can be written to: the next connection gets that number, and is never made.
            # Source: https://github.com/python/cpython/issues/136234
            if self._writer is None or self._writer.is_closing():
                raise ConnectionResetError("the connection was closed")
            await super()._send_packed_command(command)

    return Connection


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


def _said(error: Exception) -> str:
    """What a connection that could not be made or kept says: an address and why, never what was sent on it."""
    return str(error)[:200] or type(error).__name__


NOT_HERE = ("READONLY", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "UNBLOCKED")
"""Words of a server that is not the master, or not one that may write. redis-py cuts some of them off."""


@contextlib.asynccontextmanager
async def _translated(what: str) -> AsyncIterator[None]:
    with _cancellable():
        try:
            yield
        except NoScriptError as error:
            raise NoScript(EDGE, f"{what}: the server does not know the script") from error
        except AuthenticationError as error:
            raise errors.EdgeRejected(EDGE, f"{what}: the server refused the credentials") from error
        except OutOfMemoryError as error:
            raise errors.EdgeUnavailable(EDGE, f"{what}: the server is out of memory (maxmemory)") from error
        except MovedError as error:
            raise NotTheMaster(EDGE, f"{what}: the slot is on another node") from error
        except (AskError, TryAgainError) as error:
            # While a slot moves, our keys are partly here and partly there, and a script on either side would miss
            # grants that the other side has. So nobody is followed: it passes.
            raise errors.EdgeUnavailable(EDGE, f"{what}: the slot is being moved to another node") from error
        except BusyLoadingError as error:
            raise NoAnswer(EDGE, f"{what}: the server is loading its data") from error
        except TimeoutError as error:
            raise TooSlow(EDGE, f"{what}: no answer: {_said(error)}") from error
        except (ConnectionError, OSError) as error:
            raise NoAnswer(EDGE, f"{what}: no answer: {_said(error)}") from error
        except ResponseError as error:
            # The rest, such as MISCONF (disk full) or OOM inside a script, is a "not now".
            code, text = str(getattr(error, "status_code", None) or ""), str(error)
            said = text if text.startswith(code) else f"{code} {text}"
            kind = NotTheMaster if any(word in said for word in NOT_HERE) else errors.EdgeUnavailable
            raise kind(EDGE, f"{what}: {said[:200]}") from error
        except RedisError as error:
            raise errors.EdgeUnavailable(EDGE, f"{what}: {type(error).__name__}") from error
