"""Ten thousand requests that nobody should send, and two thousand in between that Alertmanager does, to the real process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.acceptance import bodies
from tests.acceptance.bodies import CUT, Sent
from tests.acceptance.conftest import StartBridge
from tests.acceptance.stack import TOKENS, Bridge

SEED = int(os.environ.get("HEMOSTAT_FUZZ_SEED", "20261121"))
BODIES = int(os.environ.get("HEMOSTAT_FUZZ_BODIES", "10000"))
WARM_UP = 1_500
CONNECTIONS = 8
ANSWER_SECONDS = 10.0
SILENT = -1
"""Instead of a status: neither an answer nor an end of the connection within that time."""

MAX_GROWTH_BYTES = 10_000_000
NOWHERE = "unix:///nowhere/docker.sock"


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now. Source: proc(5), VmRSS."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS:"))


class Sender:
    """One connection, kept alive where both sides let it be."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reads: asyncio.StreamReader | None = None
        self._writes: asyncio.StreamWriter | None = None

    async def answer_to(self, sent: Sent) -> int:
        """The status, CUT if the connection ended without one."""
        if self._reads is None or self._writes is None:
            self._reads, self._writes = await asyncio.open_connection("127.0.0.1", self._port)
        code, keep = CUT, False
        try:
            self._writes.write(sent.wire)
            await self._writes.drain()
            if sent.gone:
                self._writes.write_eof()
            code, keep = await asyncio.wait_for(self._status(self._reads), ANSWER_SECONDS)
        except TimeoutError:
            code = SILENT
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        if sent.gone or sent.alone or not keep:
            await self.close()
        return code

    @staticmethod
    async def _status(reads: asyncio.StreamReader) -> tuple[int, bool]:
        head = (await reads.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        lines = dict(line.partition(": ")[::2] for line in head.split("\r\n")[1:])
        await reads.readexactly(int(lines.get("content-length", 0)))
        keeps = head.startswith("http/1.1") and lines.get("connection") != "close"
        return int(head.split()[1]), keeps

    async def close(self) -> None:
        """The next request opens another one."""
        if self._writes is not None:
            self._writes.transport.abort()
            with contextlib.suppress(OSError):
                await self._writes.wait_closed()
        self._reads = self._writes = None


async def answers_to(port: int, sent: list[Sent]) -> list[int]:
    """The answer to each, in order, over some connections at once."""
    answers: list[int] = [CUT] * len(sent)
    places = iter(range(len(sent)))

    async def send() -> None:
        sender = Sender(port)
        for place in places:
            answers[place] = await sender.answer_to(sent[place])
        await sender.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(send())
    return answers


def fingerprints(body: bytes) -> list[str | None]:
    """Of the alerts in a body that was accepted, by another parser than the bridge's; none given: it makes one up."""
    return [one.get("fingerprint") or None for one in json.loads(body.decode(errors="replace"))["alerts"]]


def stored(url: str) -> set[str]:
    """Fingerprints of all alerts in the store, and of none that has no episode."""
    with Redis.from_url(url, decode_responses=True) as redis:
        episodes = {
            name.removeprefix("{hemostat}:episode:")
            for name in redis.scan_iter(match="{hemostat}:episode:*", count=1000)
        }
        told: set[str] = set()
        for name in redis.scan_iter(match="{hemostat}:incident:*:alerts", count=1000):
            told |= set(redis.hkeys(name))
    assert told <= episodes
    return episodes


def test_ten_thousand_odd_requests_crash_nothing_and_leave_nothing(
    start_bridge: StartBridge, redis_url: str
) -> None:
    """Each answer is one that was foreseen, none is a 5xx; what was refused left no trace, what was good is all there."""
    bridge = start_bridge(docker=NOWHERE, roles="web", log={"level": "error"})
    sent = list(bodies.requests(SEED, BODIES + WARM_UP, good_share=0.15))
    answers = asyncio.run(answers_to(bridge.port, sent[:WARM_UP]))
    before = resident_bytes(bridge.pid)
    began = time.monotonic()
    answers += asyncio.run(answers_to(bridge.port, sent[WARM_UP:]))
    seconds, growth = time.monotonic() - began, resident_bytes(bridge.pid) - before
    by_kind: dict[str, Counter[int]] = defaultdict(Counter)
    for one, answer in zip(sent, answers, strict=True):
        by_kind[one.kind][answer] += 1
    for kind in sorted(by_kind):
        print(f"{kind:20} {dict(sorted(by_kind[kind].items()))}")
    accepted = [one for one, answer in zip(sent, answers, strict=True) if answer == 202]
    print(
        f"seed {SEED}: {BODIES} requests in {seconds:.1f} s, {len(accepted)} accepted in all, memory {growth / 1e6:+.1f} MB"
    )
    surprises = [
        (one.kind, answer, one.wire[:300], one.body[:300])
        for one, answer in zip(sent, answers, strict=True)
        if answer not in one.may_answer
    ]
    assert surprises[:5] == []
    assert max(answers) < 500
    told = [fingerprint for one in accepted for fingerprint in fingerprints(one.body)]
    found, named = stored(redis_url), {fingerprint for fingerprint in told if fingerprint}
    assert named <= found
    assert len(found - named) == told.count(None)
    assert bridge.running
    assert bridge.request("GET", "/-/healthy").status_code == 200
    assert "Traceback" not in bridge.log_text()
    assert "crashed" not in bridge.log_text()
    assert growth < MAX_GROWTH_BYTES


# Anything that JSON can say, in the places where Alertmanager puts something else.
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
times = st.datetimes().map(lambda at: at.isoformat() + "Z") | st.text(max_size=30) | anything
odd_alert = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["firing", "resolved"]) | anything,
        "labels": st.dictionaries(st.text(max_size=15), st.text(max_size=15), max_size=4) | anything,
        "annotations": st.dictionaries(st.text(max_size=15), st.text(max_size=15), max_size=4) | anything,
        "startsAt": times,
        "endsAt": times,
        "fingerprint": st.from_regex(r"[0-9a-f]{16}", fullmatch=True) | anything,
        "generatorURL": st.text(max_size=20) | anything,
    },
)
fair_alert = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["firing", "resolved"]),
        "labels": st.dictionaries(st.text(max_size=15), st.text(max_size=15), max_size=4),
        "startsAt": st.just("2026-11-20T12:00:00Z"),
        "fingerprint": st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    },
    optional={"endsAt": st.just("0001-01-01T00:00:00Z"), "unknown": anything},
)
odd_webhook = st.fixed_dictionaries(
    {},
    optional={
        "alerts": st.lists(fair_alert, max_size=3) | st.lists(odd_alert, max_size=3) | anything,
        "version": anything,
        "truncatedAlerts": anything,
    },
)


