"""What is known about neighbours, and what is not."""

import pytest

from bridge.model.evidence import ContainerStatus, Health, Neighbour


@pytest.mark.parametrize(
    ("status", "health", "exit_code", "sick"),
    [
        pytest.param(ContainerStatus.RUNNING, Health.NONE, None, False, id="runs, unchecked"),
        pytest.param(ContainerStatus.RUNNING, Health.UNHEALTHY, None, True, id="unhealthy"),
        pytest.param(ContainerStatus.EXITED, Health.NONE, 1, True, id="crashed"),
        pytest.param(ContainerStatus.EXITED, Health.NONE, None, True, id="ended, nobody knows how"),
        pytest.param(ContainerStatus.EXITED, Health.NONE, 0, None, id="a job that is done, or a stop"),
        pytest.param(ContainerStatus.PAUSED, Health.NONE, None, True, id="paused"),
        pytest.param(None, Health.NONE, None, None, id="there is none"),
    ],
)
def test_a_neighbour_is_sick_only_where_that_is_known(
    status: ContainerStatus | None, health: Health, exit_code: int | None, sick: bool | None
) -> None:
    neighbour = Neighbour(id="B1", name="db", status=status, health=health, exit_code=exit_code)
    assert neighbour.sick is sick
