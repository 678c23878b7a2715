"""A container of Compose is one target whatever an alert calls it, on a real Engine; so it is repaired once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from docker.models.containers import Container

from bridge import evidence
from bridge.demo import parts
from bridge.edges.docker_engine import DockerEngine, DockerHost
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.intake import subject_of
from bridge.judgement import Ruleset
from bridge.model.alert import Alert, AlertStatus
from bridge.model.incident import Target
from bridge.model.policy import Policy
from bridge.roles import Held
from tests.integration.walking import AT_ONCE, pipeline_on
from tests.waiting import until_true

IDLE = "trap 'exit 143' TERM; echo boot; sleep 100000 & wait"
LABELS = {
    "hemostat.enable": "true",
    "com.docker.compose.project": "shop",
    "com.docker.compose.service": "web",
    "com.docker.compose.container-number": "1",
}
NAME = "shop-web-1"


@pytest.fixture
async def docker(engine: parts.DockerEngine) -> AsyncIterator[DockerEngine]:
    """Our edge to a real Engine."""
    edge = DockerEngine([DockerHost(name="local", url=engine.url)])
    yield edge
    await edge.close()


def ways_to_name(container: Container) -> dict[str, dict[str, str]]:
    """Labels of alerts that are about it, each for an incident of its own."""
    container_id = str(container.id)
    return {
        "name": {"name": NAME},
        "full id": {"container_id": container_id},
        "short id": {"container_id": container_id[:12]},
        "id as name": {"container": container_id[:12]},
    }


async def located(docker: DockerEngine, labels: dict[str, str]) -> evidence.Found:
    """What the labels name."""
    found = await evidence.locate(docker, subject_of(labels, hosts=["local"]))
    assert isinstance(found, evidence.Found), found
    return found


async def test_a_container_is_one_target_by_name_and_by_id(
    docker: DockerEngine, run_container: Callable[..., Container]
) -> None:
    container = run_container(NAME, IDLE, labels=LABELS)
    for labels in ({"name": f"/{NAME}"}, *ways_to_name(container).values()):
        assert (await located(docker, labels)).target == Target(host="local", name=NAME), labels


async def test_it_is_the_same_target_while_compose_recreates_it(
    docker: DockerEngine, run_container: Callable[..., Container]
) -> None:
    """Compose makes the new one under another name, removes the old one, and renames. Source: its convergence.go."""
    old = run_container(NAME, IDLE, labels=LABELS, stop_signal="KILL")
    new = run_container(f"{str(old.id)[:12]}_{NAME}", IDLE, labels=LABELS)
    lent = await located(docker, {"container_id": str(new.id)})
    assert (lent.target, lent.facts.id) == (Target(host="local", name=NAME), new.id)
    old.remove(force=True)
    new.rename(NAME)
    assert (await located(docker, {"container_id": str(new.id)})).target == lent.target
    assert (await located(docker, {"name": NAME})).facts.id == new.id


async def test_four_alerts_that_name_it_differently_repair_it_once(
    docker: DockerEngine, run_container: Callable[..., Container], store: Store
) -> None:
    """Four incidents, walked at the same time; what one of them did the others find in budget and evidence."""
    container = run_container(NAME, IDLE, labels=LABELS, healthcheck="false")

    def health() -> str:
        container.reload()
        return str(container.attrs["State"]["Health"]["Status"])

    await until_true(lambda: health() == "unhealthy")
    alerts = []
    for number, labels in enumerate(ways_to_name(container).values()):
        told = {"alertname": "ContainerUnhealthy", **labels}
        firing = Alert(
            fingerprint=f"f{number}",
            status=AlertStatus.FIRING,
            labels=told,
            annotations={},
            starts_at=datetime.now(UTC),
        )
        alerts.append((firing, subject_of(told, hosts=["local"])))
    incidents = (await Acceptor(store, backlog_limit=99).accept(alerts)).incidents
    assert len(incidents) == len(alerts)
    await asyncio.gather(*(walked(store, docker, each) for each in incidents))
    await until_true(lambda: container.logs().count(b"boot") >= 2)
    assert container.logs().count(b"boot") == 2
    assert await store.command("HKEYS", "{hemostat}:targets") == [f"local/{NAME}"]


async def walked(store: Store, docker: DockerEngine, incident_id: str) -> None:
    """An incident walked to its end by a worker of its own."""
    journal = StoredJournal(store, lease_seconds=60.0)
    walk = pipeline_on(store, docker, ruleset=Ruleset(policy=Policy(root=AT_ONCE)), journal=journal)
    held = await journal.claim(incident_id, incident_id)
    assert isinstance(held, Held)
    async with asyncio.timeout(40):
        while (delay := await walk.walk(held)) is not None:
            await asyncio.sleep(min(delay, 1.0))
            held = await journal.load(held)
