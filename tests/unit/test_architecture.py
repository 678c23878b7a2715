"""The import contracts of pyproject.toml hold, and each of them breaks when it should."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(checkout: Path) -> tuple[bool, str]:
    """Whether every contract is kept in this checkout, and what import-linter says about it."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "COLUMNS": "200"}
    lint = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, check=False)
    return lint.returncode == 0, lint.stdout + lint.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the packages, to smuggle something into."""
    for package in ("bridge", "exporters"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_point_one_way() -> None:
    kept, report = lint_imports(ROOT)
    assert kept, report


def test_every_room_is_on_the_plan_and_every_room_on_the_plan_exists() -> None:
    plan = (
        (ROOT / "docs/architecture.md")
        .read_text()
        .partition("```\nbridge/\n")[2]
        .partition("\nexporters/")[0]
    )
    shown = set(re.findall(r"(?<=[─ ])[a-z_]+(?:\.py|/)(?= |$)", plan, re.MULTILINE))
    rooms = {path.name if path.is_file() else f"{path.name}/" for path in (ROOT / "bridge").iterdir()}
    assert shown == rooms - {"__init__.py", "__pycache__/", "Dockerfile", "py.typed"}


def test_import_linter_sees_every_folder_of_code() -> None:
    """It passes over a folder without `__init__.py`, and every contract about it holds unread."""
    sources = [path for package in ("bridge", "exporters") for path in (ROOT / package).rglob("*.py")]
    assert {path.parent for path in sources if not (path.parent / "__init__.py").exists()} == set()


@pytest.mark.parametrize(
    ("file", "smuggled", "contract"),
    [
        pytest.param("bridge/guards/smuggler.py", "import time", "What decides", id="a guard with a clock"),
        pytest.param("bridge/guards/smuggler.py", "import redis", "What decides", id="a guard with a store"),
        pytest.param(
            "bridge/model/smuggler.py", "import random", "What decides", id="a model that throws dice"
        ),
        pytest.param(
            "bridge/model/smuggler.py", "import bridge.roles", "Imports point down", id="a model looking up"
        ),
        pytest.param(
            "bridge/actions/smuggler.py", "import docker", "Docker SDK", id="an action with the SDK"
        ),
        pytest.param(
            "bridge/actions/smuggler.py",
            "import bridge.edges",
            "Imports point down",
            id="an action at the edge",
        ),
        pytest.param("bridge/helpers.py", "", "Imports point down", id="a module without a place"),
        pytest.param(
            "exporters/smuggler.py", "import bridge", "do not know each other", id="an exporter of the bridge"
        ),
        pytest.param(
            "bridge/demo/smuggler.py", "import anthropic", "Anthropic", id="the model's SDK elsewhere"
        ),
    ],
)
def test_a_contract_breaks_when(checkout: Path, file: str, smuggled: str, contract: str) -> None:
    (checkout / file).write_text(f"{smuggled}\n")
    kept, report = lint_imports(checkout)
    broken = [line for line in report.splitlines() if "BROKEN" in line]
    assert not kept
    assert any(contract in line for line in broken), report


def test_a_bridge_without_a_model_does_not_load_the_sdk_of_one() -> None:
    """Each takes most of a second and tens of megabytes."""
    loaded = "import sys, bridge.app, bridge.cli.serving; print({'anthropic', 'openai'} & set(sys.modules))"
    said = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert said.stdout.strip() == "set()"
