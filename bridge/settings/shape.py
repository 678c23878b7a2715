"""Holds the document against ``schemas/settings.json`` and says in an operator's words what does not fit.

No message repeats a value of free text: it may be a secret in the wrong place.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from bridge.settings.findings import Findings, shown

_EXPECTED = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}


@cache
def settings_schema() -> dict[str, object]:
    """The JSON Schema of ``hemostat.yml``."""
    text = resources.files("bridge").joinpath("schemas/settings.json").read_text(encoding="utf-8")
    schema: dict[str, object] = json.loads(text)
    return schema


def check_shape(
    document: dict[str, object], findings: Findings, *, schema: Mapping[str, object] | None = None
) -> None:
    """Note every key that does not exist, every missing one and every value of the wrong kind.

    ``schema``: the settings' own unless another is given.
    """
    for error in Draft202012Validator(settings_schema() if schema is None else schema).iter_errors(document):
        path = tuple(error.absolute_path)
        match error.validator:
            case "additionalProperties":
                _note_unknown(error, findings)
            case "required":
                wanted: Any = error.validator_value
                missing = next(key for key in wanted if error.message.startswith(f"'{key}' "))
                findings.add((*path, missing), "is missing")
            case _ if path not in findings.spoiled:
                findings.add(path, _said(error))


def _note_unknown(error: ValidationError, findings: Findings) -> None:
    schema: Any = error.schema
    given: Any = error.instance
    for key in given:
        if key in schema["properties"]:
            continue
        findings.add((*error.absolute_path, key[:60]), f"unknown key{_hint(key, schema)}")


def _hint(key: str, schema: Mapping[str, Any]) -> str:
    known = schema["properties"]
    if near := difflib.get_close_matches(key, known, n=1):
        return f"; did you mean '{near[0]}'?"
    sections = known if schema.get("title") == "hemostat.yml" else {}
    if below := [f"'{name}'" for name, section in sections.items() if key in section.get("properties", ())]:
        return f" here; it belongs below {' or '.join(filter(None, [', '.join(below[:-1]), below[-1]]))}"
    return f"; known are {', '.join(known)}"


def _said(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "type":
            return _wrong_type(error)
        case "enum":
            near = difflib.get_close_matches(str(value), [str(one) for one in wanted], n=1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            return f"{shown(value)} is not one of {', '.join(map(str, wanted))}{hint}"
        case "minimum":
            return f"must be at least {wanted}, is {value}"
        case "maximum":
            return f"must be at most {wanted}, is {value}"
        case "exclusiveMinimum":
            return f"must be more than {wanted}, is {value}"
        case "minItems" | "minProperties":
            return "must not be empty"
        case "minLength":
            return "must not be empty"
        case "uniqueItems":
            return "says the same twice"
        case other:
            return f"does not fit ({other})"


def _wrong_type(error: ValidationError) -> str:
    wanted: Any = error.validator_value
    schema: Any = error.schema
    kinds: list[str] = wanted if isinstance(wanted, list) else [wanted]
    value: Any = error.instance
    if value is None:
        return "has no value: give it one, or leave the key out"
    if kinds == ["string"] and isinstance(value, int | float) and not isinstance(value, bool):
        if schema.get("format") == "duration":
            return f"a bare number is not a duration: add a unit, for example {value}s"
        return "must be text, is a number: put it in quotes"
    told = f"must be {' or '.join(_EXPECTED[kind] for kind in kinds)}, is {_kind_of(value)}"
    hint = _meant(kinds[0], value) if isinstance(value, str) else ""
    return f"{told}: {hint}" if hint else told


def _meant(kind: str, text: str) -> str:
    """What a text was probably meant to be, where something else is wanted; empty: nobody knows."""
    if kind == "boolean" and text.lower() in {"true", "false", "yes", "no", "on", "off"}:
        return "write true or false, without quotes"
    if kind in {"integer", "number"} and re.fullmatch(r"[0-9.]+", text, re.ASCII):
        return "take the quotes away"
    if kind == "number" and re.fullmatch(r"[0-9.]+ ?%", text, re.ASCII):
        return "without a % sign, as a share: 0.34 for 34 %"
    return "a ':' needs a space behind it" if kind == "object" and ":" in text else ""


def _kind_of(value: object) -> str:
    match value:
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "a mapping"
