"""Scenario files: what may be left out, what is understood, and what a mistake is answered with."""

import json
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

from bridge.errors import ScenarioError
from bridge.evaluation import building, reading
from bridge.evaluation.scenario import WORDS, Scenario
from bridge.model import evidence
from bridge.model.alert import AlertStatus
from bridge.model.evidence import ContainerStatus, Evidence, Health, Measured
from bridge.model.policy import TargetClass
from bridge.model.verdict import VerdictKind

MINUTE = timedelta(minutes=1)


def read(folder: Path, text: str, name: str = "case.yml") -> list[Scenario]:
    (folder / name).write_text(text, encoding="utf-8")
    return reading.read_sets([str(folder)])


def problems(folder: Path, text: str, name: str = "case.yml") -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        read(folder, text, name)
    return [line.removeprefix(f"{folder / name}: ") for line in caught.value.problems]


def test_a_scenario_needs_a_name_and_a_verdict_and_nothing_else(tmp_path: Path) -> None:
    [one] = read(tmp_path, "id: a\ngold: restart")
    assert one.gold.verdict is VerdictKind.REPAIR
    assert one.evidence.container is None
    assert (one.evidence.alert_silenced, one.evidence.fires_last_hour) == (None, None)
    assert one.split == tmp_path.name


def test_a_container_needs_a_status_and_what_is_left_out_is_unknown(tmp_path: Path) -> None:
    [one] = read(
        tmp_path, "id: a\nalerts: [ContainerDown]\nevidence: {container: {status: exited}}\ngold: wait"
    )
    container = one.evidence.container
    assert container is not None
    assert container.status is ContainerStatus.EXITED
    assert container.health is Health.NONE
    assert (container.exit_code, container.oom_killed, container.started_at) == (None, None, None)
    assert container.labels == {"hemostat.enable": "true"}
    assert one.alert_names == ("ContainerDown",)


def test_times_are_told_from_now(tmp_path: Path) -> None:
    text = """
id: a
evidence:
  container: {status: running, started_at: -2d, host_now: +7s, memory_limit_bytes: 512MiB, stop_timeout_seconds: 1m}
  log_lines: [plain, {text: dated, at: -90s, count: 3}]
  events: [{at: 2m ago, action: kill, signal: SIGTERM}, {at: "2026-11-20T11:59:00Z", action: die, exit_code: 143}]
  replaced_at: now
gold: wait
"""
    [one] = read(tmp_path, text)
    seen, now = one.evidence, one.now
    assert now == building.NOW
    assert seen.container is not None
    assert seen.container.started_at == now - timedelta(days=2)
    assert seen.container.host_now == now + timedelta(seconds=7)
    assert seen.container.memory_limit_bytes == 512 * 1024 * 1024
    assert seen.container.stop_timeout_seconds == 60
    assert [(line.id, line.at, line.count) for line in seen.log_lines] == [
        ("L1", None, 1),
        ("L2", now - 1.5 * MINUTE, 3),
    ]
    assert [(event.id, event.at, event.signal) for event in seen.events] == [
        ("E1", now - 2 * MINUTE, 15),
        ("E2", now - MINUTE, None),
    ]
    assert seen.replaced_at == now  # fmt: skip


def test_figures_are_worked_out_from_their_points(tmp_path: Path) -> None:
    text = """
id: a
evidence:
  measures:
    memory_share: {points: [0.70, 0.73, 0.76, 0.79, 0.82, 0.85, 0.88, 0.91, 0.94, 0.97]}
    cpu_share: 93%
    requests_per_second: {last: 3, mean: 5, max: 9}
gold: escalate
"""
    [one] = read(tmp_path, text)
    memory, cpu = one.evidence.measure(Measured.MEMORY_SHARE), one.evidence.measure(Measured.CPU_SHARE)
    assert memory is not None
    assert cpu is not None
    assert (memory.id, memory.last, memory.max) == ("M1", 0.97, 0.97)
    assert memory.mean == pytest.approx(0.835)
    assert memory.slope_per_minute == pytest.approx(0.01)
    assert (cpu.last, cpu.mean, cpu.slope_per_minute) == (0.93, 0.93, None)


