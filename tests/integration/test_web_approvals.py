"""Approvals over HTTP: operators by the API, people in Slack by a signed click. Hostile input is 401, never 5xx."""

from __future__ import annotations

import json
import random
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest
from aiohttp import web as http
from aiohttp.test_utils import TestClient

from bridge import app, settings, web, wiring
from bridge.model.incident import Answer, Entry, Incident, Proposal
from bridge.model.secret import Secret
from bridge.model.verdict import Action
from bridge.settings.sections import AccessToken, Role, Slack
from bridge.web.approvals import SLACK_BODY_BYTES
from tests.integration.desk import Desk, alert, as_judged
from tests.integration.serving import config_of
from tests.servers.slack import (
    BOT_TOKEN,
    CHANNEL,
    SIGNING_SECRET,
    SlackServer,
    click_payload,
    signature,
    signed,
)
from tests.unit.triage.builders import ID

OPERATOR, VIEWER = "operator-token-0123", "viewer-token-01234567"
PATH = "/slack/interactions"


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """Slack, where whispers arrive."""
    with SlackServer() as server:
        yield server


@dataclass
class Asking:
    """A bridge with an incident that asks whether to restart a container."""

    client: TestClient[http.Request, http.Application]
    parts: wiring.Parts
    incident_id: str
    proposal_id: str

    async def answer(
        self, verb: str, *, token: str = OPERATOR, incident: str = "", **body: Any
    ) -> tuple[int, Any]:
        """Over the API."""
        path = f"/api/v1/incidents/{incident or self.incident_id}/{verb}"
        headers = {"Authorization": f"Bearer {token}"}
        async with self.client.post(path, json=body or None, headers=headers) as answered:
            return answered.status, await answered.json()

    async def interaction(self, body: bytes, headers: dict[str, str]) -> int:
        """From Slack, or from somebody who says so."""
        async with self.client.post(PATH, data=body, headers=headers) as answered:
            return answered.status

    async def click(self, answer: str = "approve", *, user: str = "U1", value: str = "") -> None:
        """A signed click, and whatever came of it told to the clicker."""
        value = value or f"{self.incident_id}:{self.proposal_id}"
        await self.sent(*signed(click_payload(f"hemostat_{answer}", value, user=user)))

    async def sent(self, body: bytes, headers: dict[str, str]) -> None:
        """A signed click as it is sent, handled to its end."""
        assert await self.interaction(body, headers) == 200
        assert self.parts.clicks is not None
        for task in list(self.parts.clicks._tasks):
            await task

    async def incident(self) -> Incident:
        """As it is written."""
        record = await self.parts.journal.read(self.incident_id)
        assert record is not None
        return record.incident


@pytest.fixture
async def asking(
    redis_url: str,
    desk: Desk,
    slack: SlackServer,
    aiohttp_client: Callable[[http.Application], Awaitable[TestClient[http.Request, http.Application]]],
) -> AsyncIterator[Asking]:
    """Answers are taken from operators and from U1."""
    config = config_of(
        redis_url,
        tokens=(
            AccessToken(name="ada", role=Role.OPERATOR, token=Secret(OPERATOR)),
            AccessToken(name="eve", role=Role.VIEWER, token=Secret(VIEWER)),
        ),
    )
    config = replace(
        config,
        slack=Slack(
            bot_token=Secret(BOT_TOKEN),
            channel=CHANNEL,
            signing_secret=Secret(SIGNING_SECRET),
            approvers=("U1",),
            api_url=slack.api_url,
        ),
    )
    held = as_judged(await desk.claim(await desk.incident_for(alert("web"))))
    now = await desk.journal.now()
    proposal = Proposal(
        id="ab" * 16,
        action=Action.RESTART,
        container_id=ID,
        started_at=now,
        at=now,
        until=now.replace(year=now.year + 1),
    )
    waiting = replace(held, incident=held.incident.asking(proposal, now=now))
    await desk.journal.save(waiting, Entry(event="asked", fields={}))
    async with AsyncExitStack() as stack:
        built = await stack.enter_async_context(wiring.parts_of(config))
        bridge = app.HemoStat(built, load=lambda: config)
        served = web.application(bridge, tokens=bridge.tokens, max_body_bytes=1 << 20)
        yield Asking(await aiohttp_client(served), built, held.incident.id, proposal.id)


