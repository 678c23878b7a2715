"""Many files read by two threads at once: a read leaves Python's lock for as long as the kernel is at it.

What that brings is in docs/exporter.md, "Measured". Where the kernel takes next to no time for a file, it brings nothing.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue

from exporters.docker.kernel.files import READ_BYTES

SHARE = 128
"""Files taken at a time: half a millisecond of work, which is the longest that one waits for the other."""

Contents = tuple[list[bytes], list[int]]
"""The whole of each file, in order, and the places of those that could not be read, which stand there empty."""

Done = tuple[int, "Contents | MemoryError"]


class _Job:
    def __init__(self, descriptors: Sequence[int]) -> None:
        self.left = deque((at, descriptors[at : at + SHARE]) for at in range(0, len(descriptors), SHARE))
        self.shares = len(self.left)
        self.done: SimpleQueue[Done] = SimpleQueue()

    def work(self) -> None:
        """Until nothing is left to take."""
        with suppress(IndexError):
            while True:
                at, descriptors = self.left.popleft()
                self.done.put((at, _contents(descriptors)))


class ParallelReader:
    """The caller reads and, where there is another core, a thread beside it. If that one is slow to wake, the caller
    has read it all meanwhile. Not for two callers at once."""

    def __init__(self, *, cores: int | None = None) -> None:
        """`cores`: as many as this process may use, if not said."""
        self._cores = cores or len(os.sched_getaffinity(0))
        self._jobs: SimpleQueue[_Job] | None = None

    def contents(self, descriptors: Sequence[int]) -> Contents:
        """Raises: MemoryError."""
        job = _Job(descriptors)
        if self._cores > 1 and job.shares > 1:
            self._ask_for_help(job)
        job.work()
        read: list[bytes] = []
        failed: list[int] = []
        for first, found in sorted((job.done.get() for _ in range(job.shares)), key=lambda done: done[0]):
            if isinstance(found, MemoryError):
                raise found
            read += found[0]
            failed += [first + place for place in found[1]]
        return read, failed

    def _ask_for_help(self, job: _Job) -> None:
        if self._jobs is None:
            jobs = SimpleQueue[_Job]()
            try:
                threading.Thread(target=_help, args=(jobs,), name="reader", daemon=True).start()
            except RuntimeError:  # a limit on threads: then alone, and no further try
                self._cores = 1
                return
            self._jobs = jobs
        self._jobs.put(job)


def _help(jobs: SimpleQueue[_Job]) -> None:
    while True:
        jobs.get().work()


def _contents(descriptors: Sequence[int]) -> Contents | MemoryError:
    read = os.pread
    try:
        try:
            return [read(descriptor, READ_BYTES, 0) for descriptor in descriptors], []
        except OSError:
            return _one_by_one(descriptors)
    except MemoryError as error:  # of either thread: whoever waits for this share must hear of it
        return error


def _one_by_one(descriptors: Sequence[int]) -> Contents:
    contents, failed = [], []
    for place, descriptor in enumerate(descriptors):
        try:
            contents.append(os.pread(descriptor, READ_BYTES, 0))
        except OSError:
            contents.append(b"")
            failed.append(place)
    return contents, failed
