"""An authority that openssl makes without further ado is one to every neighbour, whichever Python runs us.

To the interface and the command line: `test_web_tls.py`; Docker and Redis: the tests of what a renewed one does.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge import authorities, errors
from bridge.edges import http_neighbour
from tests.certificates import Certificates


async def test_a_neighbour_is_trusted_by_the_systems_authorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that `SSL_CERT_FILE` names in their place."""
    made = (await asyncio.to_thread(Certificates, tmp_path)).directory
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secure.load_cert_chain(made / "server.crt", made / "server.key")

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.router.add_get("/", handler)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=secure)

    async def asked(file: str) -> int:
        monkeypatch.setenv("SSL_CERT_FILE", str(made / file))
        http_neighbour._secured.cache_clear()
        neighbour = http_neighbour.HttpNeighbour("grafana", f"https://127.0.0.1:{server.port}")
        try:
            return (await neighbour.ask("/")).status
        finally:
            await neighbour.close()

    try:
        assert await asked("ca.crt") == 200
        with pytest.raises(errors.EdgeUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await asked("client.crt")
    finally:
        http_neighbour._secured.cache_clear()
        await server.close()


def test_everything_else_is_as_python_has_it() -> None:
    """Names, dates and signatures are looked at as before."""
    theirs, ours = ssl.create_default_context(), authorities.taken(ssl.create_default_context())
    assert ours.verify_flags == theirs.verify_flags & ~ssl.VERIFY_X509_STRICT
    assert (ours.verify_mode, ours.check_hostname) == (theirs.verify_mode, theirs.check_hostname)
