"""Containers that fall sick on request, and what Docker and their own logs say of them afterwards."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from docker.types import Healthcheck

from bridge.demo import parts
from tests.acceptance.stack import HOST

OPTED_IN = {"hemostat.enable": "true"}
CURABLE = "rm -f /tmp/sick; echo boot; sleep 100000 & wait"
INCURABLE = "echo boot; sleep 100000 & wait"
CRASHING = "echo boot; exit 1"
STOP_SECONDS = 1
SECOND = 1_000_000_000
CHECK_EVERY = 3 * SECOND // 10


class Service:
    """One container. Each start writes `boot` to its log, which is the truth about how often it was restarted.

    It ends with 143 when told to stop and with 1 when it crashes. Its health check fails while `/tmp/sick` exists,
    which a curable one removes when it boots.
    """

    def __init__(
        self,
        engine: parts.DockerEngine,
        name: str,
        *,
        script: str = CURABLE,
        labels: Mapping[str, str] = OPTED_IN,
        restart: str | None = None,
    ) -> None:
        """`script` runs after the traps are set; `restart` is Docker's restart policy."""
        self.name = name
        self.target = f"{HOST}/{name}"
        self._api = engine.client.api
        self.id: str = self._api.create_container(
            engine.image,
            ["sh", "-c", f"trap 'exit 143' TERM; trap 'exit 1' USR1; {script}"],
            name=name,
            labels=dict(labels),
            healthcheck=Healthcheck(
                test=["CMD-SHELL", "test ! -e /tmp/sick"], interval=CHECK_EVERY, timeout=5 * SECOND, retries=1
            ),
            stop_timeout=STOP_SECONDS,
            host_config=self._api.create_host_config(
                network_mode="none", restart_policy={"Name": restart} if restart else None
            ),
        )["Id"]
        self._api.start(self.id)

    @property
    def state(self) -> dict[str, Any]:
        """Docker's `State` of it now."""
        state: dict[str, Any] = self._api.inspect_container(self.id)["State"]
        return state

    @property
    def status(self) -> str:
        """`running`, `exited`, …"""
        return str(self.state["Status"])

    @property
    def health(self) -> str:
        """`healthy`, `unhealthy`, `starting`."""
        return str(self.state["Health"]["Status"])

    @property
    def boots(self) -> int:
        """How often it has started, by its own account."""
        return int(self._api.logs(self.id).split().count(b"boot"))

    def fall_sick(self) -> Service:
        """Its health check fails from now on; returns once Docker has noticed."""
        self._run("touch /tmp/sick")
        self._await(lambda: self.health == "unhealthy", "unhealthy")
        return self

    def crash(self) -> Service:
        """Its process ends with 1, and nobody asked Docker for that; returns once Docker has noticed."""
        self._run("kill -USR1 1")
        self._await(lambda: self.status == "exited", "exited")
        return self

    def await_boots(self, count: int, *, within: float = 15) -> None:
        """Returns once it has started so often."""
        self._await(lambda: self.boots >= count, f"booted {count} times", within)

    def stop(self, seconds: int | None = None) -> None:
        """`docker stop`, which gives it so long to end; by default as long as it has by itself."""
        self._api.stop(self.id, timeout=seconds)

    def await_event(self, action: str) -> None:
        """Returns once the Engine has told of it, `kill` say."""
        asked: dict[str, Any] = {
            "since": 1,
            "filters": {"container": self.id, "event": action},
            "decode": True,
        }
        self._await(lambda: any(self._api.events(until=int(time.time()) + 1, **asked)), f"told to {action}")

    def remove(self) -> None:
        """`docker rm --force`."""
        self._api.remove_container(self.id, force=True, v=True)

    def _run(self, command: str) -> None:
        self._await(lambda: self.boots > 0, "started")  # by then its traps are set
        self._api.exec_start(self._api.exec_create(self.id, ["sh", "-c", command])["Id"])

    def _await(self, fact: Any, what: str, within: float = 15) -> None:
        assert parts.wait_until(fact, seconds=within), f"{self.name} is not {what} but {self.state}"
