"""An incident as text: complete, in order, and impossible to forge from inside."""

from dataclasses import replace
from datetime import timedelta

from bridge import guards, summary
from bridge.model.alert import Alert, AlertStatus, Subject, SubjectKind
from bridge.model.consultation import Audit, Claim, Consultation, Usage
from bridge.model.evidence import Gap
from bridge.model.incident import Finding, Incident, Intent, Outcome, Repair, Target, TimelineEntry
from bridge.model.policy import Mode, TargetPolicy
from bridge.model.refusal import Reason, Refusal
from bridge.model.verdict import Action, ModelResult, Verdict, VerdictKind
from bridge.roles import EpisodeView
from bridge.triage import two_keys
from tests.unit.guards.builders import situation
from tests.unit.triage.asking import consulted, opinion
from tests.unit.triage.builders import ID, NOW, evidence, unhealthy

SICK = Verdict(
    kind=VerdictKind.REPAIR,
    rule="unhealthy",
    reason="web runs but its health check fails.",
    action=Action.RESTART,
    cites=("S1",),
)
OPEN = Incident(
    id="i-1", subject=Subject(kind=SubjectKind.CONTAINER, host="local", name="web"), opened_at=NOW
)


def later(seconds: float) -> timedelta:
    return timedelta(seconds=seconds)


def judged(**policy: object) -> Incident:
    answers = guards.ask_all(situation(verdict=SICK, target_policy=TargetPolicy(**policy)))  # type: ignore[arg-type]
    seen = evidence(unhealthy(), gaps=(Gap(source="logs", reason="no answer within 1 s"),))
    return OPEN.found(Target(host="local", name="web")).judged(seen, guards.decide(SICK, answers), now=NOW)


def healed() -> Incident:
    intent = Intent(
        action=Action.RESTART,
        container_id=ID,
        started_at=NOW,
        restart_count=0,
        stop_timeout_seconds=10.0,
        was_running=True,
        token=7,
        at=NOW + later(1),
    )
    repair = Repair(action=Action.RESTART, container_id=ID, at=NOW + later(2), settled=True)
    finding = Finding(at=NOW + later(40), text="healthy for 35 s", healthy_since=NOW + later(5))
    incident = judged().reserved(7, now=NOW).acting(intent, now=NOW).verifying(repair, now=NOW)
    incident = incident.looked(finding, now=NOW + later(40), seconds=5)
    return incident.closing(Outcome.HEALED, "healthy for 35 s", now=NOW + later(41), reconsider_at=NOW)


def audit(*consultations: Consultation) -> Audit:
    return Audit(
        decided_at=NOW,
        evidence_hash="e" * 64,
        rules=SICK,
        asked=("always_firing", "unhealthy"),
        alert_names=("Slow",),
        consultations=consultations,
    )


def test_story_of_a_veto() -> None:
    claim = Claim(text="It migrates.\x1b[2J", cites=("L1",))
    said = opinion(
        VerdictKind.ESCALATE, said="restart", claims=(claim,), summary="Busy.", downgraded=("it is not sure",)
    )
    (one,) = consulted(said)
    one = replace(one, request_id="r-1", usage=Usage(input_tokens=900), cost_usd=0.0012, latency_seconds=0.81)
    verdict = two_keys.combine(SICK, (one,))
    incident = replace(judged(), decision=replace(judged().decision, verdict=verdict), audit=audit(one))  # type: ignore[type-var]
    story = summary.story(incident, [])
    first = story.index(
        "because    web runs but its health check fails. The model wants a person to look "
        "(process_hang, confidence high)."
    )
    assert story[first - 1] == "verdict    escalate by the model, rule unhealthy, citing S1, L1"
    assert story[first + 1 : first + 8] == [
        "asked      2 rules; the last one matched: always_firing, unhealthy",
        "rules      repair(restart): web runs but its health check fails.",
        "model      anthropic m-1: restart (ok), prompt_v1, 0.8 s, 900 tokens, $0.0012, request r-1",
        "  it says  process_hang, confidence high: Busy.",
        "  because  It migrates. [2J [L1]",
        "  counts   as escalate: it is not sure",
        f"evidence   sha256 {'e' * 64}",
    ]


def test_story_of_a_model_that_did_not_answer() -> None:
    (one,) = consulted(None, ModelResult.TIMEOUT)
    one = replace(one, problems=("anthropic: no answer within 3.5 s",))
    verdict = two_keys.combine(SICK, (one,))
    incident = replace(judged(), decision=replace(judged().decision, verdict=verdict), audit=audit(one))  # type: ignore[type-var]
    story = summary.story(incident, [])
    assert "verdict    repair(restart) by rules (model: timeout), rule unhealthy, citing S1" in story
    assert "model      anthropic m-1: timeout, prompt_v1, 0.0 s, 0 tokens, $0.0000" in story
    assert "  problem  anthropic: no answer within 3.5 s" in story


def test_one_line_of_an_open_incident() -> None:
    assert summary.one_line(OPEN) == "i-1 no target found (container web): open"


def test_one_line_of_a_closed_incident() -> None:
    assert summary.one_line(healed()) == "i-1 local/web: healed: healthy for 35 s"


def test_one_line_without_any_name() -> None:
    """The hash by which it is told apart is no name."""
    for name in ("", "cfd431a492c1dece"):
        nameless = replace(OPEN, subject=Subject(kind=SubjectKind.UNKNOWN, host="local", name=name))
        assert summary.one_line(nameless) == "i-1 no target named: open"


