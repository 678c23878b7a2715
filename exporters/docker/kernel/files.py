"""Files of the kernel that are read again and again: kept open as long as the limit on open files allows.

Kept open a file costs about 1 µs to read, opened each time about 7 µs.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

READ_BYTES = 16_384
"""More than any of these files has; what is longer is cut, which its reader then cannot make out."""

RESERVED_DESCRIPTORS = 256
"""Left for connections of scrapers and to the Engine."""


class Files(Protocol):
    def read(self) -> list[bytes]:
        """The whole of each, in order. Raises: OSError: one is gone, and with it whom they tell of."""

    def close(self) -> None:
        """Doing it twice is fine."""


class Descriptors:
    """How many more files may be kept open. Not for two threads at once."""

    def __init__(self, limit: int) -> None:
        self.limit = max(limit, 0)
        self.kept = 0

    def take(self, count: int) -> bool:
        """Whether there are so many left; if so they are now taken."""
        if self.kept + count > self.limit:
            return False
        self.kept += count
        return True

    def give_back(self, count: int) -> None:
        self.kept -= count


class KeptFiles:
    """Raises: OSError: one cannot be opened."""

    def __init__(self, paths: Sequence[str], descriptors: Descriptors) -> None:
        self._limit = descriptors
        self.descriptors: list[int] = []
        try:
            for path in paths:
                self.descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            _close_all(self.descriptors)
            raise

    def read(self) -> list[bytes]:
        return [os.pread(descriptor, READ_BYTES, 0) for descriptor in self.descriptors]

    def close(self) -> None:
        closing, self.descriptors = self.descriptors, []
        _close_all(closing)
        self._limit.give_back(len(closing))


class OpenedFiles:
    """Opened for each reading, where too many are open already."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = tuple(paths)

    def read(self) -> list[bytes]:
        return [_content(path) for path in self._paths]

    def close(self) -> None:
        self._paths = ()


def files(paths: Sequence[str], descriptors: Descriptors) -> Files:
    """Kept open if there is room for all of them. Raises: OSError: one cannot be opened."""
    if not descriptors.take(len(paths)):
        return OpenedFiles(paths)
    try:
        return KeptFiles(paths, descriptors)
    except OSError:
        descriptors.give_back(len(paths))
        raise


def raise_descriptor_limit() -> int:
    """Raises the soft limit on open files to the hard one, and gives what of it may be kept for the kernel's files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft - RESERVED_DESCRIPTORS


def _content(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(descriptor, READ_BYTES, 0)
    finally:
        os.close(descriptor)


def _close_all(descriptors: Sequence[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)
