"""The only file that imports Slack's SDK: its Web API, incoming webhooks, Socket Mode and signatures.

Source: https://docs.slack.dev/apis/web-api, /messaging/sending-messages-using-incoming-webhooks,
/apis/events-api/using-socket-mode and /authentication/verifying-requests-from-slack.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bridge import errors

EDGE = "slack"
API_URL = "https://slack.com/api/"
PAGES = 10
"""Of 200 messages each that are searched for one of ours: ten times what a channel sees in a bad minute."""

Blocks = Sequence[Mapping[str, Any]]

_CHANNEL_ID = re.compile(r"[CGD][A-Z0-9]{8,}")
_LATER = {
    "fatal_error",
    "internal_error",
    "request_timeout",
    "service_unavailable",
    "team_added_to_org",
    "accesslimited",
}
_OF_THE_MESSAGE = {
    "invalid_arg_name",
    "invalid_arguments",
    "invalid_array_arg",
    "invalid_blocks",
    "invalid_blocks_format",
    "invalid_charset",
    "invalid_json",
    "invalid_metadata_format",
    "invalid_metadata_schema",
    "json_not_object",
    "message_limit_exceeded",
    "metadata_must_be_sent_from_app",
    "metadata_too_large",
    "msg_blocks_too_long",
    "msg_too_long",
    "no_text",
    "too_many_attachments",
}
_GONE = {
    "cant_update_message",
    "edit_window_closed",
    "message_not_found",
    "thread_not_found",
}

# What the SDK logs may hold what we send, and the ticket in a socket's URL: we log ourselves.
_silent = logging.getLogger("hemostat.slack.sdk")
_silent.setLevel(logging.CRITICAL + 1)


class MessageGone(errors.EdgeRejected):
    """The message to be edited or answered was deleted, or may not be edited any more."""


class SlackApi:
    """Slack's Web API as one bot. ``base_url`` differs for GovSlack, and in tests."""

    def __init__(
        self,
        *,
        bot_token: str,
        app_token: str = "",
        base_url: str = API_URL,
        timeout_seconds: float = 5.0,
    ) -> None:
        self._bot_token = bot_token
        self._app_token = app_token
        self._base_url = base_url
        self._timeout_seconds = timeout_seconds
        self._session: aiohttp.ClientSession | None = None
        self._web: AsyncWebClient | None = None

    async def close(self) -> None:
        """Close its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = self._web = None

    async def who(self) -> str:
        """As whom and where the token speaks: ``bot in workspace``."""
        answer = await self._call("auth.test")
        return f"{answer.get('user', '?')} in {answer.get('team', '?')}"

    async def post(
        self,
        channel: str,
        *,
        text: str,
        blocks: Blocks = (),
        event: str,
        payload: Mapping[str, str | int],
        thread: str = "",
        broadcast: bool = False,
    ) -> tuple[str, str]:
        """A message, or with ``thread`` an answer in it; gives the channel's id and the message's ``ts``.

        ``event`` and ``payload`` are its metadata, by which it is found again. Not idempotent.
        """
        body: dict[str, Any] = {
            "channel": channel,
            "text": text,
            "metadata": {"event_type": event, "event_payload": dict(payload)},
            "unfurl_links": False,
            "unfurl_media": False,
        }
        if blocks:
            body["blocks"] = list(blocks)
        if thread:
            body |= {"thread_ts": thread, "reply_broadcast": broadcast}
        answer = await self._call("chat.postMessage", body)
        return str(answer.get("channel") or channel), str(answer.get("ts", ""))

    async def update(self, channel: str, ts: str, *, text: str, blocks: Blocks = ()) -> None:
        """Edit a message. Without blocks those it had are removed. Raises MessageGone."""
        await self._call("chat.update", {"channel": channel, "ts": ts, "text": text, "blocks": list(blocks)})

    async def whisper(self, channel: str, user: str, text: str) -> None:
        """Something that only this user sees."""
        await self._call("chat.postEphemeral", {"channel": channel, "user": user, "text": text})

    async def found(
        self, channel: str, *, since: float, event: str, payload: Mapping[str, str], thread: str = ""
    ) -> list[tuple[str, Mapping[str, Any]]]:
        """Our messages since a Unix time whose metadata has this: each ``ts`` with its whole payload, newest first.

        ``thread``: the answers in this one instead of the channel's own messages.
        """
        asked: dict[str, Any] = {
            "channel": channel,
            "oldest": f"{since:.6f}",
            "limit": 200,
            "include_all_metadata": True,
        }
        if thread:
            asked["ts"] = thread
        ours: list[tuple[str, Mapping[str, Any]]] = []
        for _ in range(PAGES):
            answer = await self._call("conversations.replies" if thread else "conversations.history", asked)
            for message in answer.get("messages") or ():
                metadata = message.get("metadata") or {}
                has = metadata.get("event_payload") or {}
                if metadata.get("event_type") == event and payload.items() <= has.items():
                    ours.append((str(message["ts"]), has))
            asked["cursor"] = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not asked["cursor"]:
                break
        return sorted(ours, key=lambda one: one[0], reverse=True)

    async def known_channel(self, name: str) -> str:
        """The id of a channel, given by id or name. Raises EdgeRejected: the bot sees no channel of this name."""
        if _CHANNEL_ID.fullmatch(name):
            return name
        asked: dict[str, Any] = {
            "types": "public_channel,private_channel",
            "exclude_archived": True,
            "limit": 1000,
        }
        for _ in range(PAGES):
            answer = await self._call("conversations.list", asked)
            for channel in answer.get("channels") or ():
                if channel.get("name") == name.lstrip("#"):
                    return str(channel["id"])
            asked["cursor"] = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not asked["cursor"]:
                break
        raise errors.EdgeRejected(EDGE, "channel_not_found: invite the bot, or give the channel's id")

    @contextlib.asynccontextmanager
    async def socket(
        self, on_interaction: Callable[[Mapping[str, Any]], Awaitable[None]]
    ) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
        """A Socket Mode connection; gives a question: is it still up? Each interaction is acknowledged before it is
        handed on. Raises EdgeError: it cannot be opened.
        """
        client = SocketModeClient(
            app_token=self._app_token,
            web_client=self._client(),
            logger=_silent,
            auto_reconnect_enabled=False,  # its own would ask for a new URL every five seconds for ever
        )

        async def listen(_: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
            if request.type == "interactive":
                await on_interaction(request.payload)

        client.socket_mode_request_listeners.append(listen)
        try:
            async with _translated("apps.connections.open", self._timeout_seconds):
                answer = await self._client().apps_connections_open(app_token=self._app_token)
                client.wss_uri = str(answer.get("url") or "")
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await client.connect()  # type: ignore[no-untyped-call]  # the SDK's
            except TimeoutError as error:
                raise errors.EdgeTimeout(EDGE, "Socket Mode: no connection in time") from error
            yield client.is_connected
        finally:
            await client.close()  # type: ignore[no-untyped-call]  # the SDK's

    def _client(self) -> AsyncWebClient:
        if self._web is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._timeout_seconds))
            # No retries of its own: it would repeat a POST whose answer was lost.
            self._web = AsyncWebClient(
                token=self._bot_token,
                base_url=self._base_url,
                session=self._session,
                retry_handlers=[],
                logger=_silent,
            )
        return self._web

    async def _call(self, method: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        async with _translated(method, self._timeout_seconds):
            # Reading methods of Slack take no JSON; writing ones need it for blocks.
            if method.startswith("conversations."):
                answer = await self._client().api_call(method, http_verb="GET", params=dict(body or {}))
            else:
                answer = await self._client().api_call(method, json=dict(body or {}))
            data = answer.data
            if not isinstance(data, dict):
                raise errors.EdgeUnavailable(EDGE, f"{method}: an answer that is no JSON object")
            return data


class SlackWebhook:
    """An incoming webhook: it can only post."""

    def __init__(self, url: str, *, timeout_seconds: float = 5.0) -> None:
        self._url = url
        self._timeout_seconds = timeout_seconds

    async def post(self, *, text: str, blocks: Blocks = ()) -> None:
        """A message. Not idempotent, and not to be found again."""
        async with _translated("webhook", self._timeout_seconds):
            client = AsyncWebhookClient(
                self._url, timeout=round(self._timeout_seconds), retry_handlers=[], logger=_silent
            )
            answer = await client.send(
                text=text, blocks=[dict(block) for block in blocks], unfurl_links=False, unfurl_media=False
            )
        if answer.status_code != 200:
            raise _refusal("webhook", answer.status_code, answer.body[:60], answer.headers)


class Signatures:
    """Whether a request comes from Slack. Raises ValueError: the secret is empty."""

    def __init__(self, signing_secret: str) -> None:
        self._verifier = SignatureVerifier(signing_secret)

    def right(self, body: bytes, headers: Mapping[str, str]) -> bool:
        """Signed by Slack within the last five minutes. Hostile input is wrong, never an error."""
        try:
            return bool(self._verifier.is_valid_request(body, dict(headers)))
        except (ValueError, TypeError, OverflowError):
            # A timestamp that is no number, a signature beyond ASCII, a body that is not UTF-8.
            return False


@contextlib.asynccontextmanager
async def _translated(method: str, timeout_seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout_seconds + 1):
            yield
    except SlackApiError as error:
        response = error.response
        status = int(getattr(response, "status_code", None) or getattr(response, "status", None) or 0)
        data = getattr(response, "data", None)
        said = str(data.get("error", "")) if isinstance(data, dict) else ""
        raise _refusal(method, status, said, getattr(response, "headers", None) or {}) from error
    except TimeoutError as error:
        raise errors.EdgeTimeout(EDGE, f"{method}: no answer in time") from error
    except (aiohttp.ClientError, SlackClientError, OSError) as error:
        raise errors.EdgeUnavailable(EDGE, f"{method}: no answer ({type(error).__name__})") from error
    except UnicodeDecodeError as error:
        raise errors.EdgeUnavailable(EDGE, f"{method}: an answer that is no text") from error


def _refusal(method: str, status: int, said: str, headers: Mapping[str, str]) -> errors.EdgeError:
    what = f"{method}: {said or status}"[:200]
    if status == 429 or said in ("ratelimited", "rate_limited"):
        return errors.RateLimited.of_http(EDGE, what, headers)
    if status >= 500 or said in _LATER or (status < 400 and not said):
        return errors.EdgeUnavailable(EDGE, what)
    if said in _GONE:
        return MessageGone(EDGE, what, status)
    if said in _OF_THE_MESSAGE or said == "invalid_payload" or status == 413:
        return errors.MessageRefused(EDGE, what, status)
    return errors.EdgeRejected(EDGE, what, status)
