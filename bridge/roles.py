"""What the walk needs from outside, as Protocols: it knows these roles, never a vendor.

Every method may raise ``EdgeUnavailable`` (try again later) or ``EdgeRejected`` (it said no); what else a method
raises is named at the method. All times are aware UTC.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from bridge.model.alert import Alert
from bridge.model.consultation import ModelAnswer, ModelRequest
from bridge.model.episode import AlertListing, KnownEpisode, Sighting
from bridge.model.evidence import Change, ContainerFacts, EngineEvent, Measure, PastRepair, TextLine
from bridge.model.incident import Answer, Entry, Incident, Outcome, Target, TimelineEntry
from bridge.model.policy import BreakerPolicy, Limits, TargetPolicy
from bridge.model.refusal import Refusal
from bridge.model.share import Population, Share, Turned
from bridge.model.storm import Storm


class Containers(Protocol):
    """The containers of all configured Docker hosts."""

    def hosts(self) -> Sequence[str]:
        """Names of the configured hosts."""
        ...

    async def inspect(self, host: str, ref: str) -> ContainerFacts | None:
        """One container by name or id, with the host's clock; ``None`` if there is none."""
        ...

    async def list(self, host: str) -> Sequence[ContainerFacts]:
        """All containers of a host, stopped ones included, without health details beyond the status."""
        ...

    async def find_service(self, host: str, service: str) -> Sequence[str]:
        """Ids of the containers of a Swarm service on this host."""
        ...

    async def log_tail(self, host: str, container_id: str, *, lines: int) -> Sequence[TextLine]:
        """The last lines it wrote, oldest first; empty if its log driver cannot be read. Untrusted text."""
        ...

    async def health_log(self, host: str, container_id: str) -> Sequence[TextLine]:
        """What the last health checks printed, oldest first. Untrusted text."""
        ...

    async def events(self, host: str, container_id: str, *, seconds: float) -> Sequence[EngineEvent]:
        """Its events of the last ``seconds`` as far as the daemon still has them (it keeps 256 over everything)."""
        ...

    async def restart(self, host: str, container_id: str) -> None:
        """Restart it, waiting its own stop timeout; starts it if it is stopped."""
        ...

    async def start(self, host: str, container_id: str) -> None:
        """Start it; nothing happens if it runs."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldEvent:
    """One event of an Engine, and the container it is about."""

    container_id: str
    event: EngineEvent


class EngineEvents(Protocol):
    """What happens to the containers of all configured Docker hosts, as it happens."""

    def hosts(self) -> Sequence[str]:
        """Names of the configured hosts."""
        ...

    def watch(self, host: str, *, since: datetime | None) -> AsyncGenerator[Sequence[ToldEvent], None]:
        """Events from then on (as far as the daemon still has them) and as they come, until the stream ends."""
        ...


class EngineHistory(Protocol):
    """The events of the last hour, kept where every replica finds them."""

    async def heard_until(self, host: str) -> datetime | None:
        """When the newest event that was kept happened, by the host's clock; ``None``: nothing was kept lately."""
        ...

    async def keep(self, host: str, told: Sequence[ToldEvent]) -> None:
        """Keep these; what is kept already stays as it is."""
        ...

    async def events(self, host: str, container_id: str) -> Sequence[EngineEvent]:
        """What is kept of a container, oldest first."""
        ...


class ActiveAlerts(Protocol):
    """Alertmanager's own view of an alert."""

    async def active(self, fingerprint: str) -> AlertView:
        """Whether this alert is active now, and when Alertmanager last heard of it."""
        ...

    async def listed(self) -> Sequence[ListedAlert]:
        """All alerts that fire now, those that are silenced or inhibited included."""
        ...


class Figures(Protocol):
    """What a time series database knows of containers and their hosts."""

    async def measures(self, container: ContainerFacts) -> Sequence[Measure]:
        """Its figures of the last 30 minutes; one that is not known is absent."""
        ...


