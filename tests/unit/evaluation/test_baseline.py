"""The baseline restates the rules of the earlier design, its defects among them."""

from typing import Any

import pytest

from bridge.evaluation import baseline
from bridge.evaluation.baseline import Seen
from bridge.model.evidence import ContainerFacts, ContainerStatus, Health
from bridge.model.verdict import VerdictKind
from tests.unit.triage.builders import evidence, exited, in_status, measured, running, unhealthy

REPAIR, NO_ACTION = VerdictKind.REPAIR, VerdictKind.NO_ACTION


@pytest.mark.parametrize(
    ("facts", "figures", "rule", "kind"),
    [
        pytest.param(exited(1), {}, "rule_1", REPAIR, id="a crash"),
        pytest.param(exited(143), {}, "rule_1", REPAIR, id="what an operator stopped"),
        pytest.param(exited(None), {}, "rule_1", REPAIR, id="unknown is not 0"),
        pytest.param(exited(0), {}, "no_anomaly", NO_ACTION, id="a finished job"),
        pytest.param(running(exit_code=None), {}, "no_anomaly", NO_ACTION, id="it runs and is well"),
        pytest.param(running(restart_count=6), {}, "rule_2", NO_ACTION, id="restarted often: a false alarm"),
        pytest.param(unhealthy(restart_count=9), {}, "rule_2", NO_ACTION, id="rule 2 hides a sick loop"),
        pytest.param(running(), {"memory_share": 0.96}, "rule_3", REPAIR, id="critical memory"),
        pytest.param(
            running(cpu_limit_cores=8.0), {"cpu_share": 0.5}, "rule_3", REPAIR, id="four cores of eight"
        ),
        pytest.param(unhealthy(), {}, "rule_4", REPAIR, id="unhealthy, just at the limit"),
        pytest.param(running(health=Health.STARTING), {}, "rule_8", NO_ACTION, id="starting is an anomaly"),
        pytest.param(running(), {"cpu_share": (0.9, 0.91, 0.92)}, "rule_5", REPAIR, id="high and stable CPU"),
        pytest.param(running(), {"cpu_share": 0.92}, "rule_8", NO_ACTION, id="high CPU of unknown trend"),
        pytest.param(
            running(), {"memory_share": (0.5, 0.6, 0.7, 0.82)}, "rule_6", REPAIR, id="rising memory"
        ),
        pytest.param(running(), {"cpu_share": 0.7}, "rule_7", NO_ACTION, id="one small thing"),
        pytest.param(
            in_status(ContainerStatus.RESTARTING), {}, "no_anomaly", NO_ACTION, id="it does not list it"
        ),
        pytest.param(None, {}, "no_anomaly", NO_ACTION, id="nothing there"),
    ],
)
def test_baseline(
    facts: ContainerFacts | None, figures: dict[str, Any], rule: str, kind: VerdictKind
) -> None:
    verdict = baseline.judge(evidence(facts, measures=measured(**figures)))
    assert (verdict.rule, verdict.kind) == (rule, kind)


@pytest.mark.parametrize(
    ("history", "trend"),
    [
        ((), "unknown"),
        ((50.0,), "unknown"),
        ((50.0, 55.0), "stable"),
        ((50.0, 56.0), "increasing"),
        ((56.0, 50.0), "decreasing"),
        ((10.0, 90.0, 12.0), "stable"),
    ],
)
def test_trend(history: tuple[float, ...], trend: str) -> None:
    assert baseline.trend(history) == trend


def test_several_anomalies_are_all_raised() -> None:
    seen = Seen(
        status=ContainerStatus.RUNNING,
        health=Health.UNHEALTHY,
        exit_code=0,
        restart_count=6,
        cpu=96,
        memory=70,
        cpu_history=(),
        memory_history=(),
    )
    assert [severity.value for severity in baseline.anomalies(seen)] == [
        "critical",
        "medium",
        "high",
        "medium",
    ]
