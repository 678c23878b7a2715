"""The configuration file: what it means, and that everything wrong with it is said at once, with path and line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.errors import Problem, SettingsError
from bridge.model.policy import (
    PROTECTED_BY_DEFAULT,
    BreakerPolicy,
    Cap,
    Limits,
    Matcher,
    MatchOperator,
    Mode,
    StormLimit,
    VerifyPolicy,
)
from bridge.model.verdict import Action
from bridge.settings import (
    BasicAuth,
    ClientAuth,
    Cluster,
    DockerHost,
    Durability,
    Grafana,
    LogFormat,
    LogLevel,
    Provider,
    Redis,
    RedisTls,
    Role,
    Secret,
    Sentinel,
    Settings,
    Slack,
    load,
    parse_listen_address,
    parse_matcher,
    settings_schema,
)

CASES = Path(__file__).parent / "settings"
DOCUMENT = Path(__file__).parents[2] / "docs" / "configuration.md"
BAD_CASES = sorted(CASES.glob("bad_*.yml"))


def written(folder: Path, text: str) -> Path:
    path = folder / "hemostat.yml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Settings:
    return load(written(folder, text), environ=environ or {})


def problems_of(path: Path, environ: Mapping[str, str] | None = None) -> list[Problem]:
    with pytest.raises(SettingsError) as caught:
        load(path, environ=environ or {})
    return caught.value.problems


def problems_or_none(path: Path | None, environ: Mapping[str, str]) -> list[Problem] | None:
    """``None`` if it loads; any other error than ``SettingsError`` passes."""
    try:
        load(path, environ=environ)
    except SettingsError as error:
        return error.problems
    return None


def with_secret_files(folder: Path, text: str) -> str:
    """The same text; every relative file it names exists in ``folder``."""
    for name in re.findall(r"_file: ([^\s,}]+)", text):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"https://hooks.example.org/{name}\n", encoding="utf-8")
    return text


# Defaults


@pytest.mark.parametrize(
    "text", ["# nothing\n", "---\n", "null\n", "{}\n", "\ufeff{}", "web: {}\npolicy: {}\n"]
)
def test_a_file_that_says_nothing_means_the_defaults(tmp_path: Path, text: str) -> None:
    assert loaded(tmp_path, text) == Settings.defaults()


@pytest.mark.parametrize("text", ["", "\n \n", "\ufeff", "\t\r\n"])
def test_a_file_without_a_letter_is_refused(tmp_path: Path, text: str) -> None:
    """It was cut off while it was written, more likely than not; the defaults may do more than what it held."""
    [problem] = problems_of(written(tmp_path, text))
    assert (problem.path, problem.line) == ("", 0)
    assert "is empty" in problem.message
    assert load(Path("/dev/null"), environ={}) == Settings.defaults(), "which nobody names by accident"


def test_no_file_means_the_defaults() -> None:
    assert load(None, environ={}) == Settings.defaults()


def test_the_defaults_named_by_the_contract() -> None:
    defaults = Settings.defaults()
    assert defaults.web.listen_address == "127.0.0.1:9095"
    assert defaults.web.max_body_bytes == 16 * 1024 * 1024
    assert defaults.redis is None
    assert defaults.docker.hosts == (DockerHost(name="local", url="unix:///var/run/docker.sock"),)
    assert defaults.llm.provider is Provider.NONE
    assert (defaults.worker.concurrency, defaults.worker.lease_seconds) == (16, 15.0)
    root = defaults.policy.root
    assert (root.mode, root.actions, root.cooldown_seconds) == (Mode.AUTO, (Action.RESTART,), 3600.0)
    assert root.caps == (Cap(max=3, per_seconds=3600.0),)
    assert root.verify == VerifyPolicy(
        within_seconds=180.0, stable_for_seconds=30.0, relapse_watch_seconds=600.0
    )
    assert defaults.policy.protected == PROTECTED_BY_DEFAULT


def defaults_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, below in schema["properties"].items():
        if "default" in below:
            found[key] = below["default"]
        elif below.get("type") == "object" and "required" not in below and key not in {"redis", "slack"}:
            found[key] = defaults_of(below)
    return {key: value for key, value in found.items() if value != {}}


def test_the_schema_names_the_defaults_of_the_values(tmp_path: Path) -> None:
    schema: Any = settings_schema()
    redis = {"url": "redis://h", **defaults_of(schema["properties"]["redis"])}
    assert redis.pop("tls") == {"check_hostname": RedisTls().check_hostname}  # with url, the scheme says TLS
    slack = {"webhook_url": "https://h", **defaults_of(schema["properties"]["slack"])}
    text = yaml.safe_dump({**defaults_of(schema), "redis": redis, "slack": slack})
    settings = loaded(tmp_path, text)
    assert settings.redis == Redis(url="redis://h")
    assert settings.slack == Slack(webhook_url=Secret("https://h"))
    assert dataclasses.replace(settings, redis=None, slack=None) == Settings.defaults()


# The schema


def objects_of(schema: Any) -> Iterator[Any]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for below in schema.values():
            yield from objects_of(below)


def test_the_schema_is_valid_and_closed_everywhere() -> None:
    schema: Any = settings_schema()
    Draft202012Validator.check_schema(schema)
    for one in objects_of(schema):
        assert one["additionalProperties"] is False, one["description"]
        for key, below in one["properties"].items():
            assert below.get("description") or "$ref" in below, key


def keys_of(value: Any) -> set[str]:
    """Every key used anywhere in a YAML value."""
    match value:
        case dict():
            return set(value) | {key for below in value.values() for key in keys_of(below)}
        case list():
            return {key for below in value for key in keys_of(below)}
        case _:
            return set()


def schema_keys() -> set[str]:
    return {key for one in objects_of(settings_schema()) for key in one["properties"]}


OTHER_WAYS = {"sentinel", "cluster", "master", "nodes", "check_hostname"}
"""Keys that exclude ``redis.url``, which the full file has: they have tests of their own."""


def test_the_full_file_has_every_key() -> None:
    given = keys_of(yaml.safe_load((CASES / "every_key.yml").read_text(encoding="utf-8")))
    twins = {
        key for key in schema_keys() if key.endswith("_file") and key.removesuffix("_file") in schema_keys()
    }
    assert given == schema_keys() - twins - OTHER_WAYS


@pytest.fixture
def full(tmp_path: Path) -> Settings:
    (tmp_path / "readable.pem").write_text("certificate", encoding="utf-8")
    return loaded(tmp_path, (CASES / "every_key.yml").read_text(encoding="utf-8"))


def test_every_key_reaches_its_value(full: Settings) -> None:
    """Each field differs from its default, so no key is read and forgotten. The target's class comes from a label."""

    def compare(value: Any, default: Any, where: str) -> None:
        other_ways = {Redis: {"sentinel", "cluster", "tls"}, Grafana: {"basic_auth"}}
        elsewhere = other_ways.get(type(value), {"target_class"})
        for field in (field for field in dataclasses.fields(value) if field.name not in elsewhere):
            here, there = getattr(value, field.name), getattr(default, field.name, None)
            assert here != there, f"{where}.{field.name}"
            if dataclasses.is_dataclass(here) and dataclasses.is_dataclass(there):
                compare(here, there, f"{where}.{field.name}")

    compare(full, Settings.defaults(), "settings")
    compare(full.redis, Redis(), "redis")
    assert full.docker.hosts[0].timeout_seconds == 3.0
    assert full.docker.hosts[1].tls is not None
    assert None not in dataclasses.astuple(full.docker.hosts[1].tls)


