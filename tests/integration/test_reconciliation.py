"""An alert whose webhook was lost, taken in from a real Alertmanager; and one that ended without a word, ended."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bridge import errors
from bridge.demo import parts
from bridge.edges.alertmanager import AlertmanagerApi
from bridge.edges.http_neighbour import HttpNeighbour
from bridge.edges.store.episodes import StoredEpisodes
from bridge.edges.store.storms import StoredStorms
from bridge.metrics import Metrics
from bridge.model.alert import Alert
from bridge.model.incident import Entry, Outcome
from bridge.model.policy import BreakerPolicy
from bridge.reconciliation import Reconciler
from bridge.redaction import Redactor
from tests.integration.desk import Desk, alert
from tests.waiting import until

NOWHERE = "http://127.0.0.1:9/"
SOON = 5.0
"""Seconds in which an alert ends by itself; by then it must have been seen firing, however busy the machine is."""

Build = Callable[..., Reconciler]


@pytest.fixture
async def alertmanager(start_alertmanager: Callable[..., parts.Alertmanager]) -> parts.Alertmanager:
    """Its webhooks reach nobody."""
    return await asyncio.to_thread(start_alertmanager, webhook_url=NOWHERE)


@pytest.fixture
async def build(
    desk: Desk, alertmanager: parts.Alertmanager, alertmanager_at: Callable[..., HttpNeighbour]
) -> AsyncIterator[Build]:
    """A replica on the desk's store; takes changes of the arguments of ``Reconciler``."""
    edges = []

    def build_one(**changes: Any) -> Reconciler:
        edges.append(AlertmanagerApi(alertmanager_at(alertmanager.url)))
        options: dict[str, Any] = {
            "alertmanager": edges[-1],
            "episodes": StoredEpisodes(desk.store),
            "storms": StoredStorms(desk.store),
            "budgets": desk.budgets,
            "accept": desk.acceptor.accept,
            "hosts": lambda: ["local"],
            "redactor": Redactor,
            "metrics": Metrics(),
            "owner": f"replica-{len(edges)}",
            "interval_seconds": 0.002,  # the lease with it
            "receiver": "hemostat",
            **changes,
        }
        return Reconciler(**options)

    yield build_one
    for edge in edges:
        await edge.close()


def wire(name: str, *, minutes: float = 30, ends_in: float = 3600, **labels: str) -> dict[str, Any]:
    """An alert for Alertmanager's own API, firing since some minutes."""
    now = datetime.now(UTC)
    return {
        "labels": {"alertname": "ContainerUnhealthy", "name": name, **labels},
        "annotations": {"summary": f"{name} is sick"},
        "startsAt": (now - timedelta(minutes=minutes)).isoformat(),
        "endsAt": (now + timedelta(seconds=ends_in)).isoformat(),
    }


async def post(alertmanager: parts.Alertmanager, *alerts: dict[str, Any]) -> None:
    """Returns once it lists as many as it holds."""
    await asyncio.to_thread(alertmanager.post_alerts, *alerts)


async def open_names(desk: Desk) -> list[str]:
    """The containers that firing alerts of open incidents name."""
    return sorted(a.labels["name"] for a in await StoredEpisodes(desk.store).open())


async def taken_in(desk: Desk, build: Build, *names: str, **changes: Any) -> None:
    """Compares until these are open: Alertmanager lists what it was told a moment later."""
    reconciler = build(**changes)

    async def done() -> bool:
        await reconciler.compare()
        return await open_names(desk) == sorted(names)

    await until(done, seconds=20)


async def test_an_alert_whose_webhook_was_lost_is_taken_in_once(
    desk: Desk, alertmanager: parts.Alertmanager, build: Build
) -> None:
    """Under Alertmanager's own fingerprint: a webhook that comes after all joins, a second comparison finds nothing."""
    await post(alertmanager, wire("web"))
    metrics = Metrics()
    await taken_in(desk, build, "web", metrics=metrics)
    (known,) = await StoredEpisodes(desk.store).open()
    assert known.annotations == {"summary": "web is sick"}
    await build().compare()
    late: Alert = alert("web", fingerprint=known.fingerprint)
    assert len((await desk.take(late)).incidents) == 1
    assert await desk.journal.open_count() == 1
    assert metrics.registry.get_sample_value("hemostat_reconciled_alerts_total", {"what": "taken_in"}) == 1


