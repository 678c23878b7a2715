"""The alert rules that come with HemoStat, as a demo wants them."""

from __future__ import annotations

import re
import sys
from pathlib import Path


def alert_rules() -> Path:
    """The folder of rule files that comes with HemoStat: of the checkout, else of the installed wheel."""
    checkout = Path(__file__).parents[3] / "alert-rules"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share/hemostat/alert-rules"


def shortened_rules(source: Path, target: Path, *, hold: str = "1s") -> list[Path]:
    """Copies of the `*.yml` rule files in `source`, each alert's `for:` replaced, so that it fires while one watches."""
    target.mkdir(parents=True, exist_ok=True)
    copies = []
    for rules in sorted(source.glob("*.yml")):
        copy = target / rules.name
        copy.write_text(re.sub(r"(?m)^(\s+for:).*$", rf"\1 {hold}", rules.read_text()))
        copies.append(copy)
    return copies
