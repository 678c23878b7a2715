"""Whom HemoStat tells about incidents, as a closed list: the names of backlogs, metric labels and API paths."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    """A channel has at most one sink."""

    SLACK = "slack"
    GRAFANA = "grafana"
    ALERTMANAGER = "alertmanager"
    SILENCES = "silences"
    PUBSUB = "pubsub"
