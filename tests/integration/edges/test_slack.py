"""Slack through its real SDK, on a server with Slack's limits and bad days: one message per incident, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bridge import errors
from bridge.edges.slack.api import MessageGone, Signatures, SlackApi, SlackWebhook
from bridge.edges.slack.clicks import Clicks
from bridge.edges.slack.messages import Scribe
from bridge.edges.slack.sink import SlackSink, SlackWebhookSink
from bridge.edges.store.backlog import StoredBacklog
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.model.alert import Alert
from bridge.model.incident import Answer, Entry, Outcome
from bridge.model.policy import BreakerPolicy
from bridge.roles import Answered, AnswerResult, Held
from bridge.sinks import Delivery, Pace, Sink
from tests.integration.desk import START, Desk, alert, as_judged
from tests.servers.slack import APP_TOKEN, BOT_TOKEN, CHANNEL, SIGNING_SECRET, Fault, SlackServer, signature
from tests.waiting import until_true

TIMEOUT_SECONDS = 2.0
DEADLINE_SECONDS = 15.0


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """A Slack for one test; no message in it may break a rule of Slack's."""
    with SlackServer() as server:
        yield server
    assert server.broken_rules == []


@pytest.fixture
async def api(slack: SlackServer) -> AsyncIterator[SlackApi]:
    """Our bot there."""
    api = SlackApi(bot_token=BOT_TOKEN, base_url=slack.api_url, timeout_seconds=TIMEOUT_SECONDS)
    yield api
    await api.close()


@dataclass
class Told:
    """An incident that moves, and a sink that is told so."""

    desk: Desk
    backlog: StoredBacklog
    sink: Sink
    held: Held

    @property
    def id(self) -> str:
        """Of the incident."""
        return self.held.incident.id

    async def deliver(self) -> Delivery:
        """One delivery of what is due, as the loop does it; what the sink raises comes through."""
        await self.desk.store.command("ZADD", f"{{hemostat}}:due:{self.sink.channel.value}", 0, self.id)
        (due,) = (await self.backlog.claim(self.sink, at_most=1)).due
        found = await self.backlog.read(due)
        assert found is not None
        try:
            record, notes = found
            delivery = await self.sink.deliver(record, notes, now=await self.backlog.now())
        except errors.EdgeError:
            # As if the process had died: nothing is settled, the lease runs out.
            await self.desk.store.command("ZREM", "{hemostat}:leased:slack", self.id)
            raise
        await self.backlog.settled(due, delivery)
        return delivery

    async def moves(self, event: str = "judged", **fields: str) -> None:
        """The next line of its story."""
        await self.desk.journal.save(self.held, Entry(event=event, fields=fields))

    async def ends(self, outcome: Outcome, reason: str = "so it is") -> None:
        """It closes."""
        closing = self.held.incident.closing(outcome, reason, now=START, reconsider_at=START)
        await self.desk.journal.close(
            replace(self.held, incident=closing),
            Entry(event="closed", fields={"outcome": outcome.value, "reason": reason}),
            healed=None,
            breaker=BreakerPolicy(),
        )


@pytest.fixture
async def told(desk: Desk, store: Store, journal: StoredJournal, api: SlackApi) -> Told:
    """An incident that was judged: the container ``web`` is to be restarted. Nobody was told yet."""
    sink = SlackSink(api, channel_name=CHANNEL, scribe=Scribe(buttons=True), pace=Pace())
    backlog = StoredBacklog(store, journal, lease_seconds=30)
    await backlog.register([sink], retire=False)
    held = as_judged(await desk.claim(await desk.incident_for(sick())))
    told = Told(desk, backlog, sink, replace(held, incident=replace(held.incident, evidence=None)))
    await told.moves("judged", verdict="repair", action="restart", reason="sick")
    return told


def sick(**annotations: str) -> Alert:
    """The alert that opens it."""
    return replace(alert("web"), annotations=annotations)


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


