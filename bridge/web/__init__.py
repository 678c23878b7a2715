"""HTTP: the webhook, the API, and what Prometheus and a load balancer ask. No rule of HemoStat's is decided here."""

from __future__ import annotations

from bridge.web.access import is_loopback
from bridge.web.interface import ANYBODY, Access, Bridge, Readiness, Status, Token
from bridge.web.routes import application, operations

__all__ = [
    "ANYBODY",
    "Access",
    "Bridge",
    "Readiness",
    "Status",
    "Token",
    "application",
    "is_loopback",
    "operations",
]
