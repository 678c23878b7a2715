"""Intake: how many webhooks a second are made durable, and how long an answer takes at a fixed rate.

The baseline does one `XADD` of the body on the same Redis. The same five alerts are sent in three ways. `new`: none
was ever seen, each request opens five incidents; Docker accepts connections and never answers, so that intake is
measured and not the walks. `new, walked`: the same on a real Engine; the one process also walks incidents meanwhile
and finds no such containers. `resent`: the identical body each time, as Alertmanager repeats a group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench import load, servers
from bench.figures import Figure, figure
from bridge.demo import parts

RATE = 1000.0
RATE_SECONDS = 20.0
RATE_ROUNDS = 3
BACKLOG_LIMIT = 10_000_000
"""Out of the way: a storm of incidents that nobody walks is what `new` is about."""

ATTEMPTS = 4
DISTURBED = 0.25
"""Cores that others may keep busy during a load; beyond it the load is repeated, up to `ATTEMPTS` times in all. What
came out of it is not looked at for that; the last attempt counts whatever happened meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is sent, and to whom."""

    name: str
    unseen: bool
    walked: bool = False
    bare: bool = False


BARE = Variant(name="bare", unseen=True, bare=True)
VARIANTS = (
    Variant(name="new", unseen=True),
    Variant(name="new, walked", unseen=True, walked=True),
    Variant(name="resent", unseen=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One load, and what it cost: CPU in microseconds per request, and the cores that others kept busy meanwhile."""

    result: load.Result
    server_cpu: float
    redis_cpu: float
    elsewhere: float


class Stage:
    """The Engines and the Redis of one round."""

    def __init__(self, redis: parts.RedisServer, *, deaf: str, engine: str) -> None:
        self._redis = redis
        self._deaf = deaf
        self._engine = engine

    def pair(self, variant: Variant, *, seconds: float) -> tuple[Run, Run]:
        """A variant as fast as it goes, and right before it the baseline."""
        for _ in range(ATTEMPTS):
            base, mine = self.run(BARE, seconds=seconds), self.run(variant, seconds=seconds)
            if not disturbed(base, *() if variant.walked else (mine,)):
                break
        return mine, base

    def steady(self, variant: Variant, *, seconds: float) -> Run:
        """A variant at the fixed rate."""
        for _ in range(ATTEMPTS):
            run = self.run(variant, seconds=seconds, rate=RATE)
            if variant.walked or not disturbed(run):
                break
        return run

    def run(self, variant: Variant, *, seconds: float, rate: float = 0.0) -> Run:
        """One load on a fresh server and an emptied Redis."""
        self._redis.command("FLUSHALL")
        servers.await_quiet()
        with self._server(variant) as server:
            order = load.Order(
                port=servers.port_of(server), unseen=variant.unseen, seconds=seconds, rate=rate
            )
            watch = servers.Watch(server.pid, self._redis.pid)
            result = load.run(order)
            requests = result.per_second * (order.warm_up_seconds + order.seconds)
            server_cpu, redis_cpu = watch.cpu_seconds()
            return Run(
                result=result,
                server_cpu=server_cpu / requests * 1e6,
                redis_cpu=redis_cpu / requests * 1e6,
                elsewhere=watch.cores_elsewhere() - result.own_cpu,
            )

    def _server(self, variant: Variant) -> parts.Process:
        if variant.bare:
            return servers.bare("xadd", self._redis.url)
        return servers.bridge(
            docker=self._engine if variant.walked else self._deaf,
            redis=self._redis.url,
            store={"trust_empty": True, "backlog_limit": BACKLOG_LIMIT},
            log={"level": "error"},
        )


def measure(*, rounds: int, seconds: float) -> list[Figure]:
    """All figures of intake; in each round the baseline runs right before each variant."""
    pairs: dict[str, list[tuple[Run, Run]]] = {variant.name: [] for variant in VARIANTS}
    steady: dict[str, list[Run]] = {variant.name: [] for variant in (BARE, *VARIANTS)}
    with parts.DockerEngine() as engine, servers.deaf_docker() as deaf:
        for number in range(rounds):
            with servers.redis() as redis:
                stage = Stage(redis, deaf=deaf, engine=engine.url)
                for variant in VARIANTS:
                    pairs[variant.name].append(stage.pair(variant, seconds=seconds))
                for variant in (BARE, *VARIANTS) if number < RATE_ROUNDS else ():
                    run = stage.steady(variant, seconds=max(seconds, RATE_SECONDS))
                    steady[variant.name].append(run)
    return [*_speed(pairs), *_latency(steady), *_noise(pairs)]


def disturbed(*runs: Run) -> bool:
    """Whether others used the machine. Not to be asked where incidents are walked: there dockerd works by rights."""
    return max(run.elsewhere for run in runs) > DISTURBED


def _speed(pairs: dict[str, list[tuple[Run, Run]]]) -> list[Figure]:
    told = []
    for name, runs in pairs.items():
        mine, base = [run for run, _ in runs], [run for _, run in runs]
        told += [
            figure(
                f"{name}",
                "requests/s",
                [run.result.per_second for run in mine],
                [run.result.per_second for run in base],
                goal="" if name == "new, walked" else "≥ 0.6",
            ),
            figure(f"{name}: CPU", "µs", [r.server_cpu for r in mine], [r.server_cpu for r in base]),
            figure(f"{name}: CPU of Redis", "µs", [r.redis_cpu for r in mine], [r.redis_cpu for r in base]),
        ]
    return told


def _latency(steady: dict[str, list[Run]]) -> list[Figure]:
    def row(name: str, what: str, goal: str = "") -> Figure:
        mine: Sequence[float] = [getattr(run.result, what) for run in steady[name]]
        base: Sequence[float] = [getattr(run.result, what) for run in steady[BARE.name]]
        unit = "ms" if what.endswith("_ms") else ""
        label = {"p50_ms": "median", "p99_ms": "p99", "max_ms": "longest", "refused": "not 202"}[what]
        return figure(f"{name}, {RATE:.0f}/s: {label}", unit, mine, base, goal=goal)

    goals = {"p50_ms": "", "p99_ms": "< 50 ms", "max_ms": "", "refused": "0"}
    return [row(variant.name, what, goal) for variant in VARIANTS for what, goal in goals.items()]


def _noise(pairs: dict[str, list[tuple[Run, Run]]]) -> list[Figure]:
    runs = [run for name in ("new", "resent") for both in pairs[name] for run in both]
    return [
        figure("load generator", "% of a core", [100 * run.result.own_cpu for run in runs]),
        figure("other processes meanwhile", "% of a core", [100 * max(0, run.elsewhere) for run in runs]),
    ]
