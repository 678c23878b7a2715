"""Commands for the day the store is lost: ``backup``, ``restore``, ``drill``."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

from bridge import cli, errors, metrics, recovery, wiring
from bridge.cli import printing
from bridge.cli.configured import log_as_told, settings_of
from bridge.edges.store.connection import Store
from bridge.edges.store.embedded import attach


def backup(options: argparse.Namespace) -> int:
    """Exit 1 if there is no new backup; an old one of that name is as it was."""

    async def run() -> recovery.BackedUp:
        async with _store(options) as store:
            return await recovery.back_up(store, options.file.absolute(), version=metrics.VERSION)

    done = asyncio.run(run())
    _warn(done.unrecorded, "backup")
    return _told(
        options,
        done,
        f"backed up {done.incidents} incidents ({done.open} open), {done.keys} keys in all, to {done.path}"
        f" ({done.bytes / 1e6:.1f} MB) in {done.seconds:.1f} s",
        f"digest {done.digest}",
    )


def restore(options: argparse.Namespace) -> int:
    """Exit 1 if the file is not a whole backup, the store is not empty, or it does not hold afterwards what it should."""

    async def run() -> recovery.Restored:
        async with _store(options) as store:
            return await recovery.restore(store, options.file.absolute(), force=options.force)

    done = asyncio.run(run())
    return _told(
        options,
        done,
        f"restored {done.incidents} incidents ({done.open} open), {done.keys} keys in all, from {done.path} of"
        f" {done.taken_at} in {done.seconds:.1f} s",
        f"digest {done.digest}: the store holds what was restored",
        "HemoStat is PAUSED: start the bridge, look at `hemostat incidents`, then `hemostat resume`",
    )


def drill(options: argparse.Namespace) -> int:
    """Exit 1 if the backup could not be restored."""

    async def run() -> recovery.Drilled:
        path = options.file.absolute() if options.file else None
        if path is None:
            async with _store(options) as store:
                path = await recovery.newest(store)
        done = await recovery.drill(path, now=datetime.now(UTC))
        try:
            async with _store(options) as store:
                return replace(done, unrecorded=await recovery.note_drill(store, path))
        except errors.BridgeError as error:
            # A drill proves the file; on another machine there may be no store.
            return replace(done, unrecorded=str(error))

    done = asyncio.run(run())
    _warn(done.unrecorded, "drill")
    return _told(
        options,
        done,
        f"good: {done.path}, taken {done.age_seconds / 3600:.1f} h ago, gives back {done.incidents} incidents"
        f" ({done.open} open), {done.keys} keys in all, within {done.seconds:.1f} s",
        f"digest {done.digest}",
    )


def _told(options: argparse.Namespace, done: object, *lines: str) -> int:
    if options.output == "json":
        printing.as_json(done)
    else:
        print(*lines, sep="\n")
    return cli.GOOD


def _warn(unrecorded: str, what: str) -> None:
    if unrecorded:
        told = f"the {what} is good, but the store could not be told of it, so its metric stays old: {unrecorded}"
        print(f"hemostat: {told}", file=sys.stderr)


@contextlib.asynccontextmanager
async def _store(options: argparse.Namespace) -> AsyncIterator[Store]:
    """That of the running bridge if it is embedded and runs, else started for this moment on the same directory."""
    config = settings_of(options)
    log_as_told(options)
    embedded = await attach(config.store.path) if config.redis is None else None
    async with wiring.parts_of(config, embedded_url=embedded, with_model=False) as parts:
        yield parts.store
