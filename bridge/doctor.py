"""``hemostat doctor``: every neighbour asked once, each answer with what to do about it. Changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bridge import clocks, errors, settings
from bridge.edges.store import clock
from bridge.edges.store.budgets import EVICTION_SAFE
from bridge.edges.store.clock import BEHIND_SECONDS, LEAP_SECONDS
from bridge.model.consultation import ModelRequest, Stop
from bridge.model.incident import IncidentQuery
from bridge.roles import Model
from bridge.sinks import BacklogState
from bridge.triage import answer, prompt
from bridge.triage.traits import traits_of
from bridge.wiring import Parts, check_extras, grafana_of, model_of, prometheus_of, slack_of

DEADLINE_SECONDS = 5.0
GRACE_SECONDS = 1.0
"""Beyond the deadline that the model was given, should its edge not keep it."""

OLDEST_REDIS = (6, 2)

NEWEST = 200
"""How many incidents are looked at."""

APART_SECONDS = 30.0
"""By how much two clocks may differ before it is worth a word."""

SILENT_SECONDS = 2
"""A replica speaks every second; one that was silent for longer will hardly confirm a write within one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One answer. ``advice`` says what to do where it is not ``ok``."""

    name: str
    ok: bool
    found: str
    advice: str = ""


async def examine(parts: Parts, *, ask_model: bool = False) -> list[Check]:
    """All checks, in the order in which one would mend them. ``ask_model``: ask it a question, which costs."""
    way = _way_to_the_store(parts.config)
    checks = await _asked(f"store/{way}", _topology(parts, way), f"correct redis.{way}, or start them")
    checks += await _asked("store", _store(parts), f"start it, or correct redis.{way} and redis.password")
    for host in parts.config.docker.hosts:
        checks += await _asked(f"docker/{host.name}", _docker(parts, host.name), _way_to_the_engine(host))
    checks += await _engines(parts)
    checks += await _asked("alertmanager", _alertmanager(parts), "correct alertmanager.url, or start it")
    checks += await _asked("prometheus", _prometheus(parts.config), "correct prometheus.url, or start it")
    checks += await _clocks(parts)
    checks += await _asked(
        "grafana", _grafana(parts.config), "correct grafana.url and grafana.token, or start it"
    )
    checks += await _asked("slack", _slack(parts.config), "see docs/slack.md for tokens and scopes")
    checks += await _model(parts.config, ask=ask_model)
    checks += await _asked("deliveries", _deliveries(parts), "the store does not answer; see above")
    return checks


async def _asked(
    name: str, asked: Awaitable[list[Check]], advice: str, *, seconds: float | None = None
) -> list[Check]:
    """``seconds``: another deadline than that of all neighbours."""
    deadline = DEADLINE_SECONDS if seconds is None else seconds
    try:
        async with asyncio.timeout(deadline):
            return await asked
    except TimeoutError:
        return [Check(name=name, ok=False, found=f"no answer within {deadline:g} s", advice=advice)]
    except errors.EdgeError as error:
        return [Check(name=name, ok=False, found=str(error), advice=advice)]


def _way_to_the_store(config: settings.Settings) -> str:
    if config.redis is None or config.redis.url:
        return "url"
    return "sentinel" if config.redis.sentinel else "cluster"


def _way_to_the_engine(host: settings.DockerHost) -> str:
    match host.url.partition("://")[0]:
        case "unix":
            clue = "may this user open its socket (group docker)?"
        case "ssh":
            clue = f"does `ssh {host.url} docker version` work for this user, and ask nothing?"
        case _:
            clue = "does it listen there, with TLS exactly if docker.hosts[].tls is given?"
    return f"is the Engine of {host.name!r} running, and {clue}"


async def _topology(parts: Parts, way: str) -> list[Check]:
    """Which master is believed in, and whether another one could take over; nothing to say of a single server."""
    standing = await parts.store.topology.standing()
    if standing is None:
        return []
    return [Check(name=f"store/{way}", ok=not standing.advice, found=standing.found, advice=standing.advice)]


async def _store(parts: Parts) -> list[Check]:
    server = await parts.store.info("server")
    persistence = await parts.store.info("persistence")
    replication = await parts.store.info("replication")
    version = server.get("valkey_version") or server.get("redis_version", "0")
    name = "Valkey" if "valkey_version" in server else "Redis"
    where = "external" if parts.config.redis else f"embedded in {parts.config.store.path}"
    advice = ""
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_REDIS:
        advice = "6.2 or newer is needed (XAUTOCLAIM, Lua as used here)"
    elif replication.get("role") == "slave":
        where, advice = (
            f"{where}, a replica",
            "nothing can be written to it: redis.url must lead to its master",
        )
    checks = [Check(name="store", ok=not advice, found=f"{name} {version}, {where}", advice=advice)]
    eviction = await parts.budgets.eviction_policy()
    checks.append(
        Check(
            name="store/eviction",
            ok=eviction == EVICTION_SAFE,
            found=f"maxmemory-policy {eviction}",
            advice=""
            if eviction == EVICTION_SAFE
            else f"CONFIG SET maxmemory-policy {EVICTION_SAFE}: until then no action is taken",
        )
    )
    checks.append(await _durability(parts, persistence, replication))
    checks.append(_clock((await clock.read(parts.store)).behind_seconds))
    checks.append(await _incidents(parts))
    return checks


async def _incidents(parts: Parts) -> Check:
    """Whether this version can read what is there, as after an upgrade or its taking back."""
    newest, _ = await parts.journal.newest(IncidentQuery(limit=NEWEST))
    unreadable = [incident for incident in newest if incident.unreadable]
    if not unreadable:
        return Check(name="store/incidents", ok=True, found=f"the newest {len(newest)} can be read")
    first, open_now = unreadable[0], sum(not incident.closed for incident in unreadable)
    return Check(
        name="store/incidents",
        ok=False,
        found=f"{len(unreadable)} of the newest {len(newest)} cannot be read, {open_now} of them open, such as {first.id}:"
        f" {first.unreadable}",
        advice="another version of HemoStat wrote them: open ones wait for a worker of that version; let one run",
    )


def _clock(behind_seconds: float) -> Check:
    if behind_seconds <= BEHIND_SECONDS:
        return Check(name="store/clock", ok=True, found="not behind the time that is known")
    return Check(
        name="store/clock",
        ok=False,
        found=f"{behind_seconds:.0f} s behind the time that is known, as after a failover or where it was set back",
        advice="set the server's clock right: until they meet, time goes at half its pace, so that whatever waits "
        f"takes twice as long, and while it is more than {LEAP_SECONDS:g} s behind nothing is repaired",
    )


async def _durability(parts: Parts, persistence: dict[str, str], replication: dict[str, str]) -> Check:
    """The level really reached, not the one wished for."""
    wanted = parts.config.store.durability
    fsync = await parts.store.config_value("appendfsync")
    in_step = sum(_in_step(text) for name, text in replication.items() if name.startswith("slave"))
    reached, advice = "local", ""
    if persistence.get("aof_enabled") != "1":
        reached = "none"
        advice = "CONFIG SET appendonly yes: an accepted alert does not survive a restart of the store"
    elif fsync not in ("always", ""):
        reached = f"none on power loss (appendfsync {fsync})"
        advice = "CONFIG SET appendfsync always: up to two seconds of accepted alerts can be lost"
    elif wanted is settings.Durability.REPLICATED and in_step:
        reached = "replicated"
    ok = not advice
    if wanted is settings.Durability.REPLICATED and not in_step:
        ok, advice = False, "no replica confirms: webhooks are answered 503, and nothing is repaired"
    elif ok and wanted is settings.Durability.LOCAL and parts.store.topology.moves:
        advice = "a failover loses what was accepted and granted last: set store.durability: replicated"
    found = f"reached: {reached}; wanted: {wanted}"
    if in_step or parts.store.topology.moves:
        least = await parts.store.config_value("min-replicas-to-write")
        lag = await parts.store.config_value("min-replicas-max-lag")
        found += f"; {in_step} replica(s) in step, min-replicas-to-write {least or 'unknown'}"
        found += f" within {lag} s" if least not in ("", "0") else ""
    return Check(name="store/durability", ok=ok, found=found, advice=advice)


def _in_step(replica: str) -> bool:
    """Of a replica's line in ``INFO replication``: it has the data, and said so in the last seconds."""
    known = dict(part.partition("=")[::2] for part in replica.split(","))
    return known.get("state") == "online" and int(known.get("lag", "99")) <= SILENT_SECONDS


