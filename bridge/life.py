"""The life of a process. Start: store, then work, then the door. Stop: the door first, then the work, the store last."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from urllib.parse import urlsplit

from aiohttp import web as http

from bridge import settings, web
from bridge.app import EVERYTHING, Duty, HemoStat
from bridge.web.server import runner_of
from bridge.wiring import Parts, certificates_of, parts_of

log = logging.getLogger("hemostat.app")

BACKLOG = 256
"""Connections that wait to be accepted. asyncio accepts so many before it looks at the first: they must all be files."""


async def serve(
    config: settings.Settings,
    *,
    load: Callable[[], settings.Settings],
    on_listening: Callable[[str], None],
    duties: frozenset[Duty] = EVERYTHING,
) -> None:
    """Run the bridge, or a part of it, until SIGTERM or SIGINT, then stop within ten seconds.

    ``on_listening`` gets the real URL (the port may have been 0). Raises ``SettingsError`` (a certificate cannot be
    used), ``StoreBusy``, ``EdgeUnavailable`` and ``OSError`` (the address is taken) before anything was accepted.
    """
    certificates = certificates_of(config)
    tls = certificates.context if certificates is not None else None
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with parts_of(config, with_model=Duty.WORKER in duties) as parts:
        hemostat = HemoStat(parts, load=load, duties=duties, certificates=certificates)
        loop.add_signal_handler(signal.SIGHUP, lambda: hemostat.beside(hemostat.reload(), name="reload"))
        interface = web.application if Duty.WEB in duties else web.operations
        app = interface(
            hemostat,
            tokens=hemostat.tokens,
            max_body_bytes=config.web.max_body_bytes,
            names=_names_of(config.web),
        )
        runner = runner_of(app)
        await runner.setup()
        host, port = config.web.address
        root = asyncio.create_task(_run(hemostat, parts, duties), name="root")
        try:
            site = http.TCPSite(runner, host or None, port, ssl_context=tls, backlog=BACKLOG)
            try:
                await site.start()
            except OSError as error:
                told = f"cannot listen on {config.web.listen_address}: {error.strerror or error}"
                raise OSError(told) from error
            real = runner.addresses[0]
            on_listening(f"{'https' if tls else 'http'}://{_shown(real[0])}:{real[1]}")
            waiting = asyncio.create_task(stop.wait(), name="stop")
            await asyncio.wait({root, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if root.done():  # a root task never ends by itself: what it raised ends the process
                raise _first(root.exception()) or RuntimeError("a root task ended")
            log.info("stopping")
        finally:
            # The door first: what was accepted is durable, what was not will be sent again.
            await runner.cleanup()
            root.cancel()
            await asyncio.gather(root, return_exceptions=True)


async def _run(hemostat: HemoStat, parts: Parts, duties: frozenset[Duty]) -> None:
    async with asyncio.TaskGroup() as group:
        if parts.server is not None:
            group.create_task(parts.server.until_exit(), name="embedded-store")
        group.create_task(parts.store.follow(), name="store-follow")
        group.create_task(hemostat.note_birth(), name="note-birth")
        group.create_task(hemostat.watch_certificates(), name="certificates")
        if Duty.WORKER in duties:
            group.create_task(hemostat.worker.run(), name="worker")
            group.create_task(hemostat.tell(), name="tell")
            group.create_task(hemostat.listen(), name="listen")
            group.create_task(hemostat.prune(), name="prune")
            group.create_task(hemostat.storm_watch.run(), name="storm-watch")
            group.create_task(hemostat.event_watch.run(), name="event-watch")
            if hemostat.reconciler is not None:
                group.create_task(hemostat.reconciler.run(), name="reconcile")
        # A task that has done its work must not end the process; one that fails does.
        await asyncio.Event().wait()


def _first(error: BaseException | None) -> BaseException | None:
    """The first of several errors that ended a task group together."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _names_of(config: settings.Web) -> frozenset[str] | None:
    """By which the interface may be read without a token. Beyond loopback, where that takes ``--web.insecure``, any."""
    host, _ = config.address
    if not web.is_loopback(host):
        return None
    external = urlsplit(config.external_url or "").hostname
    return frozenset({external} if external else ())


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
