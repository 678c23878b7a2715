"""The configuration file as plain values with line numbers. Strict YAML: what is ambiguous is an error.

Scalars are read as YAML 1.2 reads them: ``no`` and ``17:00`` are text, not a boolean and a number of seconds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import yaml

from bridge.settings.complaints import complaint
from bridge.settings.findings import Findings, Path

MAX_BYTES = 1024 * 1024
"""Far beyond any real configuration, small enough to parse in seconds."""

MAX_VALUES = 20_000
"""Values after aliases are expanded, so that nine lines cannot become a billion values."""

MAX_DEPTH = 40

_PLAIN_TAGS = {
    f"tag:yaml.org,2002:{name}"
    for name in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value")
}
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)


class _Loader(yaml.SafeLoader):
    """Pyyaml's reader up to its nodes, with a bound on nesting and without the text of the file in its errors."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As in pyyaml; an unknown alias is not repeated in the message, it may be an unquoted password."""
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) and event.anchor not in self.anchors:
            why = "found an undefined alias; text that begins with * must be quoted"
            raise yaml.composer.ComposerError(None, None, why, event.start_mark)  # type: ignore[arg-type]
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, "it is nested too deeply", event.start_mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def read_document(raw: bytes, findings: Findings) -> dict[str, object]:
    """The file's mapping; empty for an empty file. What is wrong goes to ``findings``, with ``lines`` filled in."""
    roots = _roots(raw, findings, single=True)
    return _mapping_of(roots[0], findings, such_as="'policy:'") if roots else {}


def read_documents(raw: bytes, *, such_as: str) -> list[tuple[dict[str, object], Findings]]:
    """The mappings of a file of several documents, those that hold nothing left out; each with its own findings."""
    findings = Findings()
    roots = _roots(raw, findings, single=False)
    if findings.problems:
        return [({}, findings)]
    documents = [(root, Findings()) for root in roots if not _empty(root)]
    return [(_mapping_of(root, found, such_as=such_as), found) for root, found in documents]


def _mapping_of(root: yaml.Node, findings: Findings, *, such_as: str) -> dict[str, object]:
    if _empty(root):
        return {}
    if not isinstance(root, yaml.MappingNode):
        why = f"must be a mapping of sections, such as {such_as}"
        findings.add((), why, line=root.start_mark.line + 1)
        return {}
    values = _Values(findings)
    document = values.of(root, ())
    return document if isinstance(document, dict) and values.count <= MAX_VALUES else {}


def _empty(root: yaml.Node) -> bool:
    return isinstance(root, yaml.ScalarNode) and _scalar(root) is None


def _roots(raw: bytes, findings: Findings, *, single: bool) -> list[yaml.Node]:
    """The documents of a file as nodes; none of them if anything is wrong with the file."""
    if len(raw) > MAX_BYTES:
        findings.add((), f"is larger than {MAX_BYTES // 1024} KiB")
        return []
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        findings.add((), "is not UTF-8", line=raw.count(b"\n", 0, error.start) + 1)
        return []
    loader = None
    try:
        loader = _Loader(text)
        if single:
            root = loader.get_single_node()
            return [] if root is None else [root]
        return list(iter(lambda: loader.get_node() if loader.check_node() else None, None))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        findings.add((), f"is not valid YAML: character #x{error.character:04x} is not allowed", line=line)
    except yaml.MarkedYAMLError as error:
        line, why = complaint(error)
        findings.add((), f"is not valid YAML: {why}", line=line)
    finally:
        if loader is not None:
            loader.dispose()
    return []


@dataclass(slots=True)
class _Values:
    """Turns nodes into plain values, noting each value's line; counts what aliases multiply."""

    findings: Findings
    count: int = 0

    def of(self, node: yaml.Node, path: Path) -> object:
        self.count += 1
        if self.count > MAX_VALUES or len(path) > MAX_DEPTH:
            if self.count <= MAX_VALUES + 1:
                self.findings.add((), f"has more than {MAX_VALUES} values or is nested too deeply")
            self.count = MAX_VALUES + 2
            return None
        self.findings.lines.setdefault(path, node.start_mark.line + 1)
        if node.tag not in _PLAIN_TAGS:
            self.findings.add(path, "has a YAML tag; text that begins with ! must be quoted")
            return None
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.of(item, (*path, index)) for index, item in enumerate(node.value)]
        return _scalar(node) if isinstance(node, yaml.ScalarNode) else None

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        values: dict[str, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.findings.add((*path, "?"), "a key must be text", line=line)
                continue
            key = key_node.value
            where = (*path, key)
            if key in values:
                self.findings.add(
                    where, f"is given again, first in line {self.findings.lines[where]}", line=line
                )
                continue
            self.findings.lines[where] = line
            values[key] = self.of(value_node, where)
        return values


def _scalar(node: yaml.ScalarNode) -> object:
    text: str = node.value
    if node.style is not None:
        return text
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
