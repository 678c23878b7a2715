"""What an operator allows: frozen values built by ``bridge.settings``; how they combine is decided here, purely.

Labels on a container may narrow a policy, never widen it: a mode only towards less, actions only fewer, a cooldown
only longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from bridge.model.alert import Alert
from bridge.model.duration import parse_duration
from bridge.model.time_interval import TimeInterval
from bridge.model.verdict import Action

OPT_IN_LABELS = ("hemostat.enable", "autoheal")
"""Either of these container labels, set to ``true``, opts a container in; the first one that is there counts."""

_KEPT_OUT_OF_REACH = ("hemostat", "redis", "valkey", "prometheus", "alertmanager", "grafana")
_INSTANCE = "[-_.][0-9]*"

PROTECTED_BY_DEFAULT: tuple[str, ...] = (
    *(
        pattern
        for word in _KEPT_OUT_OF_REACH
        for pattern in (word, f"{word}{_INSTANCE}", f"*[-_]{word}", f"*[-_]{word}{_INSTANCE}")
    ),
    *(
        "hemostat[-_]bridge*",
        "*[-_]hemostat[-_]bridge*",
        "hemostat[-_]exporter*",
        "*[-_]hemostat[-_]exporter*",
    ),
    *("hemostat/bridge", "hemostat/exporter"),
    *(
        "redis-stack*",
        "redis-sentinel*",
        "redis-cluster*",
        "valkey-bundle",
        "valkey-sentinel*",
        "valkey-cluster*",
    ),
    *("grafana-oss*", "grafana-enterprise*"),
)
"""What HemoStat needs to judge and to remember: itself, its store, and what watches it.

A word counts where it is the whole name or its last part, an instance number aside: ``redis``, ``shop-redis-1``,
``stack_redis.1.x7k``, ``prom/prometheus:v2``; not ``redistribution-api``, ``redis-consumer`` or
``redis-exporter``, which are other people's programs and may need repair. ``hemostat-*`` as a whole is left out
because a project called ``hemostat`` gives that name to all its containers.
"""


class Mode(StrEnum):
    """What HemoStat may do by itself, from least to most."""

    OBSERVE = "observe"
    APPROVE = "approve"
    AUTO = "auto"


MODES_NARROW_FIRST = (Mode.OBSERVE, Mode.APPROVE, Mode.AUTO)


class TargetClass(StrEnum):
    """What kind of work a container does (label ``hemostat.class``)."""

    STATELESS = "stateless"
    STATEFUL = "stateful"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cap:
    """At most ``max`` granted actions in any sliding window of ``per_seconds``."""

    max: int
    per_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyPolicy:
    """When a repair counts as healed, all in seconds.

    ``within_seconds`` is the deadline after the action, ``stable_for_seconds`` how long the container must have been
    well without a pause, ``relapse_watch_seconds`` for how long afterwards it is still looked at.
    """

    within_seconds: float = 180.0
    stable_for_seconds: float = 30.0
    relapse_watch_seconds: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """After ``failures`` repairs in a row that did not heal, no more for ``open_for_seconds`` (then 2x, 4x … 16x)."""

    failures: int = 3
    open_for_seconds: float = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPolicy:
    """What is allowed for the target of one alert.

    ``cooldown_seconds``: least time between two actions on one target. ``min_uptime_seconds``: a container
    younger than this is left alone. ``wait_for_seconds``: how long an undecided incident may wait before a human
    is told. ``approval_ttl_seconds``: how long a person may take to answer a proposal.
    """

    mode: Mode = Mode.AUTO
    actions: tuple[Action, ...] = (Action.RESTART,)
    cooldown_seconds: float = 3600.0
    caps: tuple[Cap, ...] = (Cap(max=3, per_seconds=3600.0),)
    verify: VerifyPolicy = field(default_factory=VerifyPolicy)
    breaker: BreakerPolicy = field(default_factory=BreakerPolicy)
    min_uptime_seconds: float = 0.0
    wait_for_seconds: float = 600.0
    approval_ttl_seconds: float = 900.0
    target_class: TargetClass = TargetClass.STATELESS


class MatchOperator(StrEnum):
    """Alertmanager's four matcher operators."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True, kw_only=True)
