"""Start a stopped container; nothing happens if it runs."""

from __future__ import annotations

from bridge.roles import Containers


async def run(containers: Containers, host: str, container_id: str) -> None:
    """Ask for the start and wait for Docker's answer.

    Raises:
        EdgeRejected: Docker refused; the container did not start (its own error is in the message).
        EdgeUnavailable: no answer; whether it happened is unknown until the container is looked at.
    """
    await containers.start(host, container_id)
