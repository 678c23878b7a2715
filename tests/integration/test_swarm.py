"""What a real Swarm runs: one target for each place a task can have, whatever an alert calls it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from docker.errors import APIError

from bridge import evidence
from bridge.demo import parts
from bridge.demo.parts.machine import wait_until
from bridge.edges.docker_engine import DockerEngine, DockerHost
from bridge.edges.store.acceptance import Acceptor
from bridge.edges.store.connection import Store, milliseconds
from bridge.edges.store.journal import StoredJournal
from bridge.intake import subject_of
from bridge.judgement import Ruleset
from bridge.model.alert import Alert, AlertStatus
from bridge.model.incident import Entry, Incident, Outcome, Target
from bridge.model.policy import Policy
from bridge.model.refusal import Reason, Refusal
from bridge.roles import Grant, Held
from tests.conftest import started
from tests.integration.desk import FREE, OPEN_LIMITS, Desk
from tests.integration.serving import Running
from tests.integration.walking import AT_ONCE, pipeline_on
from tests.waiting import until_true

IDLE = "trap 'exit 143' TERM; trap 'exit 1' USR1; echo ready; sleep 100000 & wait"
SECONDS = 30.0
SERVICE = "com.docker.swarm.service.name"


class Service:
    """A service of Swarm, and the containers that it has or had."""

    def __init__(self, engine: parts.DockerEngine, name: str, **options: Any) -> None:
        self.name = name
        self._api = engine.client.api
        self._service = engine.client.services.create(  # type: ignore[no-untyped-call]  # the SDK has no types for it
            engine.image,
            name=name,
            command=["sh", "-c"],
            args=[IDLE],
            container_labels={"hemostat.enable": "true"},
            **options,
        )

    def containers(self, *status: str) -> list[dict[str, Any]]:
        """Those in one of these states, or all, the newest first."""
        filters: dict[str, Any] = {"label": f"{SERVICE}={self.name}"}
        listed = self._api.containers(all=True, filters=filters)
        return [each for each in listed if not status or each["State"] in status]

    async def runs(self, count: int = 1) -> list[dict[str, Any]]:
        """Wait until as many of its tasks run and hear signals, and nothing of it moves."""

        def settled() -> bool:
            running = self.containers("running")
            if len(running) != count or self.containers("created"):
                return False
            return all(b"ready" in self._api.logs(each["Id"]) for each in running)

        await until_true(settled, seconds=SECONDS)
        return self.containers("running")

    async def loses_its_task(self, signal: str = "KILL") -> dict[str, Any]:
        """Its only task dies, of USR1 with an exit code of 1; gives the container of the next one."""
        [before] = await self.runs()
        await asyncio.to_thread(self.kill, before, signal)
        await until_true(lambda: self.containers("running")[:1] not in ([], [before]), seconds=SECONDS)
        [after] = await self.runs()
        assert after["Id"] != before["Id"]
        return after

    def kill(self, container: dict[str, Any], signal: str = "KILL") -> None:
        """By Docker, behind Swarm's back."""
        self._api.kill(container["Id"], signal)

    def remove(self) -> None:
        """And what Swarm leaves of it; Swarm removes some of that itself, at the same time."""
        self._service.remove()
        assert wait_until(self._swept, seconds=SECONDS), self.containers()

    def _swept(self) -> bool:
        for each in self.containers():
            with contextlib.suppress(APIError):
                self._api.remove_container(each["Id"], force=True)
        return not self.containers()


@pytest.fixture(scope="module")
def swarm() -> Iterator[parts.DockerEngine]:
    """A Swarm of one node, shared by this file."""
    engine = started(lambda: parts.DockerEngine(swarm=True))
    yield engine
    engine.stop()


@pytest.fixture
def serve(swarm: parts.DockerEngine) -> Iterator[Callable[..., Service]]:
    """Services that are gone after the test."""
    made: list[Service] = []

    def one(name: str, **options: Any) -> Service:
        # Swarm waits five seconds before it replaces a task, unless it is told otherwise.
        options.setdefault("restart_policy", {"Condition": "any", "Delay": 0})
        made.append(Service(swarm, name, **options))
        return made[-1]

    yield one
    for service in made:
        service.remove()