class Matcher:
    """One Alertmanager matcher. Regular expressions are anchored; a missing label equals the empty string."""

    label: str
    operator: MatchOperator
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels pass."""
        actual = labels.get(self.label, "")
        match self.operator:
            case MatchOperator.EQUAL:
                return actual == self.value
            case MatchOperator.NOT_EQUAL:
                return actual != self.value
            case MatchOperator.REGEX:
                return re.fullmatch(self.value, actual) is not None
            case MatchOperator.NOT_REGEX:
                return re.fullmatch(self.value, actual) is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One node of the tree: who matches gets ``policy`` (already inherited from the parent), unless a child matches."""

    matchers: tuple[Matcher, ...]
    policy: TargetPolicy
    routes: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWindow:
    """Times in which nothing is repaired; ``matchers`` empty means every target."""

    name: str
    intervals: tuple[TimeInterval, ...]
    matchers: tuple[Matcher, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StormLimit:
    """More than ``incidents`` opened in ``per_seconds`` are a storm; it ends after as long with fewer than half."""

    incidents: int = 20
    per_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds over many targets.

    ``project_share`` is the share of a Compose project's containers that may be sick before the monitor is suspect,
    ``fleet_share`` the same of a host's and of all hosts' together (1: never). It is suspect until the share was no
    more than half of that for ``share_quiet_seconds``.
    """

    fleet: Cap = field(default_factory=lambda: Cap(max=10, per_seconds=3600.0))
    host: Cap = field(default_factory=lambda: Cap(max=5, per_seconds=3600.0))
    project_share: float = 0.34
    fleet_share: float = 0.34
    share_quiet_seconds: float = 300.0
    storm: StormLimit = field(default_factory=StormLimit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The whole ``policy:`` section.

    ``protected`` are glob patterns over names of containers and services, and over images, the built-in ones among them unless they were
    turned off (``PROTECTED_BY_DEFAULT``).
    """

    root: TargetPolicy = field(default_factory=TargetPolicy)
    routes: tuple[Route, ...] = ()
    protected: tuple[str, ...] = ()
    maintenance: tuple[MaintenanceWindow, ...] = ()
    limits: Limits = field(default_factory=Limits)

    def for_labels(self, labels: Mapping[str, str]) -> TargetPolicy:
        """The policy of the first route, depth first, that matches; the root's where none does."""
        return _walk(self.routes, labels) or self.root

    def for_alerts(self, alerts: Sequence[Alert]) -> TargetPolicy:
        """The policy for an incident of several alerts: the oldest alert's whose policy allows any action at all."""
        policies = [self.for_labels(alert.labels) for alert in sorted(alerts, key=lambda a: a.starts_at)]
        return next((policy for policy in policies if policy.actions), policies[0] if policies else self.root)

    def modes(self) -> tuple[Mode, ...]:
        """Every mode that some alert may meet, from least to most."""
        found = {self.root.mode, *_modes(self.routes)}
        return tuple(mode for mode in MODES_NARROW_FIRST if mode in found)

    def protects(self, name: str, image: str) -> str | None:
        """The pattern that protects this container, or ``None``. Case is ignored.

        A pattern is held against the name and against every way to write the image, so that ``redis`` protects
        ``docker.io/library/redis:7``. Tag and digest count only for a pattern that has a colon itself: ``redis``
        does not protect ``php:8-redis``.
        """
        plain = [spelling.lower() for spelling in (name, *image_spellings(image))]
        tagged = [spelling.lower() for spelling in (name, *image_spellings(image, tagged=True))]
        for pattern in self.protected:
            if any(fnmatchcase(one, pattern.lower()) for one in (tagged if ":" in pattern else plain)):
                return pattern
        return None


def image_spellings(image: str, *, tagged: bool = False) -> tuple[str, ...]:
    """An image reference with ever less of registry and path: ``docker.io/library/redis``, ``library/redis``, ``redis``.

    ``tagged`` adds the spellings with tag and digest, as far as the reference has them.
    """
    without_digest = image.partition("@")[0]
    folder, slash, last = without_digest.rpartition("/")
    wholes = [folder + slash + last.partition(":")[0]]
    if tagged:
        wholes += [without_digest, image]
    parts = [whole.split("/") for whole in wholes]
    return tuple(dict.fromkeys("/".join(one[start:]) for one in parts for start in range(len(one))))


def _modes(routes: Sequence[Route]) -> Iterator[Mode]:
    for route in routes:
        yield route.policy.mode
        yield from _modes(route.routes)


def _walk(routes: Sequence[Route], labels: Mapping[str, str]) -> TargetPolicy | None:
    for route in routes:
        if all(matcher.matches(labels) for matcher in route.matchers):
            return _walk(route.routes, labels) or route.policy
    return None


def opted_in(labels: Mapping[str, str]) -> bool:
    """Whether a container's labels allow HemoStat to touch it at all: the first of the two that is there decides.

    So a ``hemostat.enable`` that says no, or what nobody understands, is not outdone by ``autoheal``.
    """
    said = next((labels[label] for label in OPT_IN_LABELS if label in labels), "")
    return said.strip().lower() == "true"


def narrowed(policy: TargetPolicy, labels: Mapping[str, str]) -> TargetPolicy:
    """The policy after a container's own labels have narrowed it.

    What cannot be understood narrows to the safest reading: an unknown mode or a cooldown that is no duration only
    observes, an unknown action is not allowed, an unknown class keeps state. A class can only be set where the file
    left it at ``stateless``.
    """
    mode, actions, cooldown, target_class = (
        policy.mode,
        policy.actions,
        policy.cooldown_seconds,
        policy.target_class,
    )
    if wanted := labels.get("hemostat.mode", "").strip().lower():
        asked = Mode(wanted) if wanted in set(Mode) else Mode.OBSERVE
        mode = min(mode, asked, key=MODES_NARROW_FIRST.index)
    if (listed := labels.get("hemostat.actions")) is not None:
        names = {name.strip().lower() for name in listed.split(",")}
        actions = tuple(action for action in actions if action in names)
    if asked_cooldown := labels.get("hemostat.cooldown", "").strip():
        try:
            cooldown = max(cooldown, parse_duration(asked_cooldown))
        except ValueError:
            mode = Mode.OBSERVE
    kind = labels.get("hemostat.class", "").strip().lower()
    if target_class is TargetClass.STATELESS and kind:
        target_class = TargetClass(kind) if kind in set(TargetClass) else TargetClass.STATEFUL
    return replace(policy, mode=mode, actions=actions, cooldown_seconds=cooldown, target_class=target_class)
