"""``docs/triage.md`` shows the figures that the command beside them prints today."""

from pathlib import Path

import pytest

from bridge.cli import main

PAGE = Path(__file__).parents[3] / "docs" / "triage.md"
BEFORE, AFTER = "<!-- figures: hemostat ", " -->\n"


def test_the_page_shows_the_figures_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    """After a change to scenarios or rules: run the command that stands above the table, and put its table there."""
    command, _, below = PAGE.read_text(encoding="utf-8").partition(BEFORE)[2].partition(AFTER)
    assert main(command.split()) == 0
    printed = capsys.readouterr().out
    assert below.startswith(printed), printed
