"""Scenario files become scenarios, or one error with every problem: its file, line and path.

A set is a file, a folder, or the name of a folder in ``evals/``. As strict as the configuration: an unknown key is an
error. A file holds one scenario, or several, separated by ``---`` (in JSON: a list).
"""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from bridge.errors import ScenarioError
from bridge.evaluation import twins
from bridge.evaluation.building import scenario_of
from bridge.evaluation.scenario import Scenario
from bridge.settings.document import MAX_BYTES, read_documents
from bridge.settings.findings import Findings
from bridge.settings.reading import Section
from bridge.settings.shape import check_shape

SCHEMA = "scenario.schema.json"
SUFFIXES = frozenset({".yml", ".yaml", ".json"})


@cache
def sets_folder() -> Path:
    """``evals/`` of the checkout, or of the installed package. Raises ScenarioError: neither is there."""
    checkout = Path(__file__).parents[2] / "evals"
    installed = Path(sys.prefix) / "share/hemostat/evals"
    for folder in (checkout, installed):
        if (folder / SCHEMA).is_file():
            return folder
    raise ScenarioError([f"no scenarios are installed: neither {checkout} nor {installed} is there"])


@cache
def schema() -> Mapping[str, object]:
    """The JSON Schema of one scenario."""
    document: Mapping[str, object] = json.loads((sets_folder() / SCHEMA).read_text(encoding="utf-8"))
    return document


def names_of_sets() -> list[str]:
    """The names a set may be called by."""
    return sorted(folder.name for folder in sets_folder().iterdir() if folder.is_dir() and _files(folder))


def read_sets(names: Sequence[str]) -> list[Scenario]:
    """The scenarios of these sets, each once, in the order of files and documents.

    Raises:
        ScenarioError: a set, a file or a scenario cannot be used; holds every problem found.
    """
    drafts = [draft for name in names for draft in _drafts(_folder_of(name))]
    own = {draft.id for draft in drafts}
    bases: list[_Draft] = []
    if any(draft.base and draft.base not in own for draft in drafts):
        bases = [draft for name in names_of_sets() for draft in _drafts(sets_folder() / name)]
    known = _read([*drafts, *(draft for draft in bases if draft.id not in own)])
    return [known[draft.id] for draft in drafts]


def _folder_of(name: str) -> Path:
    path = Path(name)
    if path.exists() and (path.is_file() or "/" in name or not (sets_folder() / name).is_dir()):
        return path
    if "/" not in name and (sets_folder() / name).is_dir():
        return sets_folder() / name
    raise ScenarioError([f"there is no set {name!r}: name one of {', '.join(names_of_sets())}, or a path"])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """One document of a file, before anything of it is understood."""

    file: Path
    values: dict[str, object]
    findings: Findings

    @property
    def id(self) -> str:
        return self._text("id")

    @property
    def base(self) -> str:
        return self._text("twin_of")

    def problems(self) -> list[str]:
        name = f"{self.id[:80]}: " if self.id else ""
        return [f"{self.file}: {name}{problem}" for problem in self.findings.in_order()]

    def _text(self, key: str) -> str:
        found = self.values.get(key)
        return found if isinstance(found, str) else ""


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = (file for file in path.rglob("*") if file.suffix in SUFFIXES and file.name != SCHEMA)
    return sorted(file for file in found if file.is_file())


def _drafts(path: Path) -> list[_Draft]:
    files = _files(path)
    if not files:
        raise ScenarioError([f"{path}: no file in it ends with {', '.join(sorted(SUFFIXES))}"])
    drafts = [draft for file in files for draft in _documents(file)]
    if not drafts:
        raise ScenarioError([f"{path}: holds no scenario"])
    return drafts


def _documents(file: Path) -> list[_Draft]:
    try:
        raw = file.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise ScenarioError([f"{file}: cannot be read: {(error.strerror or 'unreadable').lower()}"]) from None
    if file.suffix == ".json":
        found = _of_json(raw)
    else:
        found = read_documents(raw, such_as="'id:'; several are separated by ---")
    return [_Draft(file=file, values=values, findings=findings) for values, findings in found]


def _of_json(raw: bytes) -> list[tuple[dict[str, object], Findings]]:
    findings = Findings()
    try:
        value = json.loads(raw)
    except ValueError as error:
        findings.add((), f"is not valid JSON: {error}")
        return [({}, findings)]
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(one, dict) for one in values):
        findings.add((), "must be a mapping, or a list of mappings")
        return [({}, findings)]
    return [(one, Findings()) for one in values]


def _read(drafts: Sequence[_Draft]) -> dict[str, Scenario]:
    """All of them by id, twins after what they repeat."""
    found: dict[str, Scenario] = {}
    seen: dict[str, Path] = {}
    for draft in drafts:
        _check(draft, seen)
    for draft in drafts:
        if not draft.base and not draft.findings.problems:
            found[draft.id] = _placed(scenario_of(_section(draft)), draft)
    for draft in drafts:
        if draft.base and not draft.findings.problems:
            base = found.get(draft.base)
            if base is None:
                _note_base(draft, drafts)
                continue
            found[draft.id] = _placed(twins.twin_of(base, _section(draft)), draft)
    problems = [line for draft in drafts for line in draft.problems()]
    if problems:
        raise ScenarioError(problems)
    return found


def _check(draft: _Draft, seen: dict[str, Path]) -> None:
    values, findings = draft.values, draft.findings
    if findings.problems:
        return
    _spread(values)
    check_shape(values, findings, schema=schema())
    if "alert" in values:
        findings.add(("alert",), "give either alert or alerts")
    if not findings.problems and not draft.id.strip():
        findings.add(("id",), "must not be empty")
    if draft.id and draft.id in seen:
        findings.add(("id",), f"{draft.id!r} is taken already, in {seen[draft.id]}")
    elif draft.id:
        seen[draft.id] = draft.file
    if not findings.problems and not draft.base and "gold" not in values:
        findings.add(("gold",), "is missing: say the right verdict, such as 'gold: restart'")
    if not findings.problems and draft.base:
        for key in ("evidence", "policy", "alerts", "now"):
            if key in values:
                findings.add((key,), f"a twin has the {key} of {draft.base}; give only what is added to it")


def _spread(values: dict[str, object]) -> None:
    """``alert`` is ``alerts`` with one; a webhook's whole body stands for its alerts."""
    alert = values.get("alert")
    if alert is not None and values.get("alerts") is None:
        values["alerts"] = alert if isinstance(alert, dict) and "alerts" in alert else [alert]
        del values["alert"]


def _section(draft: _Draft) -> Section:
    return Section(values=draft.values, path=(), folder=draft.file.parent, findings=draft.findings)


def _placed(scenario: Scenario, draft: _Draft) -> Scenario:
    split = draft.values.get("split") or draft.file.parent.name
    return replace(scenario, source=str(draft.file), split=str(split))


def _note_base(draft: _Draft, drafts: Iterable[_Draft]) -> None:
    others = [other.id for other in drafts if not other.base and other is not draft]
    close = difflib.get_close_matches(draft.base, others, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    if draft.base in others:
        hint = "; it has problems of its own"
    draft.findings.add(("twin_of",), f"there is no sound scenario {draft.base[:80]!r} that is no twin{hint}")