async def test_silenced_alerts_and_young_ones_are_left_alone(
    desk: Desk, alertmanager: parts.Alertmanager, build: Build
) -> None:
    """An operator silenced the one; the webhook of the other is yet to come."""
    silence = {
        "matchers": [{"name": "name", "value": "quiet", "isRegex": False}],
        "startsAt": datetime.now(UTC).isoformat(),
        "endsAt": (datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "test",
    }
    await asyncio.to_thread(parts.http_request, "POST", f"{alertmanager.url}/api/v2/silences", silence)
    await post(alertmanager, wire("quiet"), wire("young", minutes=0), wire("web"))
    await taken_in(desk, build, "web")


async def test_what_is_routed_elsewhere_is_not_ours(
    desk: Desk, alertmanager: parts.Alertmanager, build: Build
) -> None:
    """The operator's routing excluded it: nothing is taken in until a webhook names a receiver, and then only its own."""
    await post(alertmanager, wire("web"))

    async def is_listed() -> bool:
        _, body = await asyncio.to_thread(parts.http_request, "GET", f"{alertmanager.url}/api/v2/alerts")
        return len(json.loads(body)) == 1

    await until(is_listed)
    await build(receiver=None).compare()
    await build(receiver="people").compare()
    await StoredEpisodes(desk.store).heard("people", watchdog=False)
    await build(receiver=None).compare()
    assert await open_names(desk) == []
    await StoredEpisodes(desk.store).heard("hemostat", watchdog=False)
    await taken_in(desk, build, "web", receiver=None)


async def test_an_episode_that_ended_without_a_word_is_ended(
    desk: Desk, alertmanager: parts.Alertmanager, build: Build
) -> None:
    """Alertmanager held it, and lets it go; what it never held and what it still holds stay."""
    await post(alertmanager, wire("web", ends_in=SOON), wire("db"))
    await taken_in(desk, build, "web", "db")
    await desk.take(alert("by-hand", fingerprint="hand"))
    await taken_in(desk, build, "by-hand", "db")


async def test_an_alertmanager_that_forgot_everything_ends_nothing(
    desk: Desk, alertmanager: parts.Alertmanager, build: Build
) -> None:
    """Restarted, it knows nothing of what fires until Prometheus tells it again."""
    told_to_end = time.monotonic() + SOON
    await post(alertmanager, wire("web", ends_in=SOON))
    await taken_in(desk, build, "web")
    await build().compare()
    await asyncio.to_thread(alertmanager.stop)
    await asyncio.to_thread(alertmanager.start)
    while time.monotonic() < told_to_end + 1:
        await build().compare()
        await asyncio.sleep(0.1)
    assert await open_names(desk) == ["web"]


async def test_what_a_pause_refused_is_taken_up_when_that_is_over(
    desk: Desk, alertmanager: parts.Alertmanager, build: Build
) -> None:
    """Alertmanager may repeat it hours later only."""
    await post(alertmanager, wire("web"))
    await taken_in(desk, build, "web")
    await desk.budgets.pause(by="ann", why="night", until=None)
    held = await desk.claim(await desk.store.command("HGET", "{hemostat}:open", "container/local/web"))
    now = await desk.journal.now()
    refused = held.incident.closing(
        Outcome.REFUSED,
        "paused",
        now=now,
        reconsider_at=now + timedelta(hours=1),
        reconsider_unpaused_at=now - timedelta(seconds=1),
    )
    end = Entry(event="closed", fields={})
    await desk.journal.close(replace(held, incident=refused), end, healed=None, breaker=BreakerPolicy())
    await build().compare()
    assert await open_names(desk) == []
    await desk.budgets.resume()
    await taken_in(desk, build, "web")


async def test_one_replica_compares_at_a_time(
    desk: Desk, alertmanager: parts.Alertmanager, build: Build
) -> None:
    """The others leave it at that."""
    await post(alertmanager, wire("web"))
    await desk.store.command("SET", "{hemostat}:reconcile", "another", "PX", 60_000)
    await build().compare()
    assert await open_names(desk) == []
    await desk.store.command("DEL", "{hemostat}:reconcile")
    await taken_in(desk, build, "web")


async def test_while_the_monitor_is_suspect_its_word_is_not_taken(
    desk: Desk, alertmanager: parts.Alertmanager, build: Build
) -> None:
    """Too many are sick at once: that may be its own doing."""
    await post(alertmanager, wire("web"))
    await desk.store.command("HSET", "{hemostat}:shares", "fleet", "1000 0 2000 50 80")
    await build().compare()
    assert await open_names(desk) == []
    await desk.store.command("DEL", "{hemostat}:shares")
    await taken_in(desk, build, "web")


async def test_an_alertmanager_that_is_away_is_an_error_and_nothing_is_ended(
    desk: Desk, build: Build, alertmanager_at: Callable[..., HttpNeighbour]
) -> None:
    """It is asked again soon."""
    await desk.take(alert("web"))
    edge = AlertmanagerApi(alertmanager_at(NOWHERE))
    with pytest.raises(errors.EdgeUnavailable):
        await build(alertmanager=edge).compare()
    assert await open_names(desk) == ["web"]
