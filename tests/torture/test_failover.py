"""A failover under load loses nothing that was answered with a yes, as long as a replica was waited for."""

from __future__ import annotations

import pytest

from tests.torture import failover


# Its connections are cut in the middle of whatever they did; asyncio leaves some of them to the collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(120)
@pytest.mark.usefixtures("redis_server")  # where there is none, this says so
def test_no_grant_is_lost_when_the_master_is_killed_or_split_off() -> None:
    """And without waiting some are, and with the client's own discovery it goes on naming the old master."""
    result = failover.run(kills=1, splits=1)
    print(f"\n{result.told()}")
    assert result.replicated.granted > 0
    assert result.replicated.lost == 0
    assert result.slowest < 10
    assert result.local.granted_lost > 0, "the control lost nothing, so this proves nothing"
    assert result.stock_misled == 1, "the control found the new master, so this proves nothing"
    assert result.holds
