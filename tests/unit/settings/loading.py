"""A configuration as text or as a file, loaded, or what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge.errors import Problem, SettingsError
from bridge.settings import Settings, load

CASES = Path(__file__).parent


def written(folder: Path, text: str) -> Path:
    """A configuration file with this text."""
    path = folder / "hemostat.yml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    """What this text means, in an empty environment unless one is given."""
    return load(written(folder, text), environ=environ or {})


def problems_of(path: Path, environ: Mapping[str, str] | None = None) -> list[Problem]:
    """Everything for which this file is refused."""
    with pytest.raises(SettingsError) as caught:
        load(path, environ=environ or {})
    return caught.value.problems
