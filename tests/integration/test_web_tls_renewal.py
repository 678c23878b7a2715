"""Certificates are renewed while the bridge runs: on a reload, and by themselves once the files changed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, suppress
from http.client import HTTPSConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from bridge import authorities, errors, settings
from bridge.demo import parts
from bridge.web.server import runner_of
from bridge.wiring import Certificates, certificates_of, read_of
from tests.certificates import Certificates as Made
from tests.waiting import until, until_true

EVERY_SECONDS = 0.05
MISMATCH = "web.tls_server_config.key_file: is not the key of cert_file"
PAIR = {"cert_file": "server.crt", "key_file": "server.key"}
REQUIRED = {"client_ca_file": "clients.crt", "client_auth_type": "RequireAndVerifyClientCert"}


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """A pair that is in use, the next one, a stranger's, and two authorities for clients."""
    directory = tmp_path / "certificates"
    directory.mkdir()
    made = Made(directory)
    made.make("next", "-addext", "subjectAltName=IP:127.0.0.1", by="ca")
    made.make("other-ca")
    made.make("other-client", by="other-ca")
    shutil.copy(directory / "ca.crt", directory / "clients.crt")
    return made


def replaced(made: Made, **files: str) -> None:
    """`replaced(made, server_crt="next.crt")`: as a renewal does, by a new file under the old name."""
    for name, source in files.items():
        beside = made.directory / "beside"
        shutil.copy(made.directory / source, beside)
        beside.replace(made.directory / name.replace("_", "."))


def config_of(made: Made, **keys: str) -> settings.Settings:
    file = made.directory / "hemostat.yml"
    file.write_text(json.dumps({"web": {"tls_server_config": {**PAIR, **keys}}}))
    return settings.load(file, environ={})


def tls_of(made: Made, **keys: str) -> settings.WebTls:
    tls = config_of(made, **keys).web.tls
    assert tls is not None
    return tls


def trusting(made: Made, client: str | None = None) -> ssl.SSLContext:
    context = authorities.taken(ssl.create_default_context(cafile=str(made.directory / "ca.crt")))
    if client is not None:
        context.load_cert_chain(made.directory / f"{client}.crt", made.directory / f"{client}.key")
    return context


async def shown(made: Made, port: int, client: str | None = None) -> str:
    """The name in the certificate that is shown. Raises: OSError: we were not let in."""
    reader, writer = await asyncio.open_connection(parts.LOOPBACK, port, ssl=trusting(made, client))
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        if not await reader.readline():  # with TLS 1.3 a client learns of it only when it reads
            raise ConnectionError("turned away")
        [[[_, name]]] = writer.get_extra_info("peercert")["subject"]
        return str(name)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
async def serve(made: Made) -> AsyncIterator[Callable[[Certificates], object]]:
    """A server that shows these certificates and watches their files; gives its port."""
    running: list[tuple[web.AppRunner, asyncio.Task[None]]] = []

    async def start(certificates: Certificates) -> int:
        runner = runner_of(web.Application())
        await runner.setup()
        await web.TCPSite(runner, parts.LOOPBACK, 0, ssl_context=certificates.context).start()
        watch = certificates.watch(every_seconds=EVERY_SECONDS, changed=lambda: None)
        running.append((runner, asyncio.create_task(watch)))
        return int(runner.addresses[0][1])

    yield start
    for runner, watching in running:
        watching.cancel()
        await runner.cleanup()


def certificates(config: settings.Settings) -> Certificates:
    found = certificates_of(config)
    assert found is not None
    return found


async def test_a_renewed_pair_is_shown_by_itself(made: Made, serve: Callable[..., object]) -> None:
    port = await serve(certificates(config_of(made)))  # type: ignore[misc]
    assert await shown(made, port) == "server"
    replaced(made, server_crt="next.crt", server_key="next.key")
    assert await until(lambda: shown(made, port), lambda name: name == "next") == "next"