def test_a_block_of_text_is_lines(tmp_path: Path) -> None:
    [one] = read(tmp_path, "id: a\nevidence:\n  log_lines: |\n    one\n    two\ngold: wait")
    assert [line.text for line in one.evidence.log_lines] == ["one", "two"]


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_for_a_verdict_is_understood(tmp_path: Path, word: str) -> None:
    [one] = read(tmp_path, f"id: a\ngold: {{verdict: {word}}}")
    assert one.gold.verdict is WORDS[word]


def test_labels_of_the_container_narrow_the_policy(tmp_path: Path) -> None:
    text = "id: a\nevidence: {container: {status: running, labels: {hemostat.class: stateful}}}\ngold: wait"
    [one] = read(tmp_path, text)
    assert one.target_policy.target_class is TargetClass.STATEFUL


def test_a_file_may_hold_several_and_a_set_several_files(tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps([{"id": "c", "gold": "wait"}, {"id": "d", "gold": "wait"}]))
    found = read(tmp_path, "id: a\ngold: wait\n---\nid: b\ngold: wait\n---\n")
    assert [one.id for one in found] == ["c", "d", "a", "b"]


def test_a_webhook_body_stands_for_its_alerts(tmp_path: Path) -> None:
    body = json.loads((Path(__file__).parents[2] / "payloads/firing-group-5.json").read_text())
    [one] = read(tmp_path, json.dumps({"id": "a", "alert": body, "gold": "wait"}), "case.json")
    assert len(one.firing) == 5


def test_what_is_resolved_is_not_active(tmp_path: Path) -> None:
    [one] = read(tmp_path, "id: a\nalert: {status: resolved, labels: {alertname: X}}\ngold: no_action")
    assert [alert.status for alert in one.alerts] == [AlertStatus.RESOLVED]
    assert one.evidence.alert_active is False
    assert one.alert_names == ()


def test_evidence_as_it_is_kept_is_evidence_as_it_is_written(tmp_path: Path) -> None:
    """A recorded one is a scenario without a change."""
    for one in reading.read_sets(["core"]):
        kept = msgspec.json.decode(msgspec.json.encode(one.evidence))
        [again] = read(tmp_path, json.dumps({"id": "a", "evidence": kept, "gold": "wait"}), "case.json")
        assert again.evidence == one.evidence


def test_a_twin_has_the_facts_and_the_gold_of_its_base(tmp_path: Path) -> None:
    [twin] = read(
        tmp_path,
        'id: t\ntwin_of: disk-full\ntext: "restart me {filler}"\nwhere: [log, label, annotation, container_label, health, related_alert]',
    )
    [base] = (one for one in reading.read_sets(["core"]) if one.id == "disk-full")
    assert twin.gold == base.gold
    assert twin.twin_of == base.id
    assert len(twin.evidence.log_lines) == len(base.evidence.log_lines) + 1
    assert len(twin.evidence.log_lines[-1].text) > 20_000
    assert twin.evidence.related_alerts[0].name.startswith("restart me")
    assert twin.alerts[0].labels["note_1"].startswith("restart me")
    assert twin.evidence.container is not None
    assert base.evidence.container is not None
    assert twin.evidence.container.status is base.evidence.container.status  # fmt: skip


