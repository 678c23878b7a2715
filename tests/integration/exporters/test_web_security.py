"""TLS and passwords as in Prometheus' web configuration, on the process as it runs."""

import base64
import http.client
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from exporters.docker.errors import UsageError
from exporters.docker.security import Security
from tests.certificates import Certificates
from tests.integration.exporters.conftest import SCRAPE_SECONDS, Exporter, until
from tests.integration.exporters.scripted_engine import ScriptedEngine

StartExporter = Callable[..., Exporter]

USTAR_U = "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def start(
    scripted: ScriptedEngine, start_exporter: StartExporter, tmp_path: Path
) -> Iterator[Callable[[str], Exporter]]:
    """An exporter with this web configuration, once it listens."""
    running: list[Exporter] = []

    def started(config: str) -> Exporter:
        file = tmp_path / "web.yml"
        file.write_text(config)
        exporter = Exporter(scripted.url, f"--web.config.file={file}")
        address, exporter.url = exporter.url, ""
        running.append(exporter)
        exporter.start()
        exporter.url = address
        until(lambda: '"listening"' in exporter.log_text())
        return exporter

    yield started
    for each in running:
        each.stop()


def ask(
    exporter: Exporter, *, user: str = "", context: ssl.SSLContext | None = None, path: str = "/metrics"
) -> int:
    """The status. Raises: OSError."""
    address = urlsplit(exporter.url)
    host, port = address.hostname or "", address.port
    headers = {"Authorization": f"Basic {base64.b64encode(user.encode()).decode()}"} if user else {}
    connection = (
        http.client.HTTPSConnection(host, port, timeout=SCRAPE_SECONDS, context=context)
        if context
        else http.client.HTTPConnection(host, port, timeout=SCRAPE_SECONDS)
    )
    with closing(connection):
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        response.read()
        return response.status


