"""A value that must not be seen: it prints as ``***`` wherever it ends up."""

from __future__ import annotations


class Secret:
    """A password, token or key. ``str``, ``repr`` and every format give ``***``; only ``reveal`` gives the value.

    Two secrets with the same value are equal, so that settings can be compared at a reload.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one place that hands it over."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")
