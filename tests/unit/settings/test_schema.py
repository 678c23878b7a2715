"""The schema is closed, and every key that it knows reaches its value."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from bridge.model.policy import Cap, Limits, Matcher, MatchOperator, StormLimit
from bridge.settings import ClientAuth, Durability, Grafana, Redis, Role, Settings, settings_schema
from tests.unit.settings.loading import CASES
from tests.unit.settings.schema_keys import objects_of, schema_keys


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


OTHER_WAYS = {"sentinel", "cluster", "master", "nodes", "check_hostname"}
"""Keys that exclude ``redis.url``, which the full file has: they have tests of their own."""


def test_the_full_file_has_every_key() -> None:
    given = keys_of(yaml.safe_load((CASES / "every_key.yml").read_text(encoding="utf-8")))
    twins = {
        key for key in schema_keys() if key.endswith("_file") and key.removesuffix("_file") in schema_keys()
    }
    assert given == schema_keys() - twins - OTHER_WAYS


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
