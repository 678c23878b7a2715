"""The web configuration file: Prometheus' keys, read strictly. Opens no socket, checks no password.

JSON, or as much YAML as such a file needs: mappings by indentation, plain or quoted scalars, comments. What else YAML
has is refused by line, because the standard library has no YAML and the exporter nothing else.

Source: https://prometheus.io/docs/prometheus/latest/configuration/https/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporters.docker import passwords
from exporters.docker.errors import UsageError

CLIENT_AUTH_TYPES = ("NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
"""`RequestClientCert` and `RequireAnyClientCert` take a certificate without verifying it: not to be had here."""

MIN_VERSIONS = ("TLS12", "TLS13")

_LINE = re.compile(r"""( *)("[^"\\]*"|'[^']*'|[^\s"'#:][^:#]*?) *:(?:\s+(\S.*))?""")
_QUOTED = re.compile(r"""("[^"\\]*"|'(?:[^']|'')*')\s*(?:#.*)?""")
_PLAIN = re.compile(r"""([^\s"'&*!|>%@`\[\]{},#?-](?:[^#]|(?<=\S)#)*?)\s*(?:\s#.*)?""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Paths are absolute, or relative to the directory of the file they are written in."""

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None
    client_auth_type: str = "NoClientCert"
    """One of `CLIENT_AUTH_TYPES`."""
    min_version: str = "TLS12"
    """One of `MIN_VERSIONS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    tls: Tls | None = None
    users: Mapping[str, str]
    """Password hashes by name; empty: nobody is asked."""


def load(path: Path) -> WebConfig:
    """Raises: UsageError: it cannot be read, or something in it is not understood."""
    try:
        return parse(path.read_text(), directory=path.parent)
    except (OSError, UnicodeDecodeError, UsageError) as error:
        raise UsageError(f"{path}: {error}") from error


def parse(text: str, *, directory: Path) -> WebConfig:
    """Raises: UsageError."""
    content = _object(text)
    _only(content, ("tls_server_config", "basic_auth_users"), "")
    users = _mapping(content, "basic_auth_users")
    for name, hashed in users.items():
        try:
            passwords.check_usable(hashed)
        except UsageError as error:
            raise UsageError(f"basic_auth_users.{name}: {error}") from error
    tls = _mapping(content, "tls_server_config")
    return WebConfig(tls=_tls(tls, directory) if tls else None, users=users)


def _tls(content: Mapping[str, str], directory: Path) -> Tls:
    known = ("cert_file", "key_file", "client_ca_file", "client_auth_type", "min_version")
    _only(content, known, "tls_server_config.")
    for needed in ("cert_file", "key_file"):
        if not content.get(needed):
            raise UsageError(f"tls_server_config.{needed} is missing")
    authority = content.get("client_ca_file")
    kind = content.get("client_auth_type") or "NoClientCert"
    version = content.get("min_version") or "TLS12"
    _one_of(kind, CLIENT_AUTH_TYPES, "client_auth_type")
    _one_of(version, MIN_VERSIONS, "min_version")
    if bool(authority) != (kind != "NoClientCert"):
        raise UsageError("tls_server_config: client_ca_file and a client_auth_type that verifies go together")
    return Tls(
        cert_file=directory / content["cert_file"],
        key_file=directory / content["key_file"],
        client_ca_file=directory / authority if authority else None,
        client_auth_type=kind,
        min_version=version,
    )


def _only(content: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in content:
        if key not in known:
            raise UsageError(f"{where}{key} is not known here: use {', '.join(known)}")


def _one_of(value: str, known: tuple[str, ...], key: str) -> None:
    if value not in known:
        raise UsageError(f"tls_server_config.{key} is {value!r}: use one of {', '.join(known)}")


def _mapping(content: Mapping[str, Any], key: str) -> dict[str, str]:
    found = content.get(key) or {}
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise UsageError(f"{key} is not a mapping of names to texts")
    return found


def _object(text: str) -> dict[str, Any]:
    if not text.lstrip().startswith("{"):
        return _yaml(text)
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise UsageError(f"not JSON: {error}") from error
    return found


def _yaml(text: str) -> dict[str, Any]:
    """Mappings of texts in a mapping. Raises: UsageError: naming the line."""
    content: dict[str, Any] = {}
    inner: dict[str, str] | None = None
    indent = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#") or line == "---":
            continue
        depth, key, value = _split(line, number)
        if depth == 0:
            indent, inner = 0, None
            content[key] = value
            if value is None:
                inner = content[key] = {}
            continue
        if inner is None or value is None or (indent and depth != indent):
            raise UsageError(f"line {number}: not expected at this depth")
        indent = depth
        inner[key] = value
    return content


def _split(line: str, number: int) -> tuple[int, str, str | None]:
    """Depth, key, and the value unless the line has none."""
    if (parts := _LINE.fullmatch(line.rstrip())) is None:
        raise UsageError(
            f"line {number}: not understood; only `key: value` and `key:` are, indented by spaces"
        )
    value = parts[3]
    if value is None or value.startswith("#"):
        return len(parts[1]), _unquoted(parts[2]), None
    if quoted := _QUOTED.fullmatch(value):
        return len(parts[1]), _unquoted(parts[2]), _unquoted(quoted[1])
    if plain := _PLAIN.fullmatch(value):
        return len(parts[1]), _unquoted(parts[2]), plain[1]
    raise UsageError(f"line {number}: this form of value is not understood; put it in quotes")


def _unquoted(text: str) -> str:
    if text[0] == "'":
        return text[1:-1].replace("''", "'")
    return text[1:-1] if text[0] == '"' else text
