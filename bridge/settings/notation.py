"""What an operator writes as text and what it means: matchers, patterns, addresses. Each raises ``ValueError``."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from bridge.model.policy import Matcher, MatchOperator
from bridge.model.secret import Secret
from bridge.settings.findings import shown
from bridge.settings.pattern_cost import MOST_WAYS, ways

MAX_PATTERN_LENGTH = 1000

LEAST_PHRASE_LENGTH = 4

REDIS_URL_OPTIONS = frozenset(
    {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs", "ssl_check_hostname"}
)
"""What may follow the ``?`` of a Redis URL: everything else has its own key, above all a password."""

_MATCHER = re.compile(r"\s*([^\s{}!=~,\\\"'`]+)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL)
_UNQUOTED = re.compile(r"[^\s{}!=~,\\\"'`]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CLASS = re.compile(r"\[!?\]?[^\]]*\]")
_NAME_GLOB = re.compile(r"[A-Za-z0-9_.:/@+*?-]*")
_PLACEHOLDER = re.compile(r"\$[A-Z][A-Z0-9_]*|.*(\$\{[A-Za-z_][^}]*\}|\{\{.*\}\}).*", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9._-]*|\[[0-9A-Fa-f:.%]+\]", re.ASCII)


def parse_matcher(text: str) -> Matcher:
    """One matcher in Alertmanager's notation: ``name="value"``, ``=~``, ``!=`` or ``!~``.

    Only ``\\"``, ``\\\\`` and ``\\n`` are escapes, so that ``"a\\.b"`` stays a regular expression. A value without
    quotes has none of ``{}!=~,\\"'` `` and no white space: with a comma in it, Alertmanager would read two.

    Raises:
        ValueError: it is no matcher, or its regular expression cannot be compiled.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise ValueError(f'{shown(text)} is not a matcher: write name="value" with =, !=, =~ or !~')
    label, operator, raw = found[1], MatchOperator(found[2]), found[3]
    quoted = _QUOTED.fullmatch(raw)
    if quoted is None and not _UNQUOTED.fullmatch(raw):
        raise ValueError(
            f"{shown(text)}: put the value in double quotes, and one matcher in each list element"
        )
    value = _ESCAPE.sub(_unescaped, quoted[1]) if quoted else raw
    if operator in {MatchOperator.REGEX, MatchOperator.NOT_REGEX}:
        parse_regex(value)
    return Matcher(label=label, operator=operator, value=value)


def _unescaped(found: re.Match[str]) -> str:
    return {"n": "\n", '"': '"', "\\": "\\"}.get(found[1], found[0])


