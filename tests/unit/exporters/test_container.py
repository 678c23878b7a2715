"""A container out of the Engine's inspect answer, and the counters that go on where Docker's do not."""

import copy
from typing import Any

import pytest

from exporters.docker.container import Tally, from_inspect, moment
from exporters.docker.errors import EngineNonsense

# The parts the exporter reads, as Docker 20.10 and 28 answer them.
INSPECT: dict[str, Any] = {
    "Id": "633dce14e176bd3d039bca8a282eca26756571ff3f689b28c70e8635d09aa881",
    "Created": "2026-11-20T22:53:36.531619741Z",
    "Name": "/web",
    "Image": "sha256:461ad6674e2f",
    "RestartCount": 2,
    "State": {
        "Status": "running",
        "OOMKilled": False,
        "ExitCode": 0,
        "StartedAt": "2026-11-20T22:53:37Z",
        "FinishedAt": "0001-01-01T00:00:00Z",
        "Health": {"Status": "unhealthy", "FailingStreak": 4, "Log": []},
    },
    "Config": {"Image": "shop/web:1", "Labels": {"com.docker.compose.project": "shop"}},
}


def inspect(**changes: Any) -> dict[str, Any]:
    """`INSPECT` with values replaced; `State__Status="exited"` reaches into `State`."""
    details = copy.deepcopy(INSPECT)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = details
        for parent in parents:
            place = place[parent]
        place[last] = value
    return details


def test_everything_shown_comes_from_inspect() -> None:
    container = from_inspect(INSPECT, Tally())

    assert container.short_id == "633dce14e176"
    assert (container.name, container.image, container.image_id) == (
        "web",
        "shop/web:1",
        "sha256:461ad6674e2f",
    )
    assert (container.state, container.health, container.failing_streak) == ("running", "unhealthy", 4)
    assert container.created_at == pytest.approx(1795215216.5316)
    assert container.started_at == 1795215217.0
    assert container.finished_at is None
    assert container.labels == {"com.docker.compose.project": "shop"}
    assert container.tally.restarts == 2


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"State__Health": None}, id="health null"),
        pytest.param({"State__Health": {}}, id="health empty"),
        pytest.param({"State__Health": {"Status": "none", "FailingStreak": 0}}, id="health disabled"),
    ],
)
def test_a_container_without_a_health_check_has_health_none(changes: dict[str, Any]) -> None:
    assert from_inspect(inspect(**changes), Tally()).health == "none"


def test_labels_may_be_null() -> None:
    assert from_inspect(inspect(Config__Labels=None), Tally()).labels == {}


@pytest.mark.parametrize(
    ("state", "alive"),
    [("running", True), ("paused", True), ("restarting", False), ("exited", False), ("created", False)],
)
def test_only_running_and_paused_containers_are_alive(state: str, alive: bool) -> None:
    assert from_inspect(inspect(State__Status=state), Tally()).alive is alive


@pytest.mark.parametrize(
    "details",
    [
        pytest.param({}, id="empty"),
        pytest.param(inspect(State=None), id="no state"),
        pytest.param(inspect(State__StartedAt="yesterday"), id="no time"),
        pytest.param(inspect(State__ExitCode="x"), id="no number"),
        pytest.param(inspect(Config__Labels=["a"]), id="labels a list"),
    ],
)
def test_an_unreadable_answer_is_refused_as_a_whole(details: dict[str, Any]) -> None:
    with pytest.raises(EngineNonsense):
        from_inspect(details, Tally())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-01T00:00:01.500000999Z", 1.5),
    ],
    ids=["empty", "dockers never", "utc", "offset", "nanoseconds"],
)
def test_times_are_read_as_docker_writes_them(text: str, seconds: float | None) -> None:
    assert moment(text) == seconds


@pytest.mark.parametrize(
    ("engine_counts", "restarts"),
    [
        pytest.param([0], [0], id="never"),
        pytest.param([7], [7], id="found with some"),
        pytest.param([0, 1, 3], [0, 1, 3], id="grows"),
        pytest.param([2, 2, 2], [2, 2, 2], id="steady"),
        pytest.param([5, 0], [5, 5], id="set back by docker restart"),
        pytest.param([5, 0, 1], [5, 5, 6], id="goes on after being set back"),
        pytest.param([5, 2], [5, 7], id="set back and restarted between two looks"),
        pytest.param([3, 0, 2, 0, 1], [3, 3, 5, 5, 6], id="set back twice"),
    ],
)
def test_restarts_never_go_down(engine_counts: list[int], restarts: list[int]) -> None:
    tally, seen = Tally(), []
    for count in engine_counts:
        tally = tally.counted(count)
        seen.append(tally.restarts)
    assert seen == restarts


def test_oom_events_are_kept_apart_from_restarts() -> None:
    tally = Tally().counted(1).oom_seen(2).counted(2).oom_seen(1)
    assert (tally.restarts, tally.oom_events) == (2, 3)


@pytest.mark.parametrize(
    ("host", "quota", "period"),
    [
        pytest.param({}, 0, 100_000, id="none"),
        pytest.param({"CpuQuota": 50_000}, 50_000, 100_000, id="quota"),
        pytest.param({"CpuQuota": 10_000, "CpuPeriod": 20_000}, 10_000, 20_000, id="quota and period"),
        pytest.param({"NanoCpus": 1_500_000_000}, 150_000, 100_000, id="cpus"),
        pytest.param({"CpuQuota": -1}, 0, 100_000, id="Docker's other way to say none"),
    ],
)
def test_a_cpu_limit_is_a_quota_however_it_was_given(host: dict[str, int], quota: int, period: int) -> None:
    container = from_inspect(inspect(HostConfig=host), Tally())
    assert (container.cpu_quota, container.cpu_period) == (quota, period)


@pytest.mark.parametrize(
    ("mode", "own"),
    [("bridge", True), ("shop", True), ("host", False), ("none", False), ("container:a", False)],
)
def test_which_network_is_its_own(mode: str, own: bool) -> None:
    assert from_inspect(inspect(HostConfig={"NetworkMode": mode}), Tally()).own_network is own


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        pytest.param({"Name": "/other", "RestartCount": 3}, True, id="renamed"),
        pytest.param({"State__Status": "paused"}, True, id="paused"),
        pytest.param({"State__StartedAt": "2026-11-21T00:00:00Z"}, False, id="started again"),
        pytest.param({"HostConfig": {"Memory": 1}}, False, id="given a limit"),
    ],
)
def test_a_run_lasts_until_the_next_start_or_other_limits(changes: dict[str, Any], same: bool) -> None:
    assert (from_inspect(inspect(**changes), Tally()).run == from_inspect(INSPECT, Tally()).run) is same


def test_kills_go_on_over_runs_by_whichever_count_saw_more() -> None:
    first = Tally().oom_seen(1).run_ended(3)
    second = first.oom_seen(2)
    assert (first.oom_total, second.oom_total) == (3, 5)
    assert second.run_ended(0) == second.run_ended(0).run_ended(0)
    assert second.run_ended(1).oom_total == 5