def test_the_full_file_means_what_it_says(full: Settings, tmp_path: Path) -> None:
    assert full.web.address == ("::1", 9999)
    assert [(token.name, token.role) for token in full.web.tokens] == [
        ("alertmanager", Role.RECEIVER),
        ("ada", Role.OPERATOR),
    ]
    assert full.web.tokens[1].token.reveal() == "operator-token-0001"
    assert full.web.tls is not None
    assert full.web.tls.cert_file == tmp_path / "readable.pem"
    assert full.web.tls.client_auth_type is ClientAuth.REQUIRE_AND_VERIFY
    assert full.web.external_url == "https://hemostat.example.org"
    assert full.store.path == tmp_path / "state"
    assert (full.store.durability, full.store.retention_seconds) == (Durability.REPLICATED, 7 * 86400.0)
    assert full.alertmanager is not None
    assert full.alertmanager.authorization is not None
    assert full.alertmanager.authorization.type == "Token"
    assert full.alertmanager.receiver == "hemostat|backup"
    assert full.alertmanager.reconcile_interval_seconds == 600.0
    assert not full.llm.active
    policy = full.policy
    assert policy.protected == ("*postgres*",)
    assert policy.root.caps == (Cap(max=1, per_seconds=600.0), Cap(max=9, per_seconds=86400.0))
    assert policy.limits == Limits(
        fleet=Cap(max=20, per_seconds=7200.0),
        host=Cap(max=10, per_seconds=10800.0),
        project_share=0.5,
        fleet_share=0.2,
        share_quiet_seconds=600.0,
        storm=StormLimit(incidents=50, per_seconds=120.0),
    )
    assert full.triage.phrases[0].kind == "licence_expired"
    assert (full.triage.deploy_window_seconds, full.triage.traffic_factor) == (300.0, 3.0)
    assert (full.triage.stateful_images, full.triage.always_firing) == (("ledger", "*-store"), ("Heartbeat",))
    assert policy.maintenance[0].matchers == (
        Matcher(label="team", operator=MatchOperator.NOT_EQUAL, value="payments"),
    )


