"""The process: arguments, wiring, signals, exit code. What it wires is elsewhere."""

from __future__ import annotations

import http
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence

from exporters.docker import flags, logs, web
from exporters.docker.engine import Engine
from exporters.docker.errors import UsageError
from exporters.docker.exposition import CONTENT_TYPE
from exporters.docker.inventory import Inventory
from exporters.docker.page import Page

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
    return _serve(options, version)


def _serve(options: flags.Options, version: str) -> int:
    page = Page(labelling=options.labelling, version=version, started_at=time.time())
    inventory = Inventory(
        Engine(options.docker_host, timeout=options.timeout),
        resync_interval=options.resync_interval,
        quiet=options.timeout,
    )
    try:
        server = web.Web(options.listen_address, _routes(options, version, page, inventory))
    except OSError as error:
        log.error("listen_failed", extra={"address": options.listen_address, "error": str(error)})
        return EXIT_FAILED

    stopping = threading.Event()
    _stop_on_signals(stopping)
    watcher = threading.Thread(
        target=_watched, args=(inventory, stopping), name="docker-inventory", daemon=True
    )
    watcher.start()
    server.start()
    log.info("listening", extra={"address": server.address, "version": version})
    stopping.wait()

    broke = not watcher.is_alive()
    server.stop()
    inventory.stop()
    watcher.join(STOP_SECONDS)
    log.info("stopped")
    return EXIT_FAILED if broke else EXIT_OK


def _watched(inventory: Inventory, stopping: threading.Event) -> None:
    # A dead inventory would be served as a living one; rather end, and let the supervisor start us again.
    # The traceback is printed by the thread's own hook.
    try:
        inventory.run()
    finally:
        stopping.set()


def _routes(options: flags.Options, version: str, page: Page, inventory: Inventory) -> web.Routes:
    def metrics() -> web.Reply:
        snapshot = inventory.snapshot
        age = time.monotonic() - snapshot.confirmed_at
        body = b"".join(page.chunks(snapshot, now=time.time(), inventory_age=age))
        return web.Reply(body, CONTENT_TYPE)

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
    # Imported here: it brings in email and zipfile, and is wanted once.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hemostat")
    except PackageNotFoundError:
        return "unknown"
