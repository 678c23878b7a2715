"""What Alertmanager has and the journal has not: taken in like a webhook; and what is over over there: ended here.

A webhook can be lost: its receiver answered 2xx and forgot it, a redirect swallowed it, ``max_alerts`` cut it off; and no
resolved is sent for an alert that was silenced. What is decided here is decided from both sides' words alone; the
functions are pure.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from bridge import errors
from bridge.intake import Webhook, redacted, subject_of
from bridge.metrics import Metrics
from bridge.model.alert import Alert, AlertStatus, Subject
from bridge.model.episode import AlertListing, HeldAlert, KnownEpisode, Sighting
from bridge.redaction import Redactor
from bridge.roles import Acceptance, AlertLister, Budgets, Episodes, Storms

log = logging.getLogger("hemostat.reconcile")

ON_ITS_WAY = timedelta(seconds=60)
"""A younger alert may still be waiting for its group (``group_wait``, 30 s by default); its webhook is yet to come."""

LEASE_SECONDS = 30.0
"""How long one replica compares before another one may."""

AGAIN_SECONDS = 15.0
"""Until a comparison that could not be made is tried again."""

BATCH = 50
"""Alerts written in one step."""

Accept = Callable[[Sequence[tuple[Alert, Subject]]], Awaitable[Acceptance]]


def is_ours(listed: HeldAlert, receivers: Iterable[str], pattern: str | None) -> bool:
    """Whether Alertmanager's routing sends it to us: by the configured pattern, else by whom webhooks came from."""
    if pattern is not None:
        return any(re.fullmatch(pattern, name) for name in listed.receivers)
    return not set(receivers).isdisjoint(listed.receivers)


def missed(
    listing: AlertListing,
    known: Mapping[str, KnownEpisode],
    *,
    paused: bool,
    ahead: timedelta = timedelta(),  # immutable
) -> list[HeldAlert]:
    """Those of a listing that fire and never arrived, or were refused for a pause that is over; silenced and
    inhibited ones left out. ``ahead``: Alertmanager's clock is, of the journal's."""
    return [
        listed
        for listed in listing.alerts
        if listed.active
        and listed.ends_at > listing.at
        and listing.at - listed.alert.starts_at >= ON_ITS_WAY
        and _wanted(listed, known.get(listed.alert.fingerprint), listing.at, paused, ahead)
    ]


def _wanted(
    listed: HeldAlert, episode: KnownEpisode | None, now: datetime, paused: bool, ahead: timedelta
) -> bool:
    if episode is None:
        return True
    if episode.firing:
        unpaused_at = episode.reconsider_unpaused_at
        if unpaused_at is not None and unpaused_at <= now - ahead and not paused:
            return True
        # Its end and this new beginning both got lost; while the incident is open it is the same trouble anyway.
        return episode.closed_at is not None and listed.alert.starts_at - ahead > episode.closed_at
    # Told of it since it ended: it fires again. Otherwise the list is older than the end that we know of.
    return episode.ended_at is None or listed.updated_at > episode.ended_at


def sighted(
    listing: AlertListing, fingerprints: Iterable[str], before: Mapping[str, Sighting]
) -> dict[str, Sighting]:
    """What is remembered of open episodes until the next comparison: how they were last listed."""
    now = {
        listed.alert.fingerprint: Sighting(
            updated_at=listed.updated_at, ends_at=listed.ends_at, up_since=listing.up_since
        )
        for listed in listing.alerts
        if listed.ends_at > listing.at
    }
    known = {**before, **now}
    return {one: known[one] for one in fingerprints if one in known}


def over(listing: AlertListing, firing: Sequence[Alert], sightings: Mapping[str, Sighting]) -> list[Alert]:
    """Those that this very Alertmanager listed once, has not been told of since, and holds no more: as resolved ones.

    Absence alone proves nothing: an Alertmanager that was restarted has forgotten what fires, one that never had the
    alert is not the one that sent it.
    """
    held = {listed.alert.fingerprint for listed in listing.alerts if listed.ends_at > listing.at}
    ended = []
    for alert in firing:
        seen = sightings.get(alert.fingerprint)
        if alert.fingerprint in held or seen is None or seen.up_since != listing.up_since:
            continue
        if listing.at > seen.ends_at:
            # The last moment at which it is known to have fired: whatever fires later has begun after this end.
            ends_at = max(seen.updated_at, alert.starts_at)
            ended.append(replace(alert, status=AlertStatus.RESOLVED, ends_at=ends_at))
    return ended


