"""Fifty clients race for grants, processes are killed, half of the clocks are hours and days off: no limit is breached.

Judged by the store's own audit, in the order in which it was written. The control checks and then acts with plain
commands and its own clock, as a rate limit in a client does.
"""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import json
import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bridge import errors
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.budgets import StoredBudgets
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.intake import subject_of
from bridge.model.alert import Alert, AlertStatus
from bridge.model.incident import Entry, Outcome
from bridge.model.policy import BreakerPolicy, Cap, Limits, TargetPolicy
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant, Held
from tests.integration.desk import as_judged
from tests.torture.counting import Result, Tally
from tests.torture.doomed import shift_clock
from tests.torture.ground import Ground
from tests.torture.nursery import Nursery
from tests.unit.triage.builders import running

HOUR, DAY = 3600.0, 86_400.0
SHIFTS = (0.0, 3 * HOUR, -3 * HOUR, 40 * DAY, 0.0)
"""One process each, by which its clocks are off."""

CLIENTS_PER_PROCESS = 10
LEASE_SECONDS = 1.0
TARGETS = [(host, f"web-{number}") for host in ("one", "two") for number in range(6)]
POLICY = TargetPolicy(cooldown_seconds=0.3, caps=(Cap(max=3, per_seconds=2.0),))
LIMITS = Limits(host=Cap(max=12, per_seconds=1.0), fleet=Cap(max=20, per_seconds=1.0))
BREAKER = BreakerPolicy(failures=10**9, open_for_seconds=1.0)
ASKED_AT_MOST = 60
"""Times that one incident asks before it gives up."""

REFUNDED, ABANDONED = 0.2, 0.1
BETWEEN_KILLS = (0.2, 0.6)
BREACHES = (
    *("cooldown", "target cap", "host cap", "fleet cap", "two at once", "granted twice"),
    *("token not above the last", "time of a client"),
)
CALLS, OPEN = "torture:calls", "torture:open"

Acquire = Callable[[Held, str, str, Entry], Awaitable[Grant | Refusal]]


def run(*, calls: int, control_calls: int) -> Result:
    """The product and the control."""
    with Nursery() as nursery:
        product = _race(nursery, calls=calls, naive=False)
        control = _race(nursery, calls=control_calls, naive=True)
    return Result(name="race", product=product, controls={"checks, then acts, by its own clock": control})


def _race(nursery: Nursery, *, calls: int, naive: bool) -> Tally:
    with Ground(nursery, docker="unix:///nowhere") as ground:
        began = ground.redis.time()[0]

        def start(shift: float) -> Any:
            port = ground.server.port
            return ground.fork("tests.torture.race:clients", port=port, shift=shift, naive=naive)

        crew = [(shift, start(shift)) for shift in SHIFTS]
        kills = 0
        while int(ground.redis.get(CALLS) or 0) < calls:
            time.sleep(random.uniform(*BETWEEN_KILLS))
            victim = random.randrange(len(crew))
            shift, child = crew[victim]
            assert child.running, child.tail()
            child.kill()
            kills += 1
            crew[victim] = (shift, start(shift))
        for _, child in crew:
            child.kill()
        ended = ground.redis.time()[0] + 1
        audit = _Audit(ground, began_ms=began * 1000, ended_ms=ended * 1000)
        return Tally(
            did={
                "calls": int(ground.redis.get(CALLS) or 0),
                "clients": len(SHIFTS) * CLIENTS_PER_PROCESS,
                "kills": kills,
                "grants": audit.grants,
                "refunds": audit.refunds,
                "takeovers": int(ground.redis.get("torture:takeovers") or 0),
            },
            faults=audit.breaches,
        )


# ---- the judge ---------------------------------------------------------------------------------------------------


