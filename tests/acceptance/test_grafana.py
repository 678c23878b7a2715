"""Repairs are seen in Grafana: one region for each, whatever dies on the way, and a Grafana that is away costs nothing."""

from __future__ import annotations

from bridge.demo import parts
from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import firing
from tests.servers.grafana import TOKEN, Grafana

WITHIN = 20.0


def settings(grafana: Grafana) -> dict[str, str]:
    return {"url": grafana.url, "token": TOKEN}


def test_a_repair_is_one_region_with_its_outcome_even_if_we_die_between_post_and_record(
    start_bridge: StartBridge, start_service: StartService, grafana: Grafana
) -> None:
    shop = start_service().fall_sick()
    hold = grafana.hold_next()
    doomed = start_bridge(grafana=settings(grafana))
    [incident_id] = doomed.accept(firing(shop.name))
    assert hold.reached.wait(WITHIN)
    doomed.kill()
    grafana.release(hold)
    heir = start_bridge(grafana=settings(grafana))
    assert heir.await_incident(incident_id)["outcome"] == "healed"
    grafana.wait_for(
        lambda: any("outcome:healed" in one["tags"] for one in grafana.drawn(incident_id)), seconds=30
    )
    [region] = grafana.drawn(incident_id)
    assert region["timeEnd"] > region["time"]
    assert {"hemostat", "action:restart", f"container:{shop.name}"} <= set(region["tags"])
    assert shop.boots == 2


def test_a_grafana_that_is_away_delays_no_repair_and_is_told_when_it_is_back(
    start_bridge: StartBridge, start_service: StartService
) -> None:
    shop = start_service().fall_sick()
    port = parts.free_port()
    bridge = start_bridge(grafana={"url": f"http://{parts.LOOPBACK}:{port}", "token": TOKEN})
    incident = bridge.repair(firing(shop.name))
    assert incident["outcome"] == "healed"
    back = Grafana(port).start()
    try:
        back.wait_for(lambda: back.drawn(incident["id"]), seconds=30)
        [region] = back.drawn(incident["id"])
        assert "outcome:healed" in region["tags"]
    finally:
        back.stop()