def test_story_says_what_fired_and_with_which_labels() -> None:
    fired = Alert(
        fingerprint="f1",
        status=AlertStatus.FIRING,
        labels={"alertname": "DiskFull", "instance": "db-1:9100", "odd": "a\nb"},
        annotations={},
        starts_at=NOW,
    )
    episodes = [EpisodeView(alert=fired, firing=True), EpisodeView(alert=fired, firing=False)]
    told = summary.story(OPEN, [], episodes * 6)
    assert told[told.index("alerts     12") + 1 :][:2] == [
        '  DiskFull firing since 2026-11-20 12:00:00 UTC {instance="db-1:9100", odd="a b"}',
        '  DiskFull ended {instance="db-1:9100", odd="a b"}',
    ]
    assert "  and 2 more" in told


def test_story_of_a_repair() -> None:
    timeline = [
        TimelineEntry(at=NOW, event="judged", fields={"rule": "unhealthy"}),
        TimelineEntry(at=NOW + later(41), event="closed", fields={}),
    ]
    assert summary.story(healed(), timeline) == [
        "incident   i-1",
        "target     local/web",
        "opened     2026-11-20 12:00:00 UTC",
        "closed     2026-11-20 12:00:41 UTC",
        "outcome    healed: healthy for 35 s",
        "verdict    repair(restart) by rules, rule unhealthy, citing S1",
        "because    web runs but its health check fails.",
        "missing    logs: no answer within 1 s",
        "guards     12 asked",
        "  opted_in         allows (hemostat.enable: true, autoheal: absent)",
        "  protected        allows (name: web, image: shop/web:1.2, patterns: 0)",
        "  swarm_task       allows (a task of Swarm: no)",
        "  paused           allows (paused: no)",
        "  project_share    allows (project: none)",
        "  fleet_share      allows (known: unknown)",
        "  maintenance      allows (windows: 0, for this target: none, active: none)",
        f"  target_unchanged allows (container: {ID[:12]}, alerts name: no id)",
        "  action_allowed   allows (action: restart, allowed: restart)",
        "  min_uptime       allows (since its start: 86400 s, min_uptime: 0 s)",
        "  second_key       allows (decided by: rules, approved by: nobody)",
        "  mode             allows (mode: auto, approved by: nobody)",
        f"intent     restart of container {ID[:12]}, token 7, written 2026-11-20 12:00:01 UTC",
        f"repair     restart of container {ID[:12]} at 2026-11-20 12:00:02 UTC, settled after a crash by what "
        "Docker says",
        "finding    healthy for 35 s, well since 2026-11-20 12:00:05 UTC (seen 2026-11-20 12:00:40 UTC)",
        "timeline   2 entries",
        "  12:00:00.000 judged       rule: unhealthy",
        "  12:00:41.000 closed",
    ]


def test_story_of_a_refusal_says_why_and_until_when() -> None:
    story = summary.story(judged(min_uptime_seconds=100_000.0), [])
    until = "2026-11-20 15:46:40 UTC"
    assert f"refused    min_uptime: started 86400 s ago, must be up for 100000 s, until {until}" in story
    assert f"until      {until}" in story
    assert any(line.startswith("  min_uptime       refuses: min_uptime:") for line in story)


def test_story_in_mode_observe_says_what_it_would_do() -> None:
    story = summary.story(judged(mode=Mode.OBSERVE), [])
    assert "would      restart, but for what refused it" in story
    assert not any(line.startswith("until") for line in story)


def test_story_of_an_incident_that_has_just_been_opened() -> None:
    assert summary.story(OPEN, []) == [
        "incident   i-1",
        "target     no target found (container web)",
        "opened     2026-11-20 12:00:00 UTC",
        "state      open",
    ]


def test_story_of_a_waiting_and_of_a_watched_incident() -> None:
    waiting = replace(OPEN, suspect=True).waiting("Docker is away", now=NOW, seconds=10)
    story = summary.story(waiting, [])
    assert "state      waiting: Docker is away" in story
    assert "next look  2026-11-20 12:00:10 UTC" in story
    assert any(line.startswith("suspect") for line in story)
    watched = healed().watched(now=NOW, seconds=10, until=NOW + later(600))
    assert "watched    for a relapse until 2026-11-20 12:10:00 UTC" in summary.story(watched, [])


def test_refused_until_is_the_last_end_and_none_if_one_has_none() -> None:
    ends = [Refusal(reason=Reason.COOLDOWN, detail="", until=NOW + later(s)) for s in (60, 5)]
    assert summary.refused_until(ends) == NOW + later(60)
    assert summary.refused_until([*ends, Refusal(reason=Reason.PROTECTED, detail="")]) is None
    assert summary.refused_until([]) is None


def test_text_from_outside_cannot_forge_a_line_or_steer_a_terminal() -> None:
    hostile = "web\noutcome    healed\x1b[2J\u202e" + "x" * 5000
    incident = replace(OPEN, subject=replace(OPEN.subject, name=hostile), reason=hostile)
    lines = [summary.one_line(incident)]
    lines += summary.story(incident, [TimelineEntry(at=NOW, event="waiting", fields={"reason": hostile})])
    assert all(line.isprintable() for line in lines)
    assert all(len(line) < 1000 for line in lines)
    assert not any(line.startswith("outcome") for line in lines)