class _Audit:
    """Replays the store's audit against the limits."""

    def __init__(self, ground: Ground, *, began_ms: int, ended_ms: int) -> None:
        self.grants = self.refunds = 0
        self.breaches = dict.fromkeys(BREACHES, 0)
        self._times: dict[str, list[int]] = {}
        self._granted: dict[str, tuple[int, str, str]] = {}
        self._holder: dict[str, str] = {}
        for incident, line in ground.transitions():
            if line["event"] == "reserved":
                self.breaches["time of a client"] += not began_ms <= line["at_ms"] <= ended_ms
                self._grant(incident, line["at_ms"], line["fields"])
            elif line["event"] == "closed":
                self._close(incident, line["fields"])
        self._tokens(ground)

    def _grant(self, incident: str, at: int, fields: dict[str, str]) -> None:
        self.grants += 1
        target, host = fields["target"], fields["host"]
        self.breaches["granted twice"] += incident in self._granted
        self.breaches["two at once"] += self._holder.get(target, incident) != incident
        earlier = self._times.get(target, [])
        if earlier and earlier[-1] + POLICY.cooldown_seconds * 1000 > at:
            self.breaches["cooldown"] += 1
        windows = (("target cap", target, POLICY.caps[0]), ("host cap", host, LIMITS.host))
        for name, key, cap in (*windows, ("fleet cap", "", LIMITS.fleet)):
            times = self._times.setdefault(key, [])
            inside = len(times) - bisect.bisect_right(times, at - cap.per_seconds * 1000)
            self.breaches[name] += inside >= cap.max
            bisect.insort(times, at)
        self._granted[incident] = (at, target, host)
        self._holder[target] = incident

    def _close(self, incident: str, fields: dict[str, str]) -> None:
        if incident not in self._granted:
            return
        at, target, host = self._granted[incident]
        if self._holder.get(target) == incident:
            del self._holder[target]
        if fields.get("refund"):
            self.refunds += 1
            for key in (target, host, ""):
                with contextlib.suppress(ValueError):
                    self._times[key].remove(at)

    def _tokens(self, ground: Ground) -> None:
        last, last_at = 0, 0.0
        granted: Any = ground.redis.zrange("{hemostat}:window:fleet", 0, -1, withscores=True)
        for token, at in granted:
            if at > last_at:
                self.breaches["token not above the last"] += int(token) <= last
            last, last_at = max(last, int(token)), at


# ---- the clients -------------------------------------------------------------------------------------------------


def clients(*, port: int, shift: float, naive: bool) -> int:
    """One process of them, until it is killed."""
    if shift:
        shift_clock(shift)
    asyncio.run(_all_clients(port, naive))
    return 0


async def _all_clients(port: int, naive: bool) -> None:
    store = Store(f"redis://127.0.0.1:{port}")
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS_PER_PROCESS):
            group.create_task(_Client(store, naive).live())


