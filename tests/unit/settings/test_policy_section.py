"""A route inherits what it does not say, and the built-in protection stays until it is turned off."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from bridge.model.policy import PROTECTED_BY_DEFAULT, BreakerPolicy, VerifyPolicy
from bridge.settings import Settings
from tests.unit.settings.loading import loaded


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
