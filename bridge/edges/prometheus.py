"""Prometheus' HTTP API: is it there, and what is an expression now? Read only.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/. Verified with 2.42.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import aiohttp
import msgspec

from bridge import errors

EDGE = "prometheus"
BODY_BYTES = 16 * 1024 * 1024
MESSAGE_CHARACTERS = 256

Decoded = TypeVar("Decoded")
Sample = tuple[Mapping[str, str], float]
_Point = tuple[float, str]


class _BuildInfo(msgspec.Struct):
    version: str


class _BuildInfoAnswer(msgspec.Struct):
    data: _BuildInfo


class _Series(msgspec.Struct):
    metric: dict[str, str]
    value: _Point


class _Vector(msgspec.Struct, tag_field="resultType", tag="vector"):
    result: list[_Series]


class _Scalar(msgspec.Struct, tag_field="resultType", tag="scalar"):
    result: _Point


class _QueryAnswer(msgspec.Struct):
    data: _Vector | _Scalar


class PrometheusApi:
    """One Prometheus, or what speaks its API."""

    def __init__(
        self,
        url: str,
        *,
        authorization: str = "",
        timeout_seconds: float = 5.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """``url`` may end in a path prefix. ``authorization`` is the whole header, ``Bearer ...`` or ``Basic ...``."""
        self._url = url.rstrip("/")
        self._headers = {"Authorization": authorization} if authorization else {}
        self._timeout_seconds = timeout_seconds
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def ready(self) -> bool:
        """Whether Prometheus says that it is ready."""
        reply = await self._ask("/-/ready")
        return reply.status != http.client.SERVICE_UNAVAILABLE and bool(reply.checked())

    async def version(self) -> str:
        """Its version, such as ``2.42.0``."""
        reply = (await self._ask("/api/v1/status/buildinfo")).checked()
        return reply.decoded(_BuildInfoAnswer).data.version

    async def query(self, expr: str) -> Sequence[Sample]:
        """The instant value of each series that the expression gives now; a scalar has no labels.

        Raises: EdgeRejected: the expression is wrong, or too much work.
        """
        query = {"query": expr, "timeout": f"{self._timeout_seconds:g}s"}
        data = (await self._ask("/api/v1/query", query)).checked().decoded(_QueryAnswer).data
        if isinstance(data, _Scalar):
            return [({}, value_of(data.result))]
        return [(series.metric, value_of(series.value)) for series in data.result]

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, path: str, query: Mapping[str, str] | None = None) -> _Reply:
        """Whatever was answered; every way to get no answer becomes ``EdgeUnavailable`` here."""
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._timeout_seconds)
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        try:
            async with self._session.get(
                self._url + path, params=query, allow_redirects=False, ssl=self._tls or True
            ) as response:
                body = bytearray()
                async for piece in response.content.iter_any():
                    body += piece
                    if len(body) > BODY_BYTES:
                        raise ValueError(f"more than {BODY_BYTES} bytes")
                return _Reply(path, response.status, bytes(body))
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as failure:
            reason = str(failure) or type(failure).__name__
            raise errors.EdgeUnavailable(EDGE, f"GET {path}: {reason}"[:MESSAGE_CHARACTERS]) from failure


@dataclass(frozen=True, slots=True)
class _Reply:
    path: str
    status: int
    body: bytes

    def checked(self) -> _Reply:
        """Itself, if it is a success. Raises: EdgeUnavailable (5xx, 429), EdgeRejected."""
        if self.status == http.client.OK:
            return self
        text = self.body[:MESSAGE_CHARACTERS].decode(errors="replace").strip()
        message = f"GET {self.path}: answered {self.status} {text}"
        if self.status >= 500 or self.status == http.client.TOO_MANY_REQUESTS:
            raise errors.EdgeUnavailable(EDGE, message)
        raise errors.EdgeRejected(EDGE, message, self.status)

    def decoded(self, shape: type[Decoded]) -> Decoded:
        """Its JSON. Raises: EdgeUnavailable: not of the documented form."""
        try:
            return msgspec.json.decode(self.body, type=shape)
        except (msgspec.MsgspecError, UnicodeDecodeError) as wrong:
            message = f"GET {self.path}: answered what cannot be understood: {wrong}"
            raise errors.EdgeUnavailable(EDGE, message[:MESSAGE_CHARACTERS]) from wrong


def value_of(point: _Point) -> float:
    """A sample's value, which comes as text: ``NaN``, ``+Inf`` and ``-Inf`` are possible.

    Raises: EdgeUnavailable: it is no number.
    """
    try:
        return float(point[1])
    except ValueError as wrong:
        raise errors.EdgeUnavailable(EDGE, f"a sample is no number: {point[1]!r:.64}") from wrong
