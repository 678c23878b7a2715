"""What can be done: one file per action, through roles, no SDK. Adding one is a file and a line in ``ACTIONS``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from bridge.actions import restart, start
from bridge.model.verdict import Action
from bridge.roles import Containers

Run = Callable[[Containers, str, str], Awaitable[None]]

ACTIONS: Mapping[Action, Run] = {
    Action.RESTART: restart.run,
    Action.START: start.run,
}