async def _docker(parts: Parts, host: str) -> list[Check]:
    version = await parts.docker.ping(host)
    return [Check(name=f"docker/{host}", ok=True, found=f"Engine {version.engine}, API {version.spoken}")]


async def _engines(parts: Parts) -> list[Check]:
    """Nothing to say where each host that answers is an Engine of its own."""
    hosts = parts.docker.hosts()
    if len(hosts) == 1:
        return []
    known = zip(hosts, await asyncio.gather(*(_identity(parts, host) for host in hosts)), strict=True)
    named: dict[str, list[str]] = {}
    for host, identity in known:
        if identity:
            named.setdefault(identity, []).append(host)
    advice = "leave one of them: each of its containers is two targets with two budgets (or is one machine a clone of the other?)"
    return [
        Check(name="docker", ok=False, found=f"{', '.join(same)} are one Engine", advice=advice)
        for same in named.values()
        if len(same) > 1
    ]


async def _identity(parts: Parts, host: str) -> str:
    """Empty where it does not answer: that is told already."""
    with contextlib.suppress(TimeoutError, errors.EdgeError):
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await parts.docker.identity(host)
    return ""


async def _alertmanager(parts: Parts) -> list[Check]:
    if parts.alertmanager is None:
        why = "a repair is verified by Docker alone, and alerts missed while down are not looked for"
        return [Check(name="alertmanager", ok=True, found="not configured", advice=why)]
    return [await _ready("alertmanager", parts.alertmanager.ready, parts.alertmanager.version)]