async def test_half_of_a_renewed_pair_changes_nothing_until_the_other_half_comes(
    made: Made, serve: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    """Said once as an error, not each time that somebody looks."""
    ours = certificates(config_of(made))
    port = await serve(ours)  # type: ignore[misc]
    replaced(made, server_crt="next.crt")
    await until_true(lambda: ours.trouble)
    assert await shown(made, port) == "server"
    await asyncio.sleep(4 * EVERY_SECONDS)
    [told] = [record for record in caplog.records if record.message == "certificate_unusable"]
    assert (told.levelname, MISMATCH in vars(told)["problem"]) == ("ERROR", True)
    replaced(made, server_key="next.key")
    assert await until(lambda: shown(made, port), lambda name: name == "next") == "next"
    assert ours.trouble is False


async def test_files_that_are_away_for_a_moment_leave_the_old_pair_in_force(
    made: Made, serve: Callable[..., object]
) -> None:
    ours = certificates(config_of(made))
    port = await serve(ours)  # type: ignore[misc]
    (made.directory / "server.key").unlink()
    await until_true(lambda: ours.trouble)
    assert await shown(made, port) == "server"
    replaced(made, server_crt="next.crt", server_key="next.key")
    assert await until(lambda: shown(made, port), lambda name: name == "next") == "next"


async def test_an_authority_that_was_withdrawn_lets_nobody_in_any_more(
    made: Made, serve: Callable[..., object]
) -> None:
    """Nor does it linger beside the new one."""
    port = await serve(certificates(config_of(made, **REQUIRED)))  # type: ignore[misc]
    assert await shown(made, port, "client") == "server"
    replaced(made, clients_crt="other-ca.crt")

    async def let_in(client: str | None) -> bool:
        try:
            return bool(await shown(made, port, client))
        except OSError:
            return False

    await until(lambda: let_in("other-client"))
    assert [await let_in("client"), await let_in(None)] == [False, False]


async def test_other_files_may_be_named_and_what_cannot_be_used_is_not_taken(made: Made) -> None:
    ours = certificates(config_of(made))
    before = ours.context.present
    wrong, right = ({"cert_file": "next.crt", **key} for key in ({}, {"key_file": "next.key"}))
    with pytest.raises(errors.SettingsError, match="key_file: is not the key of cert_file"):
        ours.take(read_of(tls_of(made, **wrong)))
    assert ours.context.present is before
    ours.take(read_of(tls_of(made, **right)))
    assert ours.context.present is not before


@pytest.fixture
def bridge(made: Made, tmp_path: Path) -> Iterator[parts.Process]:
    """A bridge as it runs, with HTTPS."""
    config_of(made)
    port = parts.free_port()
    file = made.directory / "hemostat.yml"
    words = ["serve", "--config.file", str(file), "--storage.path", str(tmp_path / "store")]
    argv = [sys.executable, "-m", "bridge", *words, "--web.listen-address", f"{parts.LOOPBACK}:{port}"]
    with parts.Process(argv, name="bridge", directory=tmp_path / "log") as process:
        process.url = f"https://{parts.LOOPBACK}:{port}"
        assert parts.wait_until(lambda: "event=listening" in process.log_text(), seconds=20)
        yield process


def asked(bridge: parts.Process, made: Made, method: str, path: str) -> tuple[int, str]:
    """Status and text, on a connection of its own."""
    address = urlsplit(bridge.url)
    connection = HTTPSConnection(parts.LOOPBACK, address.port or 0, context=trusting(made), timeout=10)
    with closing(connection):
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


def loaded_well(bridge: parts.Process, made: Made) -> bool:
    _, page = asked(bridge, made, "GET", "/metrics")
    return "hemostat_config_last_reload_successful 1.0" in page


@pytest.mark.parametrize("by", ["signal", "request"])
def test_a_reload_reads_the_pair_anew_or_says_why_not(bridge: parts.Process, made: Made, by: str) -> None:
    """The same configuration as before, with other files behind its names."""
    port = urlsplit(bridge.url).port or 0

    def reloaded(event: str) -> tuple[int, str]:
        if by == "request":
            return asked(bridge, made, "POST", "/-/reload")
        os.kill(bridge.pid, signal.SIGHUP)
        assert parts.wait_until(lambda: f"event={event}" in bridge.log_text(), seconds=10), bridge.log_tail(
            20
        )
        return 0, MISMATCH

    replaced(made, server_crt="next.crt")
    status, told = reloaded("reload_refused")
    assert (status in (0, 400), MISMATCH in told, MISMATCH in bridge.log_text()) == (True, True, True)
    assert asyncio.run(shown(made, port)) == "server"
    assert not loaded_well(bridge, made)
    replaced(made, server_key="next.key")
    assert reloaded("reloaded")[0] in (0, 200)
    assert asyncio.run(shown(made, port)) == "next"
    assert loaded_well(bridge, made)


def test_turning_https_off_takes_a_restart(bridge: parts.Process, made: Made) -> None:
    (made.directory / "hemostat.yml").write_text("{}")
    status, told = asked(bridge, made, "POST", "/-/reload")
    assert status == 400
    assert json.loads(told)["error"]["details"] == ["can only change with a restart: web.tls_server_config"]
