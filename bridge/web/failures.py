"""What goes wrong, as an answer: nothing of the inside reaches the caller."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from bridge import errors
from bridge.web.access import Handler
from bridge.web.answers import Refused, error_answer
from bridge.web.interface import BRIDGE
from bridge.web.webhook import receive

log = logging.getLogger("hemostat.web")


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn what a handler raises into an answer, and count what the webhook was answered."""
    try:
        response = await handler(request)
    except Refused as refused:
        response = error_answer(refused.status, refused.code, refused.message, refused.details)
    except errors.PayloadError as error:
        response = error_answer(400, "bad_payload", str(error))
    except errors.EdgeError as error:
        log.warning("unavailable", extra={"path": request.path, "error": str(error)})
        response = error_answer(503, "unavailable", request.app[BRIDGE].redactor.text(str(error)).text)
    except web.RequestPayloadError:
        told = "the body is not what its headers say: cut off, or not decodable"
        response = error_answer(400, "bad_payload", told)
        response.force_close()  # nobody can say where the next request would begin
    except web.HTTPRequestEntityTooLarge:
        response = error_answer(413, "too_large", "the body is larger than web.max_body_bytes allows")
    except web.HTTPException as error:
        response = refusal_of(error)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception:  # nothing of it may reach the caller; 503 keeps the alert with Alertmanager
        log.exception("request_crashed", extra={"path": request.path})
        response = error_answer(503, "internal", "an internal error; see the log of HemoStat")
    if request.method == "POST" and request.match_info.handler is receive:
        request.app[BRIDGE].metrics.webhook_requests.labels(str(response.status)).inc()
        if response.status >= 400:
            log.warning("webhook_refused", extra={"code": response.status, "remote": request.remote})
    return response


def refusal_of(error: web.HTTPException) -> web.Response:
    """What aiohttp refuses by itself, in the shape of all errors."""
    response = error_answer(error.status, error.reason.lower().replace(" ", "_"), error.reason)
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response
