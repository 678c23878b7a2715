"""The connection to the store, wherever its master is found."""

from __future__ import annotations

from bridge import settings
from bridge.edges.store.client import Access, Tls
from bridge.edges.store.connection import NAMESPACE, OneServer, Store, Topology
from bridge.edges.store.discovery import ClusterNodes, Sentinels


def store_of(config: settings.Settings, embedded_url: str) -> Store:
    """The connection to the configured store; ``embedded_url`` where none is."""
    replicas = 1 if config.store.durability is settings.Durability.REPLICATED else 0
    redis = config.redis
    if redis is None:
        return Store(embedded_url, replicas=replicas)
    access = Access(
        username=redis.username,
        password=redis.password.reveal() if redis.password else None,
        database=redis.db,
        tls=_tls_of(redis.tls),
        connect_seconds=redis.connect_timeout_seconds,
        timeout_seconds=redis.timeout_seconds,
    )
    return Store(_topology_of(redis, access), access, replicas=replicas)


def _topology_of(redis: settings.Redis, servers: Access) -> Topology:
    if redis.sentinel is not None:
        sentinels = Access(
            username=redis.sentinel.username,
            password=redis.sentinel.password.reveal() if redis.sentinel.password else None,
            tls=_tls_of(redis.sentinel.tls),
            connect_seconds=redis.connect_timeout_seconds,
        )
        return Sentinels(redis.sentinel.master, redis.sentinel.nodes, access=sentinels, servers=servers)
    if redis.cluster is not None:
        return ClusterNodes(redis.cluster.nodes, key=NAMESPACE, access=servers)
    return OneServer(redis.url)


def _tls_of(tls: settings.RedisTls | None) -> Tls | None:
    if tls is None:
        return None
    return Tls(
        ca_file=str(tls.ca_file) if tls.ca_file else None,
        cert_file=str(tls.cert_file) if tls.cert_file else None,
        key_file=str(tls.key_file) if tls.key_file else None,
        check_hostname=tls.check_hostname,
    )
