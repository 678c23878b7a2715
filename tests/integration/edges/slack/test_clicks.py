"""Clicks by Socket Mode, and signatures."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from bridge import errors
from bridge.edges.slack.api import Signatures, SlackApi
from bridge.edges.slack.clicks import Clicks
from bridge.model.incident import Answer
from bridge.roles import Answered, AnswerResult
from tests.integration.edges.slack.told import DEADLINE_SECONDS
from tests.servers.slack import APP_TOKEN, BOT_TOKEN, SIGNING_SECRET, Fault, SlackServer, signature
from tests.waiting import until_true


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