async def _prometheus(config: settings.Settings) -> list[Check]:
    api = prometheus_of(config)
    if api is None:
        return [Check(name="prometheus", ok=True, found="not configured")]
    try:
        return [await _ready("prometheus", api.ready, api.version)]
    finally:
        await api.close()


async def _clocks(parts: Parts) -> list[Check]:
    """Nothing to say of one that does not tell its time, or does not answer, which was told of already."""
    ahead = await clocks.store_ahead(parts, deadline_seconds=DEADLINE_SECONDS)
    return [_apart(f"{whose}/clock", seconds) for whose, seconds in ahead.items()]


def _apart(name: str, ahead_seconds: float) -> Check:
    if abs(ahead_seconds) <= APART_SECONDS:
        return Check(name=name, ok=True, found="the store's clock is the same")
    which = "ahead of" if ahead_seconds > 0 else "behind"
    return Check(
        name=name,
        ok=False,
        found=f"the store's clock is {abs(ahead_seconds):.0f} s {which} this one",
        advice="keep both right (NTP). Maintenance windows, the ends of pauses and all times shown are the store's; "
        "an alert's start is Prometheus'. While they differ, what began anew may be taken for what was decided already",
    )


async def _slack(config: settings.Settings) -> list[Check]:
    api = slack_of(config)
    if api is None or config.slack is None:
        found = "not configured" if config.slack is None else "an incoming webhook, which cannot be tried"
        return [Check(name="slack", ok=True, found=found)]
    try:
        who, channel = await api.who(), await api.known_channel(config.slack.channel or "")
        return [Check(name="slack", ok=True, found=f"{who}, telling {channel}")]
    finally:
        await api.close()