@pytest.fixture
async def docker(swarm: parts.DockerEngine) -> AsyncIterator[DockerEngine]:
    """Our edge to it."""
    edge = DockerEngine([DockerHost(name="local", url=swarm.url)])
    yield edge
    await edge.close()


async def found(docker: DockerEngine, **labels: str) -> evidence.Found:
    """What an alert with these labels is about."""
    answer = await evidence.locate(docker, subject_of(labels, hosts=["local"]))
    assert isinstance(answer, evidence.Found), answer
    return answer


def name_of(container: dict[str, Any]) -> str:
    """As Docker shows it."""
    return str(container["Names"][0]).removeprefix("/")


async def test_a_task_is_one_target_by_whatever_label(
    docker: DockerEngine, serve: Callable[..., Service]
) -> None:
    [container] = await serve("web").runs()
    name, container_id = name_of(container), container["Id"]
    for labels in (
        {"service_name": "web"},
        {"name": name},
        {"container_name": f"/{name}"},
        {"container": container_id[:12]},
        {"container_id": container_id},
        {"container_id": container_id[:12]},
        {"container_id": f"docker://{container_id}", "name": name},
    ):
        answer = await found(docker, **labels)
        assert answer.target == Target(host="local", name="web.1"), labels
        assert answer.facts.id == container_id, labels


async def test_what_replaces_a_task_is_the_same_target_and_the_dead_hide_it_not(
    docker: DockerEngine, serve: Callable[..., Service]
) -> None:
    service = serve("web")
    [first] = await service.runs()
    for _ in range(2):
        living = await service.loses_its_task()
    assert len(service.containers("exited")) == 2
    by_service = await found(docker, service_name="web")
    assert (by_service.target, by_service.facts.id) == (Target(host="local", name="web.1"), living["Id"])
    assert (await found(docker, name=name_of(living))).target == by_service.target
    by_the_dead = await found(docker, name=name_of(first))
    assert (by_the_dead.target, by_the_dead.facts.id) == (by_service.target, living["Id"])


async def test_of_several_living_tasks_nobody_said_which_is_sick(
    docker: DockerEngine, serve: Callable[..., Service]
) -> None:
    service = serve("web", mode={"replicated": {"Replicas": 2}})
    both = await service.runs(2)
    answer = await evidence.locate(docker, subject_of({"service_name": "web"}, hosts=["local"]))
    assert isinstance(answer, evidence.Missing)
    assert "2 containers" in answer.why
    names = [(await found(docker, name=name_of(each))).target.name for each in both]
    assert sorted(names) == ["web.1", "web.2"]


async def test_a_service_whose_tasks_have_all_ended_is_the_last_of_them(
    docker: DockerEngine, serve: Callable[..., Service]
) -> None:
    """As long as they had one place: of several nobody said which is meant."""
    service = serve("job", restart_policy={"Condition": "none"})
    [container] = await service.runs()
    service.kill(container)
    await until_true(lambda: bool(service.containers("exited")), seconds=SECONDS)
    answer = await found(docker, service_name="job")
    assert (answer.target.name, answer.facts.id) == ("job.1", container["Id"])


async def test_a_person_finds_a_target_by_any_of_its_names(
    start: Callable[..., Awaitable[Running]], swarm: parts.DockerEngine, serve: Callable[..., Service]
) -> None:
    """And is shown it once, though a store that an older version wrote knows it by several."""
    [container] = await serve("web").runs()
    running = await start(docker_url=swarm.url)
    names = ["web", "web.1", name_of(container)]
    store, known = running.parts.store, "{hemostat}:targets"
    await store.command("HSET", known, *(word for name in names for word in (f"local/{name}", "{}")))
    earlier = milliseconds(await running.parts.journal.now()) - 600_000
    await store.command("ZADD", "{hemostat}:window:target:local/web", earlier, 7)
    status, shown = await running.get("/api/v1/targets")
    assert (status, [each["name"] for each in shown["targets"]]) == (200, ["web.1"])
    for name in [*names, container["Id"]]:
        status, one = await running.get(f"/api/v1/targets/local/{name}")
        assert (status, one["name"], one["actions_last_hour"]) == (200, "web.1", 1)
    async with running.client.post(f"/api/v1/targets/local/{names[-1]}/reset") as answer:
        assert answer.status == 204
    assert (await running.get("/api/v1/targets/local/web"))[1]["actions_last_hour"] == 0


