"""Alerts posted without pause by several senders, every answer kept: what was accepted, what was refused, and when."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from typing import Self

import requests

from bridge.demo import parts
from tests.acceptance.stack import Bridge, firing

SENDERS = 8
PAUSE_SECONDS = 0.02
"""Between two webhooks of one sender: enough for a fault to meet some in the middle."""


class Load:
    """Alerts that name no container, no two alike: each has an incident of its own, and none counts as sick."""

    def __init__(self, bridge: Bridge, *, senders: int = SENDERS) -> None:
        self.codes: Counter[int] = Counter()
        """Answers by status; 0: the connection broke without one."""
        self.accepted: set[str] = set()
        self._bridge = bridge
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._last_accepted = 0.0
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(senders)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def until_answered(self, code: int, times: int, *, within: float = 20) -> None:
        """Returns once there are so many more answers of this kind."""
        wanted = self.codes[code] + times
        assert parts.wait_until(lambda: self.codes[code] >= wanted, seconds=within), (code, self.codes)

    def until_accepted_after(self, moment: float, *, within: float = 20) -> float:
        """The monotonic time at which the first alert was accepted after `moment`."""
        found = parts.wait_until(lambda: self._last_accepted > moment, seconds=within, every=0.005)
        assert found, (self.codes, self._bridge.log_tail(30))
        return self._last_accepted

    def lost(self, *, within: float = 30) -> set[str]:
        """Accepted alerts whose incidents are not there, or came to no end within this time."""
        missing = set(self.accepted)

        def all_ended() -> bool:
            cursor: str | None = ""
            while cursor is not None:
                page = self._bridge.get(
                    "/api/v1/incidents",
                    state="closed",
                    limit="1000",
                    **({"cursor": cursor} if cursor else {}),
                )
                missing.difference_update(one["id"] for one in page["incidents"])
                cursor = page["cursor"]
            return not missing

        parts.wait_until(all_ended, seconds=within, every=0.2)
        return missing

    def _send(self) -> None:
        while not self._stop.wait(PAUSE_SECONDS):
            alert = firing("", alertname=f"Nowhere{next(self._numbers)}")
            try:
                answer = self._bridge.post(alert)
            except requests.RequestException:
                with self._lock:
                    self.codes[0] += 1
                continue
            with self._lock:
                self.codes[answer.status_code] += 1
                if answer.status_code == 202:
                    self.accepted.update(answer.json()["incidents"])
                    self._last_accepted = time.monotonic()
