"""Commands that ask a running bridge over HTTP: ``incidents``, ``explain``, ``approve``, ``reject``, ``pause``, ``resume``."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import http.client
import json
import os
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import msgspec

from bridge import authorities, cli, metrics, summary, web
from bridge.cli import answered, printing
from bridge.errors import BridgeError, Problem, SettingsError
from bridge.model.alert import Alert
from bridge.model.incident import Incident, TimelineEntry
from bridge.roles import EpisodeView

TIMEOUT_SECONDS = 10.0


class Refused(BridgeError):
    """The bridge answered, and the answer is no."""


def incidents(options: argparse.Namespace) -> int:
    """A line per incident."""
    wanted = {name: getattr(options, name) for name in ("state", "outcome", "target", "since", "limit")}
    query = urllib.parse.urlencode(
        {name: _typed(value) for name, value in wanted.items() if value is not None}
    )
    answer = _ask(options, "GET", f"/api/v1/incidents?{query}")
    listed = answer.get("incidents")
    if not isinstance(listed, list):
        raise Refused(f"what answers at {options.url} lists no incidents: is it a bridge?")
    if options.output == "json":
        printing.as_json(listed)
        return cli.GOOD
    rows = [_row(row) for row in listed]
    printing.table(["id", "opened", "target", "state", "outcome", "why"], rows)
    return cli.GOOD


def _row(row: object) -> list[str]:
    opened, about = answered.word(row, "opened_at")[:19], answered.subject_of(row)
    return [
        answered.word(row, "id"),
        opened,
        about,
        *(answered.word(row, k) for k in ("state", "outcome", "reason")),
    ]


def _typed(value: object) -> str:
    """What was typed, as the UTF-8 that a bridge reads: on a terminal of another encoding Python keeps what it could not
    read in a form that nobody else takes."""
    return str(value).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _path_of(incident_id: str) -> str:
    return f"/api/v1/incidents/{urllib.parse.quote(_typed(incident_id), safe='')}"


def explain(options: argparse.Namespace) -> int:
    """One incident whole. Exit 1 if there is none with this id, or if it is judged otherwise today."""
    path = _path_of(options.id)
    if options.replay:
        return _replay(options, _ask(options, "GET", f"{path}/replay"))
    answer = _ask(options, "GET", path)
    if options.output == "json":
        printing.as_json(answer)
        return cli.GOOD
    print_story(answer)
    return cli.GOOD


def _replay(options: argparse.Namespace, answer: dict[str, Any]) -> int:
    differs = _said(options, answer, "differs")
    if options.output == "json":
        printing.as_json(answer)
    else:
        for label, when in (("then", "recorded"), ("today", "verdict")):
            kind, action, by, rule, reason = (
                answered.word(answer, when, key) for key in ("kind", "action", "decided_by", "rule", "reason")
            )
            what = f"{kind}({action})" if action else kind
            printing.line(f"{label:<6} {what} by {by}, rule {rule}: {reason}")
        print("the verdict differs" if differs else "the verdict is the same")
    return cli.NO if differs else cli.GOOD


def _said(options: argparse.Namespace, answer: dict[str, Any], key: str) -> bool:
    """A yes or a no that counts. Raises Refused: neither was said, and silence must not be taken for one."""
    found = answer.get(key)
    if not isinstance(found, bool):
        raise Refused(f"what answers at {options.url} does not say {key!r}: is it a bridge?")
    return found


def print_story(answer: dict[str, Any]) -> None:
    """An incident as the API gives it, for people; as it came, where a bridge of another version says what we cannot read."""
    try:
        incident = msgspec.convert(answer, Incident)
        timeline = msgspec.convert(answer["timeline"], list[TimelineEntry])
        alerts = [
            EpisodeView(alert=msgspec.convert(alert, Alert), firing=bool(alert["firing"]))
            for alert in answer["alerts"]
        ]
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        told = f"the bridge is of another version than this hemostat, {metrics.VERSION}; shown as it came"
        print(f"hemostat: {told} ({printing.plain(str(error))[:200]})", file=sys.stderr)
        for line in answered.outline(answer):
            printing.line(line)
        return
    print("\n".join(summary.story(incident, timeline, alerts)))


def approve(options: argparse.Namespace) -> int:
    """Let an incident do what it asks for. Exit 1 if it asks nothing, or not any more."""
    return _answered(options, "approve")


def reject(options: argparse.Namespace) -> int:
    """Say no to it."""
    return _answered(options, "reject")


def _user() -> str:
    """Who types. In a container a user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _answered(options: argparse.Namespace, answer: str) -> int:
    told = _ask(options, "POST", f"{_path_of(options.id)}/{answer}", {"by": options.by or _user()})
    if options.output == "json":
        printing.as_json(told)
    else:
        printing.line(answered.word(told, "message"))
    return cli.GOOD


def pause(options: argparse.Namespace) -> int:
    """Pull the kill switch."""
    asked = {"why": options.why, "by": options.by or _user()}
    if options.duration == "":  # a script's variable that is not set: not for ever
        raise SettingsError([Problem("--for", 0, "is empty")])
    if options.duration:
        asked["for"] = options.duration
    return _told(options, _ask(options, "PUT", "/api/v1/pause", asked))