def test_whatever_json_can_say_is_accepted_whole_or_not_at_all(
    start_bridge: StartBridge, redis_url: str
) -> None:
    """202 and all its alerts are in the store, or 400 and none of them is."""
    bridge: Bridge = start_bridge(docker=NOWHERE, roles="web", log={"level": "error"})
    codes: Counter[int] = Counter()
    with Redis.from_url(redis_url, decode_responses=True) as redis, requests.Session() as session:
        session.trust_env = False
        session.headers.update(
            {"Authorization": f"Bearer {TOKENS['receiver']}", "Content-Type": "application/json"}
        )

        @settings(max_examples=300, deadline=None, derandomize=True, database=None)
        @given(odd_webhook | anything)
        def try_one(body: Any) -> None:
            before = redis.dbsize()
            answer = session.post(f"{bridge.url}/api/v1/alerts", json.dumps(body), timeout=10)
            codes[answer.status_code] += 1
            assert answer.status_code in (202, 400)
            if answer.status_code == 400:
                assert redis.dbsize() == before
                assert "\n" not in answer.json()["error"]["message"]
            else:
                assert answer.json()["accepted"] == len(body["alerts"])

        try_one()
    print(f"hypothesis: {dict(codes)}")
    assert set(codes) == {202, 400}
    assert "Traceback" not in bridge.log_text()
