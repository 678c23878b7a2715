"""The certificate that the interface shows, as its files are now: renewed ones count without a restart."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge import errors, settings
from bridge.wiring.tls import tls_of

log = logging.getLogger("hemostat.app")

LOOK_SECONDS = 5.0
"""Between two looks at the files. They count once two looks found the same: a renewal writes one after the other."""

Stamp = tuple[tuple[int, int, int, int] | None, ...]


class Present(ssl.SSLContext):
    """Has a server take each connection with what is ``present`` then. All of it: a context that is in use forgets no
    authority, and is left in pieces by a pair that does not fit."""

    present: ssl.SSLContext

    def __new__(cls, first: ssl.SSLContext) -> Present:
        """Of a server's protocol, as all of them."""
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made.present = first
        return made

    def wrap_bio(self, *wires: Any, **options: Any) -> ssl.SSLObject:
        """What asyncio calls for each connection."""
        return self.present.wrap_bio(*wires, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """Files that can be used, ``stamp`` from before they were read."""

    tls: settings.WebTls
    context: ssl.SSLContext
    stamp: Stamp


class Certificates:
    """What a server is given as its ``context``, and what renews it. ``trouble``: the files that are there now cannot be
    used, and those from before are in force.
    """

    def __init__(self, read: Read) -> None:
        self.context, self.trouble = Present(read.context), False
        self._tls, self._stamp = read.tls, read.stamp

    def take(self, read: Read) -> None:
        """From the next connection on. Cannot fail."""
        self.context.present, self.trouble = read.context, False
        self._tls, self._stamp = read.tls, read.stamp

    async def watch(self, *, changed: Callable[[], None], every_seconds: float = LOOK_SECONDS) -> None:
        """Take what is new in the files until cancelled; ``changed`` is called after each attempt."""
        before = self._stamp
        while True:
            await asyncio.sleep(every_seconds)
            tls = self._tls
            now = await asyncio.to_thread(_stamp_of, tls)
            if now == before and now != self._stamp and tls is self._tls:
                await self._renew(tls, now)
                changed()
            before = now

    async def _renew(self, tls: settings.WebTls, stamp: Stamp) -> None:
        try:
            read = await asyncio.to_thread(read_of, tls)
        except errors.SettingsError as error:
            if tls is self._tls:
                self._stamp, self.trouble = stamp, True
            for problem in error.problems:
                log.error("certificate_unusable", extra={"problem": str(problem), "old": "stays in force"})
            return
        if tls is self._tls:  # else a reload named other files meanwhile
            self.take(read)
            log.info("certificate_renewed", extra={"path": str(tls.cert_file)})


def certificates_of(config: settings.Settings) -> Certificates | None:
    """``None``: plain HTTP. Raises SettingsError: a file cannot be used, by its key."""
    return None if config.web.tls is None else Certificates(read_of(config.web.tls))


def read_of(tls: settings.WebTls) -> Read:
    """What ``Certificates.take`` wants. Raises SettingsError: a file cannot be used."""
    stamp = _stamp_of(tls)  # before: what is written while we read must be seen to be new
    return Read(tls=tls, context=tls_of(tls), stamp=stamp)


def _stamp_of(tls: settings.WebTls) -> Stamp:
    """Differs once a file was written, replaced or may be read by others than before."""
    return tuple(_facts(path) for path in (tls.cert_file, tls.key_file, tls.client_ca_file) if path)


def _facts(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
