"""The day the store is lost, by the command line: backup, drill, restore, and what each says when it cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import firing, hemostat, refusals


def test_a_lost_store_is_restored_and_nothing_is_repaired_until_a_person_resumes(
    start_bridge: StartBridge, start_service: StartService, tmp_path: Path
) -> None:
    """Backed up and drilled while the bridge runs, which shows both in its metrics; the directory is lost; restored,
    the bridge knows what it did, stays paused, and after `resume` still leaves what was restarted last alone."""
    shop, file = start_service().fall_sick(), tmp_path / "backup"
    doomed = start_bridge(redis=None, storage=tmp_path / "lost")
    healed = doomed.repair(firing(shop.name))
    assert healed["outcome"] == "healed"
    gauges = [f"hemostat_backup_{what}last_success_timestamp_seconds" for what in ("", "drill_")]
    assert [doomed.metric(gauge) for gauge in gauges] == [0, 0]
    for words in (["backup", file], ["drill"]):
        said = hemostat(*words, "--config.file", doomed.config, "--output", "json")
        assert (said.code, said.err) == (0, "")
        assert said.json["incidents"] == 1
    assert 0 < doomed.metric(gauges[0]) <= doomed.metric(gauges[1])
    doomed.kill()
    shutil.rmtree(tmp_path / "lost")

    successor = start_bridge(redis=None, storage=tmp_path / "new")
    refused = hemostat("restore", file, "--config.file", successor.config)
    assert refused.code == 1
    successor.terminate()
    restored = hemostat("restore", file, "--config.file", successor.config)
    assert restored.code == 0, restored.err
    assert "PAUSED" in restored.out
    successor.start()
    assert successor.incident(healed["id"])["outcome"] == "healed"
    assert successor.get("/api/v1/pause")["by"] == "restore"
    shop.fall_sick()
    assert refusals(successor.repair(firing(shop.name)))[0] == "paused"
    assert (
        hemostat("resume", "--url", successor.url, env={"HEMOSTAT_TOKEN": "operator-token-of-the-tests"}).code
        == 0
    )
    assert refusals(successor.repair(firing(shop.name, alertname="ContainerDown"))) == ["recently_started"]
    assert shop.boots == 2
