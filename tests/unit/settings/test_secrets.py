"""A secret is read from the file or from beside it, one way only, and shows nothing of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.settings import BasicAuth, Secret, Settings
from tests.unit.settings.loading import loaded, problems_of, written


def test_a_secret_shows_nothing_of_itself(full: Settings) -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {secret!s} {secret:>10}" == "*** *** *** ***"
    assert "{}".format(secret) + "%s" % secret == "******"  # noqa: UP031, UP032
    assert secret == Secret("hunter2")
    assert secret != Secret("other")
    shown = repr(full)
    for word in (
        "operator-token",
        "redis-password",
        "prometheus-password",
        "llm-key",
        "xoxb",
        "xapp",
        "hooks.example",
        "glsa",
    ):
        assert word not in shown


def test_a_secret_file_is_read_beside_the_configuration_and_stripped(tmp_path: Path) -> None:
    (tmp_path / "grafana.token").write_text("\n glsa_x \n", encoding="utf-8")
    settings = loaded(tmp_path, "grafana: {url: http://g, token_file: grafana.token}")
    assert settings.grafana is not None
    assert settings.grafana.token == Secret("glsa_x")


@pytest.mark.parametrize(
    ("content", "why"),
    [(b" \n", "is empty"), (b"\xff\xfe", "is not UTF-8"), (b"x" * 300_000, "is larger than")],
)
def test_a_secret_file_must_be_usable(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "token").write_bytes(content)
    [problem] = problems_of(written(tmp_path, "grafana:\n  url: http://g\n  token_file: token\n"))
    assert (problem.path, problem.line) == ("grafana.token_file", 3)
    assert why in problem.message


def test_grafana_takes_a_user_or_a_token_and_not_both(tmp_path: Path) -> None:
    user = "basic_auth: {username: hemostat, password: p}"
    settings = loaded(tmp_path, f"grafana: {{url: http://g, {user}}}")
    assert settings.grafana is not None
    assert settings.grafana.basic_auth == BasicAuth(username="hemostat", password=Secret("p"))
    [problem] = problems_of(written(tmp_path, f"grafana: {{url: http://g, token: t, {user}}}"))
    assert problem.path == "grafana.basic_auth"
