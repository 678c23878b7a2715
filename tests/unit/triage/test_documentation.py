"""``docs/triage.md`` says what the tables in the code say."""

from pathlib import Path

from bridge.triage import phrases, rules

PAGE = Path(__file__).parents[3] / "docs" / "triage.md"


def test_the_page_lists_the_rules_in_their_order() -> None:
    rows = [
        f"| {number} | `{rule.id}` | {rule.when} | {rule.verdict} | {rule.because} |"
        for number, rule in enumerate(rules.RULES, start=1)
    ]
    assert _table_after("<!-- rules -->") == rows


def test_the_page_lists_the_classes_of_phrases() -> None:
    meanings = {entry.kind: entry.meaning for entry in phrases.CLASSES}
    examples = {
        kind: ", ".join(f"`{entry.patterns[0].pattern}`" for entry in phrases.CLASSES if entry.kind == kind)
        for kind in meanings
    }
    rows = [f"| `{kind}` | {meaning} | {examples[kind]} |" for kind, meaning in meanings.items()]
    assert _table_after("<!-- classes -->") == rows


def _table_after(marker: str) -> list[str]:
    """The rows of the table that follows a marker, without its head."""
    text = PAGE.read_text(encoding="utf-8").partition(marker)[2]
    rows = []
    for line in text.strip().splitlines():
        if not line.startswith("|"):
            break
        rows.append(line)
    return rows[2:]
