"""Whom incidents are told, and who hears clicks in Slack."""

from __future__ import annotations

import contextlib

from bridge import settings
from bridge.edges.alertmanager_alerts import AlertmanagerAlerts
from bridge.edges.alertmanager_silences import AlertmanagerSilences
from bridge.edges.grafana import GrafanaAnnotations
from bridge.edges.http_neighbour import HttpNeighbour
from bridge.edges.slack.api import SlackApi, SlackWebhook
from bridge.edges.slack.clicks import Clicks
from bridge.edges.slack.folding import Folding
from bridge.edges.slack.messages import Scribe
from bridge.edges.slack.sink import SlackSink, SlackWebhookSink
from bridge.edges.store.approvals import StoredApprovals
from bridge.edges.store.connection import Store
from bridge.edges.store.mirror import Mirror
from bridge.edges.store.storms import StoredStorms
from bridge.edges.store.tally import StoredTally
from bridge.model.channel import Channel
from bridge.sinks import Sink
from bridge.wiring.neighbours import basic_credentials


def sinks_of(
    config: settings.Settings,
    store: Store,
    slack: SlackApi | None,
    alertmanager: HttpNeighbour | None,
    stack: contextlib.AsyncExitStack,
) -> tuple[Sink, ...]:
    """Whom incidents are told, as configured; each closed with the stack. A new sink gets its line here."""
    sinks: list[Sink] = []
    if config.redis is not None and config.redis.mirror:
        sinks.append(Mirror(store))
    if config.alertmanager is not None and alertmanager is not None:
        if config.alertmanager.silence_repairs:
            sinks.append(AlertmanagerSilences(alertmanager))
        if config.alertmanager.post_alerts:
            sinks.append(AlertmanagerAlerts(alertmanager, external_url=config.web.external_url or ""))
    if (grafana := grafana_of(config)) is not None:
        stack.push_async_callback(grafana.close)
        sinks.append(grafana)
    if (told := slack_sink_of(config, store, slack)) is not None:
        sinks.append(told)
    return tuple(sinks)


def slack_of(config: settings.Settings) -> SlackApi | None:
    """The edge to Slack as a bot, if one is configured."""
    given = config.slack
    if given is None or given.bot_token is None:
        return None
    return SlackApi(
        bot_token=given.bot_token.reveal(),
        app_token=given.app_token.reveal() if given.app_token else "",
        base_url=given.api_url,
    )


def slack_sink_of(config: settings.Settings, store: Store, api: SlackApi | None) -> Sink | None:
    """Who tells Slack: the bot, else the incoming webhook, else nobody."""
    given = config.slack
    if given is None:
        return None
    scribe = Scribe(external_url=config.web.external_url or "", buttons=given.asks)
    folding = Folding(StoredStorms(store), StoredTally(store, Channel.SLACK))
    if api is not None and given.channel:
        return SlackSink(api, channel_name=given.channel, scribe=scribe, folding=folding)
    if given.webhook_url is not None:
        return SlackWebhookSink(SlackWebhook(given.webhook_url.reveal()), scribe=scribe, folding=folding)
    return None


def clicks_of(config: settings.Settings, api: SlackApi | None, approvals: StoredApprovals) -> Clicks | None:
    """Who answers clicks in Slack, if a bot is configured."""
    if config.slack is None or api is None:
        return None
    return Clicks(api, approvals=approvals, approvers=config.slack.approvers)


def grafana_of(config: settings.Settings) -> GrafanaAnnotations | None:
    """The sink that draws annotations, if Grafana is configured."""
    given = config.grafana
    if given is None:
        return None
    return GrafanaAnnotations(
        given.url,
        authorization=f"Bearer {given.token.reveal()}"
        if given.token
        else basic_credentials(given.basic_auth),
        dashboard_uid=given.dashboard_uid or "",
        points=given.points,
        external_url=config.web.external_url or "",
        timeout_seconds=given.timeout_seconds,
    )