class Reconciler:
    """Compares at the start and then every ``interval_seconds``, one replica at a time.

    ``receiver``: an anchored regular expression over receivers' names; ``None``: those that sent us webhooks.
    """

    def __init__(
        self,
        *,
        alertmanager: AlertLister,
        episodes: Episodes,
        storms: Storms,
        budgets: Budgets,
        accept: Accept,
        hosts: Callable[[], Sequence[str]],
        redactor: Callable[[], Redactor],
        metrics: Metrics,
        owner: str,
        interval_seconds: float,
        receiver: str | None = None,
    ) -> None:
        self._alertmanager = alertmanager
        self._episodes = episodes
        self._storms = storms
        self._budgets = budgets
        self._accept = accept
        self._hosts = hosts
        self._redactor = redactor
        self._metrics = metrics
        self._owner = owner
        self._interval_seconds = interval_seconds
        self._receiver = receiver

    async def run(self) -> None:
        """Compare until cancelled; whatever is away is asked again soon."""
        while True:
            wait = self._interval_seconds
            try:
                await self.compare()
            except errors.EdgeError as error:
                log.warning("reconcile_failed", extra={"error": str(error)})
                wait = min(wait, AGAIN_SECONDS)
            await asyncio.sleep(wait)

    async def compare(self) -> None:
        """One comparison, unless another replica makes it. Raises EdgeError: it could not be made, or not to its end."""
        if not await self._episodes.lease(self._owner, min(LEASE_SECONDS, 0.9 * self._interval_seconds)):
            return
        if await self._storms.now() is not None or await self._storms.suspects():
            log.info(
                "reconcile_put_off", extra={"reason": "the monitor is suspect: its word is not taken now"}
            )
            return
        listing = await self._alertmanager.listing()
        receivers = await self._episodes.receivers()
        if self._receiver is None and not receivers:
            log.info("reconcile_waits", extra={"reason": "no webhook has named our receiver yet"})
        ours = [one for one in listing.alerts if is_ours(one, receivers, self._receiver)]
        known = await self._episodes.known([one.alert.fingerprint for one in ours])
        paused = await self._budgets.paused() is not None
        ahead = await self._episodes.note_clock(listing.at)
        of_us = replace(listing, alerts=tuple(ours))
        taken = [one.alert for one in missed(of_us, known, paused=paused, ahead=ahead)]
        await self._write(taken, "taken_in")

        firing = await self._episodes.open()
        before = await self._episodes.sightings()
        ended = over(listing, firing, before)
        await self._write(ended, "ended")
        gone = {alert.fingerprint for alert in ended}
        left = [alert.fingerprint for alert in firing if alert.fingerprint not in gone]
        await self._episodes.keep(sighted(listing, left, before))

    async def _write(self, alerts: Sequence[Alert], what: str) -> None:
        """As a webhook's alerts are: redacted, durable, joined to what is open."""
        hosts = self._hosts()
        for first in range(0, len(alerts), BATCH):
            webhook = redacted(Webhook(alerts=tuple(alerts[first : first + BATCH])), self._redactor())
            accepted = await self._accept(
                [(alert, subject_of(alert.labels, hosts=hosts)) for alert in webhook.alerts]
            )
            self._metrics.reconciled_alerts.labels(what).inc(len(webhook.alerts))
            names = sorted({alert.name for alert in webhook.alerts})[:10]
            log.warning(
                "reconciled",
                extra={
                    "what": what,
                    "alerts": len(webhook.alerts),
                    "names": ", ".join(names),
                    "incidents": ", ".join(accepted.incidents[:10]),
                },
            )
