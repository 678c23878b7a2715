"""People's answers to proposals: of operators over the API, and of people in Slack over HTTP."""

from __future__ import annotations

from aiohttp import web

from bridge import telling
from bridge.model.incident import Answer
from bridge.roles import AnswerResult
from bridge.web.answers import Refused, as_json, named
from bridge.web.bodies import body_of, texts_of
from bridge.web.interface import BRIDGE

SLACK_PATH = "/slack/interactions"
SLACK_BODY_BYTES = 256 * 1024
"""A click brings the whole message along, which is below 10 KiB of ours."""

BODY_DEADLINE_SECONDS = 3.0
"""Slack waits no longer for an answer."""

_STATUS = {
    AnswerResult.UNKNOWN: (404, "not_found"),
    AnswerResult.ALREADY: (409, "already_answered"),
    AnswerResult.EXPIRED: (409, "expired"),
    AnswerResult.VOID: (409, "not_asked"),
    AnswerResult.NOT_ASKED: (409, "not_asked"),
    AnswerResult.ENDED: (409, "closed"),
}


async def approve(request: web.Request) -> web.Response:
    """``POST /api/v1/incidents/{id}/approve`` with ``{"by": text}``, optional."""
    return await _answered(request, Answer.APPROVE)


async def reject(request: web.Request) -> web.Response:
    """``POST /api/v1/incidents/{id}/reject`` with ``{"by": text}``, optional."""
    return await _answered(request, Answer.REJECT)


async def _answered(request: web.Request, answer: Answer) -> web.Response:
    by = named(request, await texts_of(request, "by"))
    answered = await request.app[BRIDGE].answer(request.match_info["id"], answer, by=by)
    said = telling.reply_to(answered)
    if answered.result is not AnswerResult.DONE:
        raise Refused(*_STATUS[answered.result], said)
    return as_json(
        {"incident": answered.incident_id, "answer": answered.answer, "by": answered.by, "message": said},
        status=202,
    )


async def slack(request: web.Request) -> web.Response:
    """``POST /slack/interactions``: signed by Slack, or 401. What came of a click is told in Slack."""
    body = await body_of(request, most=SLACK_BODY_BYTES, seconds=BODY_DEADLINE_SECONDS)
    match await request.app[BRIDGE].slack_interaction(body, request.headers):
        case None:
            raise Refused(404, "not_found", "no signing secret of Slack is configured (slack.signing_secret)")
        case False:
            raise Refused(401, "unauthorized", "not signed by Slack")
    return web.Response()
