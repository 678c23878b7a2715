"""The bridge at rest: what it costs while nothing is wrong, its Redis included; the baseline is an aiohttp server."""

from __future__ import annotations

import time

from bench import servers
from bench.figures import Figure, figure
from bridge.demo import parts

SETTLE_SECONDS = 5.0
"""What a start leaves to do is no rest."""

MEGABYTE = 1_000_000


def measure(*, seconds: float) -> list[Figure]:
    """All processes stand side by side and are watched over the same time; Docker and Redis are there and well."""
    with parts.DockerEngine() as engine, servers.redis() as redis, servers.bare("idle") as bare:
        with servers.bridge(docker=engine.url, redis=redis.url) as bridge:
            watched = (bridge, bare, redis)
            time.sleep(SETTLE_SECONDS)
            begin, before = time.monotonic(), [servers.cpu_seconds(part.pid) for part in watched]
            time.sleep(seconds)
            took = time.monotonic() - begin
            busy = [
                100 * (servers.cpu_seconds(part.pid) - was) / took
                for part, was in zip(watched, before, strict=True)
            ]
            memory = [servers.resident_bytes(part.pid) / MEGABYTE for part in watched]
    return [
        figure("memory at rest", "MB", memory[:1], memory[1:2], goal="< 100 MB"),
        figure("one core, at rest", "%", busy[:1], busy[1:2], goal="< 1 %"),
        figure("its Redis: memory", "MB", memory[2:]),
        figure("its Redis: one core", "%", busy[2:]),
    ]
