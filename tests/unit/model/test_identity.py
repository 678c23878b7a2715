"""One name for one target, whatever its container is called this time."""

from typing import Any

import pytest

from bridge.model.identity import is_task, other_names, target_of
from tests.unit.triage.builders import running

TASK = "zsbzd59u6g0szld5gxcs6m486"
NODE = "t05wigjxe7zghrtn9ivcgeepr"
PROJECT = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}


def task(name: str, *, service: str = "shop_web", task_id: str = TASK, **labels: str) -> dict[str, Any]:
    """The name and the labels that Swarm gives a task's container."""
    return {
        "name": name,
        "labels": {
            "com.docker.swarm.service.name": service,
            "com.docker.swarm.task.id": task_id,
            "com.docker.swarm.task.name": name,
            **labels,
        },
    }


@pytest.mark.parametrize(
    ("container", "name", "others"),
    [
        pytest.param({"name": "web"}, "web", (), id="a container"),
        pytest.param(
            task(f"shop_web.1.{TASK}"),
            "shop_web.1",
            ("shop_web", f"shop_web.1.{TASK}"),
            id="a task, by its slot",
        ),
        pytest.param(
            task(f"shop.web.v2.3.{TASK}", service="shop.web.v2"),
            "shop.web.v2.3",
            ("shop.web.v2", f"shop.web.v2.3.{TASK}"),
            id="a service with dots",
        ),
        pytest.param(
            task(f"shop_web.{NODE}.{TASK}"),
            f"shop_web.{NODE}",
            ("shop_web", f"shop_web.{NODE}.{TASK}"),
            id="a global service, by its node",
        ),
        pytest.param(task("mine"), "mine", (), id="labels alone make no task"),
        pytest.param(task(f"other.1.{TASK}"), f"other.1.{TASK}", (), id="of another service"),
        pytest.param(task(f"shop_web..{TASK}"), f"shop_web..{TASK}", (), id="without a slot"),
        pytest.param(task(f"shop_web.1.2.{TASK}"), f"shop_web.1.2.{TASK}", (), id="two slots"),
        pytest.param(task("shop_web.1.", task_id=""), "shop_web.1.", (), id="without a task"),
        pytest.param({"name": "shop-web-1", "labels": PROJECT}, "shop-web-1", (), id="of Compose"),
        pytest.param(
            {"name": "4f1c0ffee04f_shop-web-1", "labels": PROJECT},
            "shop-web-1",
            ("4f1c0ffee04f_shop-web-1",),
            id="of Compose, being recreated",
        ),
        pytest.param({"name": "4f1c0ffee04f_web"}, "4f1c0ffee04f_web", (), id="not of Compose"),
        pytest.param(
            {"name": "4f1c0ffee04f_", "labels": PROJECT}, "4f1c0ffee04f_", (), id="nothing behind it"
        ),
    ],
)
def test_budgets_belong_to_this_name(container: dict[str, Any], name: str, others: tuple[str, ...]) -> None:
    facts = running(**container)
    assert target_of(facts).key == f"local/{name}"
    assert other_names(facts) == others


def test_the_next_task_of_a_slot_is_the_same_target() -> None:
    old, new = running(**task(f"shop_web.1.{TASK}")), running(**task(f"shop_web.1.{NODE}", task_id=NODE))
    assert target_of(old) == target_of(new)
    assert target_of(old) != target_of(running(**task(f"shop_web.2.{TASK}")))


def test_a_task_is_known_by_the_label_that_swarm_alone_gives() -> None:
    assert is_task(running(**task(f"shop_web.1.{TASK}")))
    assert not is_task(running(labels={"com.docker.swarm.service.name": "shop_web"}))