# Routes


def test_a_route_inherits_what_it_does_not_say(full: Settings) -> None:
    outer = full.policy.routes[0]
    inner = outer.routes[0]
    assert outer.policy.breaker == BreakerPolicy(failures=5, open_for_seconds=7200.0)
    assert inner.policy == dataclasses.replace(outer.policy, cooldown_seconds=60.0)


def test_a_route_inherits_the_rest_of_a_section_it_gives_in_part(tmp_path: Path) -> None:
    text = """
policy:
  verify: {within: 10m, stable_for: 1m}
  breaker: {failures: 7}
  routes:
    - matchers: [a=b]
      verify: {stable_for: 2m}
      breaker: {open_for: 5m}
"""
    policy = loaded(tmp_path, text).policy.routes[0].policy
    assert policy.verify == VerifyPolicy(within_seconds=600.0, stable_for_seconds=120.0)
    assert policy.breaker == BreakerPolicy(failures=7, open_for_seconds=300.0)


def test_an_empty_list_of_actions_allows_none(tmp_path: Path) -> None:
    text = "policy: {routes: [{matchers: [severity=info], actions: []}]}"
    assert loaded(tmp_path, text).policy.for_labels({"severity": "info"}).actions == ()


def test_protected_patterns_are_added_to_the_built_in_ones(tmp_path: Path) -> None:
    assert loaded(tmp_path, 'policy: {protected: ["db-*"]}').policy.protected == (
        *PROTECTED_BY_DEFAULT,
        "db-*",
    )


def test_the_built_in_patterns_can_be_turned_off(tmp_path: Path) -> None:
    assert loaded(tmp_path, "policy: {protected_defaults: false}").policy.protected == ()


# Notation


