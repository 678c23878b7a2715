"""``hemostat serve``: settings checked, logs set up, the bridge run until it is told to stop."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import resource
from collections.abc import Callable

from bridge import app, cli, life, logs, metrics, settings, web, wiring
from bridge.cli.configured import loader_of
from bridge.errors import Problem, SettingsError

log = logging.getLogger("hemostat")


def serve(options: argparse.Namespace) -> int:
    """Run the bridge."""
    load = guarded_loader_of(options)
    config = load()
    duties = duties_of(options.roles)
    if duties != app.EVERYTHING and config.redis is None:
        told = "sharing out the work needs redis: the embedded store belongs to one process"
        raise SettingsError([Problem("--roles", 0, told)])
    logs.set_up(
        level=_python_level(config.log.level.value),
        style=config.log.format.value,
        redactor=wiring.redactor_of(config),
    )

    def listening(url: str) -> None:
        roles = ",".join(sorted(duties))
        mode = config.policy.root.mode.value
        log.info("listening", extra={"url": url, "version": metrics.VERSION, "mode": mode, "roles": roles})

    _spare_the_collector()
    _allow_files()
    asyncio.run(life.serve(config, load=load, on_listening=listening, duties=duties))
    return cli.GOOD


def guarded_loader_of(options: argparse.Namespace) -> Callable[[], settings.Settings]:
    """Reads the settings, at the start and at each reload: whoever takes the last token away must not open the door.

    What it gives raises SettingsError, too, where other machines could come in without a token.
    """
    load_any = loader_of(options)

    def load() -> settings.Settings:
        config = load_any()
        if open_to_all(config) and not options.insecure:
            told = (
                f"{config.web.listen_address} is reachable from other machines and no token is configured: "
                "add web.tokens, listen on 127.0.0.1, or insist with --web.insecure"
            )
            raise SettingsError([Problem("web.listen_address", 0, told)])
        return config

    return load


def open_to_all(config: settings.Settings) -> bool:
    """Whether other machines could come in without a token."""
    host, _ = config.web.address
    return not config.web.tokens and not web.is_loopback(host)


def duties_of(text: str) -> frozenset[app.Duty]:
    """The roles of ``--roles``. Raises: SettingsError: one is unknown."""
    words = [word.strip() for word in text.split(",")]
    if unknown := [word for word in words if word not in set(app.Duty)]:
        known = ", ".join(app.Duty)
        told = f"{unknown[0]!r} is no role; it takes one or more of {known}"
        raise SettingsError([Problem("--roles", 0, told)])
    return frozenset(app.Duty(word) for word in words)


def _spare_the_collector() -> None:
    """What is loaded by now stays for good, and the garbage of a request has no cycles: looking through both for
    cycles at every 700 allocations, Python's default, takes a tenth of intake's time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


def _allow_files() -> None:
    """As many open files as the system allows, as programs in Go do: half of the 1024 that many start with are soon
    taken by connections that nobody closes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _python_level(level: str) -> str:
    return "WARNING" if level == "warn" else level.upper()
