"""What can be said of the files of the Compose stack without starting it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from bridge import settings
from bridge.demo import parts
from tests.compose.stack import IMAGE, ROOT

FOLDER = ROOT / "deploy/compose"
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = {name: one for name, one in COMPOSE["services"].items() if "profiles" not in one}

LATER_THAN_1_29 = {"name", "include", "models"}
"""Top-level keys of Compose v2 that 1.29 refuses."""


def fresh(folder: Path) -> Path:
    """`make-secrets` run in a copy of what it needs."""
    here = folder / "deploy/compose"
    (here / "secrets").mkdir(parents=True)
    for name in ("make-secrets", "hemostat.yml"):
        (here / name).write_bytes((FOLDER / name).read_bytes())
    (folder / ".env.example").write_text((ROOT / ".env.example").read_text())
    (folder / "docker.sock").touch()
    make_secrets(folder)
    return folder


def make_secrets(folder: Path) -> str:
    argv = ["sh", str(folder / "deploy/compose/make-secrets")]
    environment = {"PATH": "/usr/bin:/bin", "DOCKER_SOCKET": str(folder / "docker.sock")}
    return subprocess.run(argv, env=environment, check=True, capture_output=True, text=True).stdout


def policy_of(path: Path) -> dict[str, Any]:
    policy: dict[str, Any] = yaml.safe_load(path.read_text())["policy"]
    return policy


def test_compose_1_29_knows_every_top_level_key() -> None:
    assert not LATER_THAN_1_29 & set(COMPOSE)


@pytest.mark.parametrize("separator", ["-", "_"], ids=["v2", "1.29"])
def test_the_stack_is_protected_whatever_compose_calls_its_containers(tmp_path: Path, separator: str) -> None:
    config = fresh(tmp_path) / "deploy/compose/hemostat.yml"
    secrets = tmp_path / "deploy/compose/secrets"
    config.write_text(config.read_text().replace("/run/secrets", str(secrets)))
    policy = settings.load(config, environ={}).policy
    for name in SERVICES:
        assert policy.protects(separator.join(["hemostat", name, "1"]), ""), name
    for name in set(COMPOSE["services"]) - set(SERVICES):
        assert not policy.protects(separator.join(["hemostat", name, "1"]), "busybox:1.36"), name


def test_its_policy_is_that_of_the_sample_and_protects_more() -> None:
    ours, sample = policy_of(FOLDER / "hemostat.yml"), policy_of(ROOT / "deploy/hemostat.yml")
    assert set(ours.pop("protected")) > set(sample.pop("protected"))
    assert ours == sample


def test_make_secrets_gives_everything_that_the_file_names_and_changes_nothing_later(tmp_path: Path) -> None:
    folder = fresh(tmp_path)
    secrets = folder / "deploy/compose/secrets"
    wanted = {Path(one["file"]).name for one in COMPOSE["secrets"].values()}
    made = {file.name: file.read_text() for file in secrets.iterdir()}
    assert set(made) == wanted
    assert len({text.split()[-1] for text in made.values()}) == len(made) - 1, "Redis' password stands in two"
    assert all(len(text.split()[-1]) >= 40 for text in made.values())
    assert made["redis_auth"] == f"requirepass {made['redis_password']}\n"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o644 for file in secrets.iterdir())
    assert make_secrets(folder) == ""
    assert {file.name: file.read_text() for file in secrets.iterdir()} == made


def test_env_example_names_every_variable_with_its_default(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    told = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))
    used = dict(re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", TEXT))
    assert set(used) <= set(told)
    for name, default in used.items():
        assert default in ("", told[name]), name
    env = (fresh(tmp_path) / ".env").read_text()
    assert f"DOCKER_SOCKET={tmp_path / 'docker.sock'}\n" in env
    assert re.search(r"^DOCKER_GID=\d+$", env, re.MULTILINE)


def test_every_image_can_be_replaced_and_has_a_version() -> None:
    for name, service in COMPOSE["services"].items():
        image = service["image"]
        assert "build" in service or IMAGE.fullmatch(image), name
    assert all(":" in image and not image.endswith(":latest") for _, image in IMAGE.findall(TEXT))


def test_prometheus_would_load_its_configuration(tmp_path: Path) -> None:
    promtool = parts.find_program("promtool", package="prometheus")
    config = (
        (FOLDER / "prometheus.yml").read_text().replace("/etc/prometheus/rules", str(ROOT / "alert-rules"))
    )
    (tmp_path / "prometheus.yml").write_text(config)
    checked = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("folder", ["secrets", "wheels"])
def test_what_is_made_on_the_spot_stays_out_of_the_repository(folder: str) -> None:
    rules = (FOLDER / folder / ".gitignore").read_text().splitlines()
    assert rules[-2:] == ["*", "!.gitignore"]


def test_no_secret_goes_into_a_build() -> None:
    told = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert told[0] == "*", "nothing but what follows"
    let_in = [line.removeprefix("!") for line in told if line.startswith("!")]
    assert not [path for path in let_in if "secret" in path or path in ("deploy", "deploy/compose", ".env")]
