"""The file as YAML: text stays text, and a file that is cut off, unreadable or without bounds is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.errors import Problem
from bridge.settings import Settings, load
from tests.unit.settings.loading import loaded, problems_of, written


def test_text_that_yaml_1_1_would_take_for_something_else_stays_text(tmp_path: Path) -> None:
    text = """
docker: {hosts: [{name: no, url: unix:///s}]}
policy: {maintenance: [{name: on, time_intervals: [{times: [{start_time: 17:00, end_time: 24:00}]}]}]}
"""
    settings = loaded(tmp_path, text)
    assert settings.docker.hosts[0].name == "no"
    assert settings.policy.maintenance[0].intervals[0].times[0].first == 17 * 60


def test_an_alias_repeats_a_value(tmp_path: Path) -> None:
    text = "policy: {cooldown: &long 2h, wait_for: *long}"
    assert loaded(tmp_path, text).policy.root.wait_for_seconds == 7200.0


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff", "\t\r\n"])
def test_a_file_without_a_letter_is_refused(tmp_path: Path, text: str) -> None:
    """It was cut off while it was written, more likely than not; the defaults may do more than what it held."""
    [problem] = problems_of(written(tmp_path, text))
    assert (problem.path, problem.line) == ("", 0)
    assert "is empty" in problem.message
    assert load(Path("/dev/null"), environ={}) == Settings.defaults(), "which nobody names by accident"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path / "absent.yml")
    assert (problem.path, problem.line) == ("", 0)
    assert "no such file" in problem.message


def test_a_directory_is_not_a_file(tmp_path: Path) -> None:
    [problem] = problems_of(tmp_path)
    assert "is a directory" in problem.message


def test_a_file_that_is_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "hemostat.yml"
    path.write_bytes(b"web: {}\nlog: \xff\n")
    assert problems_of(path) == [Problem("", 2, "is not UTF-8")]


def test_a_file_that_is_too_large(tmp_path: Path) -> None:
    [problem] = problems_of(written(tmp_path, "#" * (1024 * 1024 + 1)))
    assert "larger than 1024 KiB" in problem.message


def test_aliases_cannot_multiply_without_end(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    [problem] = problems_of(written(tmp_path, "\n".join(lines)))
    assert "more than 20000 values" in problem.message


@pytest.mark.parametrize(
    "text", ["a: &a [*a]", "a: &a {b: *a}", "a: " + "[" * 5000, "- " * 5000, "{a: " * 5000], ids=range(5)
)
def test_a_file_without_a_bottom_is_refused(tmp_path: Path, text: str) -> None:
    found = problems_of(written(tmp_path, text))
    assert any("nested too deeply" in problem.message for problem in found)
