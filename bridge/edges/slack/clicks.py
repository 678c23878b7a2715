"""Clicks on our buttons, however they reach us: who may, what was meant, and what the clicker is told.

Source: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload. Nothing in a payload is trusted but
what Slack itself vouches for: which user clicked, and the value that we put into the button.
"""

from __future__ import annotations

import asyncio
import json
import logging
import urllib.parse
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from bridge import errors, telling
from bridge.edges.slack.api import Signatures, SlackApi
from bridge.edges.slack.messages import ACTION_PREFIX, fitted
from bridge.model.incident import Answer
from bridge.roles import Approvals
from bridge.summary import plain

log = logging.getLogger("hemostat.slack")

UP_SECONDS = 1.0
"""Between two looks at whether the socket is still up."""

MISSED_LOOKS = 2
"""In a row: a connection that Slack says it will close is replaced by the SDK within a second."""

LONGEST_PAUSE_SECONDS = 60.0
MAX_AT_ONCE = 50
"""Clicks being answered; a flood of them is not our people's."""

NAME_CHARACTERS = 80
WHISPER_CHARACTERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """A person clicked on a button of ours."""

    user_id: str
    user_name: str
    channel: str
    incident_id: str
    proposal_id: str
    answer: Answer


def read_click(payload: Mapping[str, Any]) -> Click | None:
    """The click that an interaction is, or ``None`` if it is something else. Never raises, whatever it is given."""
    user, channel, actions = payload.get("user"), payload.get("channel"), payload.get("actions")
    if (
        not isinstance(user, dict)
        or not isinstance(channel, dict)
        or not isinstance(actions, list)
        or not actions
    ):
        return None
    action = actions[0] if isinstance(actions[0], dict) else {}
    name, value = str(action.get("action_id", "")), str(action.get("value", ""))
    meant = name.removeprefix(ACTION_PREFIX)
    incident_id, _, proposal_id = value.partition(":")
    if payload.get("type") != "block_actions" or name == meant or meant not in set(Answer):
        return None
    if not user.get("id") or not incident_id or not proposal_id:
        return None
    return Click(
        user_id=str(user["id"]),
        user_name=plain(str(user.get("name") or user.get("username") or ""))[:NAME_CHARACTERS],
        channel=str(channel.get("id", "")),
        incident_id=incident_id,
        proposal_id=proposal_id,
        answer=Answer(meant),
    )


class Clicks:
    """Answers clicks. ``approvers`` are the ids of the users who may decide."""

    def __init__(self, api: SlackApi, *, approvals: Approvals, approvers: Collection[str]) -> None:
        self._api = api
        self._approvals = approvals
        self._approvers = frozenset(approvers)
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Leave what is being answered: it was decided, or it was not."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def clicked(self, payload: Mapping[str, Any]) -> None:
        """One interaction, from wherever Slack sent it. The clicker is told what came of it."""
        click = read_click(payload)
        if click is None:
            return
        said = await self._answered(click)
        try:
            await self._api.whisper(click.channel, click.user_id, fitted(said, WHISPER_CHARACTERS))
        except errors.EdgeError as error:
            log.warning("whisper_failed", extra={"error": str(error)})

    async def _answered(self, click: Click) -> str:
        if click.user_id not in self._approvers:
            log.warning("click_refused", extra={"user": click.user_id, "incident": click.incident_id})
            return "You may not decide this: you are not among slack.approvers. Nothing was done."
        by = f"{click.user_name} ({click.user_id})" if click.user_name else click.user_id
        try:
            answered = await self._approvals.answer(
                click.incident_id, click.answer, by=by, proposal_id=click.proposal_id, through="Slack"
            )
        except errors.EdgeError as error:
            log.warning("click_lost", extra={"incident": click.incident_id, "error": str(error)})
            return "HemoStat cannot reach its store: nothing was decided. Click again in a moment."
        log.info(
            "clicked",
            extra={
                "incident": click.incident_id,
                "answer": click.answer.value,
                "result": answered.result.value,
                "by": by,
            },
        )
        return telling.reply_to(answered)

    def take(self, payload: Mapping[str, Any]) -> None:
        """``clicked`` in a task of its own: Slack waits three seconds for us, and we for nobody."""
        if len(self._tasks) >= MAX_AT_ONCE:
            log.warning("clicks_dropped")
            return
        task = asyncio.create_task(self.clicked(payload), name="slack-click")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def take_signed(self, body: bytes, headers: Mapping[str, str], signatures: Signatures) -> bool:
        """A click over HTTP; ``False`` if it is not signed by Slack. What is signed and no click is ignored."""
        if not signatures.right(body, headers):
            return False
        try:
            form = urllib.parse.parse_qs(body.decode(), max_num_fields=20)
            payload = json.loads(form["payload"][0])
        except (ValueError, KeyError, RecursionError):
            log.warning("interaction_unreadable")
            return True
        if isinstance(payload, dict):
            self.take(payload)
        return True

    async def listen(self) -> None:
        """Keep a Socket Mode connection open until cancelled; Slack closes each after some hours."""
        pause = 1.0
        while True:
            try:
                async with self._api.socket(self._hear) as up:
                    log.info("slack_socket_open")
                    pause = 1.0
                    missed = 0
                    while missed < MISSED_LOOKS:
                        await asyncio.sleep(UP_SECONDS)
                        missed = 0 if await up() else missed + 1
                log.info("slack_socket_closed")
            except errors.EdgeError as error:
                log.warning("slack_socket_away", extra={"error": str(error), "again_in_seconds": pause})
                asked = error.retry_after_seconds if isinstance(error, errors.RateLimited) else None
                await asyncio.sleep(max(pause, min(asked or 0.0, 300.0)))
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _hear(self, payload: Mapping[str, Any]) -> None:
        self.take(payload)