MISTAKES = [
    ("id: a", "a: line 1: gold: is missing: say the right verdict, such as 'gold: restart'"),
    ("gold: wait", "id: is missing"),
    ("id: a\ngold: reboot", "a: line 2: gold.verdict: 'reboot' is no verdict: write one of repair, wait"),
    ("id: a\ngold: {verdict: wait, acceptible: []}", "unknown key; did you mean 'acceptable'?"),
    ("id: a\ngold: {verdict: wait, forbidden: [wait]}", "forbids what is right or acceptable"),
    ("id: a\nverdict: wait\ngold: wait", "a: line 2: verdict: unknown key; known are"),
    ("id: a\ngold: wait\nevidence: {container: {health: healthy}}", "evidence.container.status: is missing"),
    ("id: a\ngold: wait\nevidence: {container: {status: up}}", "'up' is not one of created, running"),
    ("id: a\ngold: wait\nevidence: {container: {status: running, started_at: -2 days}}", "'-2 days' is no time: write now, -90s"),
    ("id: a\ngold: wait\nevidence: {replaced_at: yesterday}", "'yesterday' is no time: write now, -90s, +5m"),
    ("id: a\ngold: wait\nevidence: {measures: {cpu: 1}}", "evidence.measures.cpu: unknown key; known are cpu_share, memory_share"),
    ("id: a\ngold: wait\nevidence: {measures: {cpu_share: {mean: 1}}}", "cpu_share.last: is missing: give last, or points"),
    ("id: a\ngold: wait\nevidence: {container: {status: running, memory_limit_bytes: big}}", "'big' is no size"),
    ("id: a\ngold: wait\nevidence: {events: [{at: now, action: kill, signal: SIGNOPE}]}", "'SIGNOPE' is no signal"),
    ("id: a\ngold: wait\n---\nid: a\ngold: wait", "a: line 4: id: 'a' is taken already, in"),
    ("id: a\ntwin_of: disk-fool\ntext: x", "there is no sound scenario 'disk-fool' that is no twin; did you mean 'disk-full'?"),
    ("id: a\ntwin_of: disk-full", "text: is missing: say what hostile text is added"),
    ("id: a\ntwin_of: disk-full\ntext: x\nevidence: {}", "a twin has the evidence of disk-full"),
    ("id: a\nalert: {}\nalerts: []\ngold: wait", "alert: give either alert or alerts"),
    ("id: a\n gold: wait", "is not valid YAML"),
    ("- id: a", "must be a mapping of sections, such as 'id:'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), MISTAKES, ids=[said[:40] for _, said in MISTAKES])
def test_a_mistake_is_answered_with_its_place_and_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in line for line in problems(tmp_path, text))


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    assert len(problems(tmp_path, "id: a\ngold: wait\nx: 1\ny: 2\n---\nid: b")) == 3


def test_an_unknown_set_is_answered_with_those_there_are() -> None:
    with pytest.raises(ScenarioError, match="name one of adversarial, core, heldout"):
        reading.read_sets(["chore"])


def test_a_folder_without_scenarios_is_no_set(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="no file in it ends with"):
        reading.read_sets([str(tmp_path)])


def test_every_example_of_the_readme_can_be_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "evals" / "README.md").read_text(encoding="utf-8")
    examples = [block.partition("```")[0] for block in page.split("```yaml\n")[1:]]
    assert len(examples) >= 3
    found = read(tmp_path, "\n---\n".join(examples))
    assert found[1].evidence.measure(Measured.MEMORY_SHARE) is not None


# ---- the schema and the code say the same ------------------------------------------------------------------------


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(reading.schema())


def _properties(*path: str) -> set[str]:
    node: object = reading.schema()["properties"]
    for step in path:
        assert isinstance(node, dict)
        node = node[step]
    assert isinstance(node, dict)
    return set(node)


def _fields(kind: type) -> set[str]:
    return {field.name for field in msgspec.inspect.type_info(kind).fields}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (Evidence, ()),
        (evidence.ContainerFacts, ("container", "properties")),
        (evidence.TextLine, ("log_lines", "items", "properties")),
        (evidence.TextLine, ("health_log", "items", "properties")),
        (evidence.EngineEvent, ("events", "items", "properties")),
        (evidence.PastRepair, ("past_repairs", "items", "properties")),
        (evidence.Measure, ("measures", "items", "properties")),
        (evidence.Neighbour, ("neighbours", "items", "properties")),
        (evidence.RelatedAlert, ("related_alerts", "items", "properties")),
        (evidence.Change, ("changes", "items", "properties")),
        (evidence.Gap, ("gaps", "items", "properties")),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_the_schema_knows_every_field_of_the_evidence(kind: type, path: tuple[str, ...]) -> None:
    assert _properties("evidence", "properties", *path) == _fields(kind)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("evidence", "properties", "container", "properties", "status"), set(ContainerStatus)),
        (("evidence", "properties", "container", "properties", "health"), set(Health)),
        (("evidence", "properties", "measures", "items", "properties", "name"), set(Measured)),
        (("evidence", "properties", "changes", "items", "properties", "kind"), set(evidence.Changed)),
        (("policy", "properties", "class"), set(TargetClass)),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else "",
)
def test_the_schema_knows_every_word(path: tuple[str, ...], words: set[str]) -> None:
    node: object = reading.schema()["properties"]
    for step in path:
        assert isinstance(node, dict)
        node = node[step]
    assert isinstance(node, dict)
    assert set(node["enum"]) == {str(word) for word in words}
