"""Log lines: one event per line, as text for people or JSON for machines. Values come as fields, never in the message."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

incident_id: ContextVar[str] = ContextVar("incident_id", default="")
"""The incident being walked; the formatter adds it to each line."""

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
}


def _fields(record: logging.LogRecord) -> dict[str, object]:
    found = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if (current := incident_id.get()) and "incident" not in found:
        found["incident"] = current
    return found


def _printable(value: object) -> str:
    """Text from outside may hold newlines and terminal codes: a log line must stay one line and stay ours."""
    text = str(value)[:1000]
    return text if text.isprintable() and " " not in text and text else json.dumps(text, ensure_ascii=True)


class JsonFormatter(logging.Formatter):
    """``{"ts", "level", "logger", "event", ...fields}``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=True)


class TextFormatter(logging.Formatter):
    """logfmt, as Prometheus and Alertmanager write it."""

    def format(self, record: logging.LogRecord) -> str:
        """``ts=… level=… event=… name=value …``."""
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = f"ts={stamp} level={record.levelname.lower()} event={_printable(record.getMessage())}"
        tail = "".join(f" {name}={_printable(value)}" for name, value in _fields(record).items())
        trace = "\n" + self.formatException(record.exc_info) if record.exc_info else ""
        return head + tail + trace


def set_up(*, level: str, style: str) -> None:
    """Log to standard error. ``style``: ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiohttp.access", "urllib3", "docker", "anthropic", "httpx2"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))
