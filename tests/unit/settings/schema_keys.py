"""Every key that the schema of the configuration knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.settings import settings_schema


def objects_of(schema: Any) -> Iterator[Any]:
    """Every object with properties, wherever it stands in the schema."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for below in schema.values():
            yield from objects_of(below)


def schema_keys() -> set[str]:
    """The keys of all of them."""
    return {key for one in objects_of(settings_schema()) for key in one["properties"]}
