"""Slack through its real SDK, on a server with Slack's limits and bad days."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from bridge.edges.slack.api import SlackApi
from bridge.edges.slack.messages import Scribe
from bridge.edges.slack.sink import SlackSink
from bridge.edges.store.backlog import StoredBacklog
from bridge.edges.store.connection import Store
from bridge.edges.store.journal import StoredJournal
from bridge.sinks import Pace
from tests.integration.desk import Desk, as_judged
from tests.integration.edges.slack.told import TIMEOUT_SECONDS, Told, sick
from tests.servers.slack import BOT_TOKEN, CHANNEL, SlackServer


@pytest.fixture
def slack() -> Iterator[SlackServer]:
    """A Slack for one test; no message in it may break a rule of Slack's."""
    with SlackServer() as server:
        yield server
    assert server.broken_rules == []


@pytest.fixture
async def api(slack: SlackServer) -> AsyncIterator[SlackApi]:
    """Our bot there."""
    api = SlackApi(bot_token=BOT_TOKEN, base_url=slack.api_url, timeout_seconds=TIMEOUT_SECONDS)
    yield api
    await api.close()


@pytest.fixture
async def told(desk: Desk, store: Store, journal: StoredJournal, api: SlackApi) -> Told:
    """An incident that was judged: the container ``web`` is to be restarted. Nobody was told yet."""
    sink = SlackSink(api, channel_name=CHANNEL, scribe=Scribe(buttons=True), pace=Pace())
    backlog = StoredBacklog(store, journal, lease_seconds=30)
    await backlog.register([sink], retire=False)
    held = as_judged(await desk.claim(await desk.incident_for(sick())))
    told = Told(desk, backlog, sink, replace(held, incident=replace(held.incident, evidence=None)))
    await told.moves("judged", verdict="repair", action="restart", reason="sick")
    return told
