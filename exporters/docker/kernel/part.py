"""A part of what the kernel tells of a container: some files, what they hold, how it is read out of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from exporters.docker.figures import Slot


class Unreadable(Exception):
    """A file does not look as it did when it was opened, or as its kernel documents it."""


class Closed(Unreadable):
    """It was closed or found unreadable before, and whoever must know has been told."""


@dataclass(frozen=True, slots=True)
class Part:
    paths: tuple[str, ...]
    slots: tuple[Slot, ...]
    parse: Callable[..., Iterable[bytes]]
    """Contents of `paths`, in order, to one number for each of `slots`.

    Raises: LookupError, ValueError, Unreadable: it is not as expected."""


def after(content: bytes, key: bytes) -> bytes:
    """What stands between `key` and the end of that line. Searching beats splitting, and minds no new lines."""
    start = content.index(key) + len(key)
    return content[start : content.index(b"\n", start)]


def less(total: bytes, part: bytes) -> bytes:
    """`total - part`, never below 0: the two were not read at the same instant."""
    return b"%d" % max(0, int(total) - int(part))
