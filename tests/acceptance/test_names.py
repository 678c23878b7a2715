"""A bridge on loopback without tokens, called by names."""

from __future__ import annotations

from pathlib import Path

from bridge.demo import parts
from tests.acceptance.stack import Bridge


def test_it_is_read_by_its_external_name_and_not_by_a_strangers(tmp_path: Path) -> None:
    port = parts.free_port()
    web = {"listen_address": f"{parts.LOOPBACK}:{port}", "external_url": "https://hemostat.example.org/"}
    bridge = Bridge(docker="unix:///nowhere/docker.sock", storage=tmp_path / "store", port=port, web=web)

    def called(name: str) -> int:
        return bridge.request(
            "GET", "/api/v1/incidents", role=None, headers={"Host": f"{name}:{port}"}
        ).status_code

    with bridge:
        assert [called(n) for n in ("hemostat.example.org", "localhost", "evil.example")] == [200, 200, 421]


def test_who_insists_on_listening_to_everybody_is_read_by_any_name(tmp_path: Path) -> None:
    """By which names a network knows it nobody here can say."""
    port = parts.free_port()
    bridge = Bridge(
        docker="unix:///nowhere/docker.sock",
        storage=tmp_path / "store",
        port=port,
        web={"listen_address": f"0.0.0.0:{port}"},
    )
    bridge.argv.append("--web.insecure")
    with bridge:
        answer = bridge.request("GET", "/api/v1/incidents", role=None, headers={"Host": "bridge.example.org"})
        assert answer.status_code == 200