async def test_the_budget_of_a_place_outlives_its_task(
    docker: DockerEngine, serve: Callable[..., Service], desk: Desk
) -> None:
    service, policy = serve("web"), replace(FREE, cooldown_seconds=3600.0)
    await service.runs()

    async def asked(answer: evidence.Found) -> Grant | Refusal:
        held = await desk.judged(answer.target.name, fingerprint=answer.facts.id[:12])
        entry = Entry(event="reserved", fields={})
        return await desk.budgets.acquire(
            held, policy=policy, limits=OPEN_LIMITS, facts=answer.facts, entry=entry
        )

    assert isinstance(await asked(await found(docker, service_name="web")), Grant)
    await desk.store.command("DEL", "{hemostat}:lock:local/web.1", "{hemostat}:open")
    living = await service.loses_its_task()
    refused = await asked(await found(docker, name=name_of(living)))
    assert isinstance(refused, Refusal)
    assert refused.reason is Reason.COOLDOWN


async def test_a_restart_by_docker_leaves_two_where_swarm_wants_one(
    docker: DockerEngine, serve: Callable[..., Service]
) -> None:
    """Why HemoStat does not: Swarm takes the task for failed and starts another, the restarted container runs on."""
    service = serve("web")
    [container] = await service.runs()
    await docker.restart("local", container["Id"])
    both = await service.runs(2)
    assert container["Id"] in [each["Id"] for each in both]


async def closed_about(container: dict[str, Any], docker: DockerEngine, store: Store) -> Incident:
    """The incident of an alert that a container is down."""
    labels = {"alertname": "ContainerDown", "name": name_of(container)}
    starts_at = datetime.now(UTC)
    firing = Alert(
        fingerprint="aa", status=AlertStatus.FIRING, labels=labels, annotations={}, starts_at=starts_at
    )
    taken = [(firing, subject_of(labels, hosts=["local"]))]
    [incident_id] = (await Acceptor(store, backlog_limit=9).accept(taken)).incidents
    walk = pipeline_on(store, docker, ruleset=Ruleset(policy=Policy(root=AT_ONCE)))
    journal = StoredJournal(store, lease_seconds=60.0)
    held = await journal.claim(incident_id, "worker")
    assert isinstance(held, Held)
    await walk.walk(held)
    record = await journal.read(incident_id)
    assert record is not None
    return record.incident


async def test_what_swarm_has_replaced_needs_no_repair(
    docker: DockerEngine, serve: Callable[..., Service], store: Store
) -> None:
    """An ended task fires ``ContainerDown`` for as long as Swarm keeps it; started, it would run beside its successor."""
    service = serve("web")
    [ended] = await service.runs()
    living = await service.loses_its_task("USR1")
    incident = await closed_about(ended, docker, store)
    assert (incident.outcome, incident.target) == (Outcome.NO_ACTION, Target(host="local", name="web.1"))
    assert incident.evidence is not None
    assert incident.evidence.container is not None
    assert incident.evidence.container.id == living["Id"]
    assert [each["Id"] for each in service.containers("running")] == [living["Id"]]


async def test_what_swarm_does_not_replace_is_for_a_person(
    docker: DockerEngine, serve: Callable[..., Service], store: Store
) -> None:
    """Nobody but Swarm's manager knows whether the service is meant to go on."""
    service = serve("web", restart_policy={"Condition": "none"})
    [container] = await service.runs()
    service.kill(container, "USR1")
    await until_true(lambda: bool(service.containers("exited")), seconds=SECONDS)
    incident = await closed_about(container, docker, store)
    assert incident.outcome is Outcome.REFUSED
    assert "docker service update --force" in incident.reason
    assert incident.decision is not None
    assert [refusal.reason for refusal in incident.decision.refusals] == [Reason.SWARM_TASK]
    assert service.containers("running") == []


async def test_a_task_of_a_global_service_is_known_by_its_node(
    docker: DockerEngine, serve: Callable[..., Service]
) -> None:
    service = serve("agent", mode={"Global": {}})
    [container] = await service.runs()
    node = container["Labels"]["com.docker.swarm.node.id"]
    for labels in ({"service_name": "agent"}, {"name": name_of(container)}):
        assert (await found(docker, **labels)).target.name == f"agent.{node}"
