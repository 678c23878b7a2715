"""The last net before anything leaves for a sink: every text of a value redacted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import TypeVar

from bridge.redaction import TEXT_LIMIT, Redactor

Value = TypeVar("Value")


def without_secrets(value: Value, redactor: Redactor) -> Value:
    """The same value with every text in it redacted: the last net before anything leaves for a sink."""
    return _redacted(value, redactor)  # type: ignore[return-value]  # each part becomes a value of its own type


def _redacted(value: object, redactor: Redactor) -> object:
    if isinstance(value, str):
        return value if isinstance(value, Enum) else redactor.text(value).text
    if isinstance(value, tuple):
        return tuple(_redacted(one, redactor) for one in value)
    if isinstance(value, Mapping):
        if all(isinstance(one, str) and not isinstance(one, Enum) for one in value.values()):
            return redactor.mapping(value, limit=TEXT_LIMIT)[0]
        return {name: _redacted(one, redactor) for name, one in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        parts = {part.name: getattr(value, part.name) for part in fields(value)}
        changed = {name: after for name, one in parts.items() if (after := _redacted(one, redactor)) != one}
        return replace(value, **changed) if changed else value
    return value
