"""An incoming webhook is told the end of an incident, once."""

from __future__ import annotations

import pytest

from bridge import errors
from bridge.edges.slack.api import SlackWebhook
from bridge.edges.slack.messages import Scribe
from bridge.edges.slack.sink import SlackWebhookSink
from bridge.model.incident import Outcome
from tests.integration.edges.slack.told import TIMEOUT_SECONDS, Told
from tests.servers.slack import Fault, SlackServer


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
