"""A neighbour that answers JSON over HTTP: asked with a deadline, its failures translated once.

Edges share this file. What is asked and what it means belongs to the edge of each neighbour.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import ssl
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec

from bridge import authorities, errors
from bridge.redaction import Redactor

BODY_BYTES = 64 * 1024 * 1024
MESSAGE_CHARACTERS = 256
LOOKED_AT = 4096
"""Characters of a refusal that are looked at: redacted whole, then cut."""

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

Decoded = TypeVar("Decoded")
Query = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Whatever was answered, a refusal included. ``edge`` is the neighbour's name."""

    edge: str
    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    method: str = "GET"

    def checked(self) -> Reply:
        """Itself, if it is a success. Raises what ``refusal`` makes of it otherwise."""
        if self.status == http.client.OK:
            return self
        raise self.refusal(" " + shown(_words(self.body)))

    def refusal(self, said: str, *, of_message: Collection[int] = ()) -> errors.EdgeError:
        """What this status means: EdgeUnavailable (5xx), RateLimited (429), else EdgeRejected.

        ``said`` is the end of its message and may be shown. ``of_message``: statuses by which this neighbour refuses
        what it was sent and not who sends it (MessageRefused).
        """
        message = f"{self.method} {self.path}: answered {self.status}{said}"
        if self.status in of_message:
            return errors.MessageRefused(self.edge, message, self.status)
        if self.status == http.client.TOO_MANY_REQUESTS:
            return errors.RateLimited.of_http(self.edge, message, self.headers)
        if self.status >= 500:
            return errors.EdgeUnavailable(self.edge, message)
        return errors.EdgeRejected(self.edge, message, self.status)

    def decoded(self, shape: type[Decoded]) -> Decoded:
        """Its JSON. Raises: EdgeUnavailable: not of the documented form."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
            message = f"{self.method} {self.path}: answered what cannot be understood: {wrong}"
            raise errors.EdgeUnavailable(self.edge, message[:MESSAGE_CHARACTERS]) from wrong


class _Refusal(msgspec.Struct):
    """Where Prometheus, Alertmanager and Grafana say what was wrong."""

    error: str = ""
    message: str = ""


def _words(body: bytes) -> str:
    """What a refusal says: the words of a JSON answer as they were meant, else the body as it came."""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        told = msgspec.json.decode(body, type=_Refusal)
        if words := told.error or told.message:
            return words[:LOOKED_AT]
    return body[:LOOKED_AT].decode(errors="replace")


def shown(said: str, limit: int = MESSAGE_CHARACTERS) -> str:
    """What may be shown of a neighbour's words."""
    return Redactor().plain(said.strip(), limit=limit).text


@functools.cache
def _secured() -> ssl.SSLContext:
    """For all neighbours together: to read the system's authorities takes 30 ms and 2 MiB."""
    return authorities.taken(ssl.create_default_context())


class HttpNeighbour:
    """``url`` may end in a path prefix; ``authorization`` is the whole header, ``Bearer ...`` or ``Basic ...``."""

    def __init__(
        self,
        edge: str,
        url: str,
        *,
        authorization: str = "",
        timeout_seconds: float = 5.0,
    ) -> None:
        self._edge = edge
        self._url = url.rstrip("/")
        self._tls = _secured() if url.lower().startswith("https:") else True
        self._headers = {"Authorization": authorization} if authorization else {}
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, path: str, query: Query | None = None) -> Reply:
        """``GET`` of a path. Raises: EdgeUnavailable: no answer, for whatever reason."""
        return await self._request("GET", path, query)

    async def fill_in(self, path: str, form: Mapping[str, str]) -> Reply:
        """A ``POST`` of a form that changes nothing: a question too long for a URL. Raises: EdgeUnavailable."""
        return await self._request("POST", path, None, urlencode(form).encode(), kind=FORM)

    async def send(self, method: str, path: str, body: object = None) -> Reply:
        """A request that changes something, with a JSON body. Raises: EdgeUnavailable: no answer; whether it was done
        over there is unknown."""
        return await self._request(method, path, None, None if body is None else msgspec.json.encode(body))

    async def _request(
        self, method: str, path: str, query: Query | None, body: bytes | None = None, *, kind: str = JSON
    ) -> Reply:
        headers = {} if body is None else {"Content-Type": kind}
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls), headers=self._headers, timeout=self._timeout
            )
        try:
            async with self._session.request(
                method,
                self._url + path,
                params=query,
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                answer = bytearray()
                async for piece in response.content.iter_any():
                    answer += piece
                    if len(answer) > BODY_BYTES:
                        raise ValueError(f"more than {BODY_BYTES} bytes")
                return Reply(
                    edge=self._edge,
                    path=path,
                    status=response.status,
                    headers=response.headers,
                    body=bytes(answer),
                    method=method,
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as failure:
            reason = str(failure) or type(failure).__name__
            raise errors.EdgeUnavailable(
                self._edge, f"{method} {path}: {reason}"[:MESSAGE_CHARACTERS]
            ) from failure

    async def ready(self) -> bool:
        """Whether it says that it is ready, on the path that Prometheus and Alertmanager share."""
        reply = await self.ask("/-/ready")
        return reply.status != http.client.SERVICE_UNAVAILABLE and bool(reply.checked())

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
