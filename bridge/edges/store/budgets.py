"""Budgets in the store: cooldown, caps, breaker, single flight and the kill switch, all on Redis' clock."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from bridge import errors
from bridge.edges.store import clock
from bridge.edges.store.connection import Store, instant, key, milliseconds
from bridge.edges.store.records import encode, encode_entry, encode_incident
from bridge.edges.store.storms import population_fields, share_of
from bridge.model.evidence import ContainerFacts
from bridge.model.identity import other_names
from bridge.model.incident import Entry, Incident, Target
from bridge.model.policy import Limits, TargetPolicy
from bridge.model.refusal import Reason, Refusal
from bridge.model.share import Population
from bridge.roles import BudgetState, Grant, Held, Pause

EVICTION_SAFE = "noeviction"
SHARE_AT = 4
"""Where a share begins in the answer of ``acquire`` that is refused for it."""


class StoredBudgets:
    """Implements ``roles.Budgets``. ``trust_empty``: an empty store is a fresh install, not a loss."""

    def __init__(self, store: Store, *, lease_seconds: float, trust_empty: bool) -> None:
        self._store = store
        self._lease_ms = round(lease_seconds * 1000)
        self._trust_empty = trust_empty
        self._granted_ms = 0

    async def open(self) -> None:
        """Note when this store began to count. Harmless to repeat; ``acquire`` does the same if nobody did."""
        await self._store.script("open", "1" if self._trust_empty else "0")

    async def eviction_policy(self) -> str:
        """``maxmemory-policy``, as ``acquire`` reads it; ``noeviction`` where the server does not tell."""
        return (await self._store.info("memory")).get("maxmemory_policy", EVICTION_SAFE)

    async def paused(self) -> Pause | None:
        """The kill switch; a pause whose end has passed is none."""
        fields = await self._store.command("HMGET", key("pause"), "by", "why", "since", "until")
        by, why, since, until = fields
        if since is None:
            return None
        if until and int(until) <= milliseconds((await clock.read(self._store)).now):
            return None
        return Pause(
            by=by or "", why=why or "", since=instant(since), until=instant(until) if until else None
        )

    async def pause(self, *, by: str, why: str, until: datetime | None) -> Pause:
        """Pull the kill switch. Raises EdgeUnavailable: it may not survive a failover; pull it again."""
        now = (await clock.read(self._store)).now
        since = milliseconds(now)
        ends = milliseconds(until) if until else ""
        fields = ("by", by, "why", why, "since", since, "until", ends)
        # A failover must not switch repairs on again behind the operator's back.
        await self._store.command("HSET", key("pause"), *fields, durable=True)
        return Pause(by=by, why=why, since=instant(since), until=until)

    async def resume(self) -> None:
        """Release the kill switch."""
        await self._store.command("DEL", key("pause"))

    async def reset(self, target: Target, *, facts: ContainerFacts | None = None) -> None:
        """Forget a target's cooldown, caps and breaker; an operator's decision. A repair under way keeps its lock.

        ``facts`` of its container tell under which other names they may stand.
        """
        names = (target.key, *_other_keys(target, facts))
        kinds = ("window:target", "breaker")
        await self._store.command("DEL", *(key(f"{kind}:{name}") for kind in kinds for name in names))

    async def acquire(
        self,
        held: Held,
        *,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts,
        entry: Entry,
        populations: Sequence[Population] = (),
    ) -> Grant | Refusal:
        """Reserve, in one script; the incident's next state (``reserved``) is written in the same step."""
        incident = held.incident
        answer = await self._store.script(
            "acquire",
            incident.id,
            held.claim,
            encode_incident(incident),
            encode_entry(entry),
            self._lease_ms,
            self._limits(_target(incident), policy, limits, facts, populations),
            durable=True,
        )
        if answer[0] == "lost":
            raise errors.ClaimLost(f"incident {incident.id} was taken over")
        if answer[0] == "granted":
            self._granted_ms = max(self._granted_ms, int(answer[2]))
            return Grant(token=int(answer[1]))
        return _denied(answer, populations, limits)

    async def would_grant(
        self,
        target: Target,
        *,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts | None,
        populations: Sequence[Population] = (),
    ) -> Refusal | None:
        """Every check, no write."""
        answer = await self._store.script(
            "acquire",
            "",
            "",
            "",
            "",
            self._lease_ms,
            self._limits(target, policy, limits, facts, populations),
        )
        return None if answer[0] == "granted" else _denied(answer, populations, limits)

    async def begin(
        self,
        held: Held,
        entry: Entry,
        *,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts,
        populations: Sequence[Population] = (),
    ) -> Refusal | None:
        """Write the intent that ``held.incident`` carries, unless something stands against it by now."""
        incident = held.incident
        if incident.intent is None:
            raise ValueError(f"incident {incident.id} begins without an intent")
        answer = await self._store.script(
            "begin",
            incident.id,
            held.claim,
            encode_incident(incident),
            encode_entry(entry),
            self._lease_ms,
            self._limits(_target(incident), policy, limits, facts, populations),
            incident.intent.token,
            durable=True,
        )
        if answer[0] == "lost":
            raise errors.ClaimLost(f"incident {incident.id} was taken over")
        return _denied(answer, populations, limits) if answer[0] == "denied" else None

    async def fleet_actions(self, limits: Limits) -> int:
        """Actions granted to the whole fleet within its window."""
        now = (await clock.read(self._store)).now
        since = milliseconds(now - timedelta(seconds=limits.fleet.per_seconds))
        return int(await self._store.command("ZCOUNT", key("window:fleet"), since, "+inf"))

    async def state(
        self,
        target: Target,
        *,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts | None,
        populations: Sequence[Population] = (),
    ) -> BudgetState:
        """What an operator asks of a target: may it be repaired now, and if not until when."""
        refusal = await self.would_grant(
            target, policy=policy, limits=limits, facts=facts, populations=populations
        )
        now = (await clock.read(self._store)).now
        hour_ago = milliseconds(now - timedelta(hours=1))
        windows = [key(f"window:target:{name}") for name in (target.key, *_other_keys(target, facts))]
        asked = [
            (("ZCOUNT", window, hour_ago, "+inf"), ("ZRANGE", window, -1, -1, "WITHSCORES"))
            for window in windows
        ]
        answers = await self._store.commands(*(command for pair in asked for command in pair))
        newest = [_last_score(last) for last in answers[1::2] if last]
        return BudgetState(
            target=target,
            refusal=refusal,
            actions_last_hour=sum(int(count) for count in answers[::2]),
            last_action_at=instant(max(newest)) if newest else None,
        )

    def _limits(
        self,
        target: Target,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts | None,
        populations: Sequence[Population],
    ) -> str:
        uptime = facts.uptime_seconds if facts is not None else None
        return encode(
            {
                "target": target.key,
                "also": _other_keys(target, facts),
                "host": target.host,
                "cooldown": round(policy.cooldown_seconds * 1000),
                "caps": [{"max": cap.max, "per": round(cap.per_seconds * 1000)} for cap in policy.caps],
                "host_cap": {"max": limits.host.max, "per": round(limits.host.per_seconds * 1000)},
                "fleet_cap": {"max": limits.fleet.max, "per": round(limits.fleet.per_seconds * 1000)},
                "age": round(uptime * 1000) if uptime is not None else -1,
                "trust_empty": self._trust_empty,
                "known": self._granted_ms,
                "shares": [population_fields(population, limits) for population in populations],
            }
        )


