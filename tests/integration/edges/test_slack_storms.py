"""A storm in Slack: one message with counts in place of one for each incident, and nothing of it lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace

import pytest

from bridge.edges.slack.api import SlackApi, SlackWebhook
from bridge.edges.slack.folding import LOOK_SECONDS, Folding
from bridge.edges.slack.messages import Scribe
from bridge.edges.slack.sink import SlackSink, SlackWebhookSink
from bridge.edges.store.backlog import StoredBacklog
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.edges.store.storms import StoredStorms
from bridge.edges.store.tally import StoredTally
from bridge.model.channel import Channel
from bridge.model.incident import Entry, Incident, Outcome
from bridge.model.policy import BreakerPolicy
from bridge.roles import Held
from bridge.sinks import Delivery, Pace, Sink
from tests.integration.desk import START, Desk, alert, as_judged
from tests.servers.slack import BOT_TOKEN, CHANNEL, SlackServer
from tests.unit.test_telling import never_agreed

STORM = "{hemostat}:storm"


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """A Slack for one test; no message in it may break a rule of Slack's."""
    with SlackServer() as server:
        yield server
    assert server.broken_rules == []


@dataclass
class Weather:
    """Incidents in a storm, and the sink that is told of them."""

    desk: Desk
    store: Store
    backlog: StoredBacklog
    sink: Sink
    held: dict[str, Held] = field(default_factory=dict)

    async def begins(self) -> None:
        """A storm of which every incident opened from now on is part."""
        now = round((await self.desk.journal.now()).timestamp() * 1000)
        await self.store.command(
            "HSET", STORM, "since", now, "until", now + 600_000, "incidents", 99, "scope", "fleet"
        )

    async def passes(self) -> None:
        """It is over."""
        await self.store.command("DEL", STORM)

    async def opens(self, name: str) -> str:
        """An incident about a container, judged."""
        held = as_judged(
            await self.desk.claim(await self.desk.incident_for(alert(name, fingerprint=name))), name
        )
        self.held[name] = await self.desk.journal.save(held, Entry(event="judged", fields={}))
        return held.incident.id

    async def ends(self, name: str, outcome: Outcome) -> None:
        """And closed."""
        held = self.held[name]
        closing = held.incident.closing(outcome, "so it is", now=START, reconsider_at=START)
        await self.desk.journal.close(
            replace(held, incident=closing),
            Entry(event="closed", fields={"outcome": outcome.value}),
            healed=None,
            breaker=BreakerPolicy(),
        )

    async def told(self) -> dict[str, Delivery]:
        """Everything that is due, told once each; by container."""
        await self.store.command(
            "ZUNIONSTORE", "{hemostat}:due:slack", 1, "{hemostat}:due:slack", "WEIGHTS", 0
        )
        found = {}
        while taken := (await self.backlog.claim(self.sink, at_most=1)).due:
            due = taken[0]
            read = await self.backlog.read(due)
            assert read is not None
            found[read[0].incident.subject.name] = await self.sink.deliver(
                *read, now=await self.backlog.now()
            )
            await self.backlog.settled(due, found[read[0].incident.subject.name])
        return found


@pytest.fixture
async def weather(
    desk: Desk, store: Store, journal: StoredJournal, slack: SlackServer
) -> AsyncIterator[Weather]:
    """Calm so far."""
    api = SlackApi(bot_token=BOT_TOKEN, base_url=slack.api_url, timeout_seconds=10)
    folding = Folding(StoredStorms(store), StoredTally(store, Channel.SLACK))
    sink = SlackSink(api, channel_name=CHANNEL, scribe=Scribe(), folding=folding, pace=Pace())
    backlog = StoredBacklog(store, journal, lease_seconds=30)
    await backlog.register([sink], retire=False)
    yield Weather(desk, store, backlog, sink)
    await api.close()


async def test_a_storm_is_one_message_edited_in_place_with_counts(
    weather: Weather, slack: SlackServer
) -> None:
    """However many incidents it has; what needs a person is named, and called out once it has passed."""
    await weather.begins()
    for n in range(30):
        await weather.opens(f"web{n:02}")
    told = await weather.told()
    (message,) = slack.messages
    assert message.text == "A storm: 1 incidents; 0 need a person"
    assert [one.again_seconds for one in told.values() if one.sent] == [LOOK_SECONDS]
    for n in range(30):
        await weather.ends(f"web{n:02}", Outcome.ESCALATED if n < 20 else Outcome.HEALED)
    await weather.told()
    await weather.passes()
    await weather.told()
    (message,) = slack.parents()
    assert message.text == "A storm is over: 30 incidents; 20 need a person"
    assert "escalated *20* · healed *10*" in message.everything
    assert "local/web00: escalated" in message.everything
    assert "… and 5 more" in message.everything
    (call,) = slack.thread(message)
    assert (call.broadcast, "20 of its 30 incidents need a person" in call.text) == (True, True)
    assert (await weather.told()) == {}


