"""Telling Slack: from an outcome to its message, and what is left of an outage.

*Outcome to message*: a real bridge on a real Engine; alerts about containers that do not exist escalate at once. From
the incident's `closed_at` (Redis' clock, this machine's) until Slack has taken the message, Slack answering in 50 ms.
The baseline is that answer alone.

*After an outage*: so many incidents moved ten times each while Slack was away. How often it is called until all of it
is told, and how fast that goes as fast as it goes and at an allowed rate; the baseline is one call for each move.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from bench import reaction, servers
from bench.figures import Figure, figure
from bridge import delivery
from bridge.demo import parts
from bridge.edges.slack.api import SlackApi
from bridge.edges.slack.messages import Scribe
from bridge.edges.slack.sink import SlackSink
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.backlog import StoredBacklog
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.metrics import Metrics
from bridge.model.incident import Entry, Outcome
from bridge.model.policy import BreakerPolicy
from bridge.redaction import Redactor
from bridge.roles import Held
from bridge.sinks import Pace
from tests.integration.desk import START, Desk, alert, as_judged
from tests.servers.slack import BOT_TOKEN, CHANNEL, Message, SlackServer

ANSWER_SECONDS = 0.05
APART_SECONDS = 1.1
"""Between two incidents: a little more than what Slack's own limit allows."""

WAIT_SECONDS = 20.0
MOVES = 10
ALLOWED_PER_SECOND = 50.0


def measure(*, outcomes: int, incidents: int) -> list[Figure]:
    """All figures of telling."""
    return [*_latency(outcomes), *_drained(incidents)]


# ---- from the outcome to the message -----------------------------------------------------------------------------


def _latency(outcomes: int) -> list[Figure]:
    with (
        SlackServer(delay_seconds=ANSWER_SECONDS) as slack,
        parts.DockerEngine() as engine,
        servers.redis() as redis,
    ):
        told = {"bot_token": BOT_TOKEN, "channel": CHANNEL, "api_url": slack.api_url}
        with servers.bridge(
            docker=engine.url, redis=redis.url, slack=told, policy=reaction.POLICY, log={"level": "error"}
        ) as bridge:
            taken = [_seconds(slack, bridge, f"gone-{number}") for number in range(outcomes)]
    milliseconds = [1000 * seconds for seconds in taken]
    base = [1000 * ANSWER_SECONDS]
    return [
        figure("outcome until Slack has the message: median", "ms", milliseconds, base),
        figure(f"p95 of {outcomes}", "ms", [_p95(milliseconds)], base, goal="< 1000 ms"),
    ]


def _seconds(slack: SlackServer, bridge: parts.Process, name: str) -> float:
    body = reaction.webhook(name)
    status, answer = parts.http_request("POST", f"{bridge.url}/api/v1/alerts", body, seconds=5)
    if status != 202:
        raise parts.PartFailed(bridge.name, f"answered {status}: {answer.decode()[:200]}", bridge.log_tail())
    [incident_id] = json.loads(answer)["incidents"]

    def told() -> list[Message]:
        mine = {"incident": incident_id}
        return [one for one in slack.parents() if one.metadata.get("event_payload") == mine]

    if not parts.wait_until(lambda: bool(told()), seconds=WAIT_SECONDS):
        raise parts.PartFailed(bridge.name, f"did not tell Slack of {name}", bridge.log_tail())
    time.sleep(APART_SECONDS)
    _, answer = parts.http_request("GET", f"{bridge.url}/api/v1/incidents/{incident_id}", seconds=5)
    return told()[0].changed_at - datetime.fromisoformat(json.loads(answer)["closed_at"]).timestamp()


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


# ---- after an outage ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """What it took to tell everything."""

    seconds: float
    messages: int
    edits: int
    most_edits: int


def _drained(incidents: int) -> list[Figure]:
    moves = incidents * MOVES
    free = asyncio.run(_drain(incidents, told_before=False, pace=Pace(at_once=4)))
    edited = asyncio.run(_drain(incidents, told_before=True, pace=Pace(at_once=4)))
    held = min(incidents, 500)
    paced = asyncio.run(
        _drain(held, told_before=False, pace=Pace(at_once=4, per_second=ALLOWED_PER_SECOND, burst=1))
    )
    name = f"{moves} deliveries about {incidents} incidents"
    return [
        figure(f"{name}: messages posted", "", [free.messages], [moves]),
        figure("the same, where each had its message already: edits", "", [edited.edits], [moves]),
        figure("most edits of one message", "", [edited.most_edits], goal="≤ 1"),
        figure("told as fast as it goes", "incidents/s", [incidents / free.seconds]),
        figure(
            f"at an allowed rate of {ALLOWED_PER_SECOND:.0f}/s",
            "incidents/s",
            [held / paced.seconds],
            [ALLOWED_PER_SECOND],
            goal="≤ the rate",
        ),
    ]


async def _drain(incidents: int, *, told_before: bool, pace: Pace) -> Drained:
    with SlackServer() as slack, servers.redis() as redis:
        store = Store(redis.url)
        journal = StoredJournal(store, lease_seconds=3600)
        desk = Desk(store, journal, Acceptor(store, backlog_limit=10_000_000))
        api = SlackApi(bot_token=BOT_TOKEN, base_url=slack.api_url)
        sink = SlackSink(api, channel_name=CHANNEL, scribe=Scribe(), pace=pace)
        backlog = StoredBacklog(store, journal)
        await backlog.register([sink], retire=False)
        try:
            held = await _in_pieces([_opened(desk, number) for number in range(incidents)])
            if told_before:
                fast = SlackSink(api, channel_name=CHANNEL, scribe=Scribe(), pace=Pace(at_once=4))
                await _told(fast, backlog)
            edits = slack.count("chat.update")
            await _in_pieces([_moved(desk, one) for one in held])
            began = time.monotonic()
            await _told(sink, backlog)
            took = time.monotonic() - began
            parents = slack.parents()
            return Drained(
                seconds=took,
                messages=len(parents),
                edits=slack.count("chat.update") - edits,
                most_edits=max(one.edits for one in parents),
            )
        finally:
            await api.close()
            await store.close()


async def _told(sink: SlackSink, backlog: StoredBacklog) -> None:
    """Until nothing is due any more."""
    task = asyncio.create_task(
        delivery.tell([sink], backlog=backlog, metrics=Metrics(), redactor=Redactor, lease_seconds=15)
    )
    while sum((await backlog.depth()).values()):  # noqa: ASYNC110  # the fact is in Redis
        await asyncio.sleep(0.05)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _opened(desk: Desk, number: int) -> Held:
    name = f"web-{number}"
    held = as_judged(await desk.claim(await desk.incident_for(alert(name, fingerprint=name))), name)
    return await desk.journal.save(held, Entry(event="judged", fields={"verdict": "repair"}))


async def _moved(desk: Desk, held: Held) -> Held:
    for _ in range(MOVES - 1):
        await desk.journal.save(held, Entry(event="looked", fields={"finding": "still sick"}))
    closing = held.incident.closing(Outcome.ESCALATED, "so it is", now=START, reconsider_at=START)
    return await desk.journal.close(
        replace(held, incident=closing),
        Entry(event="closed", fields={"outcome": "escalated", "reason": "so it is"}),
        healed=None,
        breaker=BreakerPolicy(),
    )


async def _in_pieces(work: Sequence[Coroutine[None, None, Held]]) -> list[Held]:
    """So many at once, in order."""
    return [
        one for first in range(0, len(work), 32) for one in await asyncio.gather(*work[first : first + 32])
    ]
