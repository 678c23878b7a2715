"""Incidents told to Slack: one message each, edited in place as it moves, and its story in a thread below it.

Posting is not idempotent. Before each post a note says that one is under way; whoever finds such a note looks in Slack
for a message with our metadata before posting again, so that a crash in between leaves one message, not two.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from itertools import groupby

from bridge import errors, telling
from bridge.edges.slack.api import MessageGone, SlackApi, SlackWebhook
from bridge.edges.slack.folding import Folded, Folding
from bridge.edges.slack.messages import Message, Scribe
from bridge.model.channel import Channel
from bridge.roles import Record
from bridge.sinks import Delivery, Notes, Pace
from bridge.telling import StormPoster

INCIDENT_EVENT = "hemostat_incident"
STORY_EVENT = "hemostat_story"
STORM_EVENT = "hemostat_storm"
EDIT_SECONDS = 2.0
"""Between two edits of one message while its incident is still open: Slack allows some fifty a minute in all."""

SEARCH_BACK_SECONDS = 120.0
"""Slack's clock may be behind ours."""

PACE = Pace(per_second=1.0, burst=20, at_once=2, gather_seconds=0.3)
"""Slack's own limit is about one message a second for a channel, with bursts."""


class SlackSink:
    """Implements ``sinks.Sink`` for a bot. ``channel_name``: the channel's id, or its name if the bot may list them."""

    channel = Channel.SLACK

    def __init__(
        self,
        api: SlackApi,
        *,
        channel_name: str,
        scribe: Scribe,
        folding: Folding | None = None,
        pace: Pace = PACE,
    ) -> None:
        self.pace = pace
        self._api = api
        self._folding = folding
        self._channel_name = channel_name
        self._scribe = scribe
        self._channel_id = ""

    async def deliver(self, record: Record, notes: Notes, *, now: datetime) -> Delivery:
        """Post or edit the message, then answer in its thread with what is new."""
        folded = await self._folding.fold(record, notes) if self._folding is not None else None
        if folded is not None and folded.poster is None:
            return Delivery(sent=False)
        began = bool(notes.get("ts") or notes.get("posting"))
        if folded is None and not began and not telling.worth_telling(record.incident):
            return Delivery(sent=False)
        try:
            return await self._told(record, folded, notes, now)
        except MessageGone:
            # Somebody deleted it: a new one, with the whole story again.
            await notes.write({"ts": "", "lines": "", "replying": ""})
            return await self._told(record, folded, notes, now)

    async def _told(self, record: Record, folded: Folded | None, notes: Notes, now: datetime) -> Delivery:
        if folded is not None and folded.poster is not None:
            return await self._storm_told(folded, folded.poster, notes, now)
        message = self._scribe.parent(telling.poster(record), record.incident.id)
        posted = await self._posted(message, INCIDENT_EVENT, {"incident": record.incident.id}, notes, now)
        edited = False
        if not posted:
            if (wait := self._too_soon(record, notes, now)) > 0:
                return Delivery(sent=False, again_seconds=wait)
            edited = await self._edited(message, notes, now)
        # Whoever reads the channel has just seen the message itself.
        replied = await self._replied(record, notes, now, aloud=not posted)
        return Delivery(sent=posted or edited or replied)

    async def _storm_told(self, folded: Folded, poster: StormPoster, notes: Notes, now: datetime) -> Delivery:
        """The storm's one message, and a call for everybody once it has passed and left something to people."""
        about = {"storm": folded.storm}
        message = self._scribe.storm(poster)
        told = await self._posted(message, STORM_EVENT, about, notes, now)
        told = told or await self._edited(message, notes, now)
        wanting = len(poster.wanting) + poster.more
        if poster.done and wanting > int(notes.get("called") or 0):
            await notes.write({"called": str(wanting)})
            call = self._scribe.storm_call(poster)
            thread = notes.get("ts")
            await self._post(
                notes.get("channel"), call, STORM_EVENT, dict(about), thread=thread, broadcast=True
            )
            told = True
        return Delivery(sent=told, again_seconds=folded.again_seconds)

    async def _posted(
        self, message: Message, event: str, about: Mapping[str, str], notes: Notes, now: datetime
    ) -> bool:
        """The message, where there is none yet; gives whether it was posted just now."""
        if notes.get("ts"):
            return False
        channel = await self._id_of_channel()
        if began := notes.get("posting"):
            since = float(began) - SEARCH_BACK_SECONDS
            found = await self._api.found(channel, since=since, event=event, payload=about)
            if found:
                await notes.write({"channel": channel, "ts": found[-1][0], "posting": "", "shown": ""})
                return False
        await notes.write({"posting": f"{now.timestamp():.0f}"})
        channel, ts = await self._post(channel, message, event, dict(about))
        await notes.write(
            {
                "channel": channel,
                "ts": ts,
                "posting": "",
                "shown": _fingerprint(message),
                "edited": f"{now.timestamp():.3f}",
            }
        )
        return True

    @staticmethod
    def _too_soon(record: Record, notes: Notes, now: datetime) -> float:
        """Seconds until it may be edited again; 0 where it may be, need not be, or must be at once."""
        if record.incident.closed or telling.awaits(record.incident) or not notes.get("edited"):
            return 0.0
        since = now.timestamp() - float(notes.get("edited"))
        return EDIT_SECONDS - since if 0 <= since < EDIT_SECONDS else 0.0

    async def _edited(self, message: Message, notes: Notes, now: datetime) -> bool:
        """Bring the message up to date; gives whether that was needed."""
        shown = _fingerprint(message)
        if shown == notes.get("shown"):
            return False
        channel, ts = notes.get("channel"), notes.get("ts")
        try:
            await self._api.update(channel, ts, text=message.text, blocks=message.blocks)
        except errors.MessageRefused:
            await self._api.update(channel, ts, text=message.text)
        await notes.write({"shown": shown, "edited": f"{now.timestamp():.3f}"})
        return True

    async def _post(
        self,
        channel: str,
        message: Message,
        event: str,
        payload: dict[str, str | int],
        *,
        thread: str = "",
        broadcast: bool = False,
    ) -> tuple[str, str]:
        try:
            return await self._api.post(
                channel,
                text=message.text,
                blocks=message.blocks,
                event=event,
                payload=payload,
                thread=thread,
                broadcast=broadcast,
            )
        except errors.MessageRefused:  # better plain than not at all
            return await self._api.post(
                channel, text=message.text, event=event, payload=payload, thread=thread, broadcast=broadcast
            )

    async def _id_of_channel(self) -> str:
        if not self._channel_id:
            self._channel_id = await self._api.known_channel(self._channel_name)
        return self._channel_id

    async def _replied(self, record: Record, notes: Notes, now: datetime, *, aloud: bool) -> bool:
        """Answer in the thread with the lines of the story that are new; gives whether there were any."""
        incident_id, lines = record.incident.id, len(record.timeline)
        told = int(notes.get("lines") or 0)
        if began := notes.get("replying"):
            told = max(told, await self._told_in_thread(incident_id, notes, float(began)))
            await notes.write({"lines": str(told), "replying": ""})
        if told >= lines:
            return False
        chapters = telling.chapters(record, told=told)
        for loud, group in groupby(chapters, key=lambda chapter: chapter.loud):
            together = list(group)
            last = together[-1].line if together[-1] is not chapters[-1] else lines
            await notes.write({"replying": f"{now.timestamp():.0f}"})
            await self._post(
                notes.get("channel"),
                self._scribe.reply(together),
                STORY_EVENT,
                {"incident": incident_id, "lines": last},
                thread=notes.get("ts"),
                broadcast=loud and aloud,
            )
            await notes.write({"lines": str(last), "replying": ""})
        return bool(chapters)

    async def _told_in_thread(self, incident_id: str, notes: Notes, began: float) -> int:
        found = await self._api.found(
            notes.get("channel"),
            since=began - SEARCH_BACK_SECONDS,
            event=STORY_EVENT,
            payload={"incident": incident_id},
            thread=notes.get("ts"),
        )
        return max((int(payload.get("lines") or 0) for _, payload in found), default=0)


