"""What comes too slowly is not waited for: neither its head nor its body."""

from __future__ import annotations

import asyncio

import pytest

from bridge.web import answers
from tests.integration.serving import Running


@pytest.mark.parametrize("request_line", ["POST /api/v1/alerts", "PUT /api/v1/pause"])
async def test_a_body_that_does_not_arrive_is_answered_408(
    running: Running, request_line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "BODY_DEADLINE_SECONDS", 0.1)
    reader, writer = await asyncio.open_connection(running.client.host, running.client.port)
    head = (
        f"{request_line} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
    )
    writer.write(head.encode() + b"{")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    assert await running.stored() == 0
