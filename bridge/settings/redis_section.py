"""The ``redis:`` section: a URL, keys beside it, and the environment's host and port, made one address."""

from __future__ import annotations

from bridge.settings.environment import Overrides
from bridge.settings.notation import RedisAddress, parse_redis_url
from bridge.settings.reading import Section
from bridge.settings.sections import Redis


def build_redis(section: Section, overrides: Overrides, *, given: bool) -> Redis | None:
    """The external Redis of the file or of the environment; ``None`` for the embedded store."""
    default = Redis(url="")
    address = _redis_address(section, overrides, given=given)
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
    return Redis(
        url=address.url,
        username=username or address.username,
        password=overrides.redis_password or password or address.password,
        db=chosen[0] if chosen else default.db,
        connect_timeout_seconds=section.seconds(
            "connect_timeout", default.connect_timeout_seconds, least=0.1
        ),
        timeout_seconds=section.seconds("timeout", default.timeout_seconds, least=0.1),
    )


def _redis_address(section: Section, overrides: Overrides, *, given: bool) -> RedisAddress:
    """Where Redis is: the URL of the file, with the environment's host and port in it."""
    for later in ("sentinel", "cluster"):
        if section.has(later):
            section.note(later, "is not available yet: it comes in a later release; give url")
    ways = [key for key in ("url", "url_file", "sentinel", "cluster") if section.has(key)]
    if given and not ways and overrides.redis_host is None:
        section.note(
            "url", "is missing: give url or url_file, or leave the section out for the embedded store"
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
