"""Is this the password? For hashes as they stand in a web configuration file: bcrypt and PBKDF2.

bcrypt, which Prometheus' own files have, is not in Python's standard library: it comes from the system's libcrypt
(every Debian, Ubuntu, Fedora and Alpine has one that knows it) or from the module `bcrypt` where that is installed.
PBKDF2 needs neither.
"""

from __future__ import annotations

import base64
import binascii
import ctypes
import hashlib
import hmac
import importlib
import re
import threading
from contextlib import suppress

from exporters.docker.errors import UsageError

BCRYPT = re.compile(r"\$2[abxy]\$\d\d\$[./A-Za-z0-9]{53}")
PBKDF2 = re.compile(r"pbkdf2_sha256\$(\d{1,8})\$([^$]+)\$([A-Za-z0-9+/]+=*)")

LIBRARIES = ("libcrypt.so.1", "libcrypt.so.2", None)
"""Of Debian and Ubuntu, of Fedora, and the C library itself, as of Alpine."""

_KNOWN = b"$2b$04$abcdefghijklmnopqrstuu"
"""A salt whose hash tells whether a libcrypt knows bcrypt."""

_one_at_a_time = threading.Lock()


def check_usable(hashed: str) -> None:
    """Raises: UsageError: no hash that can be verified here."""
    if PBKDF2.fullmatch(hashed):
        return
    if not BCRYPT.fullmatch(hashed):
        raise UsageError("is neither a bcrypt hash ($2y$...) nor pbkdf2_sha256$ROUNDS$SALT$HASH")
    if _bcrypt(b"", _KNOWN) is None:
        raise UsageError(
            "is a bcrypt hash, and this system has no libcrypt that knows bcrypt: use pbkdf2_sha256"
        )


def matches(password: bytes, hashed: str) -> bool:
    """Takes as long as the hash was made to take."""
    if parts := PBKDF2.fullmatch(hashed):
        rounds, salt, expected = int(parts[1]), parts[2].encode(), parts[3]
        with suppress(binascii.Error):
            made = hashlib.pbkdf2_hmac("sha256", password, salt, rounds)
            return hmac.compare_digest(made, base64.b64decode(expected))
        return False
    if b"\0" in password:  # where a string ends for C, and not for whoever chose it
        return False
    made_text = _bcrypt(password, hashed.encode())
    return made_text is not None and hmac.compare_digest(made_text, hashed.encode())


def _bcrypt(password: bytes, salt: bytes) -> bytes | None:
    """The bcrypt hash of `password`; `None`: nothing here can make it."""
    with suppress(ImportError, ValueError):
        made: bytes = importlib.import_module("bcrypt").hashpw(password[:72], salt)
        return made
    for library in LIBRARIES:
        with suppress(OSError, AttributeError):
            crypt = ctypes.CDLL(library).crypt
            crypt.restype = ctypes.c_char_p
            # crypt(3) gives a pointer to memory of its own, the same each time.
            with _one_at_a_time:
                found: bytes | None = crypt(password, salt)
            if found and found.startswith(salt[:7]):
                return found
    return None
