"""Who may ask, and in which envelope: TLS and passwords out of a web configuration file.

File and certificates are read anew when they change, so that a renewed certificate needs no restart; what cannot be
used then is logged once, and what was read before stays in force.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import os
import secrets
import socket
import threading
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.docker import passwords, web_config
from exporters.docker.errors import UsageError
from exporters.docker.web_config import Tls, WebConfig

if TYPE_CHECKING:
    import ssl

REMEMBERED_PASSWORDS = 32
"""Proven ones are kept as a keyed digest: a hash made to be slow would otherwise be the dearest part of a scrape."""

NOBODY = "$2b$10$abcdefghijklmnopqrstuuAvqW7G5zI1zBmRAUDSjXVk0aNXVcGqW"
"""Checked where there is no such user, so that the time taken does not tell."""

log = logging.getLogger(__name__)


class Security:
    """Raises: UsageError: the file or one of its certificates cannot be used."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        self._proven: OrderedDict[bytes, None] = OrderedDict()
        self._watched: tuple[Path, ...] = ()
        self._stamp: tuple[object, ...] = ()
        self._config = WebConfig(users={})
        self._context: ssl.SSLContext | None = None
        self._read()

    @property
    def encrypts(self) -> bool:
        self._renew()
        return self._context is not None

    def wrapped(self, sock: socket.socket) -> ssl.SSLSocket:
        """The socket after the handshake. Raises: OSError: the client did not manage it."""
        if self._context is None:
            raise OSError("there is no TLS here")
        return self._context.wrap_socket(sock, server_side=True)

    def admits(self, authorization: str) -> bool:
        """Whether the request's Authorization header holds a name and its password, or none is asked for."""
        self._renew()
        if not self._config.users:
            return True
        name, password = _credentials(authorization)
        hashed = self._config.users.get(name, NOBODY)
        proof = hmac.digest(self._key, f"{name}\0{hashed}\0".encode() + password, hashlib.sha256)
        with self._lock:
            if proof in self._proven:
                return True
        if not passwords.matches(password, hashed) or name not in self._config.users:
            return False
        with self._lock:
            self._proven[proof] = None
            while len(self._proven) > REMEMBERED_PASSWORDS:
                self._proven.popitem(last=False)
        return True

    def _renew(self) -> None:
        with self._lock:
            if self._stamp == _stamp(self._watched):
                return
            try:
                self._read()
                log.info("web_config_read", extra={"path": str(self._path)})
            except UsageError as error:
                log.error("web_config_unusable", extra={"error": str(error)})

    def _read(self) -> None:
        # Stamped before they are read: what is written meanwhile must be seen to be new. And watched although they may
        # turn out to be of no use: they are what will be mended.
        self._watched, self._stamp = (self._path,), _stamp([self._path])
        config = web_config.load(self._path)
        if tls := config.tls:
            files = tuple(file for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file)
            self._watched += files
            self._stamp += _stamp(files)
        context = _context(config.tls) if config.tls else None
        self._config, self._context = config, context


def _credentials(authorization: str) -> tuple[str, bytes]:
    """Empty where the header is not one of Basic authentication. Source: RFC 7617."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", b""
    try:
        name, _, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except binascii.Error:
        return "", b""
    return name.decode("utf-8", "replace"), password


def _context(tls: Tls) -> ssl.SSLContext:
    # Imported here: it costs some MiB, and on loopback nobody needs it.
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}[
        tls.min_version
    ]
    context.verify_mode = {
        "NoClientCert": ssl.CERT_NONE,
        "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
        "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
    }[tls.client_auth_type]
    try:
        context.load_cert_chain(tls.cert_file, tls.key_file, password=_nobody_types)
        if tls.client_ca_file:
            context.load_verify_locations(tls.client_ca_file)
    except _Encrypted as error:
        raise UsageError(f"{tls.key_file}: is encrypted: nobody is there to type its password") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{tls.cert_file}: cannot be used for TLS: {error}") from error
    return context


class _Encrypted(Exception):
    """A key is asked for with a password."""


def _nobody_types() -> bytes:
    """In place of OpenSSL's question on the terminal, which every connection would wait for."""
    raise _Encrypted


def _stamp(paths: Iterable[Path]) -> tuple[object, ...]:
    """Differs once one of the files was written, replaced or may be read by others than before."""
    return tuple(_facts(path) for path in paths)


def _facts(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
