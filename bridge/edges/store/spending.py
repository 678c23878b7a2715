"""What the model may cost, counted in the store for all replicas together, on Redis' clock."""

from __future__ import annotations

import math
import secrets

from bridge.edges.store.connection import Store
from bridge.model.consultation import SpendingLimits
from bridge.roles import Overspent, Reservation

MICROS = 1_000_000


class StoredSpending:
    """Implements ``roles.Spending``. Windows slide by the minute (hour) and by the hour (day)."""

    def __init__(self, store: Store, limits: SpendingLimits) -> None:
        self._store = store
        self._limits = (
            _shown(limits.tokens_per_hour),
            _micros(limits.usd_per_hour),
            _shown(limits.tokens_per_day),
            _micros(limits.usd_per_day),
        )

    async def reserve(self, *, tokens: int, usd: float) -> Reservation | Overspent:
        """Set this much aside, or say which limit does not hold it."""
        reservation = Reservation(id=secrets.token_hex(16))
        answer = await self._store.script(
            "spend", "reserve", reservation.id, tokens, _micros(usd), *self._limits
        )
        return reservation if answer[0] == "ok" else Overspent(limit=answer[1])

    async def settle(self, reservation: Reservation, *, tokens: int, usd: float) -> None:
        """What it really took, in place of what was set aside."""
        await self._store.script("spend", "settle", reservation.id, tokens, _micros(usd))


def _micros(usd: float) -> int:
    """Rounded up: what costs anything costs at least a millionth."""
    return math.ceil(usd * MICROS - 1e-6)


def _shown(limit: int | None) -> int | str:
    return "" if limit is None else limit
