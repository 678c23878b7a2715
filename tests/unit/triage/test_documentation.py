"""``docs/triage.md`` says what the tables in the code say."""

from pathlib import Path

from bridge.model.verdict import Action, ModelResult, Verdict, VerdictKind
from bridge.triage import answer, phrases, rules, two_keys
from tests.unit.triage.asking import consulted

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


def test_the_page_lists_what_asking_a_model_can_come_to() -> None:
    told = [row.split("`")[1] for row in _table_after("<!-- results -->")]
    assert told == [result.value for result in ModelResult]


def test_the_page_tells_the_table_of_both_keys() -> None:
    for row in _table_after("<!-- two keys -->"):
        ruled, said, verdict, source = (cell.strip() for cell in row.strip("|").split("|"))
        kinds = _others(ruled) if said == "anything else" else [VerdictKind(said)]
        for kind in kinds:
            final = two_keys.combine(_ruled(VerdictKind(ruled)), consulted(kind))
            assert (final.kind.value, final.source.value) == (verdict.split(",")[0], source), (row, kind)


def _others(ruled: str) -> list[VerdictKind]:
    rows = [row.strip("|").split("|") for row in _table_after("<!-- two keys -->")]
    named = {row[1].strip() for row in rows if row[0].strip() == ruled}
    return [kind for kind in VerdictKind if kind.value not in named]


def _ruled(kind: VerdictKind) -> Verdict:
    action = Action.RESTART if kind is VerdictKind.REPAIR else None
    return Verdict(kind=kind, rule="unhealthy", reason="sick.", action=action)


def test_the_page_names_the_causes_that_a_fresh_process_cures() -> None:
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    told = text.partition("names a cause that a fresh process cures (")[2].partition(")")[0]
    assert {word.strip(" `") for word in told.split(",")} == {cause.value for cause in answer.RESTARTABLE}


def _table_after(marker: str) -> list[str]:
    """The rows of the table that follows a marker, without its head."""
    text = PAGE.read_text(encoding="utf-8").partition(marker)[2]
    rows = []
    for line in text.strip().splitlines():
        if not line.startswith("|"):
            break
        rows.append(line)
    return rows[2:]