class _Client:
    """Takes up an incident of its own or one that a dead client left, asks for its grant until it has it, ends it."""

    def __init__(self, store: Store, naive: bool) -> None:
        self._store = store
        self._journal = StoredJournal(store, lease_seconds=LEASE_SECONDS)
        self._budgets = StoredBudgets(store, lease_seconds=LEASE_SECONDS, trust_empty=True)
        self._acceptor = Acceptor(store, backlog_limit=10**9)
        self._acquire = self._naively if naive else self._properly

    async def live(self) -> None:
        while True:
            with contextlib.suppress(errors.ClaimLost):
                held = await self._taken_over() if random.random() < 0.3 else await self._opened()
                if held is not None:
                    await self._through(held)

    async def _opened(self) -> Held | None:
        unique = os.urandom(8).hex()
        host, name = random.choice(TARGETS)
        labels = {"alertname": "Sick", "container_id": unique * 4, "docker_host": host}
        alert = Alert(
            fingerprint=unique,
            status=AlertStatus.FIRING,
            labels=labels,
            annotations={},
            starts_at=datetime(2026, 1, 1, tzinfo=UTC),
            ends_at=None,
        )
        subject = subject_of(labels, hosts=["one", "two"])
        (incident_id,) = (await self._acceptor.accept([(alert, subject)])).incidents
        await self._store.command("HSET", OPEN, incident_id, f"{host}/{name}")
        return await self._claimed(incident_id, host, name)

    async def _taken_over(self) -> Held | None:
        if random.random() < 0.5:  # whoever holds a target is most in the way
            host, name = random.choice(TARGETS)
            found = await self._store.command("HGET", f"{{hemostat}}:lock:{host}/{name}", "incident")
        else:
            found = next(iter(await self._store.command("HRANDFIELD", OPEN, 1) or ()), None)
        where = await self._store.command("HGET", OPEN, found) if found else None
        if where is None:
            return None
        held = await self._claimed(found, *where.split("/"))
        if held is not None:
            await self._store.command("INCR", "torture:takeovers")
        return held

    async def _claimed(self, incident_id: str, host: str, name: str) -> Held | None:
        held = await self._journal.claim(incident_id, os.urandom(8).hex())
        if not isinstance(held, Held):
            return None
        if held.incident.closed:
            await self._store.command("HDEL", OPEN, incident_id)
            return None
        return held if held.incident.token is not None else as_judged(held, name, host)

    async def _through(self, held: Held) -> None:
        target = held.incident.target
        assert target is not None
        entry = Entry(event="reserved", fields={"target": target.key, "host": target.host})
        answer: Grant | Refusal | None = None
        for _ in range(ASKED_AT_MOST):
            answer = await self._acquire(held, target.host, target.name, entry)
            await self._store.command("INCR", CALLS)
            if isinstance(answer, Grant):
                break
        if isinstance(answer, Grant):
            if random.random() < ABANDONED:
                return
            await asyncio.sleep(random.uniform(0, 0.02))
        await self._end(held, refund=isinstance(answer, Grant) and random.random() < REFUNDED)

    async def _end(self, held: Held, *, refund: bool) -> None:
        now = await self._journal.now()
        closed = held.incident.closing(Outcome.REFUSED, "for the race", now=now, reconsider_at=now)
        entry = Entry(event="closed", fields={"refund": "yes"} if refund else {})
        await self._journal.close(
            replace(held, incident=closed), entry, healed=None, breaker=BREAKER, refund=refund
        )
        await self._store.command("HDEL", OPEN, held.incident.id)

    async def _properly(self, held: Held, host: str, name: str, entry: Entry) -> Grant | Refusal:
        return await self._budgets.acquire(
            held, policy=POLICY, limits=LIMITS, facts=running(up=DAY), entry=entry
        )

    async def _naively(self, held: Held, host: str, name: str, entry: Entry) -> Grant | Refusal:
        """The same limits, read and then written."""
        now = time.time() * 1000
        target = f"{host}/{name}"
        lock, windows = (
            f"{{hemostat}}:lock:{target}",
            {
                f"{{hemostat}}:window:target:{target}": POLICY.caps[0],
                f"{{hemostat}}:window:host:{host}": LIMITS.host,
                "{hemostat}:window:fleet": LIMITS.fleet,
            },
        )
        if await self._store.command("HGET", lock, "incident") not in (None, held.incident.id):
            return Refusal(reason=Reason.TARGET_BUSY, detail="")
        for place, (window, cap) in enumerate(windows.items()):
            rows = await self._store.command("ZRANGE", window, 0, -1, "WITHSCORES")
            times = [float(at) for at in rows[1::2]]
            if place == 0 and any(0 <= now - at < POLICY.cooldown_seconds * 1000 for at in times):
                return Refusal(reason=Reason.COOLDOWN, detail="")
            if sum(0 <= now - at < cap.per_seconds * 1000 for at in times) >= cap.max:
                return Refusal(reason=Reason.TARGET_CAP, detail="")
        token = await self._store.command("INCR", "{hemostat}:fence")
        seconds, micros = await self._store.command("TIME")
        line = {"at_ms": int(seconds) * 1000 + int(micros) // 1000, "event": entry.event}
        told = json.dumps({**line, "fields": entry.fields})
        key = f"{{hemostat}}:incident:{held.incident.id}"
        await self._store.commands(
            ("HSET", lock, "incident", held.incident.id),
            *(("ZADD", window, now, token) for window in windows),
            ("HSET", key, "token", token, "target", target, "host", host),
            ("XADD", "{hemostat}:events", "*", "incident", held.incident.id, "entry", told),
        )
        return Grant(token=int(token))
