"""The configuration in which every key says something else than its default."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.settings import Settings
from tests.unit.settings.loading import CASES, loaded


@pytest.fixture
def full(tmp_path: Path) -> Settings:
    (tmp_path / "readable.pem").write_text("certificate", encoding="utf-8")
    return loaded(tmp_path, (CASES / "every_key.yml").read_text(encoding="utf-8"))
