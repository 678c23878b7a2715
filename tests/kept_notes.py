"""What a sink has said, kept in memory: it outlives a sink, as the store's notes do."""

from __future__ import annotations

from collections.abc import Mapping


class KeptNotes:
    """Implements ``sinks.Notes``."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get(self, name: str) -> str:
        return self.kept.get(name, "")

    async def write(self, notes: Mapping[str, str]) -> None:
        self.kept.update(notes)