def parse_regex(text: str) -> str:
    """The same text, known to be a regular expression.

    Raises:
        ValueError: it cannot be compiled, or is ambiguous.
    """
    if len(text) > MAX_PATTERN_LENGTH:
        raise ValueError(
            f"a regular expression may have {MAX_PATTERN_LENGTH} characters, this one has {len(text)}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            re.compile(text)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ValueError(f"{shown(text)} is not a regular expression: {error}") from None
    return text


def parse_phrase(text: str) -> str:
    """The same text, known to be a regular expression that says something about a log line, and soon.

    Raises:
        ValueError: it cannot be compiled, would be found in nearly every line, or could search a hostile one for ever.
    """
    pattern = parse_regex(text)
    if len(text.strip()) < LEAST_PHRASE_LENGTH or re.search(pattern, "") is not None:
        raise ValueError(f"{shown(text)} would be found in nearly every line")
    if ways(pattern) > MOST_WAYS:
        raise ValueError(
            f"{shown(text)} could search a hostile line for ever: one '*' or '+' may stand in it, none inside another "
            "repeat and no alternatives in it; write a bound, such as {0,50}, for the others"
        )
    return text


def parse_glob(text: str) -> str:
    """The same text, known to be a glob with ``*``, ``?`` and ``[...]``.

    Raises:
        ValueError: it is empty, has white space around it, or an open bracket.
    """
    if not text or text != text.strip():
        raise ValueError(f"{shown(text)} is not a pattern: it is empty or has white space around it")
    if "[" in _CLASS.sub("", text):
        raise ValueError(f"{shown(text)} is not a pattern: '[' is never closed")
    return text


def parse_name_glob(text: str) -> str:
    """A glob over names and images of containers, which have letters, digits and ``_.:/@+-`` only.

    Raises:
        ValueError: no glob, or one that can match nothing; what it was to protect would be without protection.
    """
    pattern = parse_glob(text)
    if not _NAME_GLOB.fullmatch(_CLASS.sub("", pattern)):
        raise ValueError(
            f"{shown(text)} can match no name and no image: this is a glob, not a regular expression (*, ?, [...])"
        )
    return pattern


def is_placeholder(text: str) -> bool:
    """Whether this is what somebody else was to fill in: ``${NAME}`` or ``{{ name }}`` in it, or ``$NAME`` all of it."""
    return _PLACEHOLDER.fullmatch(text) is not None


def parse_listen_address(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``:port`` or ``[::1]:port``; an empty host means every address.

    Raises:
        ValueError: it is no such address.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not _HOST.fullmatch(host) or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
        raise ValueError(f"{shown(text)} is not an address to listen on: write host:port or :port")
    return host.strip("[]"), int(port)


def parse_http_url(text: str) -> str:
    """The same URL without a slash at its end. No message repeats a URL: it may hold credentials.

    Raises:
        ValueError: not http or https, no host, credentials inside, or something after the path.
    """
    parts = split_url(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a URL such as http://host:9090")
    if "@" in parts.netloc:
        raise ValueError("must not hold credentials: they have their own keys")
    if parts.query or parts.fragment:
        raise ValueError("must end after the path")
    return text.rstrip("/")


def parse_docker_url(text: str) -> str:
    """The same URL of a Docker Engine: ``unix:///path``, ``tcp://host:port`` or ``ssh://user@host``.

    Raises:
        ValueError: it is none of these.
    """
    parts = split_url(text)
    match parts.scheme:
        case "unix" if parts.path.strip("/") and not parts.netloc:
            return text
        case "tcp" if parts.hostname and parts.port and "@" not in parts.netloc and parts.path in {"", "/"}:
            return text.rstrip("/")
        case "ssh" if parts.hostname and parts.password is None:
            return text
    raise ValueError("must be unix:///path/to/docker.sock, tcp://host:port or ssh://user@host")


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisAddress:
    """A Redis URL taken apart: ``url`` has neither credentials nor a database in it."""

    url: str
    username: str | None
    password: Secret | None
    db: int | None

    def at(self, host: str | None, port: int | None) -> RedisAddress:
        """The same with another host or port; a socket becomes a TCP address."""
        parts = urlsplit(self.url)
        scheme = parts.scheme if parts.scheme != "unix" else "redis"
        netloc = _netloc(host or parts.hostname or "localhost", port or parts.port)
        query = f"?{parts.query}" if parts.query and parts.scheme != "unix" else ""
        return RedisAddress(
            url=f"{scheme}://{netloc}{query}", username=self.username, password=self.password, db=self.db
        )


def parse_redis_url(text: str) -> RedisAddress:
    """A URL as redis-py reads it: ``redis://``, ``rediss://`` or ``unix://``, with credentials and database.

    Raises:
        ValueError: it is no such URL, or holds an option that has its own key.
    """
    parts = split_url(text)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(set(options) - REDIS_URL_OPTIONS):
        raise ValueError(
            f"must not have the option {shown(unknown[0])}: possible are {', '.join(sorted(REDIS_URL_OPTIONS))}"
        )
    named = options.pop("db", None)
    if parts.scheme == "unix" and parts.path.strip("/"):
        netloc, path = "", parts.path
    elif parts.scheme in {"redis", "rediss"} and parts.hostname:
        netloc, path = _netloc(parts.hostname, parts.port), ""
        named = named if named is not None else parts.path.strip("/") or None
    else:
        raise ValueError("must be redis://host:port, rediss://host:port or unix:///path")
    if named is not None and not re.fullmatch(r"[0-9]{1,5}", named, re.ASCII):
        raise ValueError("must name the database by its number")
    query = "&".join(f"{key}={value}" for key, value in options.items())
    return RedisAddress(
        url=f"{parts.scheme}://{netloc}{path}" + (f"?{query}" if query else ""),
        username=unquote(parts.username) if parts.username else None,
        password=Secret(unquote(parts.password)) if parts.password else None,
        db=int(named) if named is not None else None,
    )


def parse_node(text: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[::1]:port``.

    Raises:
        ValueError: it is no such address.
    """
    host, _, port = text.rpartition(":")
    if not host or not _HOST.fullmatch(host) or not re.fullmatch(r"[0-9]{1,5}", port):
        raise ValueError("must be host:port, without a scheme and without credentials")
    if not 1 <= int(port) <= 65535:
        raise ValueError(f"{port} is not a port: 1 to 65535")
    return host.strip("[]"), int(port)


def split_url(text: str) -> SplitResult:
    """A URL's parts, its port known to be one.

    Raises:
        ValueError: it is no URL; the message does not repeat it.
    """
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("must be a URL without white space or special characters")
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        raise ValueError("is not a valid URL: its host or port cannot be read") from None
    return parts


def _netloc(host: str, port: int | None) -> str:
    shown_host = f"[{host}]" if ":" in host else host
    return f"{shown_host}:{port}" if port else shown_host
