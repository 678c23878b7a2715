"""Log lines: one event per line, as text for people or JSON for machines. Values come as fields, never in the message."""

from __future__ import annotations

import json
import logging
import sys
import textwrap
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime

from bridge.redaction import Redactor, clean

incident_id: ContextVar[str] = ContextVar("incident_id", default="")
"""The incident being walked; the formatter adds it to each line."""

VALUE_CHARACTERS = 1000

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


def _printable(text: str) -> str:
    """Text from outside may hold newlines and terminal codes: a log line must stay one line and stay ours."""
    text = text[:VALUE_CHARACTERS]
    return text if text.isprintable() and " " not in text and text else json.dumps(text, ensure_ascii=True)


class RedactingFormatter(logging.Formatter):
    """What both styles share: no secret reaches a log. Redacted value by value, before anything is cut or quoted."""

    def __init__(self, redactor: Redactor | None = None) -> None:
        super().__init__()
        self.redactor = redactor or Redactor()

    def shown(self, text: str) -> str:
        """A text without its secrets, and without the invisible characters that would hide one."""
        return self.redactor.text(clean(text)).text

    def trace(self, record: logging.LogRecord) -> str:
        """The traceback; ``""`` for none. Below its event, so that no line of an error's message begins like one of ours."""
        if not record.exc_info:
            return ""
        return textwrap.indent(self.shown(self.formatException(record.exc_info)), "  ", lambda _: True)

    def plain(self, value: object) -> object:
        """The same value with all its texts redacted; what JSON has no form for becomes text."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {str(name): self.plain(each) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(each) for each in value]
        return self.shown(str(value))


class JsonFormatter(RedactingFormatter):
    """``{"ts", "level", "logger", "event", ...fields}``."""

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, object] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self.shown(record.getMessage()),
            **{name: self.plain(value) for name, value in _fields(record).items()},
        }
        if trace := self.trace(record):
            line["traceback"] = trace
        return json.dumps(line, ensure_ascii=True)


class TextFormatter(RedactingFormatter):
    """logfmt, as Prometheus and Alertmanager write it."""

    def format(self, record: logging.LogRecord) -> str:
        """``ts=… level=… event=… name=value …``."""
        stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = (
            f"ts={stamp} level={record.levelname.lower()} event={_printable(self.shown(record.getMessage()))}"
        )
        tail = "".join(
            f" {name}={_printable(self.shown(str(value)))}" for name, value in _fields(record).items()
        )
        trace = self.trace(record)
        return f"{head}{tail}\n{trace}" if trace else head + tail


def set_up(*, level: str, style: str, redactor: Redactor | None = None) -> None:
    """Log to standard error. ``style``: ``text`` or ``json``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(style, redactor))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("aiohttp.access", "urllib3", "docker", "anthropic", "httpx2"):
        logging.getLogger(chatty).setLevel(max(logging.WARNING, root.level))


def change(*, level: str, style: str, redactor: Redactor) -> None:
    """From now on at this level, in this style and with these patterns: what a reload of the configuration changes."""
    root = logging.getLogger()
    root.setLevel(level.upper())
    for handler in root.handlers:
        if isinstance(handler.formatter, RedactingFormatter):
            handler.setFormatter(_formatter(style, redactor))


def _formatter(style: str, redactor: Redactor | None) -> RedactingFormatter:
    return JsonFormatter(redactor) if style == "json" else TextFormatter(redactor)
