"""``GET /`` and ``GET /ui/{name}``: the live page, static files of the package. Docs: ``docs/live-page.md``.

The files hold nothing secret, so anybody may load them: what they show they ask of the API, with the reader's own token.
Names and log lines of the outside come into the page as text only, and the policy below holds the browser to that.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import PurePath

from aiohttp import web
from multidict import CIMultiDict

from bridge.web.answers import Refused

INDEX = "index.html"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

SECURITY = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",  # innerHTML and its like throw, whoever writes them one day
            "trusted-types 'none'",
        )
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file as it is served. ``etag`` is of its content."""

    body: bytes
    type: str
    etag: str


async def index(request: web.Request) -> web.Response:
    """``GET /``."""
    return _answer(request, _files()[INDEX])


async def part(request: web.Request) -> web.Response:
    """``GET /ui/{name}``: what the page is made of, by exact name. Raises Refused: 404."""
    file = _files().get(request.match_info["name"])
    if file is None:
        raise Refused(404, "not_found", "the live page has no such file")
    return _answer(request, file)


def _answer(request: web.Request, file: File) -> web.Response:
    # Asked about at every visit: after an upgrade nobody looks at half of an old page.
    headers = CIMultiDict({**SECURITY, "Cache-Control": "no-cache", "ETag": f'"{file.etag}"'})
    if any(known.value in (file.etag, "*") for known in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=file.body, content_type=file.type, charset="utf-8", headers=headers)


@functools.cache
def _files() -> Mapping[str, File]:
    """All of them, read once: no name that a request brings ever becomes a path."""
    found = {}
    for entry in resources.files("bridge").joinpath("ui").iterdir():
        if (kind := TYPES.get(PurePath(entry.name).suffix)) is not None:
            body = entry.read_bytes()
            found[entry.name] = File(body=body, type=kind, etag=hashlib.sha256(body).hexdigest()[:32])
    return found
