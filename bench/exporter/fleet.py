"""The fleet: 64 MiB limits, Compose labels, two in three on a bridge, one in ten spinning a little every second, one in
twenty with a health check; the rest wake every 5 s."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bridge.demo import parts

NETWORK = "fleet"
BUSY = "while :; do i=0; while [ $i -lt 3000 ]; do i=$((i+1)); done; sleep 1; done"
IDLE = "while :; do sleep 5; done"


@contextlib.contextmanager
def fleet(count: int) -> Iterator[parts.DockerEngine]:
    with parts.DockerEngine() as engine:
        engine.client.networks.create(NETWORK, driver="bridge")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: _container(engine, number), range(count)))
        yield engine


def _container(engine: parts.DockerEngine, number: int) -> None:
    check = parts.Healthcheck(command="true", interval_seconds=10) if number % 20 == 0 else None
    engine.run(
        f"fleet-{number:04d}",
        BUSY if number % 10 == 0 else IDLE,
        labels={
            "com.docker.compose.project": f"shop-{number % 30}",
            "com.docker.compose.service": f"service-{number}",
        },
        healthcheck=check,
        mem_limit="64m",
        network_mode=NETWORK if number % 3 else "none",
        stop_signal="KILL",
    )
