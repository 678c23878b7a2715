"""Every error HemoStat raises on purpose, as one small tree.

A refusal is not an error: what may not happen is a value (``bridge.model.refusal``). A message says what
was tried, on what, and what came back; it never holds a secret or a whole foreign body.

    BridgeError
    ├── SettingsError(problems)      the configuration is wrong: exit 2, or the old one stays in force
    ├── PayloadError(where)          the webhook's body is wrong: 400, final
    ├── ScenarioError(problems)      an evaluation's scenarios cannot be used: exit 2
    ├── StoreBusy(owner)             another bridge holds the embedded store: exit 2
    ├── BackupPathError              no backup can be read or written under this path: exit 2
    ├── BackupFailed                 reading or writing it failed half way (a full disk): there is no new backup
    ├── BackupDamaged                it can be read and is none, or not a whole one: nothing is restored from it
    ├── RestoreFailed                the store is not one to restore into, or is not what it should be afterwards
    ├── JoinedMeanwhile              an alert joined the incident after it was looked at: look again
    ├── ClaimLost                    somebody else owns the incident now: stop at once, touch nothing
    └── EdgeError(edge)
        ├── EdgeUnavailable          away, slow or overloaded: may be tried again
        │   ├── EdgeTimeout          nothing came back in time
        │   └── RateLimited          told to come back later
        ├── EdgeRejected             answered "no": trying again will not help
        │   └── MessageRefused       answered "no" to this one message; the next one may be welcome
        └── UnfitAnswer              answered, but not what was asked for
            └── Unreadable           an incident in the store that this version cannot read: leave it to one that can
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


class BridgeError(Exception):
    """Root of all errors raised on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration file. ``line`` counts from 1, 0 means no line (environment, flag)."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.path}: {self.message}" if self.path else f"{where}{self.message}"


class SettingsError(BridgeError):
    """The configuration cannot be used; holds every problem found, not just the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class ScenarioError(BridgeError):
    """Scenarios cannot be used; holds every problem found, each a line with its file and path."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class PayloadError(BridgeError):
    """The webhook's body cannot be accepted, now or ever. ``str()`` is one line that says where and why."""


class StoreBusy(BridgeError):
    """Another process owns the embedded store's directory."""


class BackupPathError(BridgeError):
    """A backup file cannot be opened, or not made. ``str()`` is one line: the path, and what the system said."""


class BackupFailed(BridgeError):
    """Reading or writing a backup file failed half way; an earlier one of that name is as it was."""


class BackupDamaged(BridgeError):
    """The file is no backup of HemoStat, not a whole one, or of another format. Nothing was restored from it."""


class RestoreFailed(BridgeError):
    """The store must not be restored into now, or does not hold what was restored. ``str()`` says what to do."""


class ClaimLost(BridgeError):
    """The incident is no longer ours: its lease ran out and another worker may hold it."""


class JoinedMeanwhile(BridgeError):
    """The incident was not closed: an alert joined it after it was last loaded, and has not been looked at."""


class EdgeError(BridgeError):
    """Something outside did not do what was asked. ``edge`` is the closed name of the neighbour."""

    def __init__(self, edge: str, message: str) -> None:
        self.edge = edge
        super().__init__(f"{edge}: {message}")


class EdgeUnavailable(EdgeError):
    """Away, too slow, or overloaded: the same call may work later."""


class EdgeTimeout(EdgeUnavailable):
    """Nothing came back before the caller's deadline; whether it was done over there is unknown."""


class RateLimited(EdgeUnavailable):
    """The neighbour wants fewer requests; ``retry_after_seconds`` is what it said, ``None`` where it said nothing."""

    def __init__(self, edge: str, message: str, retry_after_seconds: float | None = None) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(edge, message)

    @classmethod
    def of_http(cls, edge: str, message: str, headers: Mapping[str, str]) -> RateLimited:
        """From a 429 and its ``Retry-After``, in whatever case; only seconds are understood."""
        asked = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
        try:
            seconds = float(asked)
        except ValueError:
            seconds = -1.0
        return cls(edge, message, seconds if 0 <= seconds < float("inf") else None)


class EdgeRejected(EdgeError):
    """The neighbour understood and refused; ``status`` is its HTTP status, 0 where there is none."""

    def __init__(self, edge: str, message: str, status: int = 0) -> None:
        self.status = status
        super().__init__(edge, message)


class UnfitAnswer(EdgeError):
    """The neighbour answered with something that is no answer (HTML in place of JSON, say). Never holds its text."""


class MessageRefused(EdgeRejected):
    """The neighbour works and does not take this message, such as one it finds malformed."""


class Unreadable(UnfitAnswer):
    """What the store holds of an incident is of another version of HemoStat, or damaged. Nothing of it may be written.

    ``claim``: held on it, to be given back; ``None`` where it was only read.
    """

    def __init__(self, incident_id: str, why: str, claim: int | None = None) -> None:
        self.claim = claim
        self.why = why
        super().__init__("redis", f"incident {incident_id} cannot be read by this version of HemoStat: {why}")
