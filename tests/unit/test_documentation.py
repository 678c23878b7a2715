"""What the documents point at is there: links, headings, files, decisions, make's targets, commands, flags, metrics."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import settings
from bridge.cli.arguments import parser
from bridge.metrics import Metrics

ROOT = Path(__file__).parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "evals/README.md"]
EACH = pytest.mark.parametrize(
    "document", sorted(DOCUMENTS), ids=lambda document: str(document.relative_to(ROOT))
)

FENCED = re.compile(r"^( *)```\w*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)
OURS = ("alert-rules", "bench", "bridge", "deploy", "docs", "evals", "exporters", "grafana", "tests")
NO_METRICS = {"hemostat_target", "hemostat_host", "hemostat_operator"}
"""Labels of the alerts that we post, and a secret's file."""

MADE_LATER = ("deploy/compose/secrets/", "deploy/compose/wheels")


def anchors(text: str) -> set[str]:
    """How GitHub names the headings: lower case, words joined by hyphens, a number behind the second of a name."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in HEADING.findall(FENCED.sub("", text)):
        name = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).replace(" ", "-")
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def spans(document: Path) -> Iterator[str]:
    """What stands in it as code, on one line."""
    text = document.read_text()
    for _, block in FENCED.findall(text):
        yield from re.sub(r"\\\n *", "", block).splitlines()
    yield from (" ".join(span.split()) for span in INLINE.findall(FENCED.sub("", text)))


@EACH
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in LINK.findall(FENCED.sub("", document.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@EACH
def test_every_file_it_names_is_there(document: Path) -> None:
    named = re.compile(rf"(?:^|[ (])((?:{'|'.join(OURS)})/[\w./-]*\w)(?![\w<*…{{])")
    for span in spans(document):
        for path in named.findall(span):
            assert path.startswith(MADE_LATER) or (ROOT / path).exists(), span


@EACH
def test_every_decision_it_cites_was_written_down(document: Path) -> None:
    for number in re.findall(r"decision (\d{4})", document.read_text()):
        assert len(list(ROOT.glob(f"docs/decisions/{number}-*.md"))) == 1, number


@EACH
def test_every_target_of_make_exists(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for span in spans(document):
        if found := re.match(r"(?:sudo )?make ([a-z-]+)", span):
            assert found[1] in targets, span


def commands() -> dict[str, set[str]]:
    """Every command of ours with its flags; the exporter, which reads its own, has none here."""
    for action in parser()._actions:
        if isinstance(action, argparse._SubParsersAction):
            return {name: set(one._option_string_actions) for name, one in action.choices.items()}
    raise AssertionError("no commands")


@EACH
def test_every_command_and_flag_exists(document: Path) -> None:
    known = commands()
    for span in spans(document):
        for name, words in re.findall(r"(?<![\w/@.-])(?<!SETUSER )hemostat ([a-z-]+)([^#;&|`]*)", span):
            assert name in known or name == "exporter", span
            flags = set(re.findall(r"(?<![\w-])(--?[a-z][\w.-]*)", words))
            assert name == "exporter" or flags <= known[name], span


@EACH
def test_every_metric_of_the_bridge_exists(document: Path) -> None:
    page = Metrics().page().decode()
    series = {re.split(r"[{ ]", line)[0] for line in page.splitlines() if not line.startswith("#")}
    for name in re.findall(r"\bhemostat_[a-z_]+[a-z]\b", FENCED.sub("", document.read_text())):
        assert name in series | NO_METRICS or any(one.startswith(f"{name}_") for one in series), name


def test_every_key_in_redis_is_in_the_architecture() -> None:
    table = re.findall(r"`([a-z-]+)[:`]", (ROOT / "docs/architecture.md").read_text())
    scripts = "".join(file.read_text() for file in (ROOT / "bridge/edges/store/lua").iterdir())
    code = "".join(file.read_text() for file in (ROOT / "bridge/edges/store").glob("*.py"))
    used = {*re.findall(r"\bP \.\. '([a-z-]+)", scripts), *re.findall(r"\bkey\(f?\"([a-z-]+)", code)}
    assert len(used) > 30
    assert used - {"writable"} <= set(table)  # which nobody ever writes


SECTIONS = {field.name for field in dataclasses.fields(settings.Settings)}
YAML = re.compile(r"(<!-- wrong -->\n)?^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"(\w*file: )([\w./…-]+)")


@EACH
def test_every_configuration_it_shows_can_be_used(document: Path, tmp_path: Path) -> None:
    """With all files that it names; `…` stands for one, too."""
    others = itertools.count()

    def placed(found: re.Match[str]) -> str:
        file = tmp_path / f"secret-{next(others)}"
        file.write_text(f"0123456789abcdef-{file.name}")
        return f"{found[1]}{file}"

    for number, (wrong, text) in enumerate(YAML.findall(document.read_text())):
        keys = set(re.findall(r"^(\w+):", text, re.MULTILINE))
        if wrong or not keys or not keys <= SECTIONS:
            continue
        config = tmp_path / f"{number}.yml"
        config.write_text(FILE.sub(placed, text))
        settings.load(config, environ={})
