"""Too many sick at once, on a real Redis: nothing of them is repaired, a human reads the numbers, and it ends by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from bridge import evidence
from bridge.edges.store.connection import Store
from bridge.edges.store.storms import StoredStorms
from bridge.judgement import Judge, Ruleset
from bridge.model.alert import Subject, SubjectKind
from bridge.model.evidence import Health
from bridge.model.incident import Incident, Outcome
from bridge.model.policy import Limits, Policy, TargetPolicy, VerifyPolicy
from bridge.model.refusal import Reason
from bridge.pipeline import Pipeline
from bridge.storm_watch import StormWatch
from bridge.triage.case import Thresholds
from tests.in_memory_containers import InMemoryContainers
from tests.integration.desk import Desk, alert
from tests.integration.walking import pipeline_on

SHOP = {"hemostat.enable": "true", "com.docker.compose.project": "shop"}
AT_ONCE = VerifyPolicy(within_seconds=60.0, stable_for_seconds=0.0, relapse_watch_seconds=0.0)


@dataclass
class Shop:
    """Eight containers of one project and one of none; all run well until one is sick."""

    desk: Desk
    docker: InMemoryContainers
    judge: Judge
    pipeline: Pipeline
    watch: StormWatch

    async def sicken(self, *names: str) -> list[str]:
        """Each is unhealthy, and one webhook says so; the incidents."""
        for name in names:
            self.docker.change(name, health=Health.UNHEALTHY, failing_streak=3)
        return list((await self.desk.take(*(alert(name, fingerprint=name) for name in names))).incidents)

    async def recover(self, *names: str) -> None:
        """Their alerts end."""
        await self.desk.take(*(alert(name, ended=60, fingerprint=name) for name in names))

    async def walked(self, incident_id: str) -> Incident:
        """Turn after turn to its end."""
        for _ in range(100):
            held = await self.desk.claim(incident_id)
            await self.pipeline.walk(held)
            await self.desk.store.command("HSET", f"{{hemostat}}:incident:{incident_id}", "lease", 0)
            record = await self.desk.journal.read(incident_id)
            assert record is not None
            incident = record.incident
            if incident.closed:
                return incident
        raise AssertionError(f"not closed: {incident.state} {incident.reason}")

    async def suspects(self) -> list[str]:
        """What is written down as suspect."""
        return [share.population.key for share in await StoredStorms(self.desk.store).suspects()]


@pytest.fixture
async def shop(desk: Desk, store: Store) -> AsyncIterator[Shop]:
    """An hour's budget for everybody, so that only the share stands in the way."""
    docker = InMemoryContainers()
    for n in range(8):
        docker.run(f"c{n}", labels=SHOP, health=Health.HEALTHY)
    docker.run("lone", health=Health.HEALTHY)
    limits = replace(Limits(), share_quiet_seconds=0.0)
    # Without the rule about sick neighbours, which would leave them to a person before a share is asked.
    ruleset = Ruleset(
        policy=Policy(root=TargetPolicy(verify=AT_ONCE), limits=limits),
        thresholds=Thresholds(sick_neighbours=100, project_share=1.0),
    )
    pipeline = pipeline_on(store, docker, ruleset=ruleset, journal=desk.journal)
    judge = pipeline.desk.judge
    yield Shop(desk, docker, judge, pipeline, StormWatch(storms=StoredStorms(store), judge=judge))
    await judge.census.close()


async def test_five_of_eight_are_refused_with_the_numbers_and_none_is_restarted(shop: Shop) -> None:
    """Each refusal reads the same, the trace shows what it saw, and the first reason is the one that is counted."""
    for incident_id in await shop.sicken("c0", "c1", "c2", "c3", "c4"):
        incident = await shop.walked(incident_id)
        assert incident.outcome is Outcome.REFUSED
        assert "5 of 8 containers of project shop are sick" in incident.reason
        assert incident.decision is not None
        assert incident.decision.refusals[0].reason is Reason.PROJECT_SHARE
        (seen,) = (answer for answer in incident.decision.guards if answer.guard == "project_share")
        assert {name: seen.inputs[name] for name in ("project", "sick", "known")} == {
            "project": "shop",
            "sick": "5",
            "known": "8",
        }
    assert shop.docker.actions == []


async def test_one_of_eight_is_repaired_meanwhile_elsewhere(shop: Shop) -> None:
    """What is suspect is the project, not the container of another."""
    await shop.sicken("c0", "c1", "c2", "c3")
    (incident_id,) = await shop.sicken("lone")
    assert (await shop.walked(incident_id)).outcome is Outcome.HEALED


async def test_one_sick_container_of_eight_is_repaired(shop: Shop) -> None:
    """And its trace says how many were sick."""
    (incident_id,) = await shop.sicken("c0")
    incident = await shop.walked(incident_id)
    assert incident.outcome is Outcome.HEALED
    assert incident.decision is not None
    (seen,) = (answer for answer in incident.decision.guards if answer.guard == "project_share")
    assert (seen.allowed, seen.inputs["sick"], seen.inputs["known"]) == (True, "1", "8")


async def test_a_project_becomes_suspect_by_the_watch_alone_and_recovers_by_it(shop: Shop) -> None:
    """Nobody need ask for a budget meanwhile."""
    await shop.watch.look()
    assert await shop.suspects() == []
    ids = await shop.sicken("c0", "c1", "c2")
    await shop.watch.look()
    assert await shop.suspects() == ["project/local/shop"]
    await shop.recover("c0", "c1", "c2")
    for incident_id in ids:
        assert (await shop.walked(incident_id)).outcome is Outcome.RESOLVED
    await shop.watch.look()
    await shop.watch.look()
    assert await shop.suspects() == []


async def test_a_reload_lifts_what_is_suspect_no_more(shop: Shop) -> None:
    """An operator who raises the share, or turns it off, need not wait for the world."""
    ids = await shop.sicken("c0", "c1", "c2")
    await shop.walked(ids[0])
    ruleset = shop.judge.ruleset
    raised = replace(ruleset.policy.limits, project_share=1.0)
    shop.judge.ruleset = replace(ruleset, policy=replace(ruleset.policy, limits=raised))
    await shop.watch.look()
    await shop.watch.look()
    assert await shop.suspects() == []
    assert (await shop.walked(ids[1])).outcome is Outcome.HEALED


async def test_simulate_is_refused_alike_and_makes_nothing_suspect(shop: Shop) -> None:
    """It asks with the limits of its own file, which may be another."""
    await shop.sicken("c0", "c1", "c2")
    subject = Subject(kind=SubjectKind.CONTAINER, host="local", name="c3")
    found = await shop.judge.locate(subject)
    assert isinstance(found, evidence.Found)
    shop.docker.change("c3", health=Health.UNHEALTHY, failing_streak=3)
    found = replace(found, facts=shop.docker.containers["c3"])
    decision = (await shop.judge.consider(subject, [alert("c3")], found)).decision
    assert [refusal.reason for refusal in decision.refusals] == [Reason.PROJECT_SHARE]
    assert await shop.suspects() == []


async def test_while_docker_cannot_list_nothing_is_repaired(shop: Shop) -> None:
    """How many are sick is not known then; it is looked at again."""
    (incident_id,) = await shop.sicken("c0")
    shop.docker.away = True
    await shop.pipeline.walk(await shop.desk.claim(incident_id))
    record = await shop.desk.journal.read(incident_id)
    assert record is not None
    assert not record.incident.closed
    assert shop.docker.actions == []
