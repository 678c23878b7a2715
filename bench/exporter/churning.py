"""`python -m bench.exporter.churning URL`: containers come, live for a second and go, 3.5 of them in a second.

Until standard input ends; then it prints how many there were.
"""

from __future__ import annotations

import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import docker
from docker.errors import DockerException

from bench.exporter.fleet import NETWORK
from bridge.demo.parts.engine import IMAGE

PER_SECOND = 3.5
AT_ONCE = 8


def main() -> None:
    client = docker.DockerClient(base_url=sys.argv[1], timeout=30)
    ended = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(ended,), daemon=True).start()
    lives: list[Future[bool]] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while not ended.wait(1 / PER_SECOND):
            lives.append(pool.submit(_short_life, client, f"brief-{len(lives)}"))
    print(sum(life.result() for life in lives))


def _wait_for_the_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _short_life(client: docker.DockerClient, name: str) -> bool:
    """Whether it came and went."""
    try:
        container = client.containers.run(
            IMAGE, ["sleep", "1"], name=name, mem_limit="64m", network_mode=NETWORK, detach=True
        )
        container.wait()
        container.remove(force=True)
    except (DockerException, OSError):
        return False
    return True


if __name__ == "__main__":
    main()
