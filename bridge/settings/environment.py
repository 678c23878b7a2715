"""Environment variables that override the file, under the names HemoStat has always had. An empty one is not set."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from bridge.model.duration import LONGEST_MILLISECONDS
from bridge.model.secret import Secret
from bridge.settings.findings import Findings, shown
from bridge.settings.notation import parse_http_url
from bridge.settings.sections import LogFormat, LogLevel

T = TypeVar("T")

_LEVELS = {
    "debug": LogLevel.DEBUG,
    "info": LogLevel.INFO,
    "warn": LogLevel.WARN,
    "warning": LogLevel.WARN,
    "error": LogLevel.ERROR,
    "critical": LogLevel.ERROR,
}
_BOOLEANS = {
    "true": True,
    "1": True,
    "yes": True,
    "on": True,
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What the environment says; ``None`` where it says nothing."""

    redis_host: str | None = None
    redis_port: int | None = None
    redis_db: int | None = None
    redis_password: Secret | None = None
    log_level: LogLevel | None = None
    log_format: LogFormat | None = None
    cooldown_seconds: float | None = None
    max_repairs_per_hour: int | None = None
    dry_run: bool = False
    confidence_threshold: float | None = None
    anthropic_api_key: Secret | None = None
    openai_api_key: Secret | None = None
    model: str | None = None
    slack_webhook_url: Secret | None = None
    docker_host: str | None = None
    """As it stands there: it is only looked at where the file names no hosts."""


def read_overrides(environ: Mapping[str, str], findings: Findings) -> Overrides:
    """The overrides in this environment; values that cannot be understood go to ``findings``."""

    def read(name: str, parse: Callable[[str], T]) -> T | None:
        text = environ.get(name, "").strip()
        if not text:
            return None
        try:
            return parse(text)
        except ValueError as error:
            findings.add_environment(name, str(error))
            return None

    return Overrides(
        redis_host=read("REDIS_HOST", _host),
        redis_port=read("REDIS_PORT", _port),
        redis_db=read("REDIS_DB", _whole(0)),
        redis_password=read("REDIS_PASSWORD", Secret),
        log_level=read("LOG_LEVEL", lambda text: _chosen(text, _LEVELS)),
        log_format=read("LOG_FORMAT", lambda text: _chosen(text, {str(known): known for known in LogFormat})),
        cooldown_seconds=read("RESPONDER_COOLDOWN_SECONDS", _seconds),
        max_repairs_per_hour=read("RESPONDER_MAX_RETRIES_PER_HOUR", _repairs_per_hour),
        dry_run=read("RESPONDER_DRY_RUN", lambda text: _chosen(text, _BOOLEANS)) or False,
        confidence_threshold=read("ANALYZER_CONFIDENCE_THRESHOLD", _share),
        anthropic_api_key=read("ANTHROPIC_API_KEY", Secret),
        openai_api_key=read("OPENAI_API_KEY", Secret),
        model=read("AI_MODEL", str),
        slack_webhook_url=read("SLACK_WEBHOOK_URL", lambda text: Secret(parse_http_url(text))),
        docker_host=read("DOCKER_HOST", str),
    )


def _chosen(text: str, known: Mapping[str, T]) -> T:
    if text.lower() not in known:
        raise ValueError(f"{shown(text)} is not one of {', '.join(known)}")
    return known[text.lower()]


def _host(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,253}", text, re.ASCII):
        return text
    if re.fullmatch(r"[A-Za-z0-9._-]+:[0-9]+", text, re.ASCII):
        raise ValueError("must be a host alone: the port belongs into $REDIS_PORT")
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("must be a host name or an address") from None


def _port(text: str) -> int:
    if "://" in text:
        raise ValueError(
            "must be a port number; Kubernetes sets it to an URL by itself for a Service named redis: "
            "set enableServiceLinks: false"
        )
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise ValueError(f"{shown(text)} is not a port: 1 to 65535")
    return int(text)


def _whole(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or int(text) < least:
            raise ValueError(f"{shown(text)} is not a whole number from {least} on")
        return int(text)

    return parse


def _repairs_per_hour(text: str) -> int:
    if text == "0":
        raise ValueError("must be at least 1; to repair nothing, set RESPONDER_DRY_RUN=true")
    return _whole(1)(text)


def _seconds(text: str) -> float:
    if (
        not re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,3})?", text, re.ASCII)
        or float(text) > LONGEST_MILLISECONDS / 1000
    ):
        raise ValueError(f"{shown(text)} is not a number of seconds, such as 3600")
    return float(text)


def _share(text: str) -> float:
    if not re.fullmatch(r"0|1|[01]?\.[0-9]{1,9}", text, re.ASCII) or not 0 <= float(text) <= 1:
        raise ValueError(f"{shown(text)} is not a number from 0 to 1")
    return float(text)
