"""Compressed bodies: understood, bounded by what they unfold to, and not unfolded for nobody."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from aiohttp import web

from bridge.demo import parts
from bridge.web import application, server
from bridge.web.answers import Refused
from bridge.web.compression import unfolded
from tests.integration.serving import FIRING, Running

MOST = 1 << 20
BOMB = gzip.compress(bytes(100 << 20), 9)
"""100 KB that are 100 MB."""

Answer = tuple[int, bytes]


@pytest.fixture
async def served(running: Running) -> AsyncIterator[web.AppRunner]:
    """The interface of a bridge, served as the bridge itself serves it."""
    runner = server.runner_of(application(running.bridge, tokens=lambda: (), max_body_bytes=MOST))
    await runner.setup()
    await web.TCPSite(runner, parts.LOOPBACK, 0).start()
    yield runner
    await runner.cleanup()


async def posted(served: web.AppRunner, body: bytes, encoding: str, path: str = "/alerts") -> Answer:
    reader, writer = await asyncio.open_connection(*served.addresses[0])
    head = (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    async with asyncio.timeout(20):
        answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


def deflated(body: bytes) -> bytes:
    """Without zlib's frame, as some send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(FIRING)),
        ("GZip", gzip.compress(FIRING)),
        ("deflate", zlib.compress(FIRING)),
        ("deflate", deflated(FIRING)),
        ("identity", FIRING),
    ],
    ids=["gzip", "GZip", "deflate", "bare deflate", "identity"],
)
async def test_what_clients_compress_with_is_understood(
    served: web.AppRunner, encoding: str, body: bytes
) -> None:
    assert (await posted(served, body, encoding))[0] == 202


@pytest.mark.parametrize("make", [os.urandom, bytes], ids=["as large", "far smaller"])
def test_a_large_body_is_whole(make: Callable[[int], bytes]) -> None:
    """Also where its last bytes wait within zlib when all that came was given to it."""
    for size in (0, 1, 65_535, 65_536, 65_537, 3_000_001):
        body = make(size)
        assert unfolded(gzip.compress(body), "gzip", most=size) == body
        for wrong in (gzip.compress(body)[:-1], gzip.compress(body) + bytes(200_000)):
            with pytest.raises(Refused):
                unfolded(wrong, "gzip", most=size)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", FIRING),
        ("gzip", b""),
        ("gzip", gzip.compress(FIRING)[:-9]),
        ("gzip", gzip.compress(FIRING)[:-1] + b"x"),
        ("gzip", gzip.compress(FIRING) + b"more"),
        ("deflate", gzip.compress(FIRING)),
    ],
    ids=["not at all", "nothing", "cut off", "another sum", "more after it", "by another method"],
)
async def test_what_is_not_compressed_as_it_says_is_400(
    running: Running, served: web.AppRunner, encoding: str, body: bytes
) -> None:
    status, told = await posted(served, body, encoding)
    assert (status, b'"code":"bad_payload"' in told) == (400, True)
    assert await running.stored() == 0


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "x"])
async def test_another_method_is_named_beside_those_that_are_understood(
    served: web.AppRunner, encoding: str
) -> None:
    status, told = await posted(served, b"{}", encoding)
    assert (status, b"gzip and deflate are understood" in told) == (400, True)


async def test_what_would_unfold_to_more_than_a_body_may_have_is_413(served: web.AppRunner) -> None:
    status, told = await posted(served, BOMB, "gzip")
    assert (status, b'"code":"too_large"' in told) == (413, True)


@pytest.mark.parametrize("path", ["/alerts", "/nowhere", "/-/healthy"])
async def test_nothing_is_unfolded_that_is_refused_or_for_nobody(served: web.AppRunner, path: str) -> None:
    """To unfold it all takes a second in which nothing else is done, the renewal of leases included; no token is needed
    to send one, and thirty are a minute.
    """
    before = time.process_time()
    for _ in range(5):
        await posted(served, BOMB, "gzip", path)
    assert time.process_time() - before < 0.5