@pytest.mark.parametrize("lost", ["cut", "hang", "500 after the effect"])
async def test_a_message_whose_answer_was_lost_is_found_and_not_posted_again(
    told: Told, slack: SlackServer, lost: str
) -> None:
    """The same as a process killed between the POST and its record."""
    fault = Fault(cut=lost == "cut", hang=lost == "hang", status=500, late=True)
    slack.fails("chat.postMessage", fault)
    with pytest.raises(errors.EdgeUnavailable):
        await told.deliver()
    await told.deliver()
    (parent,) = slack.parents()
    assert len(slack.thread(parent)) == 1


async def test_an_answer_whose_answer_was_lost_is_found_and_not_given_again(
    told: Told, slack: SlackServer
) -> None:
    """The story is told line by line, each once."""
    await told.deliver()
    await told.ends(Outcome.ESCALATED)
    slack.fails("chat.postMessage", Fault(cut=True, late=True))
    with pytest.raises(errors.EdgeUnavailable):
        await told.deliver()
    await told.deliver()
    (parent,) = slack.parents()
    assert len(slack.thread(parent)) == 2


async def test_a_message_that_never_arrived_is_posted(told: Told, slack: SlackServer) -> None:
    """The note that one is under way is no proof that it is there."""
    slack.fails("chat.postMessage", Fault(cut=True))
    with pytest.raises(errors.EdgeUnavailable):
        await told.deliver()
    await told.deliver()
    assert len(slack.parents()) == 1


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


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=429, error="ratelimited", retry_after=7), errors.RateLimited),
        (Fault(status=500, body=b"<html>oops</html>"), errors.EdgeUnavailable),
        (Fault(status=503, body=b""), errors.EdgeUnavailable),
        (Fault(error="internal_error"), errors.EdgeUnavailable),
        (Fault(hang=True), errors.EdgeTimeout),
        (Fault(cut=True), errors.EdgeUnavailable),
        (Fault(body=b"not json"), errors.EdgeUnavailable),
        (Fault(body=b"\xff\xfe"), errors.EdgeUnavailable),
        (Fault(status=401, error="invalid_auth"), errors.EdgeRejected),
        (Fault(error="token_revoked"), errors.EdgeRejected),
        (Fault(error="channel_not_found"), errors.EdgeRejected),
        (Fault(error="not_in_channel"), errors.EdgeRejected),
        (Fault(error="something_new"), errors.EdgeRejected),
    ],
    ids=lambda value: value.error or f"{value.status}" if isinstance(value, Fault) else "",
)
async def test_a_refusal_is_what_it_is_and_nothing_is_lost(
    told: Told, slack: SlackServer, fault: Fault, expected: type[errors.EdgeError]
) -> None:
    """Not now, or not us; the next try delivers."""
    slack.fails("chat.postMessage", fault)
    with pytest.raises(expected) as raised:
        await told.deliver()
    assert not isinstance(raised.value, errors.MessageRefused | MessageGone)
    if isinstance(raised.value, errors.RateLimited):
        assert raised.value.retry_after_seconds == 7
    assert "\n" not in str(raised.value)
    await told.deliver()
    assert len(slack.parents()) == 1


async def test_a_server_that_is_not_there_is_away(told: Told, slack: SlackServer) -> None:
    """No traceback of the SDK's, no retry of its own."""
    told.sink = SlackSink(
        SlackApi(bot_token=BOT_TOKEN, base_url="http://127.0.0.1:1/api/"),
        channel_name=CHANNEL,
        scribe=Scribe(),
    )
    with pytest.raises(errors.EdgeUnavailable):
        await told.deliver()
    await told.sink._api.close()


async def test_blocks_that_slack_does_not_take_are_left_away(told: Told, slack: SlackServer) -> None:
    """Better plain than not at all; a text it does not take either is the message's own fault."""
    slack.fails("chat.postMessage", Fault(error="invalid_blocks"))
    await told.deliver()
    assert slack.parents()[0].blocks == []
    assert slack.parents()[0].text.startswith("local/web: ")


async def test_a_text_that_slack_does_not_take_is_the_messages_own_fault(
    told: Told, slack: SlackServer
) -> None:
    """The other incidents' messages go on."""
    slack.fails("chat.postMessage", Fault(error="invalid_blocks"), Fault(error="msg_too_long"))
    with pytest.raises(errors.MessageRefused):
        await told.deliver()


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


# ---- the incoming webhook ----------------------------------------------------------------------------------------