async def _deliveries(parts: Parts) -> list[Check]:
    """Whether people are told: what waits for each sink, and what it did not take."""
    return [_backlog(state) for state in await parts.backlog.state()]


def _backlog(state: BacklogState) -> Check:
    name, waiting = f"deliveries/{state.channel}", state.waiting + state.under_way
    if state.held_since is not None:
        found = f"held back since {state.held_since:%Y-%m-%d %H:%M} UTC, {waiting} waiting: {state.held_why}"
        again = f"then POST /api/v1/deliveries/{state.channel}/retry, or wait: it is tried again by itself"
        return Check(name=name, ok=False, found=found, advice=f"mend what it says; {again}")
    if state.dead:
        found = f"{state.dead} incidents were not taken, such as {state.given_up[0].incident_id}: {state.given_up[0].error}"
        return Check(
            name=name, ok=False, found=found, advice=f"POST /api/v1/deliveries/{state.channel}/retry"
        )
    return Check(name=name, ok=True, found=f"{waiting} waiting")


async def _grafana(config: settings.Settings) -> list[Check]:
    grafana = grafana_of(config)
    if grafana is None:
        return [Check(name="grafana", ok=True, found="not configured", advice="repairs are not drawn")]
    try:
        version = await grafana.health()
        await grafana.may_annotate()
        return [Check(name="grafana", ok=True, found=f"version {version}, the token is good for annotations")]
    finally:
        await grafana.close()


async def _model(config: settings.Settings, *, ask: bool) -> list[Check]:
    llm = config.llm
    if not llm.active:
        return [Check(name="model", ok=True, found="not configured: the rules decide alone")]
    who = f"{llm.provider}, {llm.model}"
    try:
        check_extras(config)
    except errors.SettingsError as error:
        return [Check(name="model", ok=False, found=who, advice=str(error))]
    if not ask:
        return [Check(name="model", ok=True, found=f"{who}; not asked", advice="--ask-model asks it once")]
    # Outside any deadline: to import the SDK takes a second, and on a small machine many.
    model = await asyncio.to_thread(model_of, config)
    if model is None:
        raise AssertionError("an active model has an edge")
    try:
        return await _asked(
            "model",
            _answer_of(model, llm, who),
            "check llm.api_key, llm.model and llm.base_url",
            seconds=llm.timeout_seconds + GRACE_SECONDS,
        )
    finally:
        await model.close()


async def _answer_of(model: Model, llm: settings.Llm, who: str) -> list[Check]:
    traits = llm.models.get(llm.model) or traits_of(llm.model, own_server=llm.base_url is not None)
    request = ModelRequest(
        model=llm.model,
        system=prompt.SYSTEM,
        preamble="",
        user="Allowed verdicts: escalate. Nothing was collected: this is a test of the connection.",
        schema=answer.schema(["escalate"]),
        max_output_tokens=traits.max_output_tokens,
        thinking=traits.thinking,
        effort=traits.effort,
    )
    said = await model.ask(request, deadline_seconds=llm.timeout_seconds)
    cost = f"{said.usage.total} tokens, ${traits.cost_usd(said.usage):.4f}"
    found = f"{who}; answered in {said.latency_seconds:.1f} s, {cost}"
    if said.stop is not Stop.END or not answer.fits(said.text):
        advice = (
            "it does not keep to a JSON schema, so that none of its answers would count: use another model"
        )
        return [Check(name="model", ok=False, found=found, advice=advice)]
    return [Check(name="model", ok=True, found=found)]


async def _ready(
    name: str, ready: Callable[[], Awaitable[bool]], version: Callable[[], Awaitable[str]]
) -> Check:
    if not await ready():
        return Check(name=name, ok=False, found="answers that it is not ready", advice="see its log")
    return Check(name=name, ok=True, found=f"ready, version {await version()}")
