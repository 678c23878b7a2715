"""How a configured host is connected to: its name, its certificates, and the API version spoken there."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge import errors
from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine, DockerHost, DockerTLS
from tests.certificates import Certificates
from tests.servers.docker_engine import DockerEngineProxy


async def test_a_hosts_own_authority_counts_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """requests would let REQUESTS_CA_BUNDLE replace the CA of the host."""
    ours, foreign = tmp_path / "ours", tmp_path / "foreign"
    for each in (ours, foreign):
        each.mkdir()
        await asyncio.to_thread(Certificates, each)
    secure = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    secure.load_cert_chain(ours / "server.crt", ours / "server.key")

    async def handler(request: web.Request) -> web.Response:
        return web.json_response({"Version": "1", "ApiVersion": "1.41"})

    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=secure)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(foreign / "ca.crt"))
    url = f"tcp://127.0.0.1:{server.port}"
    trusted, distrusted = (
        DockerEngine(
            [
                DockerHost(
                    name="here", url=url, timeout_seconds=10, tls=DockerTLS(ca_file=str(folder / "ca.crt"))
                )
            ]
        )
        for folder in (ours, foreign)
    )
    assert (await trusted.ping("here")).engine == "1"
    with pytest.raises(errors.EdgeUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
        await distrusted.ping("here")
    shutil.copy(ours / "ca.crt", foreign / "ca.crt")  # a renewed authority counts from the next connection
    assert (await distrusted.ping("here")).engine == "1"
    await trusted.close()
    await distrusted.close()
    await server.close()


@pytest.mark.parametrize(
    ("told", "spoken"),
    [
        ('{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}', "1.41"),
        ('{"ApiVersion": "1.52", "MinAPIVersion": "1.44"}', "1.45"),
    ],
    ids=["older", "newer"],
)
async def test_the_api_version_is_one_that_both_sides_know(told: str, spoken: str) -> None:
    with DockerEngineProxy() as proxy:
        proxy.answer(lambda request: request.path == "/version", body=f'{{"Version": "x",{told[1:]}'.encode())
        edge = DockerEngine([DockerHost(name="here", url=proxy.url, timeout_seconds=1)])
        assert (await edge.ping("here")).spoken == spoken
        await edge.close()


async def test_ping_tells_the_versions(docker: DockerEngine, engine: parts.DockerEngine) -> None:
    version = await docker.ping("here")
    told = await asyncio.to_thread(engine.client.version)
    assert (version.engine, version.api) == (told["Version"], told["ApiVersion"])


async def test_unusable_settings_are_rejected_at_the_first_call() -> None:
    tls = DockerTLS(
        ca_file="/nonexistent/ca.pem", cert_file="/nonexistent/c.pem", key_file="/nonexistent/k.pem"
    )
    edge = DockerEngine([DockerHost(name="here", url="tcp://127.0.0.1:1", tls=tls)])
    with pytest.raises(errors.EdgeRejected, match="cannot be connected to"):
        await edge.list("here")


async def test_unknown_host_is_rejected(docker: DockerEngine) -> None:
    assert docker.hosts() == ("here",)
    with pytest.raises(errors.EdgeRejected, match="no Docker host named 'there'"):
        await docker.list("there")


def test_two_hosts_with_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        DockerEngine([DockerHost(name="a", url="unix:///a"), DockerHost(name="a", url="unix:///b")])
