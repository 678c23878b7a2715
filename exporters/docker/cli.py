"""The process: arguments, wiring, signals, exit code. What it wires is elsewhere."""

from __future__ import annotations

import gc
import http
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.docker import flags, logs, web
from exporters.docker.engine import Engine
from exporters.docker.errors import UsageError
from exporters.docker.exposition import CONTENT_TYPE
from exporters.docker.inventory import Inventory
from exporters.docker.kernel.cgroups import CgroupTree
from exporters.docker.kernel.files import Descriptors, raise_descriptor_limit
from exporters.docker.own import Own
from exporters.docker.page import Page
from exporters.docker.readings import Reader
from exporters.docker.sources import Sources
from exporters.docker.stats import Statistics

if TYPE_CHECKING:
    from exporters.docker.security import Security

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2

STOP_SECONDS = 0.5
"""How long the inventory's thread may take to end; it may be waiting for a hung Engine, and ends with us."""

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. Gives the exit code: 0 stopped, 1 could not go on, 2 bad usage.

    In a thread other than the main one signals stay whoever's they are.
    """
    version = _version()
    try:
        options = flags.parse(argv, os.environ, version=version)
    except UsageError as error:
        sys.stderr.write(f"{flags.PROGRAM}: {error}\n")
        return EXIT_USAGE
    except SystemExit:
        return EXIT_OK
    logs.configure(options.log_level)
    try:
        security = _security(options.web_config)
    except UsageError as error:
        sys.stderr.write(f"{flags.PROGRAM}: --web.config.file: {error}\n")
        return EXIT_USAGE
    return _serve(options, security, version)


def _security(path: Path | None) -> Security | None:
    """Raises: UsageError."""
    if path is None:
        return None
    # Imported here: it brings in libcrypto and more, and on loopback nobody needs it.
    from exporters.docker.security import Security

    return Security(path)


def _serve(options: flags.Options, security: Security | None, version: str) -> int:
    statistics = Statistics(
        Engine(options.docker_host, timeout=options.timeout), interval=options.stats_interval
    )
    descriptors = Descriptors(raise_descriptor_limit())
    tree = CgroupTree(options.cgroupfs, options.procfs)
    sources = Sources(tree, descriptors, statistics.source)
    inventory = Inventory(
        Engine(options.docker_host, timeout=options.timeout),
        resync_interval=options.resync_interval,
        quiet=options.timeout,
        sources=sources,
    )
    reader = Reader(sources, lambda: inventory.snapshot, inventory.suspect)
    started_at = time.time()
    own = Own(version=version, started_at=started_at, descriptors=descriptors, statistics=statistics)
    page = Page(labelling=options.labelling, version=version, started_at=started_at, own=own)
    try:
        routes = _routes(options, version, page, reader, inventory)
        server = web.Web(options.listen_address, routes, security)
    except OSError as error:
        log.error("listen_failed", extra={"address": options.listen_address, "error": str(error)})
        return EXIT_FAILED

    stopping = threading.Event()
    _stop_on_signals(stopping)
    watcher = _thread("docker-inventory", inventory.run, stopping)
    asker = _thread("docker-stats", statistics.run, stopping)
    # What is there by now stays: it need not be looked through again and again for garbage.
    gc.collect()
    gc.freeze()
    server.start()
    log.info("listening", extra={"address": server.address, "version": version})
    stopping.wait()

    broke = not (watcher.is_alive() and asker.is_alive())
    server.stop()
    statistics.stop()
    inventory.stop()
    watcher.join(STOP_SECONDS)
    log.info("stopped")
    return EXIT_FAILED if broke else EXIT_OK


def _thread(name: str, run: Callable[[], None], stopping: threading.Event) -> threading.Thread:
    """Runs `run` in a thread whose end is the end of the process.

    A dead inventory would be served as a living one; rather end, and let the supervisor start us again. The traceback
    is printed by the thread's own hook.
    """

    def watched() -> None:
        try:
            run()
        finally:
            stopping.set()

    thread = threading.Thread(target=watched, name=name, daemon=True)
    thread.start()
    return thread


def _routes(
    options: flags.Options, version: str, page: Page, reader: Reader, inventory: Inventory
) -> web.Routes:
    def metrics() -> web.Reply:
        look = reader.take()
        changing = page.changing(
            look.snapshot, now=look.now, inventory_age=look.inventory_age, readings=look.readings
        )
        return web.Reply(changing, CONTENT_TYPE, lasting=page.lasting(look.snapshot))

    def ready() -> web.Reply:
        if inventory.snapshot.loaded:
            return web.Reply(b"Ready.\n")
        return web.Reply(b"No inventory yet.\n", status=http.HTTPStatus.SERVICE_UNAVAILABLE)

    return {
        "/": lambda: web.landing_page(options.telemetry_path, version),
        options.telemetry_path: metrics,
        web.HEALTHY_PATH: lambda: web.Reply(b"Healthy.\n"),
        web.READY_PATH: ready,
    }


def _stop_on_signals(stopping: threading.Event) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())


def _version() -> str:
    """Of the installed HemoStat. `importlib.metadata` would tell it too, for 1.5 MiB."""
    for directory in sys.path:
        for found in Path(directory).glob("hemostat-*.dist-info"):
            return found.name.removeprefix("hemostat-").removesuffix(".dist-info")
    return "unknown"
