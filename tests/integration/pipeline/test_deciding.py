"""What comes of an incident before anything is begun: refused, waited for, over by itself, or told to a human."""

from __future__ import annotations

import pytest

from bridge.edges.store.acceptance import Acceptor
from bridge.intake import subject_of
from bridge.model.alert import Alert, AlertStatus
from bridge.model.evidence import ContainerStatus
from bridge.model.incident import Outcome, State
from bridge.model.policy import Cap, Mode
from bridge.model.refusal import Reason
from bridge.model.verdict import Action
from tests.in_memory_containers import BOOT
from tests.integration.walking import Walk


async def test_an_alert_that_ended_before_the_walk_is_resolved_without_an_action(walk: Walk) -> None:
    """A resolved cancels work that has not begun."""
    incident_id = await walk.alert()
    await walk.alert(ended=30)
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, walk.docker.actions) == (Outcome.RESOLVED, [])


async def test_an_alert_that_joins_while_the_incident_is_being_closed_is_looked_at(walk: Walk) -> None:
    """The worker saw only ended alerts; another one joined before it could close: nothing is lost."""
    incident_id = await walk.alert(fingerprint="aa")
    await walk.alert(fingerprint="aa", ended=30)
    held = await walk.claim(incident_id)
    assert await walk.alert(fingerprint="bb") == incident_id
    assert await walk.pipeline.walk(held) == 0.0
    assert (await walk.written(incident_id)).state is State.OPEN
    incident = await walk.until_closed(incident_id)
    assert (incident.outcome, len(walk.docker.actions)) == (Outcome.HEALED, 1)


async def test_docker_away_waits_and_then_tells_a_human(walk: Walk) -> None:
    """Unknown is neither repaired nor forgotten."""
    walk.docker.away = True
    incident_id = await walk.alert()
    incident = await walk.turn(incident_id)
    assert incident.state is State.WAITING
    assert b'hemostat_edge_errors_total{edge="docker"} 1.0' in walk.pipeline.desk.metrics.page()
    walk.policy(wait_for_seconds=-1)
    assert (await walk.turn(incident_id)).outcome is Outcome.ESCALATED


async def test_a_target_that_another_incident_repairs_is_waited_for(walk: Walk) -> None:
    """Two alerts may name one container in two ways; when the other one is through, its cooldown will tell."""
    lock = "{hemostat}:lock:local/web"
    await walk.store.command("HSET", lock, "incident", "another", "token", 1)
    incident_id = await walk.alert()
    assert (await walk.turn(incident_id)).state is State.WAITING
    assert walk.docker.actions == []
    await walk.store.command("DEL", lock)
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED


async def test_docker_back_is_repaired_after_all(walk: Walk) -> None:
    """The wait ends as soon as there is something to see."""
    walk.docker.away = True
    incident_id = await walk.alert()
    await walk.turn(incident_id)
    walk.docker.away = False
    assert (await walk.until_closed(incident_id)).outcome is Outcome.HEALED


async def test_what_still_fires_when_a_pause_ends_is_repaired_at_its_next_resend(walk: Walk) -> None:
    """Not only after a cooldown, as after a refusal without an end; and once."""
    await walk.budgets.pause(by="ann", why="night", until=None)
    paused = await walk.alert()
    assert (await walk.until_closed(paused)).outcome is Outcome.REFUSED
    assert await walk.alert() == paused
    await walk.budgets.resume()
    resumed = await walk.alert()
    assert resumed != paused
    assert (await walk.until_closed(resumed)).outcome is Outcome.HEALED
    assert await walk.alert() == resumed
    assert len(walk.docker.actions) == 1


async def test_observe_mode_acts_on_nothing_and_says_what_it_would_have_done(walk: Walk) -> None:
    """The same decision, not carried out, nothing reserved."""
    walk.policy(mode=Mode.OBSERVE)
    incident = await walk.until_closed(await walk.alert())
    assert (incident.outcome, walk.docker.actions) == (Outcome.REFUSED, [])
    assert incident.decision is not None
    assert incident.decision.would is Action.RESTART
    assert "would have done: restart" in incident.reason
    assert await walk.store.command("ZCARD", "{hemostat}:window:fleet") == 0


async def test_observe_mode_tells_that_a_budget_would_have_refused(walk: Walk) -> None:
    """What would have been done is nothing."""
    walk.policy(mode=Mode.OBSERVE, caps=(Cap(max=0, per_seconds=60),))
    incident = await walk.until_closed(await walk.alert())
    assert incident.decision is not None
    assert incident.decision.would is None
    assert incident.decision.refusals[-1].reason is Reason.TARGET_CAP


async def test_the_troubles_of_a_container_that_never_opted_in_are_not_told(walk: Walk) -> None:
    """Refused whatever the verdict is, so that nobody is paged for it."""
    walk.docker.change(labels={}, status=ContainerStatus.EXITED, exit_code=127)
    incident = await walk.until_closed(await walk.alert())
    assert incident.outcome is Outcome.REFUSED
    assert incident.decision is not None
    assert incident.decision.refusals[0].reason is Reason.NOT_OPTED_IN


async def test_an_alert_that_always_fires_pages_nobody(walk: Walk) -> None:
    """A dead man's switch names no container, and is not an incident for a human."""
    always = Alert(
        fingerprint="dd",
        status=AlertStatus.FIRING,
        labels={"alertname": "Watchdog"},
        annotations={},
        starts_at=BOOT,
    )
    acceptor = Acceptor(walk.store, backlog_limit=10)
    (incident_id,) = (await acceptor.accept([(always, subject_of(always.labels, hosts=["local"]))])).incidents
    assert (await walk.until_closed(incident_id)).outcome is Outcome.NO_ACTION


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({}, "service_name)"),
        (
            {"container_id": "5A78FD", "name": " "},
            "service_name); no container can be called what container_id says",
        ),
    ],
)
async def test_an_alert_that_names_nothing_is_escalated_and_says_what_was_looked_at(
    walk: Walk, labels: dict[str, str], told: str
) -> None:
    """Also where a label is there, and cannot be what it should be."""
    lost = Alert(
        fingerprint="ee",
        status=AlertStatus.FIRING,
        labels={"alertname": "DiskFull", **labels},
        annotations={},
        starts_at=BOOT,
    )
    acceptor = Acceptor(walk.store, backlog_limit=10)
    (incident_id,) = (await acceptor.accept([(lost, subject_of(lost.labels, hosts=["local"]))])).incidents
    incident = await walk.until_closed(incident_id)
    assert incident.outcome is Outcome.ESCALATED
    assert incident.reason.startswith("no label names a target (looked at: container_id, ")
    assert incident.reason.endswith(told)


async def test_a_label_that_is_nobodys_business_is_not_kept(walk: Walk) -> None:
    """It may hold secrets of any shape."""
    walk.docker.change(labels={"hemostat.enable": "true", "traefik.auth": "admin:s3cret"})
    incident_id = await walk.alert()
    await walk.until_closed(incident_id)
    assert "s3cret" not in str(await walk.store.command("HGETALL", f"{{hemostat}}:incident:{incident_id}"))
