"""Commands that need no running bridge: ``check-config``, ``doctor``, ``simulate``, ``backtest``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from bridge import backtest as backtesting
from bridge import cli, settings, simulation, wiring
from bridge import doctor as examination
from bridge.cli import printing
from bridge.cli.configured import log_as_told, settings_of
from bridge.cli.serving import open_to_all
from bridge.edges.store.embedded import attach
from bridge.errors import PayloadError
from bridge.intake import read_webhook
from bridge.triage.wording import count

T = TypeVar("T")


def check_config(options: argparse.Namespace) -> int:
    """Exit 2 with every problem, each on its line."""
    config = settings.load(options.config_file, environ=os.environ)
    wiring.check_extras(config)
    wiring.certificates_of(config)
    store = _store(config.redis)
    print(
        f"{options.config_file}: good (mode {config.policy.root.mode}, {store}, {len(config.docker.hosts)} Docker host(s))"
    )
    if open_to_all(config):
        print(
            f"{options.config_file}: but serve refuses {config.web.listen_address}, which other machines reach, without "
            "web.tokens or --web.insecure"
        )
    return cli.GOOD


def _store(redis: settings.Redis | None) -> str:
    if redis is None:
        return "embedded store"
    if redis.sentinel is not None:
        return f"Redis behind {len(redis.sentinel.nodes)} Sentinel(s)"
    return "Redis Cluster" if redis.cluster is not None else "Redis"


def doctor(options: argparse.Namespace) -> int:
    """Exit 1 if anything is not well."""

    async def run(parts: wiring.Parts) -> list[examination.Check]:
        return await examination.examine(parts, ask_model=options.ask_model)

    checks = asyncio.run(_with_parts(options, run))
    if options.output == "json":
        printing.as_json([{"name": c.name, "ok": c.ok, "found": c.found, "advice": c.advice} for c in checks])
    else:
        for check in checks:
            printing.line(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.found}")
            if check.advice:
                printing.line(f"      {check.advice}")
    return cli.GOOD if all(check.ok for check in checks) else cli.NO


def simulate(options: argparse.Namespace) -> int:
    """Exit 1 if nothing would be done."""
    try:
        body = sys.stdin.buffer.read() if options.payload == "-" else Path(options.payload).read_bytes()
        webhook = read_webhook(body)
    except PayloadError as error:
        print(f"{options.payload}: {error}", file=sys.stderr)
        return cli.BAD
    except OSError as error:
        print(f"{options.payload}: {error.strerror}", file=sys.stderr)
        return cli.BAD

    async def run(parts: wiring.Parts) -> list[simulation.Simulated]:
        return await simulation.simulate(parts.judge, webhook, hosts=parts.docker.hosts())

    found = asyncio.run(_with_parts(options, run, with_model=options.ask_model))
    if options.output == "json":
        printing.as_json(found)
    elif not found:
        print("no alert of it fires: nothing would be opened")
    else:
        for one in found:
            print_simulated(one)
    return cli.GOOD if any(one.decision and one.outcome is None for one in found) else cli.NO


def print_simulated(one: simulation.Simulated) -> None:
    """An incident that would be opened, for people."""
    name = one.target.key if one.target else one.subject.key
    printing.line(f"{name} ({', '.join(one.alerts)}): {one.summary}")
    for answer in one.decision.guards if one.decision else ():
        verdict = "allows" if answer.refusal is None else f"refuses: {answer.refusal.detail}"
        printing.line(f"    {answer.guard}: {verdict}")


def backtest(options: argparse.Namespace) -> int:
    """Exit 1 if an incident would be judged otherwise today."""

    async def run(parts: wiring.Parts) -> backtesting.Backtest:
        since = None
        if options.since is not None:
            since = await parts.journal.now() - timedelta(seconds=options.since)
        return await backtesting.backtest(
            parts.journal, parts.judge.ruleset, since=since, limit=options.limit
        )

    found = asyncio.run(_with_parts(options, run))
    if options.output == "json":
        printing.as_json(found)
    else:
        print(
            f"{count(found.judged, 'incident')} judged again, {found.unjudged} never judged; "
            f"repairs wanted: {found.repairs_then} then, {found.repairs_today} today; {len(found.changed)} differ"
        )
        if found.changed:
            rows = [
                [
                    one.id,
                    one.opened_at.isoformat(timespec="seconds")[:19],
                    one.target,
                    one.outcome or "open",
                    f"{one.then.kind} by {one.then.rule}",
                    f"{one.today.kind} by {one.today.rule}",
                ]
                for one in found.changed
            ]
            printing.table(["id", "opened", "target", "outcome", "then", "today"], rows)
    return cli.NO if found.changed else cli.GOOD


async def _with_parts(
    options: argparse.Namespace, use: Callable[[wiring.Parts], Awaitable[T]], *, with_model: bool = False
) -> T:
    """On the store of the running bridge if one runs, else on one started for this moment on the same directory."""
    config = settings_of(options)
    log_as_told(options)
    embedded = await attach(config.store.path) if config.redis is None else None
    async with wiring.parts_of(config, embedded_url=embedded, with_model=with_model) as parts:
        return await use(parts)