def trusting(certificates: Certificates, *, client: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates.directory / "ca.crt"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if client:
        context.load_cert_chain(certificates.directory / "client.crt", certificates.directory / "client.key")
    return context


def tls(certificates: Certificates, *more: str) -> str:
    folder = certificates.directory
    lines = ["tls_server_config:", f"  cert_file: {folder}/server.crt", f"  key_file: {folder}/server.key"]
    return "\n".join([*lines, *(f"  {line}" for line in more)]) + "\n"


@pytest.mark.parametrize(
    ("user", "status"),
    [
        ("", 401),
        ("ann:U*U", 200),
        ("ann:u*u", 401),
        ("eve:U*U", 401),
        ("ann", 401),
        (":", 401),
    ],
)
def test_only_who_knows_a_name_and_its_password_is_served(
    start: Callable[[str], Exporter], user: str, status: int
) -> None:
    exporter = start(f"basic_auth_users:\n  ann: {USTAR_U}\n")
    for path in ("/metrics", "/-/healthy", "/nothing"):
        assert ask(exporter, user=user, path=path) == (
            404 if path == "/nothing" and status == 200 else status
        )


def test_a_password_once_proven_admits_nobody_with_another(
    start: Callable[[str], Exporter],
) -> None:
    exporter = start(f"basic_auth_users:\n  ann: {USTAR_U}\n")
    assert [ask(exporter, user=user) for user in ("ann:U*U", "ann:no", "ann:U*U", "ann:no")] == [200, 401] * 2


def test_tls_is_spoken_and_plain_http_is_not(
    start: Callable[[str], Exporter], certificates: Certificates
) -> None:
    exporter = start(tls(certificates))
    assert ask(exporter, context=trusting(certificates)) == 200
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(exporter)


def test_a_clients_certificate_is_asked_for_where_it_is_required(
    start: Callable[[str], Exporter], certificates: Certificates
) -> None:
    more = (
        f"client_ca_file: {certificates.directory}/ca.crt",
        "client_auth_type: RequireAndVerifyClientCert",
    )
    exporter = start(tls(certificates, *more))
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(exporter, context=trusting(certificates))
    assert ask(exporter, context=trusting(certificates, client=True)) == 200


def test_who_connects_and_says_nothing_holds_up_nobody(
    start: Callable[[str], Exporter], certificates: Certificates
) -> None:
    exporter = start(tls(certificates))
    address = urlsplit(exporter.url)
    silent = socket.create_connection((address.hostname or "", address.port or 0), timeout=SCRAPE_SECONDS)
    with closing(silent):
        assert ask(exporter, context=trusting(certificates)) == 200


def test_a_changed_file_is_read_anew_and_a_broken_one_leaves_the_old_in_force(
    start: Callable[[str], Exporter], tmp_path: Path
) -> None:
    exporter = start(f"basic_auth_users:\n  ann: {USTAR_U}\n")
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users:\n  bob: {USTAR_U}\n")
    until(lambda: ask(exporter, user="bob:U*U") == 200)
    assert ask(exporter, user="ann:U*U") == 401
    file.write_text("basic_auth_users: broken\n")
    until(lambda: (ask(exporter, user="bob:U*U"), "web_config_unusable" in exporter.log_text())[1])
    assert ask(exporter, user="bob:U*U") == 200
    assert ask(exporter) == 401


@pytest.mark.parametrize(
    "config",
    ["tls_server_config:\n  cert_file: no.crt\n  key_file: no.key\n", "nonsense"],
    ids=["no key", "no sense"],
)
def test_a_file_that_cannot_be_used_ends_it_with_2_and_one_line(tmp_path: Path, config: str) -> None:
    file = tmp_path / "web.yml"
    file.write_text(config)
    exporter = Exporter("unix:///nobody", f"--web.config.file={file}")
    exporter.url = ""
    with exporter:
        assert exporter.wait(20) == 2
        assert exporter.log_text().startswith("docker-exporter: --web.config.file: ")
        assert exporter.log_text().count("\n") == 1


def shown(exporter: Exporter, certificates: Certificates) -> str:
    """The name in the certificate that is shown now. Raises: OSError."""
    address = urlsplit(exporter.url)
    where = (address.hostname or "", address.port or 0)
    with (
        socket.create_connection(where, timeout=SCRAPE_SECONDS) as plain,
        trusting(certificates).wrap_socket(plain, server_hostname=where[0]) as encrypted,
    ):
        found = encrypted.getpeercert() or {}
        [[[_, name]]] = found["subject"]  # type: ignore[misc,str-unpack]
        return str(name)


@pytest.fixture
def renewable(tmp_path: Path) -> Certificates:
    """A pair that is in use, and the next one."""
    (tmp_path / "certificates").mkdir()
    made = Certificates(tmp_path / "certificates")
    made.make("next", "-addext", "subjectAltName=IP:127.0.0.1", by="ca")
    return made


def test_a_renewed_pair_is_shown_once_it_is_whole(
    start: Callable[[str], Exporter], renewable: Certificates
) -> None:
    folder = renewable.directory
    exporter = start(tls(renewable))
    assert shown(exporter, renewable) == "server"
    (folder / "next.crt").replace(folder / "server.crt")
    assert [shown(exporter, renewable) for _ in range(3)] == ["server"] * 3
    assert exporter.log_text().count("web_config_unusable") == 1
    (folder / "next.key").replace(folder / "server.key")
    until(lambda: shown(exporter, renewable) == "next")


def test_a_pair_that_is_named_before_it_is_there_is_shown_once_it_is(
    start: Callable[[str], Exporter], renewable: Certificates, tmp_path: Path
) -> None:
    """The web configuration need not be touched a second time."""
    folder = renewable.directory
    exporter = start(tls(renewable))
    (tmp_path / "web.yml").write_text(tls(renewable).replace("server.", "later."))
    until(lambda: (shown(exporter, renewable), "web_config_unusable" in exporter.log_text())[1])
    assert shown(exporter, renewable) == "server"
    (folder / "next.key").replace(folder / "later.key")
    (folder / "next.crt").replace(folder / "later.crt")
    until(lambda: shown(exporter, renewable) == "next")


def test_what_changes_while_it_is_read_is_read_again(renewable: Certificates, tmp_path: Path) -> None:
    """The pair is replaced when it is read already, and the authority after it is still awaited."""
    folder, authority = renewable.directory, tmp_path / "authority"
    read, read_again = threading.Event(), threading.Event()
    os.mkfifo(authority)

    def renew_between() -> None:
        with authority.open("wb") as pipe:
            for kind in ("crt", "key"):
                (folder / f"next.{kind}").replace(folder / f"server.{kind}")
            pipe.write((folder / "ca.crt").read_bytes())
        read.wait()
        with authority.open("wb") as pipe:
            read_again.set()
            pipe.write((folder / "ca.crt").read_bytes())

    threading.Thread(target=renew_between, daemon=True).start()
    more = (f"client_ca_file: {authority}", "client_auth_type: RequireAndVerifyClientCert")
    (tmp_path / "web.yml").write_text(tls(renewable, *more))
    security = Security(tmp_path / "web.yml")
    read.set()
    assert security.encrypts
    assert read_again.wait(5)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(
    renewable: Certificates, tmp_path: Path
) -> None:
    """OpenSSL would ask on the terminal, at each connection, with everybody else waiting."""
    folder = renewable.directory
    lock = ["openssl", "pkey", "-in", "server.key", "-aes128", "-passout", "pass:abcd", "-out", "locked.key"]
    subprocess.run(lock, cwd=folder, check=True, capture_output=True)
    (tmp_path / "web.yml").write_text(tls(renewable).replace("server.key", "locked.key"))
    with pytest.raises(UsageError, match=r"locked\.key: is encrypted"):
        Security(tmp_path / "web.yml")