def resume(options: argparse.Namespace) -> int:
    """Release it."""
    return _told(options, _ask(options, "DELETE", "/api/v1/pause"))


def _told(options: argparse.Namespace, answer: dict[str, Any]) -> int:
    paused = _said(options, answer, "paused")
    if options.output == "json":
        printing.as_json(answer)
    elif paused:
        end = answered.word(answer, "until")
        until = f"until {end}" if end else "until somebody resumes"
        printing.line(f"paused by {answered.word(answer, 'by') or 'somebody'} {until}: no repair begins")
    else:
        print("not paused: repairs go on")
    return cli.GOOD


def _ask(
    options: argparse.Namespace, method: str, path: str, body: dict[str, str] | None = None
) -> dict[str, Any]:
    """The bridge's JSON. Raises Refused: it cannot be reached, or it said no; SettingsError: bad usage."""
    data = None if body is None else json.dumps({key: _typed(text) for key, text in body.items()}).encode()
    headers = {"Content-Type": "application/json"} if data else {}
    token = _token(options)
    if token:
        headers["Authorization"] = f"Bearer {token}"
    url = _url(options)
    request = urllib.request.Request(url.geturl().rstrip("/") + path, data, headers, method=method)  # noqa: S310  # checked
    try:
        with _opener(options, url).open(request, timeout=TIMEOUT_SECONDS) as answer:
            decoded = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        hint = "; --token-file FILE or $HEMOSTAT_TOKEN gives one" if error.code == 401 and not token else ""
        raise Refused(f"the bridge at {options.url} answers {error.code}: {_message(error)}{hint}") from error
    except (OSError, http.client.HTTPException, ValueError, RecursionError) as error:
        why = getattr(error, "reason", error)
        if isinstance(why, ssl.SSLCertVerificationError):
            told = f"the bridge at {options.url} is not trusted ({why.verify_message}); --ca-file says whom to trust"
            raise Refused(told) from error
        raise Refused(
            f"no bridge answers at {options.url} ({why}); is it running? --url says where"
        ) from error
    return decoded if isinstance(decoded, dict) else {}


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A bridge never redirects, and urllib would take the token along to whomever is named."""

    def redirect_request(self, *_: object) -> None:
        """Nowhere: it becomes an error with its status."""


def _opener(options: argparse.Namespace, url: urllib.parse.SplitResult) -> urllib.request.OpenerDirector:
    """Raises SettingsError: a certificate cannot be used."""
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if web.is_loopback(url.hostname or ""):  # as promtool and amtool: a proxy is for other machines
        handlers.append(urllib.request.ProxyHandler({}))
    if url.scheme == "https":
        handlers.append(urllib.request.HTTPSHandler(context=_tls(options)))
    return urllib.request.build_opener(*handlers)


def _tls(options: argparse.Namespace) -> ssl.SSLContext:
    where = "--ca-file"
    try:
        context = authorities.taken(ssl.create_default_context(cafile=options.ca_file))
        if options.cert_file is not None:
            where = "--cert-file"
            context.load_cert_chain(options.cert_file, options.key_file)
    except OSError as error:
        told = (
            error.strerror.lower()
            if type(error) is not ssl.SSLError and error.strerror
            else "no PEM that fits is in it"
        )
        raise SettingsError([Problem(where, 0, f"cannot be used: {told}")]) from error
    return context


def _url(options: argparse.Namespace) -> urllib.parse.SplitResult:
    """Raises SettingsError: it is none, and is not repeated, for it may hold a password."""
    with contextlib.suppress(ValueError):
        url: urllib.parse.SplitResult = urllib.parse.urlsplit(options.url)
        if url.scheme in ("http", "https") and url.hostname and url.username is None and url.port != 0:
            return url
    told = "must be http://HOST:PORT or https://HOST:PORT"
    raise SettingsError([Problem("--url", 0, told)])


def _token(options: argparse.Namespace) -> str:
    """Empty: none was given. Raises SettingsError: what was given cannot be one; it is never shown."""
    file: Path | None = options.token_file
    where = f"--token-file: {file}" if file else "$HEMOSTAT_TOKEN"
    try:
        text = file.read_text("ascii", "replace") if file else os.environ.get("HEMOSTAT_TOKEN", "")
    except OSError as error:
        told = f"cannot be read: {(error.strerror or 'unreadable').lower()}"
        raise SettingsError([Problem(where, 0, told)]) from error
    token = text.strip()
    if file and not token:
        raise SettingsError([Problem(where, 0, "is empty")])
    if not (token.isascii() and token.isprintable()):
        raise SettingsError([Problem(where, 0, "holds no token, which is one line of printable ASCII")])
    return token


def _message(error: urllib.error.HTTPError) -> str:
    try:
        return printing.plain(str(json.loads(error.read())["error"]["message"]))
    except (ValueError, KeyError, TypeError, OSError, RecursionError, http.client.HTTPException):
        to = error.headers.get("Location")
        return printing.plain(f"{error.reason}, to {to}; --url says where" if to else str(error.reason))