@pytest.mark.parametrize(
    ("text", "label", "operator", "value"),
    [
        pytest.param('a="b"', "a", "=", "b", id="equal"),
        pytest.param('a!="b"', "a", "!=", "b", id="not-equal"),
        pytest.param('a=~"b.*"', "a", "=~", "b.*", id="regex"),
        pytest.param('a!~"b|c"', "a", "!~", "b|c", id="not-regex"),
        pytest.param("a=b", "a", "=", "b", id="unquoted"),
        pytest.param("a=~web-.*", "a", "=~", "web-.*", id="unquoted-regex"),
        pytest.param(' a = "b" ', "a", "=", "b", id="white-space"),
        pytest.param("a=", "a", "=", "", id="empty-unquoted"),
        pytest.param('a=""', "a", "=", "", id="empty"),
        pytest.param('a="b,c={d}"', "a", "=", "b,c={d}", id="quoted-punctuation"),
        pytest.param(r'a="say \"hi\"\n\\"', "a", "=", 'say "hi"\n\\', id="escapes"),
        pytest.param(r'a=~"x\.y\d"', "a", "=~", r"x\.y\d", id="other-backslashes-stay"),
        pytest.param('service.name="x"', "service.name", "=", "x", id="dotted-name"),
    ],
)
def test_matchers_as_in_alertmanager(text: str, label: str, operator: str, value: str) -> None:
    assert parse_matcher(text) == Matcher(label=label, operator=MatchOperator(operator), value=value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "=b",
        '"a"="b"',
        'a="b',
        'a=b"',
        'a="b",c="d"',
        "a=b,c=d",
        "{a=b}",
        "a=b c",
        'a="b" c',
        "a=='b'",
        'a=~"("',
        "a==b",
    ],
)
def test_what_is_no_matcher_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"matcher|regular expression"):
        parse_matcher(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9095", "127.0.0.1", 9095),
        (":80", "", 80),
        ("[::1]:0", "::1", 0),
        ("web-1.lan:65535", "web-1.lan", 65535),
    ],
)
def test_listen_addresses(text: str, host: str, port: int) -> None:
    assert parse_listen_address(text) == (host, port)


@pytest.mark.parametrize(
    "text", ["", "9095", "host", "host:", "host:x", ":65536", "::1:9095", "a b:1", "http://x:1", ":-1"]
)
def test_what_is_no_listen_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        parse_listen_address(text)


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


# Everything wrong at once


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


# Secrets


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


# Environment