async def test_an_operator_approves(asking: Asking) -> None:
    """By the name of the token, whatever the body says."""
    status, said = await asking.answer("approve", by="somebody else")
    assert (status, said["answer"], said["by"]) == (202, "approve", "ada")
    proposal = (await asking.incident()).proposal
    assert proposal is not None
    assert proposal.answered_by == "ada"


async def test_a_second_answer_is_told_who_was_faster(asking: Asking) -> None:
    """409, and what counts."""
    await asking.answer("reject")
    status, said = await asking.answer("approve")
    assert (status, said["error"]["code"]) == (409, "already_answered")
    assert "already rejected by ada" in said["error"]["message"]


async def test_a_viewer_may_not_decide(asking: Asking) -> None:
    """Nor a stranger."""
    assert (await asking.answer("approve", token=VIEWER))[0] == 403
    assert (await asking.answer("approve", token="nobody"))[0] == 401
    proposal = (await asking.incident()).proposal
    assert proposal is not None
    assert proposal.answer is None


@pytest.mark.parametrize(
    ("incident", "body", "expected"),
    [
        ("nobody", {}, (404, "not_found")),
        ("", {"force": True}, (400, "bad_request")),
        ("", {"by": 7}, (400, "bad_request")),
    ],
    ids=["unknown incident", "unknown key", "by is no text"],
)
async def test_what_cannot_be_answered_says_why(
    asking: Asking, incident: str, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """In the one shape of errors."""
    status, said = await asking.answer("approve", incident=incident, **body)
    assert (status, said["error"]["code"]) == expected


async def test_a_signed_click_of_an_approver_decides_and_is_answered(
    asking: Asking, slack: SlackServer
) -> None:
    """No token of ours: Slack signs."""
    await asking.click()
    proposal = (await asking.incident()).proposal
    assert proposal is not None
    assert (proposal.answer, proposal.answered_by) == ("approve", "ada (U1)")
    assert slack.whispers == [
        {
            "channel": CHANNEL,
            "user": "U1",
            "text": "Approved: every guard is asked once more, then it is done.",
        }
    ]


async def test_a_second_click_is_answered_politely(asking: Asking, slack: SlackServer) -> None:
    """Whatever it says: the first one counts."""
    await asking.click("reject")
    await asking.click("approve")
    assert slack.whispers[1]["text"].startswith("It was already rejected by ada (U1) at ")


async def test_whoever_was_faster_calls_nobody_by_a_name(asking: Asking, slack: SlackServer) -> None:
    """Over the API of a bridge without tokens one may call oneself anything."""
    await asking.parts.approvals.answer(asking.incident_id, Answer.REJECT, by="<!channel> & co")
    await asking.click("approve")
    assert "rejected by &lt;!channel&gt; &amp; co at" in slack.whispers[0]["text"]


async def test_only_approvers_decide(asking: Asking, slack: SlackServer) -> None:
    """Anybody in the channel can click."""
    await asking.click(user="U666")
    proposal = (await asking.incident()).proposal
    assert proposal is not None
    assert proposal.answer is None
    assert "not among slack.approvers" in slack.whispers[0]["text"]


async def test_the_button_of_another_proposal_decides_nothing(asking: Asking, slack: SlackServer) -> None:
    """A button is for one question."""
    await asking.click(value=f"{asking.incident_id}:{'cd' * 16}")
    proposal = (await asking.incident()).proposal
    assert proposal is not None
    assert proposal.answer is None
    assert "no longer asked" in slack.whispers[0]["text"]


async def test_a_replayed_click_changes_nothing(asking: Asking) -> None:
    """The same bytes, whose signature is still right."""
    body, headers = signed(click_payload("hemostat_approve", f"{asking.incident_id}:{asking.proposal_id}"))
    await asking.sent(body, headers)
    before = (await asking.incident()).proposal
    await asking.sent(body, headers)
    assert before is not None
    assert before.answer is not None
    assert (await asking.incident()).proposal == before


HOSTILE: dict[str, tuple[bytes, dict[str, str]]] = {
    "no signature": (b"payload={}", {}),
    "an empty body": (b"", {}),
    "another secret": (b"payload={}", signature(b"payload={}", secret="x")),
    "an old stamp": (b"payload={}", signature(b"payload={}", at=1.0)),
    "a stamp that is no number": (b"x", {"X-Slack-Request-Timestamp": "now", "X-Slack-Signature": "v0=1"}),
    "an endless stamp": (b"x", {"X-Slack-Request-Timestamp": "9" * 5000, "X-Slack-Signature": "v0=1"}),
    "a signature beyond ASCII": (
        b"x",
        {**signature(b"x"), "X-Slack-Signature": "v0=\u00fc\u00df"},
    ),
    "a body that is no text": (b"\xff\xfe\x00", {**signature(b"x")}),
    "a body cut short": (signed({})[0][:-1], signed({})[1]),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_what_slack_did_not_sign_is_401(asking: Asking, case: str) -> None:
    """Never 5xx: the verifier itself raises on half of these."""
    body, headers = HOSTILE[case]
    assert await asking.interaction(body, headers) == 401


async def test_fuzzed_requests_are_never_answered_5xx(asking: Asking) -> None:
    """Random bytes, and right signatures over nonsense."""
    chance = random.Random(7)
    for _ in range(60):
        body = chance.randbytes(chance.randrange(200))
        headers = signature(body) if chance.random() < 0.5 else {}
        headers = {
            **headers,
            "X-Slack-Signature": headers.get("X-Slack-Signature", chance.randbytes(9).hex()),
        }
        assert await asking.interaction(body, headers) in (200, 401)


@pytest.mark.parametrize(
    "payload",
    [None, [], 7, {}, {"type": "block_actions"}, {"type": "view_submission"}, {"actions": [[]]}, "[" * 50],
    ids=repr,
)
async def test_what_slack_signed_and_is_no_click_of_ours_is_ignored(
    asking: Asking, slack: SlackServer, payload: object
) -> None:
    """200, and nothing happens."""
    assert await asking.interaction(*signed(payload)) == 200
    odd = click_payload("another_apps_button", "x")
    assert await asking.interaction(*signed({**odd, **(payload if isinstance(payload, dict) else {})})) == 200
    body = urllib.parse.urlencode({"other": json.dumps(odd)}).encode()
    assert await asking.interaction(body, signature(body)) == 200
    assert slack.whispers == []


async def test_a_body_without_end_is_413(asking: Asking) -> None:
    """Before anything is verified, and without keeping it."""
    body = b"x" * (SLACK_BODY_BYTES + 1)
    assert await asking.interaction(body, signature(body)) == 413


async def test_without_a_signing_secret_there_is_nothing_to_click_at(
    redis_url: str,
    aiohttp_client: Callable[[http.Application], Awaitable[TestClient[http.Request, http.Application]]],
) -> None:
    """404: nobody could tell Slack from a stranger."""
    config: settings.Settings = config_of(redis_url)
    async with wiring.parts_of(config) as built:
        bridge = app.HemoStat(built, load=lambda: config)
        client = await aiohttp_client(web.application(bridge, tokens=bridge.tokens, max_body_bytes=1 << 20))
        body, headers = signed({})
        async with client.post(PATH, data=body, headers=headers) as answered:
            assert answered.status == 404