class AlertLister(Protocol):
    """Everything that Alertmanager holds."""

    async def listing(self) -> AlertListing:
        """All its alerts, silenced and inhibited ones included."""
        ...


class Episodes(Protocol):
    """The journal's episodes, for a comparison with Alertmanager."""

    async def lease(self, owner: str, seconds: float) -> bool:
        """Whether the next ``seconds`` are ours alone to compare in."""
        ...

    async def known(self, fingerprints: Sequence[str]) -> Mapping[str, KnownEpisode]:
        """The last episode of each of these alerts; those never heard of are left out."""
        ...

    async def open(self) -> Sequence[Alert]:
        """The alerts that fire in open incidents, suspect ones aside."""
        ...

    async def sightings(self) -> Mapping[str, Sighting]:
        """What the last comparison saw."""
        ...

    async def keep(self, sightings: Mapping[str, Sighting]) -> None:
        """Remember these until the next comparison, and nothing else."""
        ...

    async def heard(self, receiver: str, *, watchdog: bool) -> None:
        """A webhook came, from this receiver of Alertmanager; whether the alert that always fires was in it."""
        ...

    async def receivers(self) -> Sequence[str]:
        """The names of the receivers that webhooks came from."""
        ...

    async def watchdog(self) -> tuple[datetime | None, float]:
        """When the alert that always fires last came; seconds between its last two times, 0 where that is unknown."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """``updated_at`` is when Alertmanager was last told that it fires; ``None`` if it does not know the alert."""

    active: bool
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAlert:
    """One alert that fires. ``silenced``: by somebody's explicit silence, ours do not count; ``suppressed``: silenced, by
    whomever, or inhibited.

    Labels are untrusted text.
    """

    fingerprint: str
    labels: Mapping[str, str]
    since: datetime
    silenced: bool = False
    suppressed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """What one webhook became. ``incidents`` in the order of the alerts, without repetition."""

    accepted: int
    incidents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeView:
    """One alert of an incident as the journal knows it now. ``firing`` is false once a resolved came."""

    alert: Alert
    firing: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An incident claimed by this worker, with its alerts as of the last load.

    ``claim`` fences every write that follows; ``joins`` counts the alerts that had joined by then.
    """

    incident: Incident
    episodes: tuple[EpisodeView, ...]
    claim: int
    joins: int = 0

    @property
    def firing(self) -> tuple[Alert, ...]:
        """The alerts that fire now."""
        return tuple(episode.alert for episode in self.episodes if episode.firing)

    @property
    def resolved(self) -> bool:
        """Whether every alert of the incident has ended."""
        return bool(self.episodes) and not any(episode.firing for episode in self.episodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """The kill switch as it is now. ``until`` ``None`` means until somebody resumes."""

    by: str
    why: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A granted budget: the fencing token under which the action may begin."""

    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One incident for readers: the value, its alerts and its story."""

    incident: Incident
    episodes: tuple[EpisodeView, ...]
    timeline: tuple[TimelineEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """What is left for one target. ``refusal``: what stands against a repair now; ``None`` if nothing does."""

    target: Target
    refusal: Refusal | None
    actions_last_hour: int
    last_action_at: datetime | None


class Journal(Protocol):
    """The durable record of incidents. Each write is one atomic step, fenced by the claim, and renews its lease.

    Every write raises ``ClaimLost`` when the claim is no longer ours. ``entry`` is the line it adds to the story.
    """

    async def now(self) -> datetime:
        """Redis' clock, never below the highest time a grant was given at."""
        ...

    async def load(self, held: Held) -> Held:
        """The same claim on the incident as it is written now, with its alerts."""
        ...

    async def save(self, held: Held, entry: Entry | None) -> Held:
        """Write the incident as it is now."""
        ...

    async def close(
        self,
        held: Held,
        entry: Entry,
        *,
        healed: bool | None,
        breaker: BreakerPolicy,
        refund: bool = False,
    ) -> Held:
        """Write the closed incident, free its target and feed the breaker.

        ``healed`` ``None`` leaves the breaker alone; ``refund`` gives back a grant that was never begun. Raises
        ``JoinedMeanwhile``: nothing was written, because an alert joined since the last load (never raised once
        the action has begun: what was done must be recorded).
        """
        ...

    async def saw_container(self, target: Target, facts: ContainerFacts) -> None:
        """Remember which container bears the name now."""
        ...

    async def replaced_at(self, target: Target, facts: ContainerFacts) -> datetime | None:
        """When this container was first seen to bear a name that another one bore before; ``None``: never seen to."""
        ...

    async def changes(self, target: Target, facts: ContainerFacts) -> Sequence[Change]:
        """What became another about the target since it was looked at before, and when."""
        ...

    async def fires_last_hour(self, fingerprints: Sequence[str]) -> int | None:
        """How often the alert of these that fires most began to fire; ``None``: none of them is known."""
        ...

    async def past_repairs(self, target: Target) -> Sequence[PastRepair]:
        """The last repairs of this target, newest first."""
        ...


class Storms(Protocol):
    """Whether far too much goes wrong at once. What a storm's end counted is in the stream of events."""

    async def shares(self, populations: Sequence[Population], *, limits: Limits) -> Sequence[Share]:
        """How many of each population are sick now; writes nothing."""
        ...

    async def now(self) -> Storm | None:
        """The storm that is on; ``None`` if none is."""
        ...

    async def settle(self) -> Storm | None:
        """End the storm whose end has come, and give it; every replica may ask, one of them is given it."""
        ...

    async def sick(self, hosts: Sequence[str]) -> int:
        """How many are marked as sick on these hosts, at most; a cheap question."""
        ...

    async def note_shares(self, populations: Sequence[Population], *, limits: Limits) -> Sequence[Turned]:
        """Look how many are sick, and write down what becomes suspect by that and what is so no more; gives those."""
        ...

    async def suspects(self) -> Sequence[Share]:
        """The populations that are suspect, with the numbers of the last look; their limits are not kept."""
        ...


class AnswerResult(StrEnum):
    """What became of an answer to a proposal."""

    DONE = "done"
    ALREADY = "already"
    """Somebody was faster: theirs counts."""
    EXPIRED = "expired"
    VOID = "void"
    """The incident asks something else by now."""
    NOT_ASKED = "not_asked"
    ENDED = "ended"
    UNKNOWN = "unknown"
    """There is no such incident."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The answer that counts, where there is one: ``answer``, ``by``, ``at``. ``outcome`` of an incident that ended."""

    result: AnswerResult
    incident_id: str
    answer: Answer | None = None
    by: str = ""
    at: datetime | None = None
    outcome: Outcome | None = None


class Approvals(Protocol):
    """People's answers to what incidents ask, whoever receives them."""

    async def answer(
        self, incident_id: str, answer: Answer, *, by: str, proposal_id: str = "", through: str = ""
    ) -> Answered:
        """The first answer counts, and the incident goes on at once. ``proposal_id`` ``""``: whatever it asks now.

        ``by`` is who, ``through`` where; both are written into the story.
        """
        ...


class Budgets(Protocol):
    """Cooldown, caps, breaker and single flight, checked and reserved in one atomic step on Redis' clock."""

    async def paused(self) -> Pause | None:
        """The kill switch."""
        ...

    async def acquire(
        self,
        held: Held,
        *,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts,
        entry: Entry,
        populations: Sequence[Population] = (),
    ) -> Grant | Refusal:
        """Reserve an action on the incident's target; grant and the incident's state ``reserved`` are one write.

        ``populations``: in none of which too many may be sick.
        """
        ...

    async def would_grant(
        self,
        target: Target,
        *,
        policy: TargetPolicy,
        limits: Limits,
        facts: ContainerFacts | None,
        populations: Sequence[Population] = (),
    ) -> Refusal | None:
        """The same checks, reserving nothing: the first refusal, or ``None`` if it would be granted."""
        ...

    async def begin(self, held: Held, entry: Entry) -> Refusal | None:
        """Write the intent the incident carries, the last step before Docker; refuses if HemoStat was paused meanwhile."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One turn of work on one incident: a message of the work stream."""

    id: str
    incident_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldElsewhere:
    """Another worker holds the incident; its lease ends in ``seconds`` unless it renews it."""

    seconds: float


class Claims(Protocol):
    """Who may write to an incident now."""

    async def claim(self, incident_id: str, owner: str) -> Held | HeldElsewhere | None:
        """Take an incident to work on it; ``None`` if it does not exist any more. ``owner`` is unique per call."""
        ...

    async def beat(self, held: Sequence[Held]) -> set[str]:
        """Renew the claims; gives the ids of incidents that are no longer ours."""
        ...


class WorkQueue(Protocol):
    """Where turns come from and go back to. At-least-once: a turn may come twice, never not at all."""

    @property
    def consumer(self) -> str:
        """This process' name in the queue."""
        ...

    async def open(self) -> None:
        """Make it ready; harmless if it is."""
        ...

    async def read(self, free: int) -> Sequence[Turn]:
        """New turns, at most ``free``, waiting up to a second for the first."""
        ...

    async def sweep(self, free: int) -> Sequence[Turn]:
        """Turns of workers that went silent, at most ``free``."""
        ...

    async def due(self) -> float | None:
        """Bring in what is due; gives the seconds until the next one, ``None`` if there is none."""
        ...

    async def beat(self, turns: Sequence[Turn]) -> None:
        """Show that these are being worked on."""
        ...

    async def done(self, turn: Turn, *, claim: int | None) -> None:
        """Finished for good."""
        ...

    async def later(self, turn: Turn, *, claim: int | None, seconds: float) -> None:
        """Due again after a delay; the claim is freed in the same step, so that any worker may go on."""
        ...


class Deadman(Protocol):
    """A kernel timer that ends the process before it could act on a lease it no longer holds."""

    def arm(self, key: str, seconds: float) -> None:
        """The process ends in ``seconds`` unless the key is renewed or disarmed."""
        ...

    def renew(self, key: str, seconds: float) -> None:
        """``seconds`` from now instead; nothing if the key is not armed."""
        ...

    def disarm(self, key: str) -> None:
        """The action is over; nothing if the key is not armed."""
        ...


class Model(Protocol):
    """A language model that is asked one question at a time. It judges nothing and repeats nothing."""

    @property
    def provider(self) -> str:
        """One of ``consultation.PROVIDERS``."""
        ...

    async def ask(self, request: ModelRequest, *, deadline_seconds: float) -> ModelAnswer:
        """What it answers, within this time from the call to the last byte.

        Raises:
            EdgeTimeout: it did not answer in time.
            RateLimited: it wants fewer requests.
            EdgeUnavailable: it is away or overloaded.
            EdgeRejected: it refused the request (key, model name, parameters).
            UnfitAnswer: what came back is not in its protocol.
        """
        ...

    async def close(self) -> None:
        """Let go of its connections."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """Money and tokens set aside for one question."""

    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Overspent:
    """A budget that does not hold what was asked for: ``limit`` is its key in ``llm.budget``."""

    limit: str


class Spending(Protocol):
    """What the model may cost: reserved before it is asked, settled afterwards, over all replicas together."""

    async def reserve(self, *, tokens: int, usd: float) -> Reservation | Overspent:
        """Set this much aside, or say which limit does not hold it."""
        ...

    async def settle(self, reservation: Reservation, *, tokens: int, usd: float) -> None:
        """What it really took. A reservation that is never settled stays spent."""
        ...
