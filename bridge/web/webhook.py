"""The webhook: alerts are taken in.

Its status codes are Alertmanager's retry contract: 202 only after the write, 503 when it could not be written (the only
answer besides a network error that is tried again), 4xx for what will never be acceptable. Never a redirect:
Alertmanager follows one with a GET and takes its 200 for a delivery.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

from aiohttp import web

from bridge import errors
from bridge.intake import read_webhook, redacted, subject_of
from bridge.web.answers import JSON, Refused, as_json
from bridge.web.bodies import body_of
from bridge.web.interface import BRIDGE

log = logging.getLogger("hemostat.web")

STORE_DEADLINE_SECONDS = 4.0
"""Alertmanager's twin sends the same again after 15 s; an answer must come well before that."""


async def receive(request: web.Request) -> web.Response:
    """``POST`` of a webhook: 202 once every alert of it is durable."""
    bridge = request.app[BRIDGE]
    if request.content_type != JSON:
        told = f"the content type must be {JSON}, not {request.content_type[:60]}"
        raise Refused(415, "unsupported_media_type", told)
    with bridge.metrics.stage_duration.labels("intake").time():
        webhook = read_webhook(await body_of(request))
        hosts = bridge.hosts()
        webhook = redacted(webhook, bridge.redactor)
        pairs = [(alert, subject_of(alert.labels, hosts=hosts)) for alert in webhook.alerts]
        try:
            async with asyncio.timeout(STORE_DEADLINE_SECONDS):
                accepted = await bridge.accept(pairs)
        except TimeoutError as error:
            raise errors.EdgeUnavailable("redis", f"no answer within {STORE_DEADLINE_SECONDS:g} s") from error
    for status, number in Counter(alert.status for alert in webhook.alerts).items():
        bridge.metrics.alerts_received.labels(status.value).inc(number)
    await bridge.heard(webhook)
    if webhook.truncated:
        log.warning("truncated_webhook", extra={"left_out": webhook.truncated, "advice": "raise max_alerts"})
    return as_json(accepted, status=202)
