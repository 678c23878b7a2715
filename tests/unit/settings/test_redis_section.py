"""Where Redis is: one server by its URL, behind Sentinels, or in a Cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.settings import Cluster, Durability, Redis, RedisTls, Secret, Sentinel, load
from tests.unit.settings.loading import loaded, problems_of, written


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("redis://h", Redis(url="redis://h"), id="host"),
        pytest.param("redis://h:1/2", Redis(url="redis://h:1", db=2), id="database-in-path"),
        pytest.param("rediss://h?db=2", Redis(url="rediss://h", db=2), id="database-in-query"),
        pytest.param(
            "redis://u:p%40ss@h",
            Redis(url="redis://h", username="u", password=Secret("p@ss")),
            id="credentials",
        ),
        pytest.param(
            "redis://:p@[::1]:1", Redis(url="redis://[::1]:1", password=Secret("p")), id="password-only"
        ),
        pytest.param("unix:///run/redis.sock?db=3", Redis(url="unix:///run/redis.sock", db=3), id="socket"),
        pytest.param(
            "rediss://h?ssl_ca_certs=/ca.pem", Redis(url="rediss://h?ssl_ca_certs=/ca.pem"), id="tls-option"
        ),
    ],
)
def test_a_redis_url_is_taken_apart(tmp_path: Path, url: str, expected: Redis) -> None:
    assert loaded(tmp_path, f'redis: {{url: "{url}"}}').redis == expected


def test_every_key_of_a_sentinel_reaches_its_value(tmp_path: Path) -> None:
    (tmp_path / "readable.pem").write_text("certificate", encoding="utf-8")
    tls = "{ca_file: readable.pem, cert_file: readable.pem, key_file: readable.pem, check_hostname: false}"
    text = f"""
redis:
  sentinel: {{master: mymaster, nodes: ['s1:26379', '[::1]:26380'], username: watcher, password: guard, tls: {tls}}}
  username: hemostat
  password: redis-password
  db: 3
  tls: {{ca_file: readable.pem}}
  connect_timeout: 500ms
  timeout: 1s
"""
    pem = tmp_path / "readable.pem"
    assert loaded(tmp_path, text).redis == Redis(
        sentinel=Sentinel(
            master="mymaster",
            nodes=(("s1", 26379), ("::1", 26380)),
            username="watcher",
            password=Secret("guard"),
            tls=RedisTls(ca_file=pem, cert_file=pem, key_file=pem, check_hostname=False),
        ),
        username="hemostat",
        password=Secret("redis-password"),
        db=3,
        tls=RedisTls(ca_file=pem),
        connect_timeout_seconds=0.5,
        timeout_seconds=1.0,
    )


def test_a_cluster_is_its_nodes_and_a_login(tmp_path: Path) -> None:
    text = "redis: {cluster: {nodes: ['n1:7001', 'n2:7002']}, username: u, password: p, tls: {}}"
    expected = Redis(
        cluster=Cluster(nodes=(("n1", 7001), ("n2", 7002))),
        username="u",
        password=Secret("p"),
        tls=RedisTls(),
        mirror=False,
    )
    assert loaded(tmp_path, text).redis == expected


def test_a_cluster_cannot_be_mirrored_to(tmp_path: Path) -> None:
    """Its nodes would each hold some of the mirror's keys."""
    [problem] = problems_of(written(tmp_path, "redis:\n  cluster: {nodes: ['n1:7001']}\n  mirror: true\n"))
    assert (problem.path, problem.line) == ("redis.mirror", 3)


@pytest.mark.parametrize("way", ["sentinel: {master: m, nodes: ['s:1']}", "cluster: {nodes: ['n:1']}"])
def test_the_environment_changes_the_login_and_never_the_place(tmp_path: Path, way: str) -> None:
    """One server by an environment variable must not quietly replace what can fail over."""
    path = written(tmp_path, f"redis: {{{way}, password: from-file}}")
    found = problems_of(path, {"REDIS_HOST": "other", "REDIS_PORT": "6380"})
    assert [problem.path for problem in found] == ["$REDIS_HOST", "$REDIS_PORT"]
    assert all("names one server" in problem.message for problem in found)
    redis = load(path, environ={"REDIS_PASSWORD": "from-env"}).redis
    assert redis is not None
    assert redis.password == Secret("from-env")


def test_the_database_of_the_environment_counts_at_a_sentinel_and_is_an_error_in_a_cluster(
    tmp_path: Path,
) -> None:
    sentinel = loaded(tmp_path, "redis: {sentinel: {master: m, nodes: ['s:1']}, db: 1}", {"REDIS_DB": "2"})
    assert sentinel.redis is not None
    assert sentinel.redis.db == 2
    [problem] = problems_of(written(tmp_path, "redis: {cluster: {nodes: ['n:1']}}"), {"REDIS_DB": "2"})
    assert "has only database 0" in problem.message


def test_a_replicated_store_may_be_behind_a_sentinel(tmp_path: Path) -> None:
    text = "redis: {sentinel: {master: m, nodes: ['s:1']}}\nstore: {durability: replicated}"
    assert loaded(tmp_path, text).store.durability is Durability.REPLICATED