@pytest.fixture
def by_webhook(told: Told, slack: SlackServer) -> Told:
    """The same incident, told through an incoming webhook."""
    webhook = SlackWebhook(slack.webhook_url, timeout_seconds=TIMEOUT_SECONDS)
    told.sink = SlackWebhookSink(webhook, scribe=Scribe(buttons=True))
    return told


async def test_a_webhook_is_told_the_end_once(by_webhook: Told, slack: SlackServer) -> None:
    """It can neither edit nor keep a thread: one message is all there is."""
    assert not (await by_webhook.deliver()).sent
    await by_webhook.ends(Outcome.ESCALATED, "nobody knows <!channel>")
    assert (await by_webhook.deliver()).sent
    assert not (await by_webhook.deliver()).sent
    (message,) = slack.posted_by_webhook
    assert "&lt;!channel&gt;" in message["text"]
    assert not [block for block in message["blocks"] if block["type"] == "actions"]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(status=429, body=b"rate_limited", retry_after=3), errors.RateLimited),
        (Fault(status=500, body=b"oops"), errors.EdgeUnavailable),
        (Fault(hang=True), errors.EdgeTimeout),
        (Fault(cut=True), errors.EdgeUnavailable),
        (Fault(status=403, body=b"invalid_token"), errors.EdgeRejected),
        (Fault(status=404, body=b"no_service"), errors.EdgeRejected),
        (Fault(status=410, body=b"channel_is_archived"), errors.EdgeRejected),
        (Fault(status=400, body=b"invalid_payload"), errors.MessageRefused),
    ],
    ids=lambda value: f"{value.status}" if isinstance(value, Fault) else "",
)
async def test_a_webhooks_refusal_is_what_it_is(
    by_webhook: Told, slack: SlackServer, fault: Fault, expected: type[errors.EdgeError]
) -> None:
    """As with the bot; the URL is a password and stands in no message."""
    await by_webhook.ends(Outcome.ESCALATED)
    slack.fails("webhook", fault)
    with pytest.raises(expected) as raised:
        await by_webhook.deliver()
    assert "services/hook" not in str(raised.value)
    assert (await by_webhook.deliver()).sent


# ---- Socket Mode and signatures ----------------------------------------------------------------------------------


def test_a_request_signed_by_slack_is_right_and_every_other_is_wrong() -> None:
    """Hostile input is wrong, never an error: the SDK's verifier raises on half of these."""
    signatures, body = Signatures(SIGNING_SECRET), b"payload=%7B%7D"
    good = signature(body)
    assert signatures.right(body, good)
    old = signature(body, at=1.0)
    wrong: list[tuple[bytes, dict[str, str]]] = [
        (body, {}),
        (body + b"x", good),
        (body, signature(body, secret="another")),
        (body, old),
        (body, {**good, "X-Slack-Request-Timestamp": "soon"}),
        (body, {**good, "X-Slack-Request-Timestamp": "9" * 400}),
        (body, {**good, "X-Slack-Request-Timestamp": "١٢٣"}),
        (body, {**good, "X-Slack-Signature": "v0=ü"}),
        (body, {**good, "X-Slack-Signature": ""}),
        (b"\xff\xfe", signature(b"\xff\xfe")),
        (b"\xff\xfe", good),
    ]
    assert not any(signatures.right(sent, headers) for sent, headers in wrong)


def test_an_empty_signing_secret_is_refused() -> None:
    """It would make every signature right that was made without one."""
    with pytest.raises(ValueError, match="empty"):
        Signatures("  ")


async def test_who_the_token_belongs_to(api: SlackApi) -> None:
    """For the doctor."""
    assert await api.who() == "hemostat in Acme"


