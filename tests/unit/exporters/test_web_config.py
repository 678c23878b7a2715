"""The web configuration file: Prometheus' keys, strict, with as much YAML as such a file needs."""

import json
import re
from pathlib import Path

import pytest

from exporters.docker import web_config
from exporters.docker.errors import UsageError
from exporters.docker.web_config import Tls, WebConfig

HERE = Path("/etc/exporter")
BCRYPT = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
PBKDF2 = "pbkdf2_sha256$1000$c2FsdA$q83vEjRWeJA="


def parse(text: str) -> WebConfig:
    return web_config.parse(text, directory=HERE)


def test_a_file_as_prometheus_documents_it() -> None:
    text = f"""
# TLS and passwords
tls_server_config:
  cert_file: server.crt   # beside this file
  key_file: "/keys/server.key"

  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: 'ca.crt'
basic_auth_users:
  alice: {BCRYPT}
  "bob": '{PBKDF2}'
"""
    assert parse(text) == WebConfig(
        tls=Tls(
            cert_file=HERE / "server.crt",
            key_file=Path("/keys/server.key"),
            client_ca_file=HERE / "ca.crt",
            client_auth_type="RequireAndVerifyClientCert",
        ),
        users={"alice": BCRYPT, "bob": PBKDF2},
    )


def test_json_is_understood_too() -> None:
    assert parse(json.dumps({"basic_auth_users": {"alice": PBKDF2}})).users == {"alice": PBKDF2}


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "basic_auth_users:\n"])
def test_an_empty_file_asks_for_nothing(text: str) -> None:
    assert parse(text) == WebConfig(users={})


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("tls_server: x", "tls_server is not known"),
        ("http_server_config:\n  http2: false", "http_server_config is not known"),
        ("tls_server_config:\n  cert_file: a", "key_file is missing"),
        ("tls_server_config:\n  cert_file: a\n  key_file: b\n  curve: c", "tls_server_config.curve"),
        (
            "tls_server_config:\n  cert_file: a\n  key_file: b\n  client_auth_type: RequireAnyClientCert",
            "RequireAndVerifyClientCert",
        ),
        ("tls_server_config:\n  cert_file: a\n  key_file: b\n  client_ca_file: c", "go together"),
        ("tls_server_config:\n  cert_file: a\n  key_file: b\n  min_version: TLS10", "TLS12, TLS13"),
        ("basic_auth_users:\n  alice: secret", "basic_auth_users.alice: is neither"),
        ("basic_auth_users:\n  - alice", "line 2"),
        ("basic_auth_users: {alice: x}", "line 1"),
        ("basic_auth_users:\n  a: b\n    c: d", "line 3"),
        ("  a: b", "line 1"),
        ("basic_auth_users:\n\ta: b", "line 2"),
        ("tls_server_config: &x\n", "line 1"),
        ('{"basic_auth_users": ["a"]}', "not a mapping"),
        ("{broken", "not JSON"),
        ("basic_auth_users: yes", "not a mapping"),
    ],
)
def test_what_is_not_understood_is_refused_by_name_or_line(text: str, part: str) -> None:
    with pytest.raises(UsageError, match=re.escape(part)):
        parse(text)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="missing"):
        web_config.load(tmp_path / "missing.yml")
