"""docs/exporter.md names every family that is exported, with its type, and no other."""

import re
from pathlib import Path

from tests.unit.exporters.exported import exported

DOCUMENT = Path(__file__).parents[3] / "docs/exporter.md"
ROW = re.compile(r"^\| `([a-z_]+)` \| (gauge|counter) \|", re.MULTILINE)


def test_the_table_of_families_is_what_is_exported() -> None:
    documented = ROW.findall(DOCUMENT.read_text())
    assert len(documented) == len(dict(documented))
    assert dict(documented) == exported()
