"""Intake and repairs in processes of their own, on one Redis."""

from __future__ import annotations

from pathlib import Path

from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import closed, firing, hemostat


def test_a_web_process_takes_in_and_a_worker_repairs(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    """What one accepted lies in Redis until the other comes, and both are asked by whoever runs them."""
    shop = start_service().fall_sick()
    web = start_bridge(roles="web")
    web.until_ready()
    [incident_id] = web.accept(firing(shop.name))
    assert web.metric("hemostat_backlog", queue="work") == 1
    assert not closed(web.incident(incident_id))
    worker = start_bridge(roles="worker")
    worker.until_ready()
    assert web.await_incident(incident_id)["outcome"] == "healed"
    assert shop.boots == 2
    assert worker.metric("hemostat_repairs_total", action="restart", result="done") == 1
    assert worker.request("POST", "/api/v1/alerts", {}).status_code == 404
    assert worker.request("GET", "/api/v1/incidents").status_code == 404


def test_roles_that_nobody_could_fill_are_refused_with_a_reason(tmp_path: Path) -> None:
    """A wrong word, and work shared out over a store that only one process can have."""
    unknown = hemostat("serve", "--roles", "web,walker", "--storage.path", tmp_path / "store")
    assert (unknown.code, unknown.out) == (2, "")
    assert "--roles" in unknown.err
    assert "web, worker" in unknown.err
    alone = hemostat("serve", "--roles", "web", "--storage.path", tmp_path / "store")
    assert alone.code == 2
    assert "redis" in alone.err
