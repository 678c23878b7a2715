"""Real services on loopback, for the demo and for the tests: Docker Engine, Redis, Prometheus, Alertmanager, any process.

Each part lives in a private directory, is waited for until it answers, and leaves neither process, mount nor file.
Synchronous on purpose; nothing here knows what HemoStat does with the parts.
"""

from __future__ import annotations

from bridge.demo.parts.engine import IMAGE, DockerEngine, Healthcheck, busybox_image, static_busybox
from bridge.demo.parts.keeper import children
from bridge.demo.parts.machine import (
    LOOPBACK,
    PORTS,
    PartFailed,
    PartMissing,
    answers_200,
    find_program,
    free_port,
    http_request,
    last_lines,
    private_directory,
    process_state,
    wait_until,
)
from bridge.demo.parts.process import Process
from bridge.demo.parts.rules import alert_rules, shortened_rules
from bridge.demo.parts.servers import Alertmanager, Prometheus, RedisServer

__all__ = [
    "IMAGE",
    "LOOPBACK",
    "PORTS",
    "Alertmanager",
    "DockerEngine",
    "Healthcheck",
    "PartFailed",
    "PartMissing",
    "Process",
    "Prometheus",
    "RedisServer",
    "alert_rules",
    "answers_200",
    "busybox_image",
    "children",
    "find_program",
    "free_port",
    "http_request",
    "last_lines",
    "private_directory",
    "process_state",
    "shortened_rules",
    "static_busybox",
    "wait_until",
]
