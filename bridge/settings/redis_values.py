"""The ``redis:`` section as values: one server by its URL, or the master that a Sentinel or a Cluster names.

Defaults live here, as those of the other sections do in ``sections``. Durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bridge.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisTls:
    """TLS to servers that are named by others, PEM files. For ``redis.url`` the scheme and its options say it."""

    ca_file: Path | None = None
    """Who signed the servers' certificates. Default: the system's authorities."""
    cert_file: Path | None = None
    """Our certificate. Default none."""
    key_file: Path | None = None
    """Its key. Given exactly when ``cert_file`` is."""
    check_hostname: bool = True
    """Whether a certificate must bear the address that is connected to, which Sentinels give as an IP. Default true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinel:
    """Redis Sentinel: who the master is, is asked of all of them."""

    master: str
    """Name under which the Sentinels know it."""
    nodes: tuple[tuple[str, int], ...]
    """Host and port of each Sentinel. All of them: one that is not listed cannot correct one that is wrong."""
    username: str | None = None
    """ACL user at the Sentinels. Default none."""
    password: Secret | None = None
    """At the Sentinels, whatever the servers' own password is. Default none."""
    tls: RedisTls | None = None
    """To the Sentinels. Default none: plain TCP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Redis Cluster: all our keys are in one slot, so one master of it serves us."""

    nodes: tuple[tuple[str, int], ...]
    """Host and port of some nodes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis:
    """An external Redis or Valkey. Without this section an embedded one is used."""

    url: str = ""
    """``redis://``, ``rediss://`` or ``unix://``, without credentials and database: those are below. ``""`` where
    ``sentinel`` or ``cluster`` is given."""
    sentinel: Sentinel | None = None
    """Default none."""
    cluster: Cluster | None = None
    """Default none."""
    username: str | None = None
    """ACL user. Default none: Redis' ``default`` user."""
    password: Secret | None = None
    """Default none."""
    db: int = 0
    """Number of the database. Default 0, the only one every server has."""
    tls: RedisTls | None = None
    """To the servers behind ``sentinel`` or ``cluster``. Default none: plain TCP."""
    connect_timeout_seconds: float = 2.0
    """Default 2: a server that is up answers in milliseconds, and Alertmanager waits 10 s for our answer."""
    timeout_seconds: float = 5.0
    """For one command. Default 5: longer than a slow disk's fsync, shorter than Alertmanager's patience."""
    mirror: bool = True
    """Whether incidents are also published under the names of the design this grew out of. Default true; never with a
    ``cluster``."""
