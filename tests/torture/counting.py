"""How an experiment is told: what was done to the product, what went wrong, and the same for its control.

A count of nothing proves nothing unless the same count finds something where the protection is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Number = int | float


@dataclass(frozen=True, kw_only=True)
class Tally:
    """One run: what was done to it, and how often each thing happened that must never happen."""

    did: Mapping[str, Number]
    faults: Mapping[str, int]

    @property
    def wrong(self) -> int:
        """All faults together."""
        return sum(self.faults.values())

    def told(self) -> str:
        """In one line."""
        did = ", ".join(f"{name} {_shown(value)}" for name, value in self.did.items())
        faults = ", ".join(f"{name} {value}" for name, value in self.faults.items())
        return f"{did} -> {faults}" if faults else did


@dataclass(frozen=True, kw_only=True)
class Result:
    """An experiment with the product and with its controls (what was removed -> what came of it)."""

    name: str
    product: Tally
    controls: Mapping[str, Tally] = field(default_factory=dict)

    def told(self) -> str:
        """A line for the product and one for each control."""
        lines = [f"{self.name:<9} product   {self.product.told()}"]
        lines += [
            f"{'':<9} control   {tally.told()}   [{removed}]" for removed, tally in self.controls.items()
        ]
        return "\n".join(lines)

    @property
    def holds(self) -> bool:
        """Nothing went wrong with the product, and something with every control."""
        return self.product.wrong == 0 and all(tally.wrong > 0 for tally in self.controls.values())

    def check(self) -> None:
        """Print it. Raises: AssertionError: it does not hold."""
        print(f"\n{self.told()}")
        assert self.holds, self.told()


def share(values: list[float], part: float) -> float:
    """The value that this part of all is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _shown(value: Number) -> str:
    return f"{value:.2f}" if isinstance(value, float) else f"{value:,}"
