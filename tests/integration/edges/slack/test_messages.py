"""One message per incident, edited in place, its story in a thread."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge import errors
from bridge.edges.slack.api import SlackApi
from bridge.edges.slack.messages import Scribe
from bridge.edges.slack.sink import SlackSink
from bridge.model.incident import Outcome
from tests.integration.edges.slack.told import Told
from tests.servers.slack import Fault, SlackServer


async def test_an_incident_is_one_message_edited_in_place_with_its_story_in_a_thread(
    told: Told, slack: SlackServer
) -> None:
    """Posted once, whatever happens to it."""
    assert (await told.deliver()).sent
    await told.moves("acting", action="restart", container="4f1c")
    await told.ends(Outcome.HEALED, "healthy for 30 s")
    await told.deliver()
    (parent,) = slack.parents()
    assert (parent.edits, "healed, restarted" in parent.everything) == (1, True)
    first, second = slack.thread(parent)
    assert "ContainerUnhealthy" in first.everything
    assert "Judged by rules, rule unhealthy: restart" in first.everything
    assert "Healed: healthy for 30 s" in second.everything
    assert [reply.broadcast for reply in slack.thread(parent)] == [False, False]


async def test_the_same_state_told_again_changes_nothing_in_slack(told: Told, slack: SlackServer) -> None:
    """At-least-once for us is once for people."""
    await told.ends(Outcome.HEALED)
    await told.deliver()
    calls = len(slack.calls)
    assert not (await told.deliver()).sent
    assert len(slack.calls) == calls


@pytest.mark.parametrize(
    "outcome", [Outcome.ESCALATED, Outcome.NOT_HEALED, Outcome.UNVERIFIED, Outcome.FAILED]
)
async def test_what_needs_people_is_shown_in_the_channel_too(
    told: Told, slack: SlackServer, outcome: Outcome
) -> None:
    """An edit of an old message rings no bell."""
    await told.deliver()
    await told.ends(outcome)
    await told.deliver()
    (parent,) = slack.parents()
    assert [reply.broadcast for reply in slack.thread(parent)] == [False, True]


async def test_what_was_never_told_before_is_not_shown_twice(told: Told, slack: SlackServer) -> None:
    """The message itself has just appeared in the channel."""
    await told.ends(Outcome.ESCALATED)
    await told.deliver()
    (parent,) = slack.parents()
    assert [reply.broadcast for reply in slack.thread(parent)] == [False, False]


async def test_edits_of_an_open_incident_are_spaced(told: Told, slack: SlackServer) -> None:
    """A container that is looked at every second is not edited every second; an end is told at once."""
    await told.deliver()
    await told.moves("acting", action="restart")
    delivery = await told.deliver()
    assert (delivery.sent, slack.count("chat.update")) == (False, 0)
    assert delivery.again_seconds == pytest.approx(2, abs=1.5)
    await told.ends(Outcome.HEALED)
    assert (await told.deliver()).sent


async def test_ours_is_found_among_many(told: Told, slack: SlackServer) -> None:
    """On a later page of the channel's history."""
    slack.fails("chat.postMessage", Fault(cut=True, late=True))
    with pytest.raises(errors.EdgeUnavailable):
        await told.deliver()
    ours = slack.messages[0]
    slack.messages += [replace(ours, ts=f"{float(ours.ts) + n:.6f}", metadata={}) for n in range(1, 450)]
    await told.deliver()
    assert len([message for message in slack.parents() if message.metadata]) == 1


async def test_a_message_that_somebody_deleted_is_posted_anew(told: Told, slack: SlackServer) -> None:
    """Nothing ends in silence because of a tidy hand."""
    await told.deliver()
    slack.messages.clear()
    await told.ends(Outcome.ESCALATED)
    await told.deliver()
    (parent,) = slack.parents()
    assert "needs a person" in parent.everything
    assert len(slack.thread(parent)) >= 1


async def test_a_channel_is_found_by_its_name(told: Told, api: SlackApi, slack: SlackServer) -> None:
    """Looked up once; an id is not looked up at all."""
    told.sink = SlackSink(api, channel_name="#ops", scribe=Scribe())
    await told.deliver()
    await told.ends(Outcome.HEALED)
    await told.deliver()
    assert (len(slack.parents()), slack.count("conversations.list")) == (1, 1)
    with pytest.raises(errors.EdgeRejected, match="invite the bot"):
        await api.known_channel("nowhere")


async def test_what_nobody_needs_to_hear_is_not_posted(told: Told, slack: SlackServer) -> None:
    """An incident that ended by itself before anybody was told."""
    await told.ends(Outcome.RESOLVED)
    assert not (await told.deliver()).sent
    assert slack.calls == []


async def test_what_was_posted_is_told_to_its_end_whatever_that_is(told: Told, slack: SlackServer) -> None:
    """Nobody is left with "about to be restarted"."""
    await told.deliver()
    await told.ends(Outcome.RESOLVED)
    await told.deliver()
    assert "well again by itself" in slack.parents()[0].everything


async def test_an_outage_costs_one_edit_per_incident_however_often_it_moved(
    told: Told, slack: SlackServer
) -> None:
    """What was superseded meanwhile is not told at all; the thread still has every line."""
    await told.deliver()
    slack.always_fails("chat.update", Fault(status=503, body=b""))
    for number in range(20):
        await told.moves("looked", finding=f"look {number}")
    await told.ends(Outcome.ESCALATED)
    with pytest.raises(errors.EdgeUnavailable):
        await told.deliver()
    slack.always_fails("chat.update", None)
    await told.deliver()
    (parent,) = slack.parents()
    assert (parent.edits, "needs a person" in parent.everything) == (1, True)
