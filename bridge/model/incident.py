"""An incident: everything that is wrong with one target now, from its first alert to its outcome.

The value is frozen; each method checks that the step is legal and returns the next value. The closed incident is
the record. What is stored beside it (alerts, timeline) belongs to the journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from bridge.model.alert import Subject
from bridge.model.consultation import Audit
from bridge.model.evidence import Evidence
from bridge.model.refusal import GuardAnswer, Refusal
from bridge.model.verdict import Action, Verdict


class State(StrEnum):
    """Where an incident stands. ``waiting`` is an open incident that will be looked at again."""

    OPEN = "open"
    WAITING = "waiting"
    JUDGED = "judged"
    RESERVED = "reserved"
    ACTING = "acting"
    VERIFYING = "verifying"
    CLOSED = "closed"


class Outcome(StrEnum):
    """How an incident ended. ``healed`` may still become ``relapsed`` while it is watched."""

    HEALED = "healed"
    NOT_HEALED = "not_healed"
    RELAPSED = "relapsed"
    UNVERIFIED = "unverified"
    REFUSED = "refused"
    NO_ACTION = "no_action"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    FAILED = "failed"


LEGAL: dict[State, frozenset[State]] = {
    State.OPEN: frozenset({State.WAITING, State.JUDGED, State.CLOSED}),
    State.WAITING: frozenset({State.WAITING, State.JUDGED, State.CLOSED}),
    State.JUDGED: frozenset({State.WAITING, State.JUDGED, State.RESERVED, State.CLOSED}),
    State.RESERVED: frozenset({State.RESERVED, State.ACTING, State.CLOSED}),
    State.ACTING: frozenset({State.ACTING, State.VERIFYING, State.CLOSED}),
    State.VERIFYING: frozenset({State.VERIFYING, State.CLOSED}),
    State.CLOSED: frozenset({State.CLOSED}),
}
"""Which state may follow which. Closed follows closed only when a watched repair relapses or its watch ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What can be repaired: a container of a Docker host, known by its name. Budgets belong to the name."""

    host: str
    name: str

    @property
    def key(self) -> str:
        """``host/name``."""
        return f"{self.host}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided, on what grounds, and what every guard said about it.

    ``would``: what only mode ``observe`` stands against; ``asks``: what only a person's approval stands against.
    """

    verdict: Verdict
    guards: tuple[GuardAnswer, ...]
    refusals: tuple[Refusal, ...] = ()
    would: Action | None = None
    asks: Action | None = None

    @property
    def allowed(self) -> bool:
        """Whether the verdict is a repair that no guard refused."""
        return self.verdict.action is not None and not self.refusals


