"""The bridge without a Redis of the operator's: its own store in a directory, one bridge at a time."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.acceptance.conftest import StartBridge, StartService
from tests.acceptance.stack import firing, hemostat, refusals


def test_what_was_done_survives_a_restart_of_the_bridge(
    start_bridge: StartBridge, start_service: StartService, tmp_path: Path
) -> None:
    """After SIGTERM and a new start on the same directory the incident is listed and the cooldown still holds."""
    shop = start_service().fall_sick()
    first = start_bridge(redis=None, storage=tmp_path / "store")
    healed = first.repair(firing(shop.name))
    assert healed["outcome"] == "healed"
    assert first.terminate() == 0
    second = start_bridge(redis=None, storage=tmp_path / "store")
    assert [incident["id"] for incident in second.incidents(outcome="healed")] == [healed["id"]]
    shop.fall_sick()
    assert refusals(second.repair(firing(shop.name))) == ["cooldown"]
    assert shop.boots == 2


def test_what_was_accepted_survives_kill_9_of_bridge_and_store(
    start_bridge: StartBridge, start_service: StartService, tmp_path: Path
) -> None:
    """The store dies with its bridge; what was answered 202 is on disk, and the next bridge repairs."""
    shop = start_service().fall_sick()
    doomed = start_bridge(redis=None, storage=tmp_path / "store")
    [incident_id] = doomed.accept(firing(shop.name))
    doomed.kill()
    successor = start_bridge(redis=None, storage=tmp_path / "store")
    assert successor.await_incident(incident_id)["outcome"] == "healed"
    assert shop.boots == 2


def test_a_second_bridge_on_the_same_directory_is_refused(start_bridge: StartBridge, tmp_path: Path) -> None:
    """Exit code 2 and one line that names the directory and the process that uses it; the first one is not disturbed."""
    first = start_bridge(redis=None, storage=tmp_path / "store")
    second = hemostat(
        *("serve", "--config.file", first.config, "--web.listen-address", "127.0.0.1:0"),
        *("--storage.path", tmp_path / "store"),
    )
    assert second.code == 2
    assert str(tmp_path / "store") in second.err
    assert f"process {first.pid}" in second.err
    assert "Traceback" not in second.err
    first.until_ready()


def test_a_store_that_dies_takes_its_bridge_along(start_bridge: StartBridge, tmp_path: Path) -> None:
    """A bridge whose own server was killed ends with 1 and says so: whoever supervises it starts both anew."""
    bridge = start_bridge(redis=None, storage=tmp_path / "store")
    os.kill(int((tmp_path / "store/server.lock").read_text()), signal.SIGKILL)
    assert bridge.wait(10) == 1
    assert "the embedded server ended with -9" in bridge.log_text()
    assert "Traceback" not in bridge.log_text()


def test_a_lost_store_causes_no_second_restart(
    start_bridge: StartBridge, start_service: StartService, tmp_path: Path
) -> None:
    """Unless told to trust an empty store, a container younger than its cooldown may be one of our own restarts."""
    shop = start_service().fall_sick()
    bridge = start_bridge(redis=None, store={"path": str(tmp_path / "new"), "trust_empty": False})
    refused = bridge.repair(firing(shop.name))
    assert (refused["outcome"], refusals(refused)) == ("refused", ["recently_started"])
    assert shop.boots == 1
