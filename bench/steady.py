"""Intake at a fixed rate for a minute: 1,000 webhooks a second of ten alerts each, and how long an answer takes.

`new`: no alert was ever seen, each opens an incident, 10,000 a second. `resent`: the identical body each time. One
process of the bridge, its Redis and the load generator share the machine. Docker accepts connections and never
answers, so that intake is measured and not the walks. The baseline does one `XADD` of the body.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench import load, servers
from bench.figures import Figure, figure

RATE = 1000.0
ALERTS = 10
SECONDS = 60.0
BACKLOG_LIMIT = 10_000_000
KINDS = ("new", "resent", "baseline")


def measure(*, rounds: int, seconds: float = SECONDS) -> list[Figure]:
    """Median, p99 and longest answer of each kind, and how many answers were not 202."""
    runs: dict[str, list[load.Result]] = {kind: [] for kind in KINDS}
    with servers.deaf_docker() as deaf:
        for _ in range(rounds):
            for kind in KINDS:
                runs[kind].append(_run(kind, deaf, seconds=seconds))
    return [row for kind in KINDS[:-1] for row in _rows(kind, runs[kind], runs["baseline"])]


def _run(kind: str, deaf: str, *, seconds: float) -> load.Result:
    with servers.redis() as redis:
        if kind == "baseline":
            server = servers.bare("xadd", redis.url)
        else:
            store = {"trust_empty": True, "backlog_limit": BACKLOG_LIMIT}
            server = servers.bridge(docker=deaf, redis=redis.url, store=store, log={"level": "error"})
        with server:
            order = load.Order(
                port=servers.port_of(server),
                unseen=kind != "resent",
                alerts=ALERTS,
                seconds=seconds,
                rate=RATE,
            )
            return load.run(order)


def _rows(kind: str, mine: Sequence[load.Result], base: Sequence[load.Result]) -> list[Figure]:
    def row(name: str, what: str, unit: str, goal: str) -> Figure:
        values = [getattr(result, what) for result in mine]
        return figure(f"{kind}: {name}", unit, values, [getattr(result, what) for result in base], goal=goal)

    return [
        row("requests", "requests", "", ""),
        row("median", "p50_ms", "ms", ""),
        row("p99", "p99_ms", "ms", "< 50 ms"),
        row("longest", "max_ms", "ms", ""),
        row("not 202", "refused", "", "0"),
    ]
