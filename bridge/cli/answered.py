"""What a bridge answered, read as far as it goes: one of another version may say words that we do not know, and leave out
some that we do. What is unknown is shown as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator


def at(answer: object, *keys: str) -> object:
    """What stands under these keys, one in the other; ``None`` where nothing does."""
    for key in keys:
        answer = answer.get(key) if isinstance(answer, dict) else None
    return answer


def word(answer: object, *keys: str) -> str:
    """The same as text; empty where nothing stands there."""
    found = at(answer, *keys)
    if found is None or isinstance(found, str):
        return found or ""
    return json.dumps(found, ensure_ascii=False)


def subject_of(incident: object) -> str:
    """What an incident is about, for people."""
    if at(incident, "target") is not None:
        return f"{word(incident, 'target', 'host')}/{word(incident, 'target', 'name')}"
    named = word(incident, "subject", "name") or word(incident, "subject", "container_id")
    if not named or word(incident, "subject", "kind") == "unknown":
        alerts = at(incident, "alert_names")
        names = dict.fromkeys(str(name) for name in alerts) if isinstance(alerts, list) else ()
        return f"no target named ({', '.join(names)})" if names else "no target named"
    return f"{word(incident, 'subject', 'host')}/{named}"


def outline(value: object, indent: str = "") -> Iterator[str]:
    """All of an answer, a line for each thing; what holds nothing is left out."""
    pairs = list(value.items()) if isinstance(value, dict) else [("-", one) for one in _all_of(value)]
    for name, one in pairs:
        if one is None or one in ("", [], {}):
            continue
        label = name if name == "-" else f"{name}:"
        if isinstance(one, dict | list):
            yield f"{indent}{label}"
            yield from outline(one, indent + "  ")
        else:
            yield f"{indent}{label} {one if isinstance(one, str) else json.dumps(one)}"


def _all_of(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
