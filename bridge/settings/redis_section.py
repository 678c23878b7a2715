"""The ``redis:`` section: one server by its URL and the environment's host and port, or a Sentinel's or Cluster's nodes."""

from __future__ import annotations

from bridge.settings.environment import Overrides
from bridge.settings.notation import RedisAddress, parse_node, parse_redis_url
from bridge.settings.reading import Section
from bridge.settings.redis_values import Cluster, Redis, RedisTls, Sentinel

NAMED_BY_OTHERS = ("sentinel", "cluster")
"""Ways to say where Redis is that need no URL."""


def build_redis(section: Section, overrides: Overrides, *, given: bool) -> Redis | None:
    """The external Redis of the file or of the environment; ``None`` for the embedded store."""
    ways = [key for key in ("url", "url_file", *NAMED_BY_OTHERS) if section.has(key)]
    named = next((key for key in ways if key in NAMED_BY_OTHERS), None)
    if named is not None:
        return _named_by_others(section, overrides, named, ways)
    default = Redis()
    address = _redis_address(section, overrides, given=given)
    if section.has("tls"):
        section.note("tls", "is for sentinel and cluster: with url, write rediss:// and its options")
    if not given and overrides.redis_host is None:
        return None
    username, password = section.text("username", None), section.secret("password")
    db = section.whole("db", None)
    for key, doubled in (
        ("username", username is not None and address.username is not None),
        ("password", password is not None and address.password is not None),
        ("db", db is not None and address.db is not None and db != address.db),
    ):
        if doubled:
            section.note(key, "is given in the URL, too")
    chosen = [number for number in (overrides.redis_db, db, address.db) if number is not None]
    connect, command = _timeouts(section)
    return Redis(
        url=address.url,
        username=username or address.username,
        password=overrides.redis_password or password or address.password,
        db=chosen[0] if chosen else default.db,
        connect_timeout_seconds=connect,
        timeout_seconds=command,
        mirror=section.flag("mirror", default=default.mirror),
    )


def _named_by_others(section: Section, overrides: Overrides, named: str, ways: list[str]) -> Redis:
    """The master that Sentinels or a Cluster's nodes name; the environment may change the login, not the place."""
    for other in ways:
        if other != named:
            section.note(other, "only one of url, sentinel and cluster may be given")
    for name, value in (("REDIS_HOST", overrides.redis_host), ("REDIS_PORT", overrides.redis_port)):
        if value is not None:
            section.findings.add_environment(
                name, f"names one server, but the file has redis.{named}: keep one of them"
            )
    db = section.whole("db", Redis().db)
    mirror = section.flag("mirror", default=named != "cluster")
    if named == "cluster":
        if mirror:
            section.note(
                "mirror", "its keys are spread over the nodes of a Redis Cluster, so it is not offered there"
            )
        if db:
            section.note("db", "a Redis Cluster has only database 0")
        if overrides.redis_db:
            section.findings.add_environment("REDIS_DB", "a Redis Cluster has only database 0")
    connect, command = _timeouts(section)
    return Redis(
        sentinel=_sentinel(section.section("sentinel")) if named == "sentinel" else None,
        cluster=_cluster(section.section("cluster")) if named == "cluster" else None,
        username=section.text("username", None),
        password=overrides.redis_password or section.secret("password"),
        db=db if overrides.redis_db is None else overrides.redis_db,
        tls=_tls(section),
        connect_timeout_seconds=connect,
        timeout_seconds=command,
        mirror=mirror,
    )


def _sentinel(section: Section) -> Sentinel:
    return Sentinel(
        master=section.text("master", ""),
        nodes=section.parsed_items("nodes", parse_node),
        username=section.text("username", None),
        password=section.secret("password"),
        tls=_tls(section),
    )


def _cluster(section: Section) -> Cluster:
    return Cluster(nodes=section.parsed_items("nodes", parse_node))


def _tls(parent: Section) -> RedisTls | None:
    if not parent.gives("tls"):
        return None
    section = parent.section("tls")
    for key, other in (("cert_file", "key_file"), ("key_file", "cert_file")):
        if section.has(key) and not section.has(other):
            section.note(other, f"is missing: {key} needs it")
    return RedisTls(
        ca_file=section.file("ca_file"),
        cert_file=section.file("cert_file"),
        key_file=section.file("key_file"),
        check_hostname=section.flag("check_hostname", default=RedisTls().check_hostname),
    )


def _timeouts(section: Section) -> tuple[float, float]:
    """For connecting, and for one command."""
    default = Redis()
    return (
        section.seconds("connect_timeout", default.connect_timeout_seconds, least=0.1),
        section.seconds("timeout", default.timeout_seconds, least=0.1),
    )


def _redis_address(section: Section, overrides: Overrides, *, given: bool) -> RedisAddress:
    """Where Redis is: the URL of the file, with the environment's host and port in it."""
    if given and not (section.has("url") or section.has("url_file")) and overrides.redis_host is None:
        section.note(
            "url",
            "is missing: give url, url_file, sentinel or cluster, or leave the section out for the embedded store",
        )
    if not given and overrides.redis_host is None:
        _note_pointless(section, overrides)
    address = RedisAddress(url="redis://localhost:6379", username=None, password=None, db=None)
    secret = section.secret("url")
    if secret is not None:
        try:
            address = parse_redis_url(secret.reveal())
        except ValueError as error:
            section.note("url_file" if section.has("url_file") else "url", str(error))
    if overrides.redis_host is None and overrides.redis_port is None:
        return address
    return address.at(overrides.redis_host, overrides.redis_port)


def _note_pointless(section: Section, overrides: Overrides) -> None:
    """A password or port without a host means that somebody expects a Redis which nobody would use."""
    for name, value in (
        ("REDIS_PORT", overrides.redis_port),
        ("REDIS_DB", overrides.redis_db),
        ("REDIS_PASSWORD", overrides.redis_password),
    ):
        if value is not None:
            section.findings.add_environment(name, "has no effect without $REDIS_HOST or redis.url")
