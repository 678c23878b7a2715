"""``docs/configuration.md`` says what the settings do."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import SettingsError
from bridge.settings import Settings, settings_schema
from tests.unit.settings.loading import loaded
from tests.unit.settings.schema_keys import schema_keys

DOCUMENT = Path(__file__).parents[3] / "docs" / "configuration.md"


def with_secret_files(folder: Path, text: str) -> str:
    """The same text; every relative file it names exists in ``folder``."""
    for name in re.findall(r"_file: ([^\s,}]+)", text):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"https://hooks.example.org/{name}\n", encoding="utf-8")
    return text


def test_the_documentation_says_what_a_reload_changes(full: Settings) -> None:
    """Every section that not all of a reload refuses, and of `web` what is left of it."""
    refused = {name for name in full.restart_only_differences(Settings.defaults()) if "." not in name}
    taken = {field.name for field in dataclasses.fields(Settings)} - refused - {"web"} | {"web.tokens"}
    [said] = re.findall(r"\* \*\*Reload\*\*: (.*?) take effect at once", DOCUMENT.read_text(encoding="utf-8"))
    assert set(re.findall(r"`([a-z._]+)`", said)) == taken


def blocks(title: str) -> list[str]:
    pattern = rf"<!-- {re.escape(title)} -->\n+```\w*\n(.*?)```"
    return re.findall(pattern, DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)


def test_the_documented_sample_loads_and_has_every_key(tmp_path: Path) -> None:
    [sample] = blocks("sample")
    settings = loaded(tmp_path, with_secret_files(tmp_path, sample))
    assert settings.policy.routes
    uncommented = re.sub(r"^(\s*)# ?(?=[a-z_ -]+: )", r"\1", sample, flags=re.MULTILINE)
    named = set(re.findall(r"\b([a-z_]+):", uncommented))
    twins = {key for key in schema_keys() if f"{key}_file" in named} | {
        key for key in schema_keys() if key.endswith("_file") and key.removesuffix("_file") in named
    }
    assert schema_keys() - twins - named == set()


def test_the_documented_errors_are_what_is_printed(tmp_path: Path) -> None:
    [sample], [output] = blocks("wrong"), blocks("wrong-output")
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, sample, {"RESPONDER_MAX_RETRIES_PER_HOUR": "0"})
    assert str(caught.value) == output.rstrip("\n")


def documented_rows() -> dict[str, tuple[str, str]]:
    rows = re.findall(
        r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    return {key: (kind.strip(), default.strip()) for key, kind, default in rows}


def schema_rows(schema: Any, root: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, below in schema["properties"].items():
        path = f"{prefix}{key}"
        if "$ref" in below.get("items", {}):
            below = {**below, "items": root["$defs"][below["items"]["$ref"].rpartition("/")[2]]}
        if below.get("type") == "object":
            yield from schema_rows(below, root, f"{path}.")
        elif below.get("items", {}).get("properties") and key != "routes":
            yield from schema_rows(below["items"], root, f"{path}[].")
        else:
            yield path, below


def test_every_key_is_documented_with_its_default() -> None:
    schema: Any = settings_schema()
    documented = documented_rows()
    for path, below in schema_rows(schema, schema):
        assert path in documented, path
        default = below.get("default")
        if isinstance(default, bool):
            assert documented[path][1] == f"`{str(default).lower()}`", path
        elif isinstance(default, str | int | float):
            assert documented[path][1] == f"`{default}`", path


def test_every_override_is_documented() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    names = """REDIS_HOST REDIS_PORT REDIS_DB REDIS_PASSWORD LOG_LEVEL LOG_FORMAT RESPONDER_COOLDOWN_SECONDS
        RESPONDER_MAX_RETRIES_PER_HOUR RESPONDER_DRY_RUN ANALYZER_CONFIDENCE_THRESHOLD ANTHROPIC_API_KEY OPENAI_API_KEY
        AI_MODEL SLACK_WEBHOOK_URL DOCKER_HOST"""
    for name in names.split():
        assert f"| `{name}` |" in text
