"""What another version of HemoStat wrote: shown as such, never a reason to show nothing, and left as it is."""

from __future__ import annotations

import pytest

from bridge import errors
from bridge.edges.store.episodes import StoredEpisodes
from bridge.edges.store.records import UNREADABLE, encode_incident
from bridge.model.episode import Sighting
from bridge.model.incident import IncidentQuery, Outcome, State, Target
from tests.integration.desk import START, Desk, alert
from tests.integration.outcomes import write

FOREIGN = {
    "no JSON": ("doc", '{"id": '),
    "another shape": ("doc", '{"of": "another version"}'),
    "an unknown word": ("doc", '{"id":"x","subject":{"kind":"pod"},"opened_at":"2026-11-20T12:00:00Z"}'),
    "evidence of another shape": ("evidence", '{"at": 1}'),
    "grounds of another shape": ("audit", "[]"),
}
foreign = pytest.mark.parametrize(("field", "text"), FOREIGN.values(), ids=FOREIGN)


def key(incident_id: str, part: str = "") -> str:
    """Of an incident in the store."""
    return f"{{hemostat}}:incident:{incident_id}{part}"


@foreign
async def test_a_list_shows_it_as_such_between_those_that_can_be_read(
    desk: Desk, field: str, text: str
) -> None:
    """With what stands beside its document: what it is about, how it ended, when."""
    before, theirs, after = await write(desk, [Outcome.HEALED, Outcome.FAILED, Outcome.REFUSED])
    whole = (await desk.journal.newest(IncidentQuery()))[0][1]
    await desk.store.command("HSET", key(theirs), field, text)
    found, _ = await desk.journal.newest(IncidentQuery())
    assert [incident.id for incident in found] == [after, theirs, before]
    assert [bool(incident.unreadable) for incident in found] == [False, True, False]
    shown = found[1]
    assert (shown.state, shown.outcome, shown.subject) == (State.CLOSED, Outcome.FAILED, whole.subject)
    assert (shown.opened_at, shown.unreadable in shown.reason) == (whole.opened_at, True)
    assert shown.closed_at is not None
    assert (await desk.journal.newest(IncidentQuery(outcome=Outcome.FAILED)))[0] == [shown]


async def test_one_of_which_hardly_anything_is_known_is_shown(desk: Desk) -> None:
    """Words that this version does not know are left out, not taken for others."""
    incident_id = await desk.incident_for(alert())
    foreign = {"doc": "{}", "subject": "{}", "state": "dreaming", "outcome": "splendid"}
    await desk.store.command("HSET", key(incident_id), *(word for pair in foreign.items() for word in pair))
    [shown] = (await desk.journal.newest(IncidentQuery()))[0]
    assert (shown.id, shown.state, shown.outcome, shown.target) == (incident_id, State.OPEN, None, None)
    assert shown.subject.name == "container/local/web"


@foreign
async def test_it_is_shown_whole_as_far_as_it_can_be_read(desk: Desk, field: str, text: str) -> None:
    """Its alerts and its story, those aside that cannot be read either."""
    [incident_id] = await write(desk, [Outcome.FAILED])
    await desk.store.command("HSET", key(incident_id), field, text)
    await desk.store.command("HSET", key(incident_id, ":alerts"), "bb", 'F{"fingerprint": 1}')
    await desk.store.command("RPUSH", key(incident_id, ":timeline"), '{"at": "noon"}')
    record = await desk.journal.read(incident_id)
    assert record is not None
    assert record.incident.unreadable
    assert [episode.alert.name for episode in record.episodes] == ["ContainerUnhealthy"]
    assert [entry.event for entry in record.timeline] == ["opened", "judged", "closed", UNREADABLE]
    assert record.timeline[-1].at == record.timeline[-2].at


async def test_a_field_more_is_no_hindrance(desk: Desk) -> None:
    """A version that only adds can be taken back."""
    held = await desk.judged()
    doc = encode_incident(held.incident)
    await desk.store.command("HSET", key(held.incident.id), "doc", '{"mood":"fine",' + doc[1:])
    [shown] = (await desk.journal.newest(IncidentQuery()))[0]
    assert not shown.unreadable
    assert shown.target == held.incident.target


@foreign
async def test_nobody_goes_on_with_it(desk: Desk, field: str, text: str) -> None:
    """A claim is told that it got, to give it back; a part of an incident is no incident."""
    incident_id = await desk.incident_for(alert())
    await desk.store.command(
        "HSET", key(incident_id), "doc", encode_incident((await desk.claim(incident_id)).incident)
    )
    await desk.store.command("HSET", key(incident_id), field, text, "lease", 0)
    with pytest.raises(errors.Unreadable) as raised:
        await desk.claim(incident_id)
    assert str(raised.value.claim) == await desk.store.command("HGET", key(incident_id), "claim")


async def test_nobody_goes_on_with_a_part_of_its_alerts(desk: Desk) -> None:
    """One that cannot be read may be the one that still fires."""
    held = await desk.claim(await desk.incident_for(alert()))
    await desk.store.command("HSET", key(held.incident.id, ":alerts"), "bb", 'F{"fingerprint": 1}')
    with pytest.raises(errors.Unreadable):
        await desk.journal.load(held)


async def test_a_past_repair_that_cannot_be_read_hides_no_other(desk: Desk) -> None:
    """The evidence of the next incident would end in a bug."""
    theirs, ours = await write(desk, [Outcome.FAILED, Outcome.HEALED], name="web")
    await desk.store.command("DEL", "{hemostat}:repairs:local/web")
    await desk.store.command("RPUSH", "{hemostat}:repairs:local/web", ours, theirs)
    await desk.store.command("HSET", key(theirs), "doc", "{}")
    past = await desk.journal.past_repairs(Target(host="local", name="web"))
    assert [repair.outcome for repair in past] == ["healed"]


async def test_a_comparison_with_alertmanager_leaves_it_to_that_version(desk: Desk) -> None:
    """And goes on with all others."""
    episodes = StoredEpisodes(desk.store)
    incident_id = await desk.incident_for(alert(fingerprint="ours"))
    await desk.store.command("HSET", key(incident_id, ":alerts"), "theirs", 'F{"fingerprint": 1}')
    await episodes.keep({"ours": Sighting(updated_at=START, ends_at=START, up_since=START)})
    await desk.store.command("HSET", "{hemostat}:sighted", "theirs", "{}")
    assert [one.fingerprint for one in await episodes.open()] == ["ours"]
    assert list(await episodes.sightings()) == ["ours"]
