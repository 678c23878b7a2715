"""The rules about HemoStat before a real one that is well, then paused, then refusing, then gone."""

import sys
from collections.abc import Callable
from pathlib import Path

from bridge.demo import parts
from tests.integration.exporters.conftest import until
from tests.rules.conftest import ROOT


def test_hemostat_is_reported_paused_refusing_and_gone_and_not_before(
    start_process: Callable[..., parts.Process],
    start_prometheus: Callable[..., parts.Prometheus],
    engine: parts.DockerEngine,
    tmp_path: Path,
) -> None:
    port = parts.free_port()
    config = (
        f"web: {{listen_address: '{parts.LOOPBACK}:{port}'}}\n"
        f"store: {{path: {tmp_path / 'store'}, trust_empty: true}}\n"
        f"docker: {{hosts: [{{name: local, url: '{engine.url}'}}]}}\n"
    )
    file = tmp_path / "bridge" / "hemostat.yml"
    bridge = start_process(
        [sys.executable, "-m", "bridge", "serve", f"--config.file={file}"],
        name="bridge",
        directory=file.parent,
        files={file.name: config},
        url=f"http://{parts.LOOPBACK}:{port}",
        cwd=ROOT,
    )
    rules = parts.shortened_rules(ROOT / "alert-rules", tmp_path / "rules", hold="0s")
    prometheus = start_prometheus(
        rules=rules,
        jobs={"hemostat": f"{parts.LOOPBACK}:{port}"},
        scrape_interval="200ms",
        evaluation_interval="200ms",
    )

    def firing() -> set[str]:
        return {one["metric"]["alertname"] for one in prometheus.query('ALERTS{alertstate="firing"}')}

    until(lambda: prometheus.query("count_over_time(hemostat_store_up[1m]) > 4"))
    assert firing() == set()
    parts.http_request("PUT", f"{bridge.url}/api/v1/pause", {"why": "a test"})
    until(lambda: firing() == {"HemoStatPausedTooLong"})
    assert parts.http_request("POST", f"{bridge.url}/api/v1/alerts", {"no": "webhook"})[0] == 400
    until(lambda: firing() == {"HemoStatPausedTooLong", "HemoStatRejectsAlerts"})
    bridge.kill()
    until(lambda: "HemoStatDown" in firing())