class HeardApprovals:
    """Answers everything as if it were the first; ``away``: the store does not answer."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Answer, str, str, str]] = []
        self.away = False

    async def answer(
        self, incident_id: str, answer: Answer, *, by: str, proposal_id: str = "", through: str = ""
    ) -> Answered:
        """Kept."""
        if self.away:
            raise errors.EdgeUnavailable("redis", "no answer")
        self.heard.append((incident_id, answer, by, proposal_id, through))
        return Answered(result=AnswerResult.DONE, incident_id=incident_id, answer=answer, by=by)


@dataclass
class Listening:
    """A bridge that hears clicks over Socket Mode."""

    slack: SlackServer
    approvals: HeardApprovals
    clicks: Clicks

    async def click(
        self, action: str = "hemostat_approve", value: str = "i-1:p", *, user: str = "U1", name: str = "ada"
    ) -> None:
        """Clicked and acknowledged."""
        await asyncio.to_thread(lambda: self.slack.click(action, value, user=user, name=name))


@pytest.fixture
async def listening(slack: SlackServer) -> AsyncIterator[Listening]:
    """Connected; U1 may decide."""
    api = SlackApi(bot_token=BOT_TOKEN, app_token=APP_TOKEN, base_url=slack.api_url, timeout_seconds=10)
    approvals = HeardApprovals()
    listening = Listening(slack, approvals, Clicks(api, approvals=approvals, approvers=["U1"]))
    task = asyncio.create_task(listening.clicks.listen())
    yield listening
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await listening.clicks.close()
    await api.close()


async def test_a_click_is_acknowledged_answered_and_told(listening: Listening) -> None:
    """Through the socket, with no port of ours open."""
    await until_true(lambda: listening.slack.connected() == 1)
    await listening.click("hemostat_snooze", "i-1:p", user="U1", name="ada")
    await until_true(lambda: bool(listening.slack.whispers))
    assert listening.approvals.heard == [("i-1", Answer.SNOOZE, "ada (U1)", "p", "Slack")]
    assert listening.slack.whispers[0]["user"] == "U1"


async def test_a_store_that_is_away_decides_nothing_and_the_clicker_hears_of_it(listening: Listening) -> None:
    """A click that is lost in silence would be believed to have counted."""
    listening.approvals.away = True
    await until_true(lambda: listening.slack.connected() == 1)
    await listening.click()
    await until_true(lambda: bool(listening.slack.whispers))
    assert "nothing was decided" in listening.slack.whispers[0]["text"]


async def test_a_stranger_decides_nothing(listening: Listening) -> None:
    """Though it reads the channel."""
    await until_true(lambda: listening.slack.connected() == 1)
    await listening.click(user="U666")
    await until_true(lambda: bool(listening.slack.whispers))
    assert listening.approvals.heard == []


@pytest.mark.parametrize("how", ["hang up", "announced"])
async def test_a_socket_that_slack_closes_is_opened_anew(listening: Listening, how: str) -> None:
    """Every few hours."""
    await until_true(lambda: listening.slack.connected() == 1)
    if how == "hang up":
        await asyncio.to_thread(listening.slack.hang_up)
    else:
        await asyncio.to_thread(listening.slack.send, {"type": "disconnect", "reason": "refresh_requested"})
    await until_true(lambda: listening.slack.opened() == 2 and listening.slack.connected() == 1)
    await listening.click()
    await until_true(lambda: bool(listening.approvals.heard))


async def test_a_socket_that_cannot_be_opened_is_tried_again(slack: SlackServer) -> None:
    """Whatever Slack says; it ends no process and floods nobody."""
    slack.fails("apps.connections.open", Fault(error="invalid_auth"), Fault(cut=True))
    api = SlackApi(bot_token=BOT_TOKEN, app_token=APP_TOKEN, base_url=slack.api_url, timeout_seconds=10)
    clicks = Clicks(api, approvals=HeardApprovals(), approvers=[])
    task = asyncio.create_task(clicks.listen())
    await until_true(lambda: slack.connected() > 0, seconds=DEADLINE_SECONDS + 10)
    assert slack.count("apps.connections.open") == 3
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await api.close()


async def test_what_is_no_click_is_survived(listening: Listening) -> None:
    """Anything may come over the wire."""
    await until_true(lambda: listening.slack.connected() == 1)
    oddities: list[Any] = [
        [],
        7,
        {"type": "interactive"},
        {"type": "interactive", "envelope_id": "x", "payload": {"actions": 7}},
    ]
    for odd in oddities:
        await asyncio.to_thread(listening.slack.send, odd)
    await listening.click()
    await until_true(lambda: bool(listening.approvals.heard))


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