def _other_keys(target: Target, facts: ContainerFacts | None) -> list[str]:
    names = other_names(facts) if facts is not None else ()
    return [f"{target.host}/{name}" for name in names if name != target.name]


def _target(incident: Incident) -> Target:
    if incident.target is None:
        raise ValueError(f"incident {incident.id} has no target")
    return incident.target


_WORDS = {
    Reason.STORE_UNSAFE: f"the store may evict a cooldown when it is full; set it to {EVICTION_SAFE}",
    Reason.PAUSED: "HemoStat is paused",
    Reason.TARGET_BUSY: "another incident is being repaired on this target",
    Reason.BREAKER_OPEN: "the last repairs in a row did not heal it",
    Reason.RECENTLY_STARTED: "the container started less than its cooldown ago and the store is new, lost a grant or had its clock set forward: it may be our own restart; store.trust_empty says that a store was empty on purpose",
    Reason.COOLDOWN: "repaired less than its cooldown ago",
    Reason.TARGET_CAP: "as many repairs of this target as allowed",
    Reason.HOST_CAP: "as many repairs on this host as allowed",
    Reason.FLEET_CAP: "as many repairs in the whole fleet as allowed",
    Reason.CLOCK_SKEW: "the clock of the store jumped back",
}


def _denied(answer: Sequence[str], populations: Sequence[Population], limits: Limits) -> Refusal:
    if len(answer) <= SHARE_AT:
        return _refusal(answer)
    share = share_of(answer[SHARE_AT:], populations, limits)
    return Refusal(reason=Reason(answer[1]), detail=share.detail, until=share.until)


def _refusal(answer: Sequence[str]) -> Refusal:
    reason = Reason(answer[1])
    until = int(float(answer[2])) if len(answer) > 2 else 0
    extra = f" ({answer[3]})" if len(answer) > 3 and answer[3] else ""
    return Refusal(reason=reason, detail=_WORDS[reason] + extra, until=instant(until) if until else None)


def _last_score(answer: Sequence[object]) -> float:
    last = answer[-1]
    return float(last[1]) if isinstance(last, list | tuple) else float(str(last))
