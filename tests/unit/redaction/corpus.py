"""The corpus as tests read it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_MARKED = re.compile("«(.*?)»", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """A text with a secret in it; ``pieces`` are the secret's lines, none of which may be seen again."""

    kind: str
    text: str
    pieces: tuple[str, ...]


def _read(line: str) -> Specimen:
    kind, _, told = line.partition("\t")
    told = told.replace("¦", "").replace("\\\\", "\0").replace("\\n", "\n").replace("\0", "\\")
    secrets = _MARKED.findall(told)
    pieces = tuple(piece for secret in secrets for piece in secret.splitlines() if len(piece) > 2)
    return Specimen(kind=kind, text=told.replace("«", "").replace("»", ""), pieces=pieces)


SECRETS = [
    _read(line)
    for line in (_HERE / "secrets.txt").read_text().splitlines()
    if line and not line.startswith("#")
]
HARMLESS = (_HERE / "harmless.txt").read_text().splitlines()
