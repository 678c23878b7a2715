"""HTTPS as in Prometheus' web configuration: who is let in, and what is said of files that cannot be used."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, web

from bridge import authorities, cli, settings
from bridge.demo import parts
from bridge.web.server import runner_of
from bridge.wiring import certificates_of
from tests.certificates import Certificates

Written = Callable[..., Path]
REQUIRED = {"client_ca_file": "ca.crt", "client_auth_type": "RequireAndVerifyClientCert"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.make("stranger")
    (made.directory / "junk").write_text("junk")
    openssl = [
        "openssl",
        "pkey",
        "-in",
        "server.key",
        "-aes128",
        "-passout",
        "pass:abcd",
        "-out",
        "locked.key",
    ]
    subprocess.run(openssl, cwd=made.directory, check=True, capture_output=True)
    return made


@pytest.fixture
def written(certificates: Certificates) -> Written:
    """`written(key=file, ...)` writes these keys of `web.tls_server_config` beside the certificates."""

    def write(**keys: str) -> Path:
        file = certificates.directory / "hemostat.yml"
        given = {"cert_file": "server.crt", "key_file": "server.key", **keys}
        lines = "".join(f"    {key}: {value}\n" for key, value in given.items())
        file.write_text(f"web:\n  tls_server_config:\n{lines}")
        return file

    return write


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        pytest.param({"cert_file": "junk"}, "cert_file: no PEM certificate is in it", id="no certificate"),
        pytest.param(
            {"cert_file": "server.key"}, "cert_file: no PEM certificate is in it", id="a key instead"
        ),
        pytest.param({"key_file": "junk"}, "key_file: no PEM private key that fits is in it", id="no key"),
        pytest.param({"key_file": "client.key"}, "key_file: is not the key of cert_file", id="another's key"),
        pytest.param({"key_file": "locked.key"}, "key_file: is encrypted", id="key with a password"),
        pytest.param(
            REQUIRED | {"client_ca_file": "junk"},
            "client_ca_file: no PEM certificate is in it",
            id="no authority",
        ),
    ],
)
def test_files_that_cannot_be_used_are_bad_configuration(
    written: Written, keys: dict[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check-config` says so with the key, as `promtool check web-config` does; OpenSSL alone names no file."""
    file = written(**keys)
    assert cli.main(["check-config", str(file)]) == cli.BAD
    said = capsys.readouterr().err
    assert said.startswith(f"{file}: web.tls_server_config.{told}")
    assert len(said.splitlines()) == 1


def test_a_bridge_does_not_start_with_them(written: Written, tmp_path: Path) -> None:
    """Nor does it start its store first."""
    words = [
        "serve",
        "--config.file",
        str(written(key_file="client.key")),
        "--storage.path",
        str(tmp_path / "s"),
    ]
    assert cli.main(words) == cli.BAD
    assert not (tmp_path / "s").exists()


@pytest.fixture
def serving(written: Written, tmp_path: Path) -> Iterator[parts.Process]:
    """A bridge that lets in only who shows a certificate of our authority."""
    file, port = written(**REQUIRED), parts.free_port()
    words = ["serve", "--config.file", str(file), "--storage.path", str(tmp_path / "store")]
    argv = [sys.executable, "-m", "bridge", *words, "--web.listen-address", f"{parts.LOOPBACK}:{port}"]
    with parts.Process(argv, name="bridge", directory=tmp_path) as process:
        process.url = f"https://{parts.LOOPBACK}:{port}"
        assert parts.wait_until(lambda: "event=listening" in process.log_text(), seconds=15)
        yield process


def test_the_command_line_may_show_a_certificate_too(
    serving: parts.Process, certificates: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    """Above all to pull the kill switch. Without, it says what is missing."""

    def asked(*words: str) -> tuple[int, str]:
        paths = [str(certificates.directory / word) if "." in word else word for word in words]
        code = cli.main(["pause", "--url", serving.url, *paths])
        return code, capsys.readouterr().err

    ours = ("--cert-file", "client.crt", "--key-file", "client.key")
    assert asked("--ca-file", "ca.crt", *ours) == (cli.GOOD, "")
    code, told = asked(*ours)
    assert (code, "--ca-file says whom to trust" in told) == (cli.NO, True)
    code, told = asked("--ca-file", "ca.crt")
    assert (code, len(told.splitlines())) == (cli.NO, 1)
    for words in (("--ca-file", "server.key"), ("--ca-file", "no.crt"), ("--cert-file", "client.crt")):
        code, told = asked(*words)
        assert (code, told.startswith(f"hemostat: {words[0]}: cannot be used: ")) == (cli.BAD, True)


async def test_who_shows_no_certificate_of_our_authority_is_not_let_in(
    written: Written, certificates: Certificates
) -> None:
    certificates_in_use = certificates_of(settings.load(written(**REQUIRED), environ={}))
    assert certificates_in_use is not None
    context = certificates_in_use.context

    async def index(_: web.Request) -> web.Response:
        return web.Response(text="in")

    app = web.Application()
    app.router.add_get("/", index)
    runner = runner_of(app)
    await runner.setup()
    await web.TCPSite(runner, parts.LOOPBACK, 0, ssl_context=context).start()
    url = f"https://{parts.LOOPBACK}:{runner.addresses[0][1]}/"

    async def asked(who: str | None) -> str:
        ours = authorities.taken(ssl.create_default_context(cafile=certificates.directory / "ca.crt"))
        if who is not None:
            ours.load_cert_chain(certificates.directory / f"{who}.crt", certificates.directory / f"{who}.key")
        async with ClientSession() as session, session.get(url, ssl=ours) as answer:
            return await answer.text()

    assert await asked("client") == "in"
    for who in (None, "stranger"):
        with pytest.raises((ClientError, OSError)):
            await asked(who)
    await runner.cleanup()


def test_plain_http_has_no_context() -> None:
    assert certificates_of(settings.Settings.defaults()) is None
