"""The configuration: ``hemostat.yml`` and the environment become one frozen ``Settings``, or one error with all problems.

The environment wins over the file, the file over the defaults. Reads the file and the secrets' files it names;
nothing else of the outside is touched, whatever the settings say.
"""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Mapping
from pathlib import Path

from bridge.errors import SettingsError
from bridge.model.consultation import OnFailure
from bridge.model.secret import Secret
from bridge.settings.building import build
from bridge.settings.document import MAX_BYTES, read_document
from bridge.settings.environment import read_overrides
from bridge.settings.findings import Findings
from bridge.settings.llm_values import Llm, LlmBudget, Provider
from bridge.settings.notation import parse_listen_address, parse_matcher
from bridge.settings.reading import Section
from bridge.settings.redis_values import Cluster, Redis, RedisTls, Sentinel
from bridge.settings.sections import (
    AccessToken,
    Alertmanager,
    Authorization,
    BasicAuth,
    ClientAuth,
    Docker,
    DockerHost,
    DockerTls,
    Durability,
    Grafana,
    Log,
    LogFormat,
    LogLevel,
    Redaction,
    Role,
    SecretPattern,
    Settings,
    Slack,
    Store,
    Triage,
    Upstream,
    VetoPhrase,
    Web,
    WebTls,
    Worker,
)
from bridge.settings.shape import check_shape, settings_schema

__all__ = [
    "AccessToken",
    "Alertmanager",
    "Authorization",
    "BasicAuth",
    "ClientAuth",
    "Cluster",
    "Docker",
    "DockerHost",
    "DockerTls",
    "Durability",
    "Grafana",
    "Llm",
    "LlmBudget",
    "Log",
    "LogFormat",
    "LogLevel",
    "OnFailure",
    "Provider",
    "Redaction",
    "Redis",
    "RedisTls",
    "Role",
    "Secret",
    "SecretPattern",
    "Sentinel",
    "Settings",
    "Slack",
    "Store",
    "Triage",
    "Upstream",
    "VetoPhrase",
    "Web",
    "WebTls",
    "Worker",
    "load",
    "parse_listen_address",
    "parse_matcher",
    "settings_schema",
]


def load(path: Path | None, *, environ: Mapping[str, str]) -> Settings:
    """The settings of this file (``None``: no file) under this environment.

    Raises:
        SettingsError: they cannot be used; holds every problem, those of the file in its order.
    """
    findings = Findings()
    raw = _content(path, findings) if path is not None else b""
    document = read_document(raw, findings)
    overrides = read_overrides(environ, findings)
    check_shape(document, findings)
    folder = path.parent if path is not None else Path()
    settings = build(Section(values=document, path=(), folder=folder, findings=findings), overrides, environ)
    if findings.problems:
        raise SettingsError(findings.in_order())
    return settings


def _content(path: Path, findings: Findings) -> bytes:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        # Half written, more likely than meant (/dev/null is meant): a reload must not take it for a policy that allows
        # what the defaults do.
        if path.is_file() and not raw.removeprefix(BOM_UTF8).strip():
            findings.add((), "is empty; for the defaults write {} or name no file")
            return b""
        return raw
    except OSError as error:
        findings.add((), f"cannot read {path}: {(error.strerror or 'unreadable').lower()}")
    except ValueError:
        findings.add((), "cannot read the file: its name is not a file name")
    return b""