class SlackWebhookSink:
    """Implements ``sinks.Sink`` for an incoming webhook: one message when a person is asked or needed, and at the end."""

    channel = Channel.SLACK

    def __init__(
        self, webhook: SlackWebhook, *, scribe: Scribe, folding: Folding | None = None, pace: Pace = PACE
    ) -> None:
        self.pace = pace
        self._webhook = webhook
        self._folding = folding
        self._scribe = scribe

    async def deliver(self, record: Record, notes: Notes, *, now: datetime) -> Delivery:
        """Post, if it stands otherwise than when it was last told; of a storm only that it is on, and how it ended."""
        folded = await self._folding.fold(record, notes) if self._folding is not None else None
        if folded is not None:
            return await self._storm_told(folded, notes)
        incident = record.incident
        stands = incident.outcome.value if incident.outcome else "asks" if telling.awaits(incident) else ""
        if not stands or stands == notes.get("stands") or not telling.worth_telling(incident):
            return Delivery(sent=False)
        message = self._scribe.plain(telling.poster(record), incident.id)
        await self._webhook.post(text=message.text, blocks=message.blocks)
        await notes.write({"stands": stands})
        return Delivery(sent=True)

    async def _storm_told(self, folded: Folded, notes: Notes) -> Delivery:
        poster = folded.poster
        stands = "" if poster is None else "done" if poster.done else "on"
        if poster is None or stands == notes.get("stands"):
            return Delivery(sent=False, again_seconds=folded.again_seconds)
        message = self._scribe.storm(poster)
        await self._webhook.post(text=message.text, blocks=message.blocks)
        await notes.write({"stands": stands})
        return Delivery(sent=True, again_seconds=folded.again_seconds)


def _fingerprint(message: Message) -> str:
    return hashlib.sha256(json.dumps([message.text, message.blocks]).encode()).hexdigest()[:16]
