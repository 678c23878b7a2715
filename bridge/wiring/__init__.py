"""Wiring: settings become edges, edges fill the roles of the walk. Nothing runs yet, nothing is decided."""

from __future__ import annotations

from bridge.wiring.certificates import Certificates, certificates_of, read_of
from bridge.wiring.consulting import consultant_of, model_of, terms_of
from bridge.wiring.deciding import redactor_of, ruleset_of
from bridge.wiring.extras import check_extras
from bridge.wiring.neighbours import prometheus_of
from bridge.wiring.parts import Parts, parts_of
from bridge.wiring.storage import store_of
from bridge.wiring.telling import grafana_of, slack_of

__all__ = [
    "Certificates",
    "Parts",
    "certificates_of",
    "check_extras",
    "consultant_of",
    "grafana_of",
    "model_of",
    "parts_of",
    "prometheus_of",
    "read_of",
    "redactor_of",
    "ruleset_of",
    "slack_of",
    "store_of",
    "terms_of",
]
