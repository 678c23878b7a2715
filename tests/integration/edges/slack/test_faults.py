"""Answers that are lost, refusals and outages: nothing is said twice, nothing is lost."""

from __future__ import annotations

import pytest

from bridge import errors
from bridge.edges.slack.api import MessageGone, SlackApi
from bridge.edges.slack.messages import Scribe
from bridge.edges.slack.sink import SlackSink
from bridge.model.incident import Outcome
from tests.integration.edges.slack.told import Told
from tests.servers.slack import BOT_TOKEN, CHANNEL, Fault, SlackServer


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
