"""How answers are printed: JSON for machines, a table for people. Foreign text never carries terminal codes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


def as_json(value: object) -> None:
    """Indented JSON on standard output."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def line(text: str) -> None:
    """One line on standard output."""
    print(plain(text))


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns wide enough for their content; the last one is left ragged."""
    lines = [list(headings), *([plain(cell) for cell in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings) - 1)]
    for line in lines:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        print("  ".join([*padded, line[-1]]).rstrip())


def plain(text: str) -> str:
    """Printable characters only; what is none is shown as a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
