"""Who may ask what: every request passes here before its handler."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from bridge.web import approvals, page
from bridge.web.answers import Refused
from bridge.web.interface import ANYBODY, CALLER, NAMES, TOKEN, TOKENS, Access
from bridge.web.names import is_known
from bridge.web.webhook import receive

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_OPEN = ("/-/healthy", "/-/ready", "/metrics")


def _needed(request: web.Request) -> Access:
    if request.path in _OPEN and request.method in ("GET", "HEAD"):
        return Access.OPEN
    if request.match_info.handler is receive:
        return Access.RECEIVER
    if request.match_info.handler is approvals.slack:
        return Access.OPEN  # Slack signs what it sends, and knows no token of ours
    if request.match_info.handler in (page.index, page.part):
        return Access.OPEN  # where somebody who has no token yet is asked for it
    return Access.VIEWER if request.method in ("GET", "HEAD") else Access.OPERATOR


def _same_site(origin: str, host: str, *, trusts_names: bool) -> bool:
    """Whether a browser's request comes from our own page: a web page somewhere must not operate a bridge on its reader's
    loopback, nor, where no token is asked for, by a name of its own that it lets point there (DNS rebinding).
    """
    try:
        site = urlsplit(origin)
        return site.netloc == host and (trusts_names or is_loopback(site.hostname or ""))
    except ValueError:  # no URL
        return False


def _under_a_known_name(request: web.Request) -> None:
    """A page somewhere must not read a bridge on its reader's loopback by a name that it lets point there, which is no
    request to another site. Raises Refused: 421.
    """
    names, host = request.app[NAMES], request.headers.get("Host")
    if names is not None and host and not is_known(host, names):
        told = (
            "nothing is read here by this name while no token is asked for: ask 127.0.0.1, "
            "make it the name in web.external_url, or configure web.tokens"
        )
        raise Refused(421, "unknown_host", told)


@web.middleware
async def authorise(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let pass who may ask this, and note who it is. Raises Refused: 401, 403 or 421."""
    tokens = request.app[TOKENS]()
    needed = _needed(request)
    request[CALLER], request[TOKEN] = ANYBODY, None
    if request.method not in ("GET", "HEAD") and (origin := request.headers.get("Origin")):
        if not _same_site(origin, request.host, trusts_names=bool(tokens)):
            raise Refused(403, "cross_origin", "requests from other web sites are refused")
    if needed is Access.VIEWER and not tokens:
        _under_a_known_name(request)
    if needed is Access.OPEN or not tokens:
        return await handler(request)
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    presented = given.strip().encode(errors="surrogateescape") if scheme.lower() == "bearer" else b""
    # Every token is compared in full, so that the time taken tells nothing.
    matching = [t for t in tokens if hmac.compare_digest(t.secret.reveal().encode(), presented)]
    if not matching:
        raise Refused(401, "unauthorized", "a valid bearer token is needed")
    token = matching[0]
    if token.access not in (needed, Access.OPERATOR):
        raise Refused(403, "forbidden", f"this needs the role {needed}, the token has {token.access}")
    request[CALLER], request[TOKEN] = token.name, token
    return await handler(request)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address; a name other than localhost counts as not."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
