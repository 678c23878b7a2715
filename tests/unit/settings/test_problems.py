"""Everything wrong with a configuration is said at once, with path and line, whatever is in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bridge.errors import Problem, SettingsError
from bridge.settings import load
from tests.unit.settings.loading import CASES, problems_of, written
from tests.unit.settings.schema_keys import schema_keys

BAD_CASES = sorted(CASES.glob("bad_*.yml"))


def problems_or_none(path: Path | None, environ: Mapping[str, str]) -> list[Problem] | None:
    """``None`` if it loads; any other error than ``SettingsError`` passes."""
    try:
        load(path, environ=environ)
    except SettingsError as error:
        return error.problems
    return None


def expected_problems(path: Path) -> list[tuple[int, str, str]]:
    rows = re.findall(r"^# problem: (\d+) \| (.*) \| (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [(int(line), where, message) for line, where, message in rows]


@pytest.mark.parametrize("path", BAD_CASES, ids=lambda path: path.stem)
def test_a_bad_file_is_refused_with_every_problem_in_its_place(path: Path) -> None:
    found, expected = problems_of(path), expected_problems(path)
    assert sorted((problem.line, problem.path) for problem in found) == sorted(
        (line, where) for line, where, _ in expected
    )
    for line, where, message in expected:
        same = [problem for problem in found if (problem.line, problem.path) == (line, where)]
        assert any(message in problem.message for problem in same), same


@pytest.mark.parametrize("path", BAD_CASES, ids=lambda path: path.stem)
def test_no_problem_shows_a_secret_or_has_a_second_line(path: Path) -> None:
    """Whatever is secret in these files contains HIDDEN."""
    for problem in problems_of(path):
        assert "HIDDEN" not in str(problem)
        assert "\n" not in str(problem)


def test_problems_come_in_the_order_of_the_file_and_the_environment_last(tmp_path: Path) -> None:
    text = "log: {level: loud}\npolicy:\n  cooldown: x\nzebra: 1\nweb: {listen_address: x}\n"
    found = problems_of(written(tmp_path, text), {"REDIS_HOST": "a b", "LOG_LEVEL": "loud"})
    assert [problem.line for problem in found] == [1, 3, 4, 5, 0, 0]
    assert [problem.path for problem in found][-2:] == ["$LOG_LEVEL", "$REDIS_HOST"]


TEXTS = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="webpolicy:{}[]-&*!?|>'\"#% \n\t0123456789.,", max_size=200),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
        lambda below: st.one_of(
            st.lists(below, max_size=4),
            st.dictionaries(st.sampled_from(sorted(schema_keys())), below, max_size=6),
        ),
        max_leaves=20,
    ).map(lambda value: yaml.safe_dump(value, allow_unicode=True)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
@example(text="? ? ? x")
@example(text="a: !!binary x")
@example(text="\u2028: '\u2029'")
@example(text="%TAG ! tag:x,2000:\n---\n!a b")
@example(text="worker: {concurrency: 1e400, lease: .inf}")
@example(text=f"worker: {{concurrency: {'9' * 5000}, lease: {'9' * 5000}s}}")
@example(text='store: {path: "\\0"}\nweb: {tls_server_config: {cert_file: "\\0", key_file: "\\0"}}')
@example(text="policy: {routes: [{matchers: ['a=~\"(a{99999999999})\"']}]}")
@example(
    text="policy: {maintenance: [{name: x, time_intervals: [{location: Europe}, {location: /etc}, {location: '..'}]}]}"
)
def test_any_text_loads_or_raises_settings_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "hemostat.yml"
    path.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    assert problems_or_none(path, {}) != []


@settings(max_examples=50, deadline=None)
@given(
    environ=st.dictionaries(
        st.sampled_from(["REDIS_HOST", "REDIS_PORT", "REDIS_DB", "LOG_LEVEL", "LOG_FORMAT", "DOCKER_HOST", "SLACK_WEBHOOK_URL",
                         "RESPONDER_COOLDOWN_SECONDS", "RESPONDER_DRY_RUN", "ANALYZER_CONFIDENCE_THRESHOLD", "HOME"]),
        st.one_of(st.text(max_size=30), st.sampled_from(["1", "0.5", "true", "unix:///x", "9" * 40])),
    )
)  # fmt: skip
def test_any_environment_loads_or_raises_settings_error(environ: dict[str, str]) -> None:
    problems = problems_or_none(None, environ)
    assert all(problem.path.startswith("$") for problem in problems or ())