async def test_what_was_told_before_the_storm_was_noticed_goes_on_for_itself(
    weather: Weather, slack: SlackServer
) -> None:
    """Its message is there; an edit rings no bell."""
    await weather.opens("early")
    await weather.told()
    await weather.begins()
    await weather.opens("late")
    await weather.ends("early", Outcome.HEALED)
    await weather.told()
    first, storm = slack.parents()
    assert "healed, restarted" in first.everything
    assert "A storm" in storm.text


async def test_a_storm_that_left_nothing_to_people_calls_nobody(weather: Weather, slack: SlackServer) -> None:
    """The message says so."""
    await weather.begins()
    await weather.opens("web")
    await weather.told()
    await weather.ends("web", Outcome.HEALED)
    await weather.passes()
    await weather.told()
    (message,) = slack.messages
    assert message.text == "A storm is over: 1 incidents; 0 need a person"


async def test_an_incident_still_open_when_the_storm_is_over_is_waited_for(
    weather: Weather, slack: SlackServer
) -> None:
    """Its end is part of the storm's story."""
    await weather.begins()
    await weather.opens("a")
    await weather.opens("b")
    await weather.told()
    await weather.ends("a", Outcome.HEALED)
    await weather.passes()
    told = await weather.told()
    assert LOOK_SECONDS in [one.again_seconds for one in told.values()]
    assert slack.parents()[0].text.startswith("A storm abates: 2")
    await weather.ends("b", Outcome.ESCALATED)
    await weather.told()
    await weather.told()
    assert slack.parents()[0].text == "A storm is over: 2 incidents; 1 need a person"


async def test_what_relapses_after_its_storm_was_told_to_the_end_gets_a_message_of_its_own(
    weather: Weather, slack: SlackServer
) -> None:
    """Nobody looks at the storm's message any more."""
    await weather.begins()
    await weather.opens("a")
    await weather.opens("b")
    told = await weather.told()
    (folded,) = [name for name, one in told.items() if one.again_seconds is None]
    for name in ("a", "b"):
        await weather.ends(name, Outcome.HEALED)
    await weather.told()
    await weather.passes()
    await weather.told()
    await weather.ends(folded, Outcome.RELAPSED)
    await weather.told()
    storm, own = slack.parents()
    assert "A storm is over" in storm.text
    assert f"local/{folded}: restarted, healed, and sick again" in own.text


async def test_a_container_that_never_agreed_is_not_counted(weather: Weather, slack: SlackServer) -> None:
    """Its troubles are not ours to tell."""
    await weather.begins()
    await weather.opens("a")
    held = weather.held["a"]
    await weather.told()
    await weather.opens("stranger")
    stranger: Incident = never_agreed()
    held = weather.held["stranger"]
    decided = replace(held.incident, decision=stranger.decision)
    weather.held["stranger"] = replace(held, incident=decided)
    await weather.ends("stranger", Outcome.REFUSED)
    await weather.told()
    await weather.store.command("ZADD", "{hemostat}:due:slack", 0, weather.held["a"].incident.id)
    await weather.told()
    assert slack.parents()[0].text.startswith("A storm: 1 incidents")


async def test_a_webhook_is_told_that_a_storm_is_on_and_how_it_ended(
    weather: Weather, slack: SlackServer
) -> None:
    """Two messages, whatever the number of incidents."""
    folding = Folding(StoredStorms(weather.store), StoredTally(weather.store, Channel.SLACK))
    weather.sink = SlackWebhookSink(
        SlackWebhook(slack.webhook_url, timeout_seconds=10), scribe=Scribe(), folding=folding, pace=Pace()
    )
    await weather.begins()
    for n in range(10):
        await weather.opens(f"web{n}")
    await weather.told()
    for n in range(10):
        await weather.ends(f"web{n}", Outcome.ESCALATED)
    await weather.told()
    await weather.passes()
    await weather.told()
    await weather.store.command("ZADD", "{hemostat}:due:slack", 0, weather.held["web0"].incident.id)
    await weather.told()  # the same once more: nothing new
    assert [one["text"].split(":")[0] for one in slack.posted_by_webhook] == ["A storm", "A storm is over"]


async def test_folded_incidents_cost_nothing_of_the_pace(weather: Weather) -> None:
    """Thousands of them must not keep the storm's own message waiting for an hour."""
    weather.sink.pace = Pace(per_second=0.001, burst=3, gather_seconds=0)  # type: ignore[misc]
    await weather.begins()
    for n in range(20):
        await weather.opens(f"web{n}")
    assert len(await weather.told()) == 20
