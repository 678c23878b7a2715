"""A part of what the kernel tells of containers: some files, what they hold, how it is read out of them.

Whatever is read is read of several containers at once, file by file: a call for each number of each container would
take longer than the kernel does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporters.docker.figures import Column, Slot

Parse = Callable[..., Sequence[Column]]
"""Contents of a part's files, for each path a column over the containers, to a column for each of its slots.

Equal ones read equal files to the same numbers.

Raises: LookupError, ValueError, Unreadable: one of the containers' is not as expected."""


class Unreadable(Exception):
    """A file does not look as it did when it was opened, or as its kernel documents it."""


class Closed(Unreadable):
    """It was closed or found unreadable before, and whoever must know has been told."""


@dataclass(frozen=True, slots=True)
class Part:
    paths: tuple[str, ...]
    slots: tuple[Slot, ...]
    parse: Parse


def after(contents: Column, key: bytes) -> Column:
    """What stands between `key` and the end of that line. Searching beats splitting, and minds no new lines."""
    size = len(key)
    return [
        content[(start := content.index(key) + size) : content.index(b"\n", start)] for content in contents
    ]


def whole(contents: Column) -> Column:
    """The one number that such a file holds. Raises: ValueError: nothing stands there."""
    numbers = [content[:-1] for content in contents]
    if b"" in numbers:
        raise ValueError("an empty file")
    return numbers


def less(totals: Column, parts: Column) -> Column:
    """`total - part`, never below 0: the two were not read at the same instant."""
    return [b"%d" % max(0, int(total) - int(part)) for total, part in zip(totals, parts, strict=True)]
