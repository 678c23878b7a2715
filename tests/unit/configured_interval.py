"""A time interval as a configuration says it, by the product's own reading."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bridge import settings
from bridge.model.time_interval import TimeInterval


def interval_of(raw: Mapping[str, object]) -> TimeInterval:
    """One element of ``time_intervals``. Raises: SettingsError."""
    window = {"name": "of the test", "time_intervals": [raw]}
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "hemostat.yml"
        config.write_text(json.dumps({"policy": {"maintenance": [window]}}))  # JSON is YAML
        return settings.load(config, environ={}).policy.maintenance[0].intervals[0]
