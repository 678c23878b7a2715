"""Prometheus' text format 0.0.4: escaping, headers, numbers. Knows nothing of containers.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import re
from collections.abc import Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_NOT_IN_A_LABEL_NAME = re.compile(r"[^a-zA-Z0-9_]")


def header(name: str, kind: str, help_text: str) -> str:
    text = help_text.replace("\\", "\\\\").replace("\n", "\\n")
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n"


def pairs(labels: Mapping[str, str]) -> str:
    """`name="value"` joined by commas, without braces."""
    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items())


def escaped(value: str) -> str:
    """`value` as it may stand between the quotes of a label."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def sanitised(text: str) -> str:
    """`text` as the end of a label name."""
    return _NOT_IN_A_LABEL_NAME.sub("_", text)


def seconds(value: float) -> str:
    """A time or a duration to the millisecond, never in exponent form."""
    return f"{value:.3f}"


def encoded(text: str) -> bytes:
    """UTF-8; what has none (a lone surrogate out of JSON) becomes `?` instead of breaking the page."""
    return text.encode("utf-8", "replace")