@pytest.mark.parametrize(
    ("environ", "read", "expected"),
    [
        pytest.param({"LOG_LEVEL": "WARNING"}, lambda s: s.log.level, LogLevel.WARN, id="log-level"),
        pytest.param({"LOG_FORMAT": "json"}, lambda s: s.log.format, LogFormat.JSON, id="log-format"),
        pytest.param({"REDIS_HOST": "r"}, lambda s: s.redis.url, "redis://r:6379", id="redis-host"),
        pytest.param(
            {"REDIS_HOST": "::1", "REDIS_PORT": "7"},
            lambda s: s.redis.url,
            "redis://[::1]:7",
            id="redis-port",
        ),
        pytest.param({"REDIS_HOST": "r", "REDIS_DB": "4"}, lambda s: s.redis.db, 4, id="redis-db"),
        pytest.param(
            {"REDIS_HOST": "r", "REDIS_PASSWORD": "p"},
            lambda s: s.redis.password,
            Secret("p"),
            id="redis-password",
        ),
        pytest.param(
            {"RESPONDER_COOLDOWN_SECONDS": "90"},
            lambda s: s.policy.root.cooldown_seconds,
            90.0,
            id="cooldown",
        ),
        pytest.param(
            {"RESPONDER_MAX_RETRIES_PER_HOUR": "5"},
            lambda s: s.policy.root.caps,
            (Cap(max=5, per_seconds=3600.0),),
            id="retries",
        ),
        pytest.param({"RESPONDER_DRY_RUN": "true"}, lambda s: s.policy.root.mode, Mode.OBSERVE, id="dry-run"),
        pytest.param(
            {"RESPONDER_DRY_RUN": "False"}, lambda s: s.policy.root.mode, Mode.AUTO, id="no-dry-run"
        ),
        pytest.param(
            {"ANALYZER_CONFIDENCE_THRESHOLD": "0.85"},
            lambda s: s.llm.confidence_threshold,
            0.85,
            id="confidence",
        ),
        pytest.param(
            {"ANTHROPIC_API_KEY": "k"}, lambda s: s.llm.provider, Provider.ANTHROPIC, id="anthropic"
        ),
        pytest.param(
            {"ANTHROPIC_API_KEY": "k"}, lambda s: s.llm.model, "claude-haiku-5-5", id="anthropic-model"
        ),
        pytest.param({"OPENAI_API_KEY": "k"}, lambda s: s.llm.provider, Provider.NONE, id="openai-alone"),
        pytest.param(
            {"OPENAI_API_KEY": "k", "AI_MODEL": "m"},
            lambda s: s.llm.provider,
            Provider.OPENAI,
            id="openai-model",
        ),
        pytest.param(
            {"SLACK_WEBHOOK_URL": "https://h/x"},
            lambda s: s.slack.webhook_url,
            Secret("https://h/x"),
            id="slack",
        ),
        pytest.param(
            {"DOCKER_HOST": "tcp://d:2375"}, lambda s: s.docker.hosts[0].url, "tcp://d:2375", id="docker"
        ),
        pytest.param(
            {"DOCKER_HOST": ""}, lambda s: s.docker.hosts[0].url, "unix:///var/run/docker.sock", id="empty"
        ),
        pytest.param(
            {"HOME": "/home/a"}, lambda s: s.store.path, Path("/home/a/.local/state/hemostat"), id="home"
        ),
        pytest.param(
            {"HOME": "/h", "XDG_STATE_HOME": "/x"}, lambda s: s.store.path, Path("/x/hemostat"), id="xdg"
        ),
        pytest.param(
            {"HOME": "/h", "XDG_STATE_HOME": "x"},
            lambda s: s.store.path,
            Path("/h/.local/state/hemostat"),
            id="xdg-relative",
        ),
        pytest.param({"HOME": "h"}, lambda s: s.store.path, Path("/var/lib/hemostat"), id="home-relative"),
    ],
)
def test_an_environment_variable_overrides(environ: dict[str, str], read: Any, expected: object) -> None:
    assert read(load(None, environ=environ)) == expected


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        pytest.param({"REDIS_PORT": "tcp://10.0.0.1:6379"}, "Kubernetes", id="service-link"),
        pytest.param({"REDIS_HOST": "r", "REDIS_PORT": "0"}, "is not a port", id="port"),
        pytest.param({"REDIS_HOST": "r:6379"}, "the port belongs into $REDIS_PORT", id="port-in-host"),
        pytest.param({"REDIS_HOST": "::1:x"}, "a host name or an address", id="no-address"),
        pytest.param(
            {"REDIS_PASSWORD": "HIDDEN"}, "has no effect without $REDIS_HOST", id="password-without-host"
        ),
        pytest.param({"REDIS_DB": "-1"}, "is not a whole number", id="db"),
        pytest.param({"LOG_LEVEL": "loud"}, "is not one of debug, info", id="level"),
        pytest.param({"RESPONDER_COOLDOWN_SECONDS": "1h"}, "is not a number of seconds", id="cooldown"),
        pytest.param({"RESPONDER_COOLDOWN_SECONDS": "nan"}, "is not a number of seconds", id="cooldown-nan"),
        pytest.param({"RESPONDER_MAX_RETRIES_PER_HOUR": "0"}, "RESPONDER_DRY_RUN=true", id="retries"),
        pytest.param({"RESPONDER_DRY_RUN": "maybe"}, "is not one of true", id="dry-run"),
        pytest.param({"ANALYZER_CONFIDENCE_THRESHOLD": "1.5"}, "from 0 to 1", id="confidence"),
        pytest.param({"SLACK_WEBHOOK_URL": "HIDDEN"}, "must be a URL", id="slack"),
        pytest.param({"DOCKER_HOST": "npipe:////./pipe/docker"}, "must be unix:///", id="docker"),
    ],
)
def test_a_bad_environment_variable_is_a_problem_with_its_name(environ: dict[str, str], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(None, environ=environ)
    [problem] = caught.value.problems
    assert problem.path.removeprefix("$") in environ
    assert problem.line == 0
    assert message in problem.message
    assert "HIDDEN" not in str(problem)


def test_the_environment_wins_over_the_file(full: Settings, tmp_path: Path) -> None:
    environ = {
        "REDIS_HOST": "other",
        "REDIS_PASSWORD": "from-env",
        "REDIS_DB": "9",
        "OPENAI_API_KEY": "env-key",
        "ANTHROPIC_API_KEY": "not for openai",
        "AI_MODEL": "env-model",
        "LOG_LEVEL": "error",
        "RESPONDER_COOLDOWN_SECONDS": "5",
    }
    settings = load(tmp_path / "hemostat.yml", environ=environ)
    assert full.redis is not None
    assert settings.redis == dataclasses.replace(
        full.redis, url="rediss://other:6380", password=Secret("from-env"), db=9
    )  # fmt: skip
    assert (settings.llm.provider, settings.llm.model) == (Provider.OPENAI, "env-model")
    assert settings.llm.api_key == Secret("env-key")
    assert settings.log.level is LogLevel.ERROR
    assert settings.policy.root.cooldown_seconds == 5.0
    assert settings.policy.routes[0].policy.cooldown_seconds == 600.0


def test_a_dry_run_observes_everywhere(full: Settings, tmp_path: Path) -> None:
    policy = load(tmp_path / "hemostat.yml", environ={"RESPONDER_DRY_RUN": "1"}).policy
    assert full.policy.routes[0].policy.mode is Mode.AUTO
    assert {policy.root.mode, policy.routes[0].policy.mode, policy.routes[0].routes[0].policy.mode} == {
        Mode.OBSERVE
    }


def test_docker_host_counts_only_where_the_file_has_no_hosts(tmp_path: Path) -> None:
    text = "docker: {hosts: [{name: a, url: 'unix:///a'}]}"
    for elsewhere in ("tcp://b:1", "fd://"):
        settings = loaded(tmp_path, text, {"DOCKER_HOST": elsewhere})
        assert [host.url for host in settings.docker.hosts] == ["unix:///a"]


def test_a_redis_port_alone_changes_the_files_url(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "redis: {url: 'redis://h:1/2'}", {"REDIS_PORT": "7"})
    assert settings.redis == Redis(url="redis://h:7", db=2)


# Redis behind Sentinels or in a Cluster


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


def test_grafana_takes_a_user_or_a_token_and_not_both(tmp_path: Path) -> None:
    user = "basic_auth: {username: hemostat, password: p}"
    settings = loaded(tmp_path, f"grafana: {{url: http://g, {user}}}")
    assert settings.grafana is not None
    assert settings.grafana.basic_auth == BasicAuth(username="hemostat", password=Secret("p"))
    [problem] = problems_of(written(tmp_path, f"grafana: {{url: http://g, token: t, {user}}}"))
    assert problem.path == "grafana.basic_auth"


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


def test_a_model_turned_off_in_the_file_stays_off(tmp_path: Path) -> None:
    for text in ("llm: {provider: none}", "llm: {enabled: false}"):
        assert not loaded(tmp_path, text, {"ANTHROPIC_API_KEY": "k"}).llm.active


def test_a_second_opinion_is_asked_for_where_the_provider_is_known_to_have_the_model(tmp_path: Path) -> None:
    key = {"ANTHROPIC_API_KEY": "k"}
    for text, model in (
        ("{}", "claude-sonnet-5-5"),
        ("llm: {provider: anthropic, hard_model: none}", ""),
        ("llm: {provider: anthropic, base_url: 'http://gateway'}", ""),
        ("llm: {provider: anthropic, base_url: 'http://gateway', hard_model: big}", "big"),
        ("llm: {provider: openai, model: m, base_url: 'http://localhost:11434/v1'}", ""),
    ):
        assert loaded(tmp_path, text, key).llm.hard_model == model, text


def test_what_an_operator_says_of_a_model_lies_on_top_of_the_table(tmp_path: Path) -> None:
    text = """
        llm:
          provider: anthropic
          models:
            - {name: claude-haiku-5-5, thinking: omit, usd_per_million_input: 0.3}
            - {name: unheard-of}
    """
    models = loaded(tmp_path, text, {"ANTHROPIC_API_KEY": "k"}).llm.models
    haiku = models["claude-haiku-5-5"]
    assert (haiku.thinking, haiku.effort, haiku.usd_per_million_input) == (None, "low", 0.3)
    assert haiku.usd_per_million_output == 0.5
    assert models["unheard-of"].usd_per_million_output == 20.0


def test_a_server_of_ones_own_is_told_the_longest_answer_in_the_words_it_knows(tmp_path: Path) -> None:
    own = loaded(tmp_path, "llm: {provider: openai, model: m, base_url: 'http://localhost:11434/v1'}").llm
    theirs = loaded(tmp_path, "llm: {provider: openai, model: m, api_key: k}").llm
    assert (own.max_tokens_parameter, theirs.max_tokens_parameter) == ("max_tokens", "max_completion_tokens")


# Reload


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web: {listen_address: ':1'}", ["web.listen_address"]),
        ("redis: {url: 'redis://h'}", ["redis"]),
        ("store: {backlog_limit: 1}\nworker: {concurrency: 1}", ["store", "worker"]),
        ("docker: {hosts: [{name: a, url: 'unix:///a'}]}", ["docker"]),
        ("web: {max_body_bytes: 2048, external_url: 'http://h'}", ["web.max_body_bytes", "web.external_url"]),
        ("prometheus: {url: 'http://p'}\nalertmanager: {url: 'http://a'}", ["prometheus", "alertmanager"]),
        ("slack: {webhook_url: 'http://s'}\ngrafana: {url: 'http://g', token: t}", ["slack", "grafana"]),
        (
            "policy: {cooldown: 1s}\nlog: {level: debug, format: json}\nllm: {enabled: false}\n"
            "triage: {deploy_window: 1s}\nweb: {tokens: [{name: a, role: viewer, token: 0123456789abcdefg}]}",
            [],
        ),
    ],
)
def test_what_only_a_restart_can_change(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert Settings.defaults().restart_only_differences(loaded(tmp_path, text)) == expected


def test_https_is_turned_on_or_off_only_with_a_restart(full: Settings) -> None:
    """Which files it takes, and what is in them, a reload changes."""
    assert "web.tls_server_config" in full.restart_only_differences(Settings.defaults())
    assert full.restart_only_differences(full) == []
    assert full.web.tls is not None
    others = dataclasses.replace(full.web.tls, cert_file=full.web.tls.key_file)
    assert (
        full.restart_only_differences(
            dataclasses.replace(full, web=dataclasses.replace(full.web, tls=others))
        )
        == []
    )


def test_the_documentation_says_what_a_reload_changes(full: Settings) -> None:
    """Every section that not all of a reload refuses, and of `web` what is left of it."""
    refused = {name for name in full.restart_only_differences(Settings.defaults()) if "." not in name}
    taken = {field.name for field in dataclasses.fields(Settings)} - refused - {"web"} | {"web.tokens"}
    [said] = re.findall(r"\* \*\*Reload\*\*: (.*?) take effect at once", DOCUMENT.read_text(encoding="utf-8"))
    assert set(re.findall(r"`([a-z._]+)`", said)) == taken


# The documentation


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
