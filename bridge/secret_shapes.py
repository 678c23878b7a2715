"""What one kind of secret is, for the tables ``bridge.secret_kinds`` and ``bridge.secret_tokens``. Pure data."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


def marked(kind: str) -> str:
    """The marker of a kind."""
    return f"[REDACTED:{kind}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of secret.

    ``hints``: in lower case; the pattern is only tried where one of them occurs. ``needs``: the same of a kind that no
    word gives away. ``certain``: whether a match is one; what looks like a secret and is none stays.
    """

    name: str
    hints: tuple[str, ...]
    pattern: re.Pattern[str]
    certain: Callable[[re.Match[str]], bool] | None = None
    closers: bool = False
    """Whether brackets at its end belong to what stands around it."""
    needs: Callable[[str], bool] | None = None


def kind_of(
    name: str,
    hints: str | tuple[str, ...],
    pattern: str,
    certain: Callable[[re.Match[str]], bool] | None = None,
    *,
    case: bool = False,
    closers: bool = False,
) -> Kind:
    """A kind; ``hints`` as a text are words between blanks, ``case``: upper and lower case differ."""
    flags = re.NOFLAG if case else re.IGNORECASE
    return Kind(
        name=name,
        hints=tuple(hints.split()) if isinstance(hints, str) else hints,
        pattern=re.compile(pattern, flags),
        certain=certain,
        closers=closers,
    )


CREDENTIAL = "credential"
"""The kind of a value that is secret by the name it stands under."""
