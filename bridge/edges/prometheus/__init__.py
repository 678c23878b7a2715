"""Prometheus' HTTP API: is it there, what is an expression now, and how did a container fare? Read only.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/. Verified with 2.42 to 3.5.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec

from bridge import errors
from bridge.edges.http_neighbour import HttpNeighbour
from bridge.edges.prometheus.questions import LABEL, RANGE_SECONDS, STEP_SECONDS, query_of
from bridge.edges.prometheus.summary import measures
from bridge.model.evidence import ContainerFacts, Measure

EDGE = "prometheus"

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


class _LongSeries(msgspec.Struct):
    metric: dict[str, str]
    values: list[_Point]


class _Matrix(msgspec.Struct, tag_field="resultType", tag="matrix"):
    result: list[_LongSeries]


class _RangeAnswer(msgspec.Struct):
    data: _Matrix


class PrometheusApi:
    """``roles.Figures`` at one Prometheus, or what speaks its API."""

    def __init__(
        self,
        url: str,
        *,
        authorization: str = "",
        timeout_seconds: float = 5.0,
        only_host: bool = True,
    ) -> None:
        """``url`` may end in a path prefix. ``authorization`` is the whole header, ``Bearer ...`` or ``Basic ...``.
        ``only_host``: one Docker host is configured, so the figures of the only node are its own."""
        self._neighbour = HttpNeighbour(
            EDGE, url, authorization=authorization, timeout_seconds=timeout_seconds
        )
        self._timeout_seconds = timeout_seconds
        self._only_host = only_host

    async def ready(self) -> bool:
        """Whether Prometheus says that it is ready."""
        return await self._neighbour.ready()

    async def version(self) -> str:
        """Its version, such as ``2.42.0``."""
        reply = (await self._neighbour.ask("/api/v1/status/buildinfo")).checked()
        return reply.decoded(_BuildInfoAnswer).data.version

    async def query(self, expr: str) -> Sequence[Sample]:
        """The instant value of each series that the expression gives now; a scalar has no labels.

        Raises: EdgeRejected: the expression is wrong, or too much work.
        """
        query = {"query": expr, "timeout": f"{self._timeout_seconds:g}s"}
        data = (await self._neighbour.ask("/api/v1/query", query)).checked().decoded(_QueryAnswer).data
        if isinstance(data, _Scalar):
            return [({}, value_of(data.result))]
        return [(series.metric, value_of(series.value)) for series in data.result]

    async def measures(self, container: ContainerFacts) -> Sequence[Measure]:
        """What is known of a container in the last 30 minutes, and of its host, by one query.

        Raises: EdgeRejected: Prometheus refused the query, or found it too much work.
        """
        end = time.time()
        form = {
            "query": query_of(container, only_host=self._only_host),
            "start": f"{end - RANGE_SECONDS:.3f}",
            "end": f"{end:.3f}",
            "step": str(STEP_SECONDS),
            "timeout": f"{self._timeout_seconds:g}s",
        }
        # A form: the query is longer than what some proxies take in a URL.
        reply = (await self._neighbour.fill_in("/api/v1/query_range", form)).checked()
        answers = {
            series.metric.get(LABEL, ""): [(point[0], value_of(point)) for point in series.values]
            for series in reply.decoded(_RangeAnswer).data.result
        }
        return measures(container, answers, begin=end - RANGE_SECONDS)

    async def close(self) -> None:
        """End the connections."""
        await self._neighbour.close()


def value_of(point: _Point) -> float:
    """A sample's value, which comes as text: ``NaN``, ``+Inf`` and ``-Inf`` are possible.

    Raises: EdgeUnavailable: it is no number.
    """
    try:
        return float(point[1])
    except ValueError as wrong:
        raise errors.EdgeUnavailable(EDGE, f"a sample is no number: {point[1]!r:.64}") from wrong
