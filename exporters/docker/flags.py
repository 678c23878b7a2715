"""Command line and environment into `Options`, everything checked. Starts nothing, opens nothing.

Every flag `--a.b-c` has a twin in the environment, `DOCKER_EXPORTER_A_B_C`; the flag wins.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

from exporters.docker import engine, families, logs, web
from exporters.docker.errors import UsageError

PROGRAM = "docker-exporter"
DEFAULT_LISTEN_ADDRESS = "127.0.0.1:9417"
DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+h)?(?:\d+m)?(?:\d+s)?(?:\d+ms)?")
_DURATION_PART = re.compile(r"(\d+)(ms|[smh])")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    listen_address: tuple[str, int]
    """Loopback by default: the page names containers and images, and asks no password."""
    telemetry_path: str
    web_config: Path | None
    """`None` by default: neither TLS nor passwords."""
    docker_host: engine.Address
    resync_interval: float
    """Seconds. 60 by default: what an event was lost for is right again within a minute, at the price of one
    inspect per container."""
    timeout: float
    """Seconds for one answer of the Engine, and of silence before it is pinged. 5 by default: a healthy
    Engine answers in milliseconds, so a hung one shows within one scrape."""
    stats_interval: float
    """Seconds between the beginnings of two rounds of statistics. 15 by default, as most scrape: less would ask the
    Engine for what nobody sees, more would show old figures."""
    cgroupfs: str
    procfs: str
    labelling: families.Labelling
    log_level: str


def parse(argv: Sequence[str] | None, environ: Mapping[str, str], *, version: str) -> Options:
    """Options from arguments (`None`: the process' own) and environment.

    Raises:
        UsageError: one line saying what is wrong with which flag.
        SystemExit: `--help` or `--version` was asked for, and has been printed.
    """
    flags = _parser(environ, version).parse_args(argv)
    return Options(
        listen_address=flags.listen_address,
        telemetry_path=flags.telemetry_path,
        web_config=flags.web_config,
        docker_host=flags.docker_host,
        resync_interval=flags.resync_interval,
        timeout=flags.timeout,
        stats_interval=flags.stats_interval,
        cgroupfs=flags.cgroupfs,
        procfs=flags.procfs,
        labelling=families.Labelling(
            host_name=flags.host_name or None, container_labels=flags.container_labels
        ),
        log_level=flags.log_level,
    )


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def _parser(environ: Mapping[str, str], version: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Exports Docker containers to Prometheus: state, health, restarts, OOM kills, and what they use.",
        allow_abbrev=False,
    )

    def add(flag: str, dest: str, default: str, convert: Callable[[str], object], text: str) -> None:
        twin = "DOCKER_EXPORTER_" + re.sub(r"[.-]", "_", flag.removeprefix("--")).upper()
        shown = f", default {default}" if default else ""
        parser.add_argument(
            flag,
            dest=dest,
            default=environ.get(twin) or default,
            type=_checked(convert),
            metavar=dest.upper(),
            help=f"{text} (env {twin}{shown})",
        )

    docker_host = environ.get("DOCKER_HOST") or DEFAULT_DOCKER_HOST
    add(
        "--web.listen-address",
        "listen_address",
        DEFAULT_LISTEN_ADDRESS,
        web.parse_listen_address,
        "Address to listen on; port 0 lets the system choose one",
    )
    add("--web.telemetry-path", "telemetry_path", "/metrics", _telemetry_path, "Path of the metrics")
    add(
        "--web.config.file",
        "web_config",
        "",
        lambda text: Path(text) if text else None,
        "TLS and passwords, with the keys of Prometheus' web configuration",
    )
    add("--docker.host", "docker_host", docker_host, engine.parse_address, "The Engine; also by DOCKER_HOST")
    add("--docker.host-name", "host_name", "", str, "Put docker_host=NAME on every container series")
    add(
        "--docker.container-labels",
        "container_labels",
        "",
        _container_labels,
        "Container labels to export as container_label_*, separated by commas",
    )
    add(
        "--docker.resync-interval",
        "resync_interval",
        "60s",
        _duration,
        "Time between two lists of all containers; every tenth is followed by an inspect of each",
    )
    add("--docker.timeout", "timeout", "5s", _duration, "How long the Engine may take for one answer")
    add(
        "--docker.stats-interval",
        "stats_interval",
        "15s",
        _duration,
        "Time between rounds of the Engine's statistics, for containers the kernel does not show here",
    )
    add("--path.cgroupfs", "cgroupfs", "/sys/fs/cgroup", _directory, "Where the host's /sys/fs/cgroup is")
    add("--path.procfs", "procfs", "/proc", _directory, "Where the host's /proc is")
    add("--log.level", "log_level", "info", _log_level, f"One of {', '.join(logs.LEVELS)}")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} (HemoStat) {version}")
    return parser


def _checked(convert: Callable[[str], T]) -> Callable[[str], T]:
    """`convert`, with its complaint in the form argparse passes on word for word."""

    def checked(text: str) -> T:
        try:
            return convert(text)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _duration(text: str) -> float:
    if not text or not _DURATION.fullmatch(text):
        raise UsageError(f"{text!r} is not a duration: use a form such as 500ms, 60s or 1m30s")
    total = sum(int(count) * _UNIT_SECONDS[unit] for count, unit in _DURATION_PART.findall(text))
    if total <= 0:
        raise UsageError("a duration of 0 makes no sense here")
    return total


def _telemetry_path(text: str) -> str:
    if not text.startswith("/") or text == "/" or text.startswith("/-/") or re.search(r"[\s?#]", text):
        raise UsageError(f"{text!r} cannot be the metrics' path: use one such as /metrics")
    return text


def _directory(text: str) -> str:
    if not text.startswith("/"):
        raise UsageError(f"{text!r} is not an absolute path")
    return text.rstrip("/") or "/"


def _container_labels(text: str) -> tuple[str, ...]:
    labels = tuple(dict.fromkeys(label.strip() for label in text.split(",") if label.strip()))
    shown: dict[str, str] = {}
    for label in labels:
        other = shown.setdefault(families.label_name(label), label)
        if other != label:
            raise UsageError(f"{other!r} and {label!r} would both become {families.label_name(label)}")
    return labels


def _log_level(text: str) -> str:
    level = "warn" if text == "warning" else text  # Python's word, which it was told by once
    if level not in logs.LEVELS:
        raise UsageError(f"{text!r} is not a level: use one of {', '.join(logs.LEVELS)}")
    return level