class Answer(StrEnum):
    """What a person says to a proposal. ``snooze``: look again later, then ask again if it is still wanted."""

    APPROVE = "approve"
    REJECT = "reject"
    SNOOZE = "snooze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A repair that a person is asked to approve: of this container, as it was then, until ``until``.

    ``id`` is random, so that an answer to one proposal is none to the next. ``answered_by`` is who answered first.
    """

    id: str
    action: Action
    container_id: str
    started_at: datetime | None
    at: datetime
    until: datetime
    answer: Answer | None = None
    answered_by: str = ""
    answered_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be done, written before Docker is called, so that a crash can be settled by comparison.

    ``stop_timeout_seconds`` bounds how long the old process may still be stopping after the call; ``was_running``
    tells a half-done restart (stopped, never started) from a start that did not happen. ``failures`` counts calls
    that Docker answered with an error or not at all. ``unchanged_since``: since when every look found that it has not
    happened; a look that Docker did not answer ends it (``None``).
    """

    action: Action
    container_id: str
    was_running: bool
    started_at: datetime | None
    restart_count: int
    stop_timeout_seconds: float
    token: int
    at: datetime
    failures: int = 0
    unchanged_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """The action as carried out. ``settled`` says that a crash lay in between and the facts decided that it happened."""

    action: Action
    container_id: str
    at: datetime
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What verification saw last. ``healthy_since``: since when every look found it well; ``None`` if the last did not.

    ``sick_at``: when a look last found it not well, ``None`` if none did. ``restart_count`` and ``started_at`` (by the Docker host's clock) tell whether it was started again since.
    """

    at: datetime
    text: str
    healthy_since: datetime | None = None
    sick_at: datetime | None = None
    restart_count: int | None = None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident. Times are Redis' clock, aware UTC.

    ``look_again_at`` says when a worker must come back to it; ``watch_until`` until when a healed target is
    watched for a relapse; ``reconsider_at`` from when a re-sent alert of this incident may open a new one;
    ``reconsider_unpaused_at`` the same once no pause holds, of one that the pause refused. ``suspected_at``: since when
    only what may be a stale firing has spoken for it. ``listed_by``: of each alert, by fingerprint, since when the
    Alertmanager was up that last listed it as firing, which is the only one whose silence about it says anything.
    ``unreadable``: why this version of HemoStat cannot read it, ``""`` if it can; of such a one only what stands beside
    its document is known, and it is only ever shown.
    """

    id: str
    subject: Subject
    opened_at: datetime
    state: State = State.OPEN
    updated_at: datetime | None = None
    closed_at: datetime | None = None
    outcome: Outcome | None = None
    reason: str = ""
    target: Target | None = None
    evidence: Evidence | None = None
    decision: Decision | None = None
    audit: Audit | None = None
    proposal: Proposal | None = None
    token: int | None = None
    intent: Intent | None = None
    repair: Repair | None = None
    finding: Finding | None = None
    look_again_at: datetime | None = None
    watch_until: datetime | None = None
    reconsider_at: datetime | None = None
    reconsider_unpaused_at: datetime | None = None
    suspect: bool = False
    suspected_at: datetime | None = None
    listed_by: Mapping[str, datetime] = field(default_factory=dict)
    unreadable: str = ""

    @property
    def closed(self) -> bool:
        """Whether it has an outcome."""
        return self.state is State.CLOSED

    def _to(self, state: State, now: datetime, **changes: object) -> Incident:
        if state not in LEGAL[self.state]:
            raise ValueError(f"incident {self.id}: {self.state} cannot become {state}")
        fields: dict[str, object] = {"look_again_at": None, **changes}
        return replace(self, state=state, updated_at=now, **fields)  # type: ignore[arg-type]

    def found(self, target: Target) -> Incident:
        """The same incident, its target now known."""
        return replace(self, target=target)

    def seen_listed(self, by: Mapping[str, datetime]) -> Incident:
        """The same incident, these of its alerts just seen in the list of an Alertmanager that is up since then."""
        return replace(self, listed_by={**self.listed_by, **by})

    def waiting(self, reason: str, *, now: datetime, seconds: float) -> Incident:
        """Nothing can be decided yet; look again in ``seconds``."""
        return self._to(State.WAITING, now, reason=reason, look_again_at=now + timedelta(seconds=seconds))

    def asking(self, proposal: Proposal, *, now: datetime) -> Incident:
        """A person is asked; look again when nobody has answered in time. An answer comes sooner by itself."""
        reason = f"asks whether to {proposal.action} it, until {proposal.until:%Y-%m-%d %H:%M:%S} UTC"
        return self._to(State.WAITING, now, reason=reason, proposal=proposal, look_again_at=proposal.until)

    def not_asking(self, reason: str, *, now: datetime, seconds: float) -> Incident:
        """The proposal is off the table; look again in ``seconds``."""
        return replace(self.waiting(reason, now=now, seconds=seconds), proposal=None)

    def judged(
        self, evidence: Evidence, decision: Decision, *, now: datetime, audit: Audit | None = None
    ) -> Incident:
        """Evidence and decision are known; nothing has been promised to anybody."""
        return self._to(
            State.JUDGED,
            now,
            evidence=evidence,
            decision=decision,
            audit=audit,
            reason=decision.verdict.reason,
        )

    def reserved(self, token: int, *, now: datetime) -> Incident:
        """The budget is granted under this fencing token."""
        return self._to(State.RESERVED, now, token=token)

    def acting(self, intent: Intent, *, now: datetime) -> Incident:
        """The intent is written; from here on a crash is settled by comparison, never repeated blindly."""
        return self._to(State.ACTING, now, intent=intent)

    def in_doubt(
        self,
        *,
        now: datetime,
        seconds: float,
        failed: bool = False,
        unchanged_since: datetime | None = None,
    ) -> Incident:
        """Whether it happened is not known yet; look again in ``seconds``. ``failed``: one more call went wrong."""
        intent = self.intent
        if intent is not None:
            failures = intent.failures + 1 if failed else intent.failures
            intent = replace(intent, failures=failures, unchanged_since=unchanged_since)
        return self._to(State.ACTING, now, intent=intent, look_again_at=now + timedelta(seconds=seconds))

    def held_back(self, *, now: datetime, seconds: float) -> Incident:
        """Granted, but Docker cannot be asked; the grant is kept and looked at again in ``seconds``."""
        return self._to(State.RESERVED, now, look_again_at=now + timedelta(seconds=seconds))

    def verifying(self, repair: Repair, *, now: datetime) -> Incident:
        """The action happened; now see whether it helped."""
        return self._to(State.VERIFYING, now, repair=repair)

    def looked(self, finding: Finding, *, now: datetime, seconds: float) -> Incident:
        """Verification is not finished; look again in ``seconds``."""
        return self._to(State.VERIFYING, now, finding=finding, look_again_at=now + timedelta(seconds=seconds))

    def closing(
        self,
        outcome: Outcome,
        reason: str,
        *,
        now: datetime,
        reconsider_at: datetime,
        reconsider_unpaused_at: datetime | None = None,
    ) -> Incident:
        """The end, with its outcome and the reason in one sentence."""
        return self._to(
            State.CLOSED,
            now,
            outcome=outcome,
            reason=reason,
            closed_at=now,
            reconsider_at=reconsider_at,
            reconsider_unpaused_at=reconsider_unpaused_at,
        )

    def watched(self, *, now: datetime, seconds: float, until: datetime) -> Incident:
        """Closed as healed, and looked at again in ``seconds`` until the watch ends."""
        return self._to(State.CLOSED, now, look_again_at=now + timedelta(seconds=seconds), watch_until=until)

    def relapsed(self, reason: str, *, now: datetime) -> Incident:
        """It had healed and fell sick again within the watch."""
        return self._to(State.CLOSED, now, outcome=Outcome.RELAPSED, reason=reason, watch_until=None)

    def settled_down(self, *, now: datetime) -> Incident:
        """The watch is over and it stayed well."""
        return self._to(State.CLOSED, now, watch_until=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentQuery:
    """A page of at most ``limit`` incidents, newest first: those to which all that is given applies.

    ``target`` is ``host/name`` or a bare name, the target's or what its alerts called it, ``since`` the earliest opening,
    ``cursor`` where the page before ended.
    """

    state: State | None = None
    outcome: Outcome | None = None
    target: str | None = None
    since: datetime | None = None
    limit: int = 50
    cursor: str | None = None

    def fits(self, incident: Incident) -> bool:
        """Whether it has this state, this outcome and this target."""
        if self.state is not None and incident.state is not self.state:
            return False
        if self.outcome is not None and incident.outcome is not self.outcome:
            return False
        if self.target is None:
            return True
        target, subject = incident.target, incident.subject
        if target is not None and self.target in (target.key, target.name):
            return True
        return self.target in (subject.name, f"{subject.host}/{subject.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line for an incident's story, before it is written. ``event`` is a closed lower-case name."""

    event: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineEntry:
    """One line of an incident's story as it was written, with the time the store gave it."""

    at: datetime
    event: str
    fields: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One line out of the stories of all incidents, in the order in which they happened.

    ``id`` is the store's: later ones have higher ids. ``incident_id`` is ``""`` where no one incident moved (a storm).
    """

    id: str
    incident_id: str
    entry: TimelineEntry
