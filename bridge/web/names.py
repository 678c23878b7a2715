"""By which names the interface may be read where no token is asked for: not by those that a web page can bring along."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

RESERVED = ("localhost", "internal")
"""Top-level names that nobody is given below: RFC 6761, and ICANN's for private use (``host.docker.internal``)."""


def is_known(host: str, names: Collection[str]) -> bool:
    """Whether a ``Host`` header is one of these names, or none that a web page could have brought along."""
    return _name(host) in names or is_nobodys_to_give(host)


def is_nobodys_to_give(host: str) -> bool:
    """Whether it is an address, or a name that no stranger can own and let point to us: without a dot, as Compose and
    ``/etc/hosts`` have them, or below a reserved one.
    """
    name = _name(host)
    if name is None or " " in name:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "." not in name or name.rpartition(".")[2] in RESERVED
    return True


def _name(host: str) -> str | None:
    """Without port, in lower case; ``None``: there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".") or None
    except ValueError:
        return None
