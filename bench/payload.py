"""The webhook bodies that are sent: the recorded one as it is, and a template that makes every alert a new one. Pure."""

from __future__ import annotations

import json
from pathlib import Path

RECORDED = Path(__file__).parents[1] / "tests" / "payloads" / "firing-group-5.json"


def resent(recorded: bytes) -> bytes:
    """A template whose every rendering is the recorded body, as Alertmanager repeats a group."""
    return recorded.replace(b"%", b"%%")


def grouped(recorded: bytes, alerts: int) -> bytes:
    """The recorded body with so many alerts, each of them another one: what a larger group looks like."""
    webhook = json.loads(recorded)
    kinds = webhook["alerts"]
    webhook["alerts"] = [kinds[place % len(kinds)] for place in range(alerts)]
    template = unseen(json.dumps(webhook).encode())
    return rendered(template, 0, alerts)


def unseen(recorded: bytes) -> bytes:
    """A template whose renderings never share an alert: fingerprint, start and container differ, the size does not.

    Kept cheap on purpose: rendering one is a single `%`, so that what is measured is the server.
    """
    webhook = json.loads(recorded.replace(b"%", b"%%"))
    for place, alert in enumerate(webhook["alerts"]):
        was, number = alert["labels"]["container"], f"%(alert{place})"
        name = f"api-{number}08x"
        alert["labels"]["container"] = name
        alert["annotations"] = {key: text.replace(was, name) for key, text in alert["annotations"].items()}
        alert["fingerprint"] = f"{number}016x"
        alert["startsAt"] = f"{alert['startsAt'].partition('.')[0]}.{number}09dZ"
    return json.dumps(webhook, separators=(",", ":")).encode()


def alerts_in(recorded: bytes) -> int:
    """How many alerts a body carries."""
    return len(json.loads(recorded)["alerts"])


def rendered(template: bytes, number: int, alerts: int) -> bytes:
    """The body of request `number`, counted from 0."""
    return template % {b"alert%d" % place: number * alerts + place for place in range(alerts)}
